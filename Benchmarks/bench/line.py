# SPDX-License-Identifier: Apache-2.0
"""A long line: two network namespaces joined by TUN devices that give each packet back later (`line.c`)."""
import os
import subprocess


class Line:
    """`client` and `server` go before a command to run it at that end; nginx listens on `address`."""

    address = "10.99.0.2"

    def __init__(self, program, round_trip_ms):
        self.names = [f"dld-bench-{os.getpid()}-{round_trip_ms}-{end}" for end in ("client", "server")]
        for name in self.names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", "lo", "up"], check=True)
            # As large as such a line needs: the default windows hold 100 ms back.
            for key in ("tcp_rmem", "tcp_wmem"):
                subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", f"net.ipv4.{key}=4096 131072 33554432"],
                               check=True)
        self.client, self.server = (("ip", "netns", "exec", name) for name in self.names)
        self.process = subprocess.Popen(
            [program, self.names[0], "10.99.0.1", self.names[1], self.address, str(round_trip_ms / 2)],
            stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"up\n":
            raise SystemExit("the long line did not come up")

    def close(self):
        self.process.kill()
        self.process.wait()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name])

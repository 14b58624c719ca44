# SPDX-License-Identifier: Apache-2.0
"""dld as it is shipped: a daemon with its ledger, its results and its logs on, told only where its directories are."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
from datetime import datetime

from .measure import Sample, memory_of

TICK = os.sysconf("SC_CLK_TCK")


class Daemon:
    """A running `dld run` in a folder of its own; `with` stops it."""

    def __init__(self, build, folder, config, prefix=()):
        self.folder = pathlib.Path(folder)
        for part in ("spool", "output", "state", "run"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self.spool, self.output = self.folder / "spool", self.folder / "output"
        self.socket = f"{self.folder}/run/s"
        self.config = self.folder / "config.json"
        whole = {
            "spool_dir": f"{self.spool}", "output_dir": f"{self.output}", "state_dir": f"{self.folder}/state",
            "control": {"socket": self.socket}, **config,
        }
        self.config.write_text(json.dumps(whole))
        self.build, self.prefix = build, prefix
        self.start()

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [*self.prefix, f"{self.build}/dld", "run", "--config", str(self.config)], stderr=log, stdout=log)
        log.close()
        begin = time.monotonic()
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - begin > 60:
                raise SystemExit(f"dld did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.002)
        return time.monotonic() - begin

    def answers(self):
        return self.get("/healthz") is not None

    def get(self, path):
        """Body of a GET on the control socket; None: nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(self.socket)
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: dld\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while block := sock.recv(1 << 16):
                    answer += block
        except OSError:
            return None
        return answer.partition(b"\r\n\r\n")[2]

    def drop(self, name, text):
        """A list appears in the spool in one step, written before."""
        hidden = self.spool / f".{name}"
        hidden.write_text(text)
        os.rename(hidden, self.spool / name)

    def drop_lines(self, name, lines):
        """The same, of a list that is too long for one text."""
        hidden = self.spool / f".{name}"
        with open(hidden, "w") as file:
            file.writelines(lines)
        os.rename(hidden, self.spool / name)

    def ended(self, name):
        """Whether the list's results are there; anything but `done` ends the benchmark."""
        if (self.spool / "done" / name).exists():
            return True
        for place in ("failed", "rejected"):
            if (self.spool / place / name).exists():
                raise SystemExit(f"{name} is in {place}/:\n{(self.folder / 'log').read_text()[-2000:]}")
        return False

    def results(self, name):
        with open(self.spool / "done" / f"{name}.results.jsonl") as file:
            return [json.loads(line) for line in file]

    def cpu(self):
        """Seconds of user and system time so far, those of all its threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def fine_cpu(self):
        """The same in nanoseconds and not in ticks, and that of `sumd` and its processes; of threads that live."""
        pids, found = [self.pid], 0
        while pids:
            folder = pathlib.Path(f"/proc/{pids.pop()}")
            for task in (folder / "task").iterdir():
                found += int((task / "schedstat").read_text().split()[0])
                pids += [int(child) for child in (task / "children").read_text().split()]
        return found / 1e9

    def memory(self, which="VmHWM"):
        return memory_of(self.pid, which)

    @property
    def pid(self):
        # `ip netns exec` becomes the program it starts.
        return self.process.pid

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()


def moment(text):
    return datetime.fromisoformat(text).timestamp()


class Dld:
    """A contender: from the drop of the list to the last job `done`, as the results tell it.

    `closed` is told beside it: until the results file was there and the list had moved to `done/`.
    """

    def __init__(self, build, name="dld", options="as shipped", config=None, entry=""):
        self.build, self.name, self.options, self.config = build, name, options, config or {}
        self.entry = f" {entry}\n" if entry else ""  # what each entry of the list asks for

    def run(self, job, folder):
        config = dict(self.config)
        if job.ca:
            config["network"] = {**config.get("network", {}), "ca_file": job.ca}
        text = "".join((f"{url}\n" if url.endswith("/" + name) else f"{url}\n out={name}\n") + self.entry
                       for url, name in zip(job.urls, job.names))
        with Daemon(self.build, folder, config, job.prefix) as daemon:
            time.sleep(0.3)
            cpu = daemon.cpu()
            dropped, begin = time.time(), time.monotonic()
            daemon.drop("list.txt", text)
            while not daemon.ended("list.txt"):
                time.sleep(0.002)
            closed = time.monotonic() - begin
            sample = Sample(0, daemon.cpu() - cpu, daemon.memory())
            last = max(moment(result["ended_at"]) for result in daemon.results("list.txt"))
            sample.wall = last - dropped
            sample.more = {"closed": closed, "folder": daemon.output}
        return sample

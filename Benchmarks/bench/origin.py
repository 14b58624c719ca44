# SPDX-License-Identifier: Apache-2.0
"""The server that everybody fetches from: nginx on free ports of 127.0.0.1 and 127.0.0.2, and its files."""
import os
import pathlib
import socket
import subprocess
import time


def free_port(address="127.0.0.1"):
    with socket.socket() as sock:
        sock.bind((address, 0))
        return sock.getsockname()[1]


class Data:
    """Files of random bytes, made once and kept for the next run."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def files(self, name, count, size):
        """`count` names below the server's root, each of `size` bytes, all different."""
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        names = [f"{name}/{name}-{number:06}.bin" for number in range(count)]
        with open("/dev/urandom", "rb") as source:
            for path in names:
                target = self.folder / path
                if target.exists() and target.stat().st_size == size:
                    continue
                with open(target, "wb") as file:
                    left = size
                    while left:
                        block = source.read(min(left, 8 << 20))
                        file.write(block)
                        left -= len(block)
        return names


class Origin:
    """A running nginx. `plain` and `tls` are the beginnings of URLs; with `address` it listens there instead."""

    def __init__(self, folder, root, address="127.0.0.1", prefix=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = address
        ports = [free_port(), free_port()] if not prefix else [8080, 8443]
        self.port = ports[0]
        self.plain, self.tls = f"http://{address}:{ports[0]}", f"https://{address}:{ports[1]}"
        self.ca = self.certificate()
        also = f"listen 127.0.0.2:{ports[0]};" if address.startswith("127.") else ""
        self.second = f"http://127.0.0.2:{ports[0]}" if also else None
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(f"""
            {user} worker_processes {os.cpu_count()}; daemon off; pid {folder}/pid; error_log {folder}/error.log;
            worker_rlimit_nofile 65536;
            events {{ worker_connections 4096; }}
            http {{
                access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
                open_file_cache max=20000 inactive=10m; open_file_cache_valid 10m;
                client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
                uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
                log_format moment '$msec';
                server {{
                    listen {address}:{ports[0]} backlog=4096; {also}
                    listen {address}:{ports[1]} ssl http2 backlog=4096;
                    ssl_certificate {folder}/cert; ssl_certificate_key {folder}/key;
                    root {root};
                    location /limited/ {{ alias {root}/; limit_rate 2000000; }}
                    location /any/ {{ try_files /same.bin =404; }}
                    location /told/ {{ try_files /same.bin =404; access_log {folder}/moments moment; }}
                }}
            }}""")
        same = pathlib.Path(root) / "same.bin"
        if not same.exists():
            same.parent.mkdir(parents=True, exist_ok=True)
            same.write_bytes(os.urandom(1024))
        self.process = subprocess.Popen([*prefix, "nginx", "-c", f"{folder}/nginx.conf"])
        self.wait(prefix)

    def wait(self, prefix):
        for _ in range(500):
            probe = subprocess.run([*prefix, "curl", "-so/dev/null", f"{self.plain}/same.bin"])
            if probe.returncode == 0:
                return
            time.sleep(0.02)
        raise SystemExit(f"nginx did not start: {(self.folder / 'error.log').read_text()}")

    def certificate(self):
        """A CA of its own and a certificate for the address: nobody has to look away."""
        place = self.folder
        run = lambda *words: subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=place)
        run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca", "-days", "2",
            "-subj", "/CN=benchmark")
        run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "csr", "-subj", f"/CN={self.address}")
        (place / "ext").write_text(f"subjectAltName=IP:{self.address},DNS:localhost")
        run("x509", "-req", "-in", "csr", "-CA", "ca", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert",
            "-days", "2", "-extfile", "ext")
        return f"{place}/ca"

    def stop(self):
        self.process.terminate()
        self.process.wait()

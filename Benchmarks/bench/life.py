# SPDX-License-Identifier: Apache-2.0
"""B6, B7, B8: admission and memory at a million, the way from a drop to the request, a slow host beside a fast one."""
import json
import os
import socket
import socketserver
import threading
import time

from . import plot
from .dld import Daemon
from .measure import Job, fresh, median, memory_of
from .report import Report

MILLION = 1_000_000
HOSTS = 1_000


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def wait_for(condition, seconds, step=0.01):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("the benchmark waited in vain")
        time.sleep(step)


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def status(daemon):
    return json.loads(daemon.get("/v1/status"))


def lines(number):
    """Hosts that are not asked for, since nothing starts."""
    return (f"http://host{line % HOSTS}.invalid/{line}.bin\n" for line in range(number))


# Everything queued and nothing started: the disk is said to be too full.
HELD = {"limits": {"min_free": "100TiB"}, "log": {"level": "error"}}


def queued(daemon, name="list.txt"):
    lists = json.loads(daemon.get("/v1/lists"))["items"]
    for found in lists:
        if found["name"] == name and found["state"] != "admitting":
            return True
    return False


class Watch:
    """Asks for the status all the time, and notes what the daemon holds; `with` ends it."""

    def __init__(self, daemon):
        self.daemon, self.over = daemon, threading.Event()
        self.asked, self.rows = [], []
        self.thread = threading.Thread(target=self.run)

    def run(self):
        start = time.monotonic()
        while not self.over.wait(0.02):
            begin = time.monotonic()
            self.daemon.get("/v1/status")
            self.asked.append(time.monotonic() - begin)
            log = self.daemon.folder / "state" / "ledger.db-wal"
            self.rows.append((begin - start, self.daemon.memory("VmRSS"), descriptors(self.daemon.pid),
                              log.stat().st_size / 1e6 if log.exists() else 0))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def admitted(bench, count):
    """One list of so many lines: what it took, and what is there after it."""
    with fresh(Job([], [], []), bench.disk) as folder, Daemon(bench.build, folder, HELD) as daemon:
        time.sleep(0.5)
        idle = daemon.memory("VmRSS")
        hidden = daemon.spool / ".list.txt"
        with open(hidden, "w") as file:
            file.writelines(lines(count))
        with Watch(daemon) as watch:
            begin = time.monotonic()
            hidden.rename(daemon.spool / "list.txt")
            wait_for(lambda: queued(daemon), 600)
            took = time.monotonic() - begin
        found = {"rate": count / took, "growth": daemon.memory() - idle, "p99": 1000 * percentile(watch.asked, 0.99),
                 "log": max((row[3] for row in watch.rows), default=0), "rows": watch.rows}
        daemon.kill()
        found["ready"] = daemon.start()
        found["bytes"] = (folder / "state" / "ledger.db").stat().st_size / count
        print(f"  {count:,} lines: {found['rate']:,.0f} a second, {found['growth']:.1f} MB above idle, status p99 "
              f"{found['p99']:.1f} ms, ready again {found['ready']:.2f} s, {found['bytes']:.0f} bytes a job, "
              f"log {found['log']:.0f} MB", flush=True)
        return found


def b6(bench):
    report = Report(
        "B6", "a list of 1,000,000 URLs of 1,000 hosts",
        "The disk is configured to be too full, so that all of them stay queued. Rate: from the drop until the ledger "
        "has the last line. Memory: the daemon's highest after it, over that of the same daemon idle. Log: the longest "
        "file of the ledger's write-ahead log. 10,000,000 lines are told beside it, of one run.")
    runs = {10_000: [], MILLION: []}
    for _ in range(max(3, bench.pairs // 2)):
        for count, found in runs.items():
            found.append(admitted(bench, count))
    runs[10 * MILLION] = [admitted(bench, 10 * MILLION)]
    middle = {count: {key: median([run[key] for run in found]) for key in found[0] if key != "rows"}
              for count, found in runs.items()}
    report.table(
        "dld", ["lines", "a second", "memory above idle MB", "status p99 ms", "ready after kill -9 s",
                "ledger bytes a job", "log MB"],
        [[f"{count:,}", f"{run['rate']:,.0f}", f"{run['growth']:.1f}", f"{run['p99']:.1f}", f"{run['ready']:.2f}",
          f"{run['bytes']:.0f}", f"{run['log']:.0f}"] for count, run in middle.items()])
    few, all, most = (middle[count] for count in runs)
    report.bar("lines a second from the drop to the ledger", all["rate"], 100_000, at_most=False, unit="lines/s")
    report.bar("memory above idle at 1,000,000", all["growth"], 30, unit="MB")
    report.bar("memory at 1,000,000 over that at 10,000", all["growth"] - few["growth"], 5, unit="MB")
    report.bar("memory at 10,000,000 over that at 1,000,000", most["growth"] - all["growth"], 5, unit="MB")
    report.bar("status p99 during 1,000,000", all["p99"], 50, unit="ms")
    report.bar("status p99 during 10,000,000", most["p99"], 50, unit="ms")
    report.bar("ready after kill -9 with 1,000,000", all["ready"], 1, unit="s")
    report.bar("ready after kill -9 with 10,000,000", most["ready"], 1, unit="s")
    report.note(f"aria2 with the same list as its input file: {aria2_memory(bench):.0f} MB after ten seconds.")
    rows = runs[10 * MILLION][0]["rows"]
    report.note(plot.write(
        "soak-B6", "10,000,000 lines going into the ledger", "seconds", [row[0] for row in rows],
        [("resident memory, MB", [row[1] for row in rows]), ("open descriptors", [row[2] for row in rows]),
         ("write-ahead log, MB", [row[3] for row in rows])]))
    return report


def aria2_memory(bench):
    import subprocess
    with fresh(Job([], [], []), bench.disk) as folder:
        listing = folder / "list"
        with open(listing, "w") as file:
            file.writelines(lines(MILLION))
        process = subprocess.Popen(["aria2c", "--no-conf", "--quiet", "-i", str(listing), "-d", str(folder)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(10)
        memory = memory_of(process.pid)
        process.kill()
        process.wait()
    return memory


def b7(bench):
    report = Report("B7", "an idle daemon and a one-line list",
                    "From the rename that drops the list until nginx has answered the request (its log's time).")
    origin = bench.origin()
    log = origin.folder / "moments"
    times = []
    with fresh(Job([], [], []), bench.disk) as folder, Daemon(bench.build, folder, {}) as daemon:
        time.sleep(2)
        for number in range(40):
            before = log.stat().st_size if log.exists() else 0
            hidden = daemon.spool / ".one"
            hidden.write_text(f"{origin.plain}/told/{number}.bin\n")
            dropped = time.time()
            hidden.rename(daemon.spool / f"{number}.txt")
            wait_for(lambda: log.exists() and log.stat().st_size > before, 20, 0.001)
            times.append(float(log.read_text().split()[-1]) - dropped)
            wait_for(lambda: daemon.ended(f"{number}.txt"), 20)
            time.sleep(0.1)
        time.sleep(5)
        cpu, begin = daemon.fine_cpu(), time.monotonic()
        time.sleep(60)
        idle = 100 * (daemon.fine_cpu() - cpu) / (time.monotonic() - begin)
    report.table("40 lists, one after the other", ["median ms", "95 % ms", "largest ms", "idle CPU %"],
                 [[f"{1000 * median(times):.1f}", f"{1000 * percentile(times, 0.95):.1f}", f"{1000 * max(times):.1f}",
                   f"{idle:.3f}"]])
    report.bar("median", 1000 * median(times), 10, unit="ms")
    report.bar("CPU of an idle minute", idle, 0.05, unit="%")
    report.note("nginx notes whole milliseconds. CPU is what the scheduler counts in nanoseconds (schedstat), `sumd` and its "
                "processes included.")
    return report


class Slow(socketserver.ThreadingTCPServer):
    """Answers each request after a second."""
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 1024

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while True:
                line = self.rfile.readline()
                if not line:
                    return
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                time.sleep(1)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")


def beside_dead(bench, urls):
    """Seconds of a good list: alone, while ten million lines of a dead host come in, after they did; status p99 in ms."""
    took = []
    with socket.socket() as refusing:
        # Bound and not listening: refuses, and nobody else gets the port.
        refusing.bind(("127.0.0.4", 0))
        dead = f"http://127.0.0.4:{refusing.getsockname()[1]}"
        config = {"retry": {"max_attempts": 0}, "log": {"level": "error"}, "output": {"exists": "overwrite"}}
        with fresh(Job([], [], []), bench.disk) as folder, Daemon(bench.build, folder, config) as daemon:
            def good(name):
                begin = time.monotonic()
                daemon.drop(name, "".join(f"{url}\n" for url in urls))
                wait_for(lambda: daemon.ended(name), 600)
                took.append(time.monotonic() - begin)
                print(f"  {len(urls):,} good jobs, {name}: {took[-1]:.3f} s", flush=True)
            time.sleep(0.5)
            good("alone.txt")
            hidden = daemon.spool / ".list.txt"
            with open(hidden, "w") as file:
                file.writelines(f"{dead}/{line}\n" for line in range(10 * MILLION))
            with Watch(daemon) as watch:
                hidden.rename(daemon.spool / "list.txt")
                wait_for(lambda: (daemon.spool / "accepted" / "list.txt").exists(), 60)
                good("during.txt")
                wait_for(lambda: queued(daemon), 900)
                good("after.txt")
            daemon.kill()
    return *took, 1000 * percentile(watch.asked, 0.99)


def b8(bench):
    report = Report("B8", "10,000 jobs for a slow host ahead of 1,000 for a fast one",
                    "The slow host answers after a second. Measured: from the drop until the fast host's last job, alone "
                    "and behind the slow host's jobs in one list.")
    origin = bench.origin()
    fast = [f"{origin.plain}/{file}" for file in bench.data.files("small", 1_000, 10 << 10)]
    alone, behind = [], []
    with Slow(("127.0.0.3", 0), Slow.Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        slow = [f"http://127.0.0.3:{server.server_address[1]}/{number}.slow" for number in range(10_000)]
        for _ in range(bench.pairs):
            for urls, found in ((fast, alone), (slow + fast, behind)):
                with fresh(Job(urls, urls, urls), bench.disk) as folder, Daemon(bench.build, folder, {}) as daemon:
                    time.sleep(0.3)
                    dropped = time.time()
                    daemon.drop("list.txt", "".join(f"{url}\n" for url in urls))
                    output = daemon.output
                    wait_for(lambda: sum(1 for p in output.iterdir() if p.suffix == ".bin") == 1_000, 600, 0.02)
                    found.append(time.time() - dropped)
                    print(f"  {len(urls):,} jobs: {found[-1]:.3f} s", flush=True)
                    daemon.kill()
        server.shutdown()
    dead = beside_dead(bench, [f"{origin.plain}/{file}" for file in bench.data.files("small", 1_000, 10 << 10)])
    report.table("Until the fast host's last file", ["", "median s", "min to max"],
                 [["alone", f"{median(alone):.2f}", f"{min(alone):.2f} to {max(alone):.2f}"],
                  ["behind 10,000 slow ones", f"{median(behind):.2f}", f"{min(behind):.2f} to {max(behind):.2f}"]])
    report.note(f"A list of 10,000,000 lines of a host that refuses connections, dropped first: the fast host's list took "
                f"{dead[1]:.2f} s while it was being admitted, {dead[2]:.2f} s once it was in the ledger, {dead[0]:.2f} s "
                f"alone. Status p99 {dead[3]:.1f} ms.")
    report.bar("behind the slow host against alone", median([b / a for a, b in zip(alone, behind)]), 1.1)
    return report

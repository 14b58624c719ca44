# SPDX-License-Identifier: Apache-2.0
"""B6, B7, B8: admission and memory at a million, the way from a drop to the request, a slow host beside a fast one."""
import socketserver
import threading
import time

from .dld import Daemon, Dld, moment
from .measure import Job, fresh, median, memory_of, run_program
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


def status(daemon):
    import json
    return json.loads(daemon.get("/v1/status"))


def million(number):
    """Hosts in 192.0.2.0/24's manner: names that are not asked for, since nothing starts (`connections` held)."""
    return "".join(f"http://host{line % HOSTS}.invalid/{line}.bin\n" for line in range(number))


# Everything queued and nothing started: the disk is said to be too full.
HELD = {"limits": {"min_free": "100TiB"}, "log": {"level": "error"}}


def queued(daemon, name="list.txt"):
    import json
    lists = json.loads(daemon.get("/v1/lists"))["items"]
    for found in lists:
        if found["name"] == name and found["state"] != "admitting":
            return True
    return False


def b6(bench):
    report = Report(
        "B6", "a list of 1,000,000 URLs of 1,000 hosts",
        "The disk is configured to be too full, so that all of them stay queued. Rate: from the drop until the ledger "
        "has the last line. Memory: the daemon's highest after it, over that of the same daemon idle.")
    rates, growth, small, latencies, ready, rows = [], [], [], [], [], []
    text, few = million(MILLION), million(10_000)
    for _ in range(max(3, bench.pairs // 2)):
        for count, lines in ((10_000, few), (MILLION, text)):
            with fresh(Job([], [], []), bench.disk) as folder, Daemon(bench.build, folder, HELD) as daemon:
                time.sleep(0.5)
                idle = daemon.memory("VmRSS")
                asked, over = [], threading.Event()
                def ask():
                    while not over.wait(0.02):
                        begin = time.monotonic()
                        daemon.get("/v1/status")
                        asked.append(time.monotonic() - begin)
                thread = threading.Thread(target=ask)
                thread.start()
                begin = time.monotonic()
                daemon.drop("list.txt", lines)
                wait_for(lambda: queued(daemon), 300)
                took = time.monotonic() - begin
                over.set()
                thread.join()
                grown = daemon.memory() - idle
                if count == MILLION:
                    rates.append(count / took)
                    growth.append(grown)
                    latencies += asked
                    daemon.kill()
                    ready.append(daemon.start())
                    ledger = (folder / "state" / "ledger.db").stat().st_size
                    rows.append(ledger / count)
                else:
                    small.append(grown)
                print(f"  {count:,} lines: {count / took:,.0f} a second, {grown:.1f} MB above idle, status p99 "
                      f"{1000 * percentile(asked, 0.99):.1f} ms", flush=True)
    aria2 = aria2_memory(bench, text)
    report.table("dld", ["", "lines a second", "memory above idle MB", "status p99 ms", "ready after kill -9 s",
                         "ledger bytes a job"],
                 [["1,000,000", f"{median(rates):,.0f}", f"{median(growth):.1f}",
                   f"{1000 * percentile(latencies, 0.99):.1f}", f"{median(ready):.2f}", f"{median(rows):.0f}"],
                  ["10,000", "", f"{median(small):.1f}", "", "", ""]])
    report.bar("lines a second from the drop to the ledger", median(rates), 100_000, at_most=False, unit="lines/s")
    report.bar("memory above idle at 1,000,000", median(growth), 30, unit="MB")
    report.bar("memory at 1,000,000 over that at 10,000", median(growth) - median(small), 5, unit="MB")
    report.bar("status p99 during it", 1000 * percentile(latencies, 0.99), 50, unit="ms")
    report.bar("ready after kill -9", median(ready), 1, unit="s")
    report.note(f"aria2 with the same list as its input file: {aria2:.0f} MB after ten seconds.")
    return report


def aria2_memory(bench, text):
    import subprocess
    with fresh(Job([], [], []), bench.disk) as folder:
        listing = folder / "list"
        listing.write_text(text)
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
        cpu, begin = daemon.cpu(), time.monotonic()
        time.sleep(60)
        idle = 100 * (daemon.cpu() - cpu) / (time.monotonic() - begin)
    report.table("40 lists, one after the other", ["median ms", "95 % ms", "largest ms", "idle CPU %"],
                 [[f"{1000 * median(times):.1f}", f"{1000 * percentile(times, 0.95):.1f}", f"{1000 * max(times):.1f}",
                   f"{idle:.2f}"]])
    report.bar("median", 1000 * median(times), 10, unit="ms")
    report.bar("CPU of an idle minute", idle, 0.05, unit="%")
    report.note("nginx notes whole milliseconds. CPU is counted in ticks of 10 ms: 0.05 % is three of them.")
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
    report.table("Until the fast host's last file", ["", "median s", "min to max"],
                 [["alone", f"{median(alone):.2f}", f"{min(alone):.2f} to {max(alone):.2f}"],
                  ["behind 10,000 slow ones", f"{median(behind):.2f}", f"{min(behind):.2f} to {max(behind):.2f}"]])
    report.bar("behind the slow host against alone", median([b / a for a, b in zip(alone, behind)]), 1.1)
    return report

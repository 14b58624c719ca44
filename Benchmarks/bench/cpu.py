# SPDX-License-Identifier: Apache-2.0
"""B10: sums."""
import subprocess
import sys
import time

from . import peers
from .dld import Daemon
from .measure import Job, fresh, median, ratio, run_program
from .report import Report

TERMS = 100_000_000
TINY = 100_000


def b10(bench):
    report = Report("B10", f"5 x sum(0..{TERMS:,})", "A real addition of every term, on both sides.")
    original = str(peers.HERE / "original.py")
    sum_of = lambda processes: [f"{bench.build}/sumd", "sum", f"0..{TERMS}", "--repeat", "5", "--processes",
                                str(processes)]
    commands = {
        "sumd, 2 processes": sum_of(2), "sumd, 1 process": sum_of(1),
        "Python, in turn": [sys.executable, original, "sum", "turn", "5", str(TERMS)],
        "Python, a process each": [sys.executable, original, "sum", "process", "5", str(TERMS)],
        "Python, pool": [sys.executable, original, "sum", "pool", "5", str(TERMS)],
    }
    times = {name: [] for name in commands}
    for number in range(bench.pairs):
        for name, command in commands.items():
            times[name].append(run_program(command).wall)
            print(f"  {number + 1}/{bench.pairs} {name:24} {times[name][-1]:.3f} s", flush=True)
    report.table("From the start of the program to its end", ["", "median s", "min to max"],
                 [[name, f"{median(found):.3f}", f"{min(found):.3f} to {max(found):.3f}"]
                  for name, found in times.items()])
    report.bar("against the Python pool", ratio(times["Python, pool"], times["sumd, 2 processes"]), 50, at_most=False)
    report.bar("2 processes against 1", ratio(times["sumd, 1 process"], times["sumd, 2 processes"]), 1.7, at_most=False)
    rates = []
    text = "".join(f"sum:{number}..{number + 100}\n" for number in range(TINY))
    for _ in range(3):
        with fresh(Job([], [], []), bench.memory) as folder, Daemon(bench.build, folder, {}) as daemon:
            time.sleep(0.3)
            begin = time.monotonic()
            daemon.drop("sums.txt", text)
            while not daemon.ended("sums.txt"):
                time.sleep(0.002)
            rates.append(TINY / (time.monotonic() - begin))
    report.note(f"{TINY:,} tiny sums as a list of the daemon, ledger and results included: "
                f"{median(rates):,.0f} a second.")
    return report

# SPDX-License-Identifier: Apache-2.0
"""B11: a million small downloads in one run, and whether the end is as the beginning was."""
import os
import time

from . import plot
from .dld import Daemon
from .life import descriptors, status
from .measure import Job, fresh, median
from .report import Report


def curve(daemon, count):
    """(seconds, done, MB, descriptors) twice a second until all are done."""
    begin, rows = time.monotonic(), []
    while True:
        done = status(daemon)["jobs"]["done"]
        ended = daemon.ended("many.txt")
        rows.append((time.monotonic() - begin, count if ended else done, daemon.memory("VmRSS"),
                     descriptors(daemon.pid)))
        if ended:
            return rows
        if time.monotonic() - begin > 7200:
            raise SystemExit("the soak did not end")
        time.sleep(0.5)


def reached(rows, number):
    """When so many were done, between two looks."""
    before = (0.0, 0)
    for row in rows:
        if row[1] >= number:
            share = (number - before[1]) / max(row[1] - before[1], 1)
            return before[0] + share * (row[0] - before[0])
        before = row
    return rows[-1][0]


def b11(bench):
    count = bench.jobs
    origin = bench.origin()
    report = Report(
        "B11", f"{count:,} downloads of 1 KiB in one run",
        "One list, durable, on a disk. The last tenth of the jobs against the first: speed, resident memory, open "
        "descriptors. The results are written after the last job.")
    with fresh(Job([], [], []), bench.disk) as folder:
        with Daemon(bench.build, folder, {"output": {"layout": "host_path"}, "log": {"level": "error"}}) as daemon:
            time.sleep(0.5)
            daemon.drop_lines("many.txt", (f"{origin.plain}/any/{n // 1000}/{n}.bin\n" for n in range(count)))
            rows = curve(daemon, count)
            missing = count - sum(len(names) for _, _, names in os.walk(daemon.output / origin.plain[7:] / "any"))
            assert missing == 0, f"{missing} files are missing"
    tenth = count // 10
    first = [row for row in rows if 0 < row[1] <= tenth] or rows[:1]
    last = [row for row in rows if count - tenth <= row[1] < count] or rows[-1:]
    ends = [reached(rows, n * tenth) for n in range(11)]
    speed = [tenth / max(b - a, 1e-9) for a, b in zip(ends, ends[1:])]
    kept = {"memory MB": 2, "descriptors": 3}
    table = [["files a second", f"{speed[0]:,.0f}", f"{speed[-1]:,.0f}"]]
    found = {}
    for name, column in kept.items():
        found[name] = [median([row[column] for row in part]) for part in (first, last)]
        table.append([name, *(f"{value:.1f}" for value in found[name])])
    report.table("The first and the last tenth", ["", "first", "last"], table)
    report.bar("speed of the last tenth against the first", speed[-1] / speed[0], 0.9, at_most=False)
    report.bar("memory of the last tenth beyond the first", found["memory MB"][1] - found["memory MB"][0], 5, unit="MB")
    report.bar("descriptors of the last tenth beyond the first",
               found["descriptors"][1] - found["descriptors"][0], 10, unit="open")
    report.note(f"Files a second by tenths: {', '.join(f'{value:,.0f}' for value in speed)}.")
    pace = [0] + [(b[1] - a[1]) / max(b[0] - a[0], 1e-9) for a, b in zip(rows, rows[1:])]
    report.note(plot.write(
        "soak-B11", f"{count:,} downloads in one run", "seconds", [row[0] for row in rows],
        [("resident memory, MB", [row[2] for row in rows]), ("open descriptors", [row[3] for row in rows]),
         ("files a second", pace)]))
    return report

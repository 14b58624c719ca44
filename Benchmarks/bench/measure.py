# SPDX-License-Identifier: Apache-2.0
"""Time, CPU and memory of one run; rounds of them side by side; medians and ratios."""
import contextlib
import dataclasses
import itertools
import os
import pathlib
import shutil
import statistics
import subprocess
import threading
import time

from .machine import file_system


@dataclasses.dataclass
class Sample:
    wall: float  # seconds
    cpu: float  # seconds, user and system, of the program and its children
    memory: float  # MB, the highest
    more: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Job:
    """What is to be fetched: every contender gets this."""
    urls: list  # of URLs
    names: list  # final name of each
    sources: list  # the file each must equal; None: not compared
    ca: str = None
    prefix: tuple = ()  # put before each command: a network namespace

    def __post_init__(self):
        assert len(self.urls) == len(self.names) == len(self.sources)


def memory_of(pid, which="VmHWM"):
    """MB: VmHWM is the highest so far, VmRSS what is resident now; 0 when the process is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(which + ":"):
                return int(line.split()[1]) * 1.024 / 1000
    except OSError:
        pass
    return 0.0


def run_program(command, **options):
    """A program from its start to its end.

    Its memory is looked up while it runs: what wait4 tells counts the interpreter that it was forked from.
    """
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    errors, memory, ended = [], [0.0], threading.Event()
    def watch():
        while not ended.wait(0.02):
            memory.append(memory_of(process.pid))
    threads = [threading.Thread(target=lambda: errors.append(process.stderr.read())), threading.Thread(target=watch)]
    for thread in threads:
        thread.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - begin
    ended.set()
    process.returncode = os.waitstatus_to_exitcode(status)
    for thread in threads:
        thread.join()
    if process.returncode:
        text = b"".join(errors).decode(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(map(str, command))[:300]}: exit status {process.returncode}\n{text}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, max(memory))


def check(job, folder):
    """Every file byte by byte."""
    for name, source in zip(job.names, job.sources):
        if source is None:
            continue
        with open(source, "rb") as a, open(folder / name, "rb") as b:
            while True:
                left, right = a.read(4 << 20), b.read(4 << 20)
                if left != right:
                    raise SystemExit(f"{name} differs from what was served")
                if not left:
                    break


NUMBERS = itertools.count(1)


@contextlib.contextmanager
def fresh(job, place):
    """A folder for one run, with nothing of earlier ones left to be written.

    Many small files stay until the benchmark ends: ext4 passes over inodes that were freed in the last minutes, one by
    one, so whoever comes after a large removal would pay for it. Large files go at once.
    """
    folder = pathlib.Path(place) / f"run-{next(NUMBERS)}"
    folder.mkdir()
    if file_system(place) != "tmpfs":
        os.sync()
    try:
        yield folder
    finally:
        if len(job.urls) < 100:
            shutil.rmtree(folder)


def rounds(job, contenders, place, count, say=print):
    """A B C A B C ...: samples by contender. Files are compared in each run, outside the time."""
    samples = {contender.name: [] for contender in contenders}
    for number in range(count):
        for contender in contenders:
            with fresh(job, place) as folder:
                sample = contender.run(job, folder)
                check(job, sample.more.pop("folder", folder))
            samples[contender.name].append(sample)
            say(f"  {number + 1}/{count} {contender.name:28} {sample.wall:8.3f} s  cpu {sample.cpu:7.2f} s  "
                f"{sample.memory:6.0f} MB  {extras(sample)}", flush=True)
    return samples


def extras(sample):
    return " ".join(f"{key} {value:.3f}" for key, value in sample.more.items() if isinstance(value, float))


HOPELESS = 5  # times slower than the fastest: tried, told, and not run in every round


def best_of(job, programs, place):
    """The fastest setting of each program, for peers are measured at their best; and what is too slow to go on with.

    `programs`: lists of variants of one program each.
    """
    found = []
    for variants in programs:
        times = {}
        for variant in variants:
            with fresh(job, place) as folder:
                times[variant] = variant.run(job, folder).wall
            print(f"  trying {variant.name} {variant.options}: {times[variant]:.3f} s", flush=True)
        best = min(times, key=times.get)
        found.append((times[best], best))
    limit = HOPELESS * min(time for time, _ in found)
    slow = [f"{peer.name} ({peer.options}) took {time:.1f} s in its trial and was left out of the rounds."
            for time, peer in found if time > limit]
    return [peer for time, peer in found if time <= limit], slow


def median(values):
    return statistics.median(values)


def ratio(ours, theirs):
    """Median of the ratios of runs side by side."""
    return median([a / b for a, b in zip(ours, theirs)])

# SPDX-License-Identifier: Apache-2.0
"""B5 and B12: over a line with 100 ms round trip."""
from . import peers
from .dld import Dld
from .files import fastest, walls
from .measure import Job, best_of, median, ratio, rounds
from .report import Report

MIDDLE = 2_000, 100 << 10
ONE = 1, 256 << 20
EXAMPLE = 5, 600_000


def job(bench, name, shape, tls=False, below="", round_trip_ms=100):
    """Files from the far end of the line."""
    origin = bench.far_origin(round_trip_ms)
    base = (origin.tls if tls else origin.plain) + below
    files = bench.data.files(name, *shape)
    return Job([f"{base}/{file}" for file in files], [file.rpartition("/")[2] for file in files],
               [bench.data.folder / file for file in files], ca=origin.ca if tls else None,
               prefix=bench.line(round_trip_ms).client)


def connections(number, **more):
    return {"hosts": {"default": {"connections": number, **more}}}


def b5(bench):
    report = Report("B5", "100 ms round trip", "Between two network namespaces, on tmpfs; a packet takes 50 ms each way.")
    many(bench, report)
    many_tls(bench, report)
    one(bench, report)
    limited(bench, report)
    return report


def many(bench, report):
    fetch = job(bench, "middle", MIDDLE)
    for number in (16, 64):
        best = [peers.curl(number), peers.aria2(f"-j{number}", "-x16"), peers.wget2(number)]
        contenders = [Dld(bench.build, "dld", f"connections {number}", connections(number)), *best]
        samples = rounds(fetch, contenders, bench.memory, bench.pairs)
        report.contest(f"2,000 x 100 KiB over HTTP/1.1, {number} connections", samples, contenders)
        first = fastest(samples, [peer.name for peer in best])
        report.bar(f"2,000 x 100 KiB, {number} connections each, against the fastest peer ({first})",
                   ratio(walls(samples, "dld"), walls(samples, first)), 1.05)


def many_tls(bench, report):
    fetch = job(bench, "middle", MIDDLE, tls=True)
    variants = {"curl -Z": [peers.curl(50), peers.curl(100), peers.curl(300)], "aria2": [peers.aria2("-j16", "-x16")],
                "wget2": [peers.wget2(16), peers.wget2(64)]}
    best, slow = best_of(fetch, variants.values(), bench.memory)
    report.notes += slow
    contenders = [Dld(bench.build), *best]
    samples = rounds(fetch, contenders, bench.memory, bench.pairs)
    report.contest("2,000 x 100 KiB over TLS with HTTP/2", samples, contenders)
    first = fastest(samples, [peer.name for peer in best])
    report.bar(f"over HTTP/2, against the fastest peer ({first})",
               ratio(walls(samples, first), walls(samples, "dld")), 1.3, at_most=False)


def one(bench, report):
    fetch = job(bench, "one", ONE)
    contenders = [Dld(bench.build), peers.aria2("-x8", "-s8"), peers.curl(1), peers.axel(8)]
    samples = rounds(fetch, contenders, bench.memory, bench.pairs)
    report.contest("1 x 256 MiB, as fast as the server can", samples, contenders)
    report.bar("1 x 256 MiB, against aria2 -x8", ratio(walls(samples, "dld"), walls(samples, "aria2")), 1.0)


def limited(bench, report):
    """What segments are for: a server that gives each connection so much and no more."""
    fetch = job(bench, "one", ONE, below="/limited")
    def ours(split):
        more = {"hosts": {"default": {"connections": max(2, split)}}}
        return Dld(bench.build, f"dld, {split}", f"split={split}", more, entry=f"split={split}")
    contenders = [ours(8), ours(1), ours(16), peers.aria2("-x16", "-s16", "-k1M"), peers.axel(16)]
    samples = rounds(fetch, contenders, bench.memory, bench.pairs)
    report.contest("1 x 256 MiB, 2 MB/s a connection", samples, contenders)
    report.bar("8 segments against one connection, 2 MB/s each",
               ratio(walls(samples, "dld, 1"), walls(samples, "dld, 8")), 7, at_most=False)
    report.bar("16 segments against aria2 -x16", ratio(walls(samples, "dld, 16"), walls(samples, "aria2")), 1.0)


def b12(bench):
    report = Report(
        "B12", "5 files of 600 KB, 5 threads against one after the other",
        "The example that the project grew from (there: 0.57 s against 1.20 s, 2.1x). Five workers with one transfer each "
        "against one worker with one transfer.")
    five = {**connections(5), "workers": 5, "transfers_per_worker": 1}
    one_only = {**connections(1), "workers": 1, "transfers_per_worker": 1}
    places = {"100 ms round trip": job(bench, "example", EXAMPLE)}
    origin = bench.origin()
    files = bench.data.files("example", *EXAMPLE)
    places["loopback"] = Job([f"{origin.plain}/{file}" for file in files], [f.rpartition("/")[2] for f in files],
                             [bench.data.folder / file for file in files])
    for where, fetch in places.items():
        contenders = [Dld(bench.build, "dld, 5 workers", "1 transfer each", five),
                      Dld(bench.build, "dld, 1 worker", "1 transfer", one_only),
                      peers.original(5), peers.original(1)]
        samples = rounds(fetch, contenders, bench.memory, bench.pairs)
        report.contest(where[0].upper() + where[1:], samples, contenders)
        gain = ratio(walls(samples, contenders[1].name), walls(samples, contenders[0].name))
        if where == "loopback":
            report.note(f"On loopback 5 workers are {gain:.2f}x as fast as one: there is nothing to wait for.")
        else:
            report.bar("5 workers against 1, at a 100 ms round trip", gain, 4, at_most=False)
    return report

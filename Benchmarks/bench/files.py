# SPDX-License-Identifier: Apache-2.0
"""B1 to B4 and B9: files from loopback."""
from . import peers
from .dld import Dld
from .measure import Job, best_of, median, ratio, rounds
from .report import Report

SMALL = 10_000, 10 << 10
LARGE = 8, 260 << 20
HUGE = 1, 4 << 30


def job(bench, name, shape, tls=False):
    origin = bench.origin()
    base = origin.tls if tls else origin.plain
    files = bench.data.files(name, *shape)
    return Job([f"{base}/{file}" for file in files], [file.rpartition("/")[2] for file in files],
               [bench.data.folder / file for file in files], ca=origin.ca if tls else None)


def walls(samples, name):
    return [sample.wall for sample in samples[name]]


def fastest(samples, names):
    return min(names, key=lambda name: median(walls(samples, name)))


def small(bench, work, title, tls, place, where):
    """The many small files against everybody."""
    fetch = job(bench, "small", SMALL, tls)
    best, slow = best_of(fetch, peers.fastest_many(fetch).values(), place)
    bare = [peers.bare_loop(bench.bare_loop, bench.cores, 25)]
    ours = [Dld(bench.build, "dld"),
            Dld(bench.build, "dld, durability none", "as shipped", {"durability": "none"})]
    contenders = ours + bare + best
    samples = rounds(fetch, contenders, place, bench.pairs)
    report = Report(work, title, "From the drop of the list (dld) or the start of the program to the last file.")
    report.contest(f"Output and ledger on {where}", samples, contenders)
    report.notes += slow
    return report, samples, [peer.name for peer in best]


def by_hand(bench, report, fetch):
    """The defaults beside numbers of connections (streams, over HTTP/2) set by hand."""
    shipped = Dld(bench.build)
    fixed = [Dld(bench.build, f"dld, {number}", "hosts.default",
                 {"hosts": {"default": {"connections": number, "streams": number}}}) for number in (4, 8, 16, 32, 64)]
    samples = rounds(fetch, [shipped, *fixed], bench.disk, bench.pairs)
    report.contest("Defaults against `connections` and `streams` set by hand", samples, [shipped, *fixed])
    best = fastest(samples, [one.name for one in fixed])
    report.bar(f"defaults against the best set by hand ({best})",
               ratio(walls(samples, shipped.name), walls(samples, best)), 1.1)


def b1(bench):
    report, samples, names = small(
        bench, "B1", "10,000 files of 10 KiB over HTTP/1.1", False, bench.disk, bench.disk_kind)
    first = fastest(samples, names)
    report.bar(f"durable against the fastest peer ({first})", ratio(walls(samples, "dld"), walls(samples, first)), 1.0)
    report.bar("durable against the bare loop", ratio(walls(samples, "dld"), walls(samples, "bare loop")), 1.5)
    report.bar("`durability: none` against the bare loop",
               ratio(walls(samples, "dld, durability none"), walls(samples, "bare loop")), 1.3)
    closed = ratio([s.more["closed"] for s in samples["dld"]], walls(samples, "dld"))
    report.note(f"Until the results are written and the list is in `done/`: {closed:.2f}x that time.")
    fetch = job(bench, "small", SMALL)
    by_hand(bench, report, fetch)
    fetch = Job(fetch.urls[:1000], fetch.names[:1000], fetch.sources[:1000])
    python = [Dld(bench.build), peers.original(5), peers.original(1)]
    report.contest("A tenth of it against the Python that dld grew from", rounds(fetch, python, bench.disk, bench.pairs),
                   python)
    return report


def b2(bench):
    report, samples, names = small(
        bench, "B2", "10,000 files of 10 KiB over TLS with HTTP/2", True, bench.disk, bench.disk_kind)
    first = fastest(samples, names)
    report.bar(f"durable against the fastest peer ({first})", ratio(walls(samples, first), walls(samples, "dld")), 1.2,
               at_most=False)
    by_hand(bench, report, job(bench, "small", SMALL, True))
    return report


def b3(bench):
    fetch = job(bench, "large", LARGE)
    variants = {
        "curl -Z": [peers.curl(8)],
        "aria2": [peers.aria2("-j8", "-x1"), peers.aria2("-j4", "-x4", "-s4")],
        "wget2": [peers.wget2(8), peers.wget2(8, "--chunk-size=0")],
    }
    best, slow = best_of(fetch, variants.values(), bench.memory)
    bare = peers.bare_loop(bench.bare_loop, bench.cores, 4)
    contenders = [Dld(bench.build), Dld(bench.build, "dld, 8", "hosts.default", {"hosts": {"default": {"connections": 8}}}),
                  Dld(bench.build, "dld, durability none", "as shipped", {"durability": "none"}),
                  Dld(bench.build, "dld, sha-256 of each", "digest.always", {"digest": {"always": "sha-256"}}),
                  bare, *best]
    samples = rounds(fetch, contenders, bench.memory, bench.pairs)
    gigabytes = LARGE[0] * LARGE[1] / 1e9
    report = Report("B3", "8 files of 260 MiB", "From the drop of the list or the start of the program to the last file.")
    report.contest("On tmpfs", samples, contenders, per_gb=gigabytes)
    report.notes += slow
    first = fastest(samples, [peer.name for peer in best])
    report.bar(f"against the fastest peer ({first})", ratio(walls(samples, "dld"), walls(samples, first)), 1.0)
    report.bar(f"8 connections each, against the fastest peer ({first})",
               ratio(walls(samples, "dld, 8"), walls(samples, first)), 1.0)
    cpu = ratio([s.cpu for s in samples["dld"]], [s.cpu for s in samples["bare loop"]])
    report.bar("CPU seconds per GB against the bare loop", cpu, 1.1)
    return report


def b4(bench):
    report = Report("B4", "1 file of 4 GiB, plain and over TLS",
                    "From the drop of the list or the start of the program to the file.")
    for tls in (False, True):
        fetch = job(bench, "huge", HUGE, tls)
        variants = {
            "curl -Z": [peers.curl(1)],
            "aria2": [peers.aria2("-x8", "-s8"), peers.aria2("-x1"), peers.aria2("-x16", "-s16")],
            "wget2": [peers.wget2(1), peers.wget2(8, "--chunk-size=256M")],
            "axel": [peers.axel(8), peers.axel(2)],
        }
        best, slow = best_of(fetch, variants.values(), bench.memory)
        report.notes += slow
        contenders = [Dld(bench.build), peers.bare_loop(bench.bare_loop, 1, 1), *best]
        samples = rounds(fetch, contenders, bench.memory, bench.pairs)
        kind = "over TLS" if tls else "plain"
        report.contest(f"{kind[0].upper()}{kind[1:]}, on tmpfs", samples, contenders, per_gb=HUGE[1] / 1e9)
        first = fastest(samples, [peer.name for peer in best])
        report.bar(f"{kind}, against the fastest peer ({first})",
                   ratio(walls(samples, "dld"), walls(samples, first)), 1.0)
    return report


def b9(bench):
    fetch = job(bench, "small", SMALL)
    contenders = [Dld(bench.build, "dld, durability full"),
                  Dld(bench.build, "dld, durability none", "as shipped", {"durability": "none"})]
    samples = rounds(fetch, contenders, bench.disk, 2 * bench.pairs)
    report = Report("B9", "what durability costs", "The work of B1, `durability: full` against `none`.")
    report.contest(f"On {bench.disk_kind}, a disk", samples, contenders)
    report.bar("full against none", ratio(walls(samples, contenders[0].name), walls(samples, contenders[1].name)), 1.2)
    return report

# SPDX-License-Identifier: Apache-2.0
"""B15: the works of B1 to B5 over lines with 2 ms and 100 ms round trip."""
from . import far, peers
from .dld import Dld
from .files import HUGE, LARGE, SMALL, fastest, walls
from .measure import best_of, ratio, rounds
from .report import Report

# What each work of many or large files is: its own number, files, shape, TLS, and each peer's variants, with as many
# connections as dld may have. Those that took more than five times the fastest in their trial stay out.
WORKS = [
    ("B1", "small", SMALL, False, lambda: [[peers.curl(64)], [peers.wget2(64)]]),
    ("B2", "small", SMALL, True, lambda: [[peers.curl(64)], [peers.wget2(64)]]),
    ("B3", "large", LARGE, False, lambda: [[peers.curl(8)], [peers.aria2("-j8", "-x4", "-s4")], [peers.wget2(8)]]),
    ("B4", "huge", HUGE, False, lambda: [[peers.curl(1)], [peers.aria2("-x16", "-s16")], [peers.axel(8)]]),
    ("B5a", "middle", far.MIDDLE, False, lambda: [[peers.curl(64)], [peers.wget2(64)]]),
    ("B5b", "middle", far.MIDDLE, True, lambda: [[peers.curl(64)], [peers.wget2(64)]]),
]


def b15(bench):
    report = Report("B15", "the works of B1 to B5 over lines of 2 ms and 100 ms",
                    "Between two network namespaces, on tmpfs, dld with a cap of 64 connections to a host and else its own "
                    "settings: how many there are is its own decision. B5 at 100 ms is above. "
                    "`line.c`, which delays the packets, takes a share of the two cores.")
    for distance in (2, 100):
        for work, name, shape, tls, variants in WORKS:
            if distance == 100 and work.startswith("B5"):
                continue
            fetch = far.job(bench, name, shape, tls, round_trip_ms=distance)
            best, slow = best_of(fetch, variants(), bench.memory)
            contenders = [Dld(bench.build, "dld", "connections 64", far.connections(64)), *best]
            samples = rounds(fetch, contenders, bench.memory, min(3, bench.pairs))
            report.contest(f"{work} at {distance} ms", samples, contenders)
            report.notes += slow
            first = fastest(samples, [peer.name for peer in best])
            report.bar(f"{work} at {distance} ms, against the fastest peer ({first})",
                       ratio(walls(samples, "dld"), walls(samples, first)), 1.0)
    return report

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eats memory until the kernel has killed in a cgroup: eat_memory.py FILE COUNT

FILE is the cgroup's memory.oom_control or memory.events, COUNT how often it had killed before. Should what the killed one
leaves not be enough, this program is the next to go.
"""
import sys

with open("/proc/self/oom_score_adj", "w") as score:
    score.write("500")


def kills():
    with open(sys.argv[1]) as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("oom_kill "))


eaten = []
while kills() == int(sys.argv[2]):
    eaten.append(b"x" * 16384)

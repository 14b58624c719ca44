#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eats memory until the kernel has killed in a cgroup: eat_memory.py FILE COUNT SCORE

FILE is the cgroup's memory.oom_control or memory.events, COUNT how often it had killed before. Should what the killed one
leaves not be enough, this program is the next to go: SCORE, its own oom_score_adj, is above that of who is to stay.
"""
import os
import sys

with open("/proc/self/oom_score_adj", "w") as score:
    score.write(sys.argv[3])


def kills():
    with open(sys.argv[1]) as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("oom_kill "))


# Charged to the cgroup and to no process: who is killed goes by the scores alone.
eaten = os.memfd_create("eaten")
while kills() == int(sys.argv[2]):
    os.write(eaten, b"x" * 65536)

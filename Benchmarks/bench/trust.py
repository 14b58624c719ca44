# SPDX-License-Identifier: Apache-2.0
"""B13, B14: what trust costs: digests on the pool, and audits of finished files. Both are programs of their own as well."""
import re
import subprocess

from . import peers
from .report import Report


def lines_of(*command):
    """What a measuring program prints, shown while it runs."""
    lines = []
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(" ", line.rstrip(), flush=True)
            lines.append(line.rstrip())
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return lines


def first_number(text):
    return float(re.search(r"[\d.]+", text)[0])


def digests(bench):
    report = Report("B13", "digests of files in the page cache",
                    "MB/s. `sumd digest` against sha256sum and its kin by `xargs -P`, and against what one process hashes "
                    "from memory (`openssl speed -evp`), both by CPU time. The files are written as dld writes them; "
                    "what the kernel keeps in small pages (tmpfs, files written in small pieces) costs a tenth more.")
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in lines_of(peers.HERE / "digests", "--sumd", f"{bench.build}/sumd", "--rounds", bench.pairs,
                                 "--scratch", bench.disk)
            if line.startswith("|")]
    head, rows = rows[0], rows[2:]
    report.table(f"On {bench.disk_kind} ({bench.pairs} rounds)", head, rows)
    for row in rows[:-1]:
        report.bar(f"{row[0]}, large files, against memory", first_number(row[7]), 0.9, at_most=False)
    report.bar("100,000 small files against xargs -P sha256sum", first_number(rows[-1][4]), 1.0, at_most=False)
    return report


def audit(bench):
    report = Report("B14", "an audit of 100,000 files of 4 KiB",
                    "`dlctl verify --all` without a rate, ledger and results included, against `xargs -P sha256sum` over the "
                    "same files in the page cache.")
    lines = lines_of(peers.HERE / "verify", "--build", bench.build, "--rounds", bench.pairs)
    report.note(". ".join(lines[-2:]) + ".")
    report.bar("against xargs -P sha256sum", first_number(lines[-1].split("ratio")[1]), 1.0, at_most=False)
    return report

# SPDX-License-Identifier: Apache-2.0
"""Figures kept as JSON, one file a work, and `docs/benchmarks.md` made of all of them."""
import dataclasses
import json
import pathlib

from .measure import median, ratio

ROOT = pathlib.Path(__file__).parent.parent.parent
RESULTS = ROOT / "Benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
# Written by hand: profiles of what is slower than wanted, and what was tried.
HOLDS = ROOT / "Benchmarks" / "holds.md"


@dataclasses.dataclass
class Bar:
    text: str
    value: float
    bound: float
    at_most: bool = True
    unit: str = "x"

    @property
    def is_met(self):
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def line(self):
        sign = "at most" if self.at_most else "at least"
        shown = lambda number: f"{number:,.{2 if abs(number) < 100 else 0}f} {self.unit}".replace(" x", "x")
        return f"| {self.text} | {shown(self.value)} | {sign} {shown(self.bound)} | {'yes' if self.is_met else '**no**'} |"


class Report:
    """What one work found."""

    def __init__(self, work, title, about):
        self.work, self.title, self.about = work, title, about
        self.tables, self.bars, self.notes = [], [], []

    def contest(self, caption, samples, contenders, per_gb=None):
        """A table of samples side by side; ratios are to the first contender."""
        first = contenders[0].name
        head = ["", "options", "median s", "min to max", "against dld", "CPU s", "memory MB"]
        if per_gb:
            head.append("CPU s a GB")
        rows = []
        for contender in contenders:
            runs = samples[contender.name]
            walls = [run.wall for run in runs]
            row = [contender.name, contender.options, f"{median(walls):.2f}", f"{min(walls):.2f} to {max(walls):.2f}",
                   f"{ratio(walls, [run.wall for run in samples[first]]):.2f}x",
                   f"{median([run.cpu for run in runs]):.2f}", f"{max(run.memory for run in runs):.0f}"]
            if per_gb:
                row.append(f"{median([run.cpu for run in runs]) / per_gb:.3f}")
            rows.append(row)
        self.table(f"{caption} ({len(samples[first])} rounds)", head, rows)

    def table(self, caption, head, rows):
        self.tables.append({"caption": caption, "head": head, "rows": rows})

    def bar(self, *words, **more):
        self.bars.append(Bar(*words, **more))

    def note(self, text):
        self.notes.append(text)

    def save(self, machine, day):
        RESULTS.mkdir(exist_ok=True)
        whole = {"work": self.work, "title": self.title, "about": self.about, "machine": machine, "day": day,
                 "tables": self.tables, "bars": [dataclasses.asdict(bar) for bar in self.bars], "notes": self.notes}
        (RESULTS / f"{self.work}.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


def markdown(result):
    lines = [f"## {result['work']}: {result['title']}", "",
             f"{result['about']} Measured on {result['day']}.", ""]
    for table in result["tables"]:
        lines += [f"{table['caption']}:", "", "| " + " | ".join(table["head"]) + " |",
                  "| " + " | ".join("---" for _ in table["head"]) + " |"]
        lines += ["| " + " | ".join(row) + " |" for row in table["rows"]] + [""]
    if result["bars"]:
        lines += ["| bar | measured | wanted | met |", "| --- | --- | --- | --- |"]
        lines += [Bar(**bar).line() for bar in result["bars"]] + [""]
    lines += [f"{note}\n" for note in result["notes"]]
    return lines


def write_page():
    results = [json.loads(path.read_text()) for path in RESULTS.glob("B*.json")]
    results.sort(key=lambda result: (int("".join(c for c in result["work"] if c.isdigit())), result["work"]))
    lines = [
        "# Benchmarks", "",
        "Made by `make bench` (`Benchmarks/run`); how it measures is in `Benchmarks/README.md`. Do not edit.", "",
        "A figure is a ratio of runs side by side; times alone depend on the machine and on who else uses it. All",
        "contenders fetch the same bytes from the same nginx on the same machine and write them to the same file system;",
        "every file is compared byte by byte. dld runs as shipped: ledger, results and logs on, `durability: full`",
        "unless said otherwise. None of its peers makes anything durable.", "",
    ]
    machines = []
    for result in results:
        if result["machine"] not in machines:
            machines.append(result["machine"])
    for machine in machines:
        works = ", ".join(r["work"] for r in results if r["machine"] == machine)
        lines += ["Measured on" + (f" ({works})" if len(machines) > 1 else "") + ":", "", *machine, ""]
    lines += ["| bar | measured | wanted | met |", "| --- | --- | --- | --- |"]
    for result in results:
        lines += [Bar(**{**bar, "text": f"{result['work']}: {bar['text']}"}).line() for bar in result["bars"]]
    lines += ["", *HOLDS.read_text().splitlines(), ""]
    for result in results:
        lines += markdown(result)
    PAGE.write_text("\n".join(lines).rstrip() + "\n")

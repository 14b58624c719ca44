# SPDX-License-Identifier: Apache-2.0
"""Curves over time as an SVG, written by hand: one panel a quantity, all over the same axis."""
import pathlib

from .report import ROOT

WIDTH, PANEL, LEFT, GAP = 800, 140, 90, 34


def steps(top):
    """A round step for about four lines up to `top`."""
    step = 10 ** len(str(int(top))) / 10
    for part in (step / 5, step / 2, step, step * 2, step * 5):
        if top / part <= 5:
            return part
    return step * 10


def points(xs, ys, right, top, base):
    """At most as many as there are pixels: the highest of each."""
    best = {}
    for x, y in zip(xs, ys):
        pixel = round(LEFT + x / right * (WIDTH - LEFT - 20))
        best[pixel] = max(best.get(pixel, 0), y)
    return " ".join(f"{x},{base - y / top * PANEL:.1f}" for x, y in sorted(best.items()))


def write(name, title, xlabel, xs, panels):
    """`panels`: (label, values) each; the file is docs/NAME.svg. Returns the Markdown that shows it."""
    height = GAP + len(panels) * (PANEL + GAP) + 20
    right = max(xs[-1], 1e-9)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-size="13">{title}</text>',
    ]
    for number, (label, values) in enumerate(panels):
        base = GAP + number * (PANEL + GAP) + PANEL
        top = max(max(values), 1) * 1.1
        step, line = steps(top), 0
        while line <= top:
            y = base - line / top * PANEL
            lines.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - 20}" y2="{y:.1f}" stroke="#ddd"/>')
            lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{line:,.0f}</text>')
            line += step
        lines.append(f'<text x="{LEFT + 4}" y="{base - PANEL + 10}" fill="#36c">{label}</text>')
        lines.append(f'<polyline fill="none" stroke="#36c" points="{points(xs, values, right, top, base)}"/>')
    step, line = steps(right), 0
    while line <= right:
        x = LEFT + line / right * (WIDTH - LEFT - 20)
        lines.append(f'<text x="{x:.1f}" y="{height - 14}" text-anchor="middle">{line:,.0f}</text>')
        line += step
    lines += [f'<text x="{WIDTH - 20}" y="{height - 2}" text-anchor="end">{xlabel}</text>', "</svg>", ""]
    (pathlib.Path(ROOT) / "docs" / f"{name}.svg").write_text("\n".join(lines))
    return f"![{title}]({name}.svg)"

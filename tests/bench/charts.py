"""Pictures of a result as SVG, readable on light and on dark pages; no library needed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tests.bench.stats import Spread, figure, spread

WIDTH = 760
MARGIN = 16
LABEL_WIDTH = 222
VALUE_WIDTH = 120
ROW = 24
BAR = 14
PLOT_HEIGHT = 170
AXIS_WIDTH = 56

TITLES = {
    "fan-out": "One update until the last client has it",
    "throughput": "Sustained deliveries a second",
    "whole": "Whole documents",
    "memory": "Memory",
    "documents": "Ever more documents in the gateway",
}
# Picture: the measures it shows, one panel each.
_BARS = {
    "fan-out": ("p50-10", "p50-50", "p50-200", "p99-200"),
    "throughput": ("rate-1x20", "rate-50x4"),
    "whole": ("join-100000", "restart"),
    "memory": ("start", "idle", "document"),
}
_LINES = {"documents": ("relay", "open", "memory")}

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 } .small { font-size: 12px; fill: #59636e }
  .page { fill: #ffffff } .other { fill: #a9b4c0 } .floor { fill: #dde2e8 } .ours { fill: #1a7f5a }
  .spread, .axis { stroke: #59636e; fill: none } .grid { stroke: #e4e8ec }
  .line { stroke: #1a7f5a; stroke-width: 2; fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .page { fill: #0d1117 }
    .other { fill: #6e7a88 } .floor { fill: #3d4651 } .ours { fill: #2fa57a }
    .spread, .axis { stroke: #9198a1 } .grid { stroke: #2a313a } .line { stroke: #2fa57a }
  }
"""


@dataclass(frozen=True)
class Row:
    """One bar: ``kind`` is the class of its colour."""

    label: str
    value: Spread
    kind: str


def pictures(result: Mapping[str, Any]) -> dict[str, str]:
    """Name to SVG, for the scenarios that were measured."""
    made = {}
    for name, found in result["scenarios"].items():
        panels = []
        for measure in _BARS.get(name, ()):
            rows = _rows(result["servers"], found["values"].get(measure, {}))
            if rows:
                panels.append(bars(_heading(found["measures"][measure]), rows))
        for measure in _LINES.get(name, ()):
            cases = found["values"].get(measure, {})
            points = [(float(case), spread(values)) for case, values in cases.items()]
            if len(points) > 1:
                panels.append(line(_heading(found["measures"][measure]), points))
        if panels:
            made[name] = stacked(TITLES[name], panels)
    return made


def stacked(title: str, panels: Sequence[tuple[int, str]]) -> str:
    """Panels (height, content) below each other as one picture."""
    parts, top = [], MARGIN
    for height, content in panels:
        parts.append(f'<g transform="translate({MARGIN} {top})">{content}</g>')
        top += height + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}"'
        f' height="{top}" role="img" aria-label="{escape(title)}">\n<style>{_STYLE}</style>\n'
        f'<rect class="page" width="{WIDTH}" height="{top}" rx="6"/>\n' + "\n".join(parts)
        + "\n</svg>\n"
    )  # fmt: skip


def bars(heading: str, rows: Sequence[Row]) -> tuple[int, str]:
    """A bar a row with its value; a thin line from the lowest to the highest round."""
    room = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH
    scale = room / max(row.value.high for row in rows)
    parts = [_text(0, 13, heading, "title")]
    for number, row in enumerate(rows):
        y = 26 + number * ROW
        middle = y + BAR / 2
        length, low, high = (
            LABEL_WIDTH + value * scale
            for value in (row.value.median, row.value.low, row.value.high)
        )
        parts += [
            _text(LABEL_WIDTH - 10, middle + 4.5, row.label, anchor="end"),
            _bar(row.kind, LABEL_WIDTH, y, max(1, length - LABEL_WIDTH)),
            f'<path class="spread" d="M{low:.1f} {middle}H{high:.1f}"/>',
            _text(max(length, high) + 8, middle + 4.5, figure(row.value.median)),
        ]
    return 26 + len(rows) * ROW, "".join(parts)


def line(heading: str, points: Sequence[tuple[float, Spread]]) -> tuple[int, str]:
    """Values over powers of ten, from zero; a bar a point from the lowest to the highest."""
    width = WIDTH - 2 * MARGIN - AXIS_WIDTH - 50
    top = _round_up(max(value.high for _, value in points))
    first, last = math.log10(points[0][0]), math.log10(points[-1][0])

    def at(count: float, value: float) -> tuple[float, float]:
        x = AXIS_WIDTH + 20 + (math.log10(count) - first) / (last - first) * width
        return x, 30 + PLOT_HEIGHT * (1 - value / top)

    parts = [_text(0, 13, heading, "title")]
    for step in range(5):
        tick = top * step / 4
        y = at(points[0][0], tick)[1]
        parts.append(f'<path class="grid" d="M{AXIS_WIDTH} {y:.1f}H{WIDTH - 2 * MARGIN}"/>')
        parts.append(_text(AXIS_WIDTH - 8, y + 4, figure(tick), "small", "end"))
    path = []
    for count, value in points:
        x, y = at(count, value.median)
        low, high = at(count, value.low)[1], at(count, value.high)[1]
        path.append(f"{x:.1f} {y:.1f}")
        parts += [
            f'<path class="spread" d="M{x:.1f} {low:.1f}V{high:.1f}"/>',
            f'<circle class="ours" cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
            _text(x, min(y, high) - 9, figure(value.median), anchor="middle"),
            _text(x, 30 + PLOT_HEIGHT + 18, f"{count:,.0f}", "small", "middle"),
        ]
    parts.append(f'<path class="line" d="M{"L".join(path)}"/>')
    return 30 + PLOT_HEIGHT + 24, "".join(parts)


def _rows(servers: Mapping[str, str], cases: Mapping[str, Sequence[float]]) -> list[Row]:
    kinds = {"gateway": "ours", "floor": "floor"}
    return [
        Row(title, spread(cases[name]), kinds.get(name, "other"))
        for name, title in servers.items()
        if cases.get(name)
    ]


def _heading(measure: Mapping[str, Any]) -> str:
    better = "less is better" if measure["less"] else "more is better"
    return f"{measure['title']}, {measure['unit']} ({better})"


def _bar(kind: str, x: float, y: float, width: float) -> str:
    place = f'x="{x}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"'
    return f'<rect class="{kind}" {place}/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _round_up(value: float) -> float:
    """The next number that four steps divide nicely, with room for a label above."""
    value *= 1.15
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 6, 8, 10) if power * step >= value)

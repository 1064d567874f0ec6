"""The simulated day as one HTML page without anything from outside."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from gateway.runtime.caller import LONGEST_PAUSE_SECONDS
from gateway.simulate.report import counted, kilobytes, milliseconds
from gateway.simulate.shop import Record

# Units of a drawing, whatever its width on the screen: only shapes are drawn, all text is HTML, so
# that it has its size on a phone too.
WIDTH = 1_000
DAY_HEIGHT, ROW_HEIGHT = 130, 18
# A label of the time has about 40 px; a phone leaves 230 for them.
MOST_TIMES = 5
BUCKETS_MS = (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000)
MOST_BARS = 40
OUTAGES = ("gateway", "outage")

STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --soft: #5f6671; --line: #d5d9de;
  --back: #fff; --bar: #2f6fb5; --trouble: #f3c9a5; --mark: #b3470f; --good: #1d7a3a;
  --bad: #b3200f; }
@media (prefers-color-scheme: dark) { :root { --text: #e8eaed; --soft: #a2a9b3; --line: #3a4048;
  --back: #16181b; --bar: #7fb2ea; --trouble: #6b4526; --mark: #f0a06c; --good: #7ed195;
  --bad: #ff8f7d; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 920px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; }
h1.well { color: var(--good); } h1.bad { color: var(--bad); }
h2 { font-size: 18px; margin: 34px 0 2px; }
p { margin: 0 0 8px; color: var(--soft); }
ul { padding-left: 20px; }
svg { width: 100%; display: block; }
.row { display: grid; grid-template-columns: 84px 1fr 66px; gap: 0 8px; align-items: center;
  font-size: 13px; color: var(--soft); min-height: 24px; }
.row.open { grid-template-columns: 84px 1fr; padding-right: 16px; }
.row > :first-child { text-align: right; white-space: nowrap; }
.row.day > :first-child { align-self: start; }
.place { position: relative; }
.dots, .times { height: 18px; } .times { border-top: 1px solid var(--line); }
.dots i, .times span { position: absolute; transform: translateX(-50%); }
.dots i { top: 5px; width: 7px; height: 7px; border-radius: 50%; background: var(--mark); }
.bar { height: 16px; background: var(--bar); }
.scale { font-size: 13px; } .scale span { white-space: nowrap; margin-left: 10px; }
.scale i { display: inline-block; width: 24px; height: 12px; margin-right: 4px;
  background: var(--mark); vertical-align: -1px; }
.facts { display: flex; flex-wrap: wrap; gap: 12px 32px; margin: 18px 0 0; padding: 0;
  list-style: none; }
.facts b { display: block; font-size: 22px; color: var(--text); }
.facts span { color: var(--soft); font-size: 14px; }
@media (max-width: 600px) { .facts { gap: 12px 24px; } .facts b { font-size: 20px; }
  .row { grid-template-columns: 72px 1fr 46px; } .row.open { grid-template-columns: 72px 1fr; } }
"""


def page(found: Mapping[str, Any], record: Record, seconds: float) -> str:
    """The whole page. ``found``: see ``report.facts``."""
    settings = found["settings"]
    wrong = [*found["lost"], *found["differing"], *found["refused"]]
    sections = [
        _facts(found),
        "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in wrong) + "</ul>" if wrong else "",
        _section(
            "The day",
            "Orders rung up each second. Shaded: no device reached a gateway. Marks: a device lost "
            "power or its link.",
            _day(record, seconds),
        ),
        _section(
            "From the kiosk to the kitchen",
            "How long an order took to the first screen of its station while everybody had a link.",
            _latencies(record),
        ),
        _section(
            "How far behind the kitchens were",
            "Orders rung up for a screen and not yet on it. Grey: no device reached a gateway. Who "
            f"lost the gateway or its link calls again after at most {LONGEST_PAUSE_SECONDS:g} "
            "seconds; a screen is behind until it and the kiosk are back.",
            _behind(record, seconds),
        ),
        _section("What each device moved", "Sent and received over its link.", _bytes(found)),
    ]
    verdict = "well" if found["well"] else "bad" if wrong else "open"
    shop = (
        f"{settings['kiosks']} kiosks, {settings['tablets']} tablets, {settings['gateways']} "
        f"gateway{'s' if settings['gateways'] > 1 else ''}, {settings['minutes']:g} minutes, seed "
        f"{settings['seed']}. Every device is a process of its own with a store of its own."
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>A simulated shop</title><style>{STYLE}</style></head><body>"
        f'<h1 class="{verdict}">{escape(found["sentence"])}</h1>'
        f"<p>{escape(shop)}</p>{''.join(sections)}</body></html>\n"
    )


def _facts(found: Mapping[str, Any]) -> str:
    direct, trouble = found["latency_ms"], found["latency_in_trouble_ms"]
    happened = found["happened"]
    outages = sum(happened.get(kind, 0) for kind in OUTAGES)
    down = happened.get("peer", 0) + happened.get("restart", 0)
    facts = [
        _counted(found["orders"], "order", "orders"),
        (milliseconds(direct["p50"]), "kiosk to kitchen, half of them"),
        (milliseconds(direct["p95"]), "95 of 100"),
        (milliseconds(trouble["max"]), "the longest, in trouble"),
        _counted(outages, "outage", "outages"),
        _counted(down, "device went down", "devices went down"),
        _counted(happened.get("cut", 0), "link lost", "links lost"),
        (f"{found['caught_up_seconds']:g} s", "until all had caught up"),
    ]
    items = "".join(f"<li><b>{escape(a)}</b><span>{escape(b)}</span></li>" for a, b in facts)
    return f'<ul class="facts">{items}</ul>'


def _counted(count: int, one: str, more: str) -> tuple[str, str]:
    return f"{count:,}", one if count == 1 else more


def _section(title: str, explanation: str, picture: str) -> str:
    return f"<h2>{escape(title)}</h2><p>{escape(explanation)}</p>{picture}"


def _day(record: Record, seconds: float) -> str:
    per = max(1.0, seconds / 120)
    counts = [0] * (int(seconds / per) + 1)
    for seen in record.orders.values():
        counts[min(len(counts) - 1, int(seen.rung_at / per))] += 1
    most = max(1, *counts)
    parts = _outages(record, seconds, DAY_HEIGHT)
    bar = WIDTH / len(counts)
    for place, count in enumerate(counts):
        tall = count / most * DAY_HEIGHT
        parts.append(_rect(place * bar, DAY_HEIGHT - tall, max(1.0, bar - 1), tall, "bar"))
    dots = [
        f'<i style="left:{100 * one.began / seconds:.2f}%" title="{escape(one.name)}"></i>'
        for one in record.happened
        if one.kind not in OUTAGES
    ]
    drawing = _svg(DAY_HEIGHT, parts, "Orders a second, outages and failures over the day")
    return (
        _row("", f'<div class="place dots">{"".join(dots)}</div>')
        + _row(f"{most / per:.1f} / s", drawing, kind="open day")
        + _times(seconds)
    )


def _outages(record: Record, seconds: float, height: int, color: str = "trouble") -> list[str]:
    return [
        _rect(
            _x(one.began, seconds), 0, max(3.0, _x(one.ended - one.began, seconds)), height,
            color, title=one.name,
        )
        for one in record.happened
        if one.kind in OUTAGES
    ]  # fmt: skip


def _latencies(record: Record) -> str:
    times = [
        (seen.seen_at - seen.rung_at) * 1000
        for seen in record.orders.values()
        if seen.seen_at is not None and seen.linked
    ]
    rows = []
    low = 0
    for high in BUCKETS_MS:
        count = sum(low <= value < high for value in times)
        rows.append((_range(low, high), float(count), str(count)))
        low = high
    rows.append((f"above {_short(low)}", 0.0 + sum(v >= low for v in times), ""))
    used = [place for place, row in enumerate(rows) if row[1]]
    return _bars(rows[used[0] : used[-1] + 1] if used else rows[:1])


def _behind(record: Record, seconds: float) -> str:
    rows = sorted(record.behind.items(), key=lambda item: (len(item[0]), item[0]))
    most = max((count for _, samples in rows for _, count in samples), default=0)
    shown = []
    for name, samples in rows[:MOST_BARS]:
        parts = _outages(record, seconds, ROW_HEIGHT, "line")
        changes = [samples[place] for place in range(len(samples)) if _differs(samples, place)]
        ends = [at for at, _ in changes[1:]] + [seconds]
        for (at, count), end in zip(changes, ends, strict=True):
            if count and at < seconds:
                wide = _x(min(end, seconds) - at, seconds)
                title = counted(count, "order behind", "orders behind")
                shade = _shade(count, most)
                parts.append(_rect(_x(at, seconds), 2, wide, ROW_HEIGHT - 4, "mark", shade, title))
        shown.append(_row(escape(name), _svg(ROW_HEIGHT, parts, f"How far behind {name} was")))
    return "".join(shown) + _times(seconds) + _scale(most) + _rest(rows)


def _differs(samples: Sequence[tuple[float, int]], place: int) -> bool:
    return place == 0 or samples[place][1] != samples[place - 1][1]


def _shade(count: int, most: int) -> float:
    return 0.25 + 0.75 * count / most


def _scale(most: int) -> str:
    if not most:
        return "<p>No screen was behind when it was looked at, twice a second.</p>"
    shades = "".join(
        f'<span><i style="opacity:{_shade(count, most):.2f}"></i>'
        f"{counted(count, 'order', 'orders')}</span>"
        for count in sorted({1, (most + 1) // 2, most})
    )
    return f'<p class="scale">Behind by{shades}</p>'


def _rest(rows: Sequence[Any]) -> str:
    more = len(rows) - MOST_BARS
    return f"<p>{counted(more, 'device is', 'devices are')} not shown.</p>" if more > 0 else ""


def _bytes(found: Mapping[str, Any]) -> str:
    moved = {name: one["sent"] + one["received"] for name, one in found["bytes"].items()}
    rows = [(name, float(count), kilobytes(count)) for name, count in moved.items()]
    return _bars(rows[:MOST_BARS]) + _rest(rows)


def _bars(rows: Sequence[tuple[str, float, str]]) -> str:
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    return "".join(
        _row(
            escape(name), f'<div class="bar" style="width:{100 * value / most:.1f}%"></div>', shown
        )
        for name, value, shown in rows
    )


def _times(seconds: float) -> str:
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 18_000)
    step = next((s for s in steps if seconds / s <= MOST_TIMES), 36_000)
    labels = [
        f'<span style="left:{100 * at / seconds:.2f}%">{at // 60}:{at % 60:02}</span>'
        for at in range(0, int(seconds) + 1, step)
    ]
    return _row("", f'<div class="place times">{"".join(labels)}</div>')


def _row(name: str, drawing: str, value: str | None = None, kind: str = "open") -> str:
    """A name, a drawing and, in the rows that have one, a value."""
    if value is None:
        return f'<div class="row {kind}"><span>{name}</span>{drawing}</div>'
    return f'<div class="row"><span>{name}</span>{drawing}<span>{value}</span></div>'


def _rect(
    x: float, y: float, wide: float, high: float, color: str, opacity: float = 1.0, title: str = ""
) -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"'
        f' fill="var(--{color})" opacity="{opacity:.2f}">{inside}</rect>'
    )


def _svg(height: int, parts: Iterable[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" style="height:{height}px"'
        f' role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _x(at: float, seconds: float) -> float:
    return at / seconds * WIDTH


def _range(low: int, high: int) -> str:
    if low >= 1000:
        return f"{low // 1000}\N{EN DASH}{high // 1000} s"
    return f"{low}\N{EN DASH}{high} ms"


def _short(value: int) -> str:
    return f"{value // 1000} s" if value >= 1000 else f"{value} ms"

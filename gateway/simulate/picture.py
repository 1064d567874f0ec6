"""The simulated day as one HTML page without anything from outside."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from gateway.simulate.report import kilobytes, milliseconds
from gateway.simulate.shop import Record

WIDTH, LEFT, RIGHT = 900, 110, 24
INNER = WIDTH - LEFT - RIGHT
BUCKETS_MS = (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000)
MOST_BARS = 40

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
svg { width: 100%; height: auto; display: block; }
text { font: 13px system-ui, sans-serif; fill: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 12px 32px; margin: 18px 0 0; padding: 0;
  list-style: none; }
.facts b { display: block; font-size: 22px; color: var(--text); }
.facts span { color: var(--soft); font-size: 14px; }
@media (max-width: 600px) { text { font-size: 20px; } .facts b { font-size: 20px; } }
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
            "Orders rung up for a station and not yet on its screen; the darker, the more.",
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
    outages = happened.get("gateway", 0) + happened.get("outage", 0)
    facts = [
        (f"{found['orders']:,}", "orders"),
        (milliseconds(direct["p50"]), "kiosk to kitchen, half of them"),
        (milliseconds(direct["p95"]), "95 of 100"),
        (milliseconds(trouble["max"]), "the longest, in trouble"),
        (str(outages), "outages"),
        (str(happened.get("peer", 0) + happened.get("restart", 0)), "devices went down"),
        (str(happened.get("cut", 0)), "links lost"),
        (f"{found['caught_up_seconds']:g} s", "until all had caught up"),
    ]
    items = "".join(f"<li><b>{escape(a)}</b><span>{escape(b)}</span></li>" for a, b in facts)
    return f'<ul class="facts">{items}</ul>'


def _section(title: str, explanation: str, picture: str) -> str:
    return f"<h2>{escape(title)}</h2><p>{escape(explanation)}</p>{picture}"


def _day(record: Record, seconds: float) -> str:
    height, base = 190, 150
    per = max(1.0, seconds / 120)
    counts = [0] * (int(seconds / per) + 1)
    for seen in record.orders.values():
        counts[min(len(counts) - 1, int(seen.rung_at / per))] += 1
    most = max(1, *counts)
    parts = [_time_axis(seconds, base)]
    for one in record.happened:
        x = _x(one.began, seconds)
        title = f"<title>{escape(one.name)}</title>"
        if one.kind in ("gateway", "outage"):
            width = max(3.0, _x(one.ended, seconds) - x)
            parts.append(
                f'<rect x="{x:.1f}" y="20" width="{width:.1f}" height="{base - 20}"'
                f' fill="var(--trouble)">{title}</rect>'
            )
        else:
            parts.append(f'<circle cx="{x:.1f}" cy="12" r="4" fill="var(--mark)">{title}</circle>')
    bar = INNER / len(counts)
    for place, count in enumerate(counts):
        if count:
            tall = count / most * (base - 30)
            parts.append(
                f'<rect x="{LEFT + place * bar:.1f}" y="{base - tall:.1f}"'
                f' width="{max(1.0, bar - 1):.1f}" height="{tall:.1f}" fill="var(--bar)"/>'
            )
    parts.append(_label(LEFT - 8, 36, f"{most / per:.1f} / s", end=True))
    return _svg(height, parts, "Orders a second, outages and failures over the day")


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
    return _bars(rows[used[0] : used[-1] + 1] if used else rows[:1], "Orders by latency")


def _behind(record: Record, seconds: float) -> str:
    rows = sorted(record.behind.items(), key=lambda item: (len(item[0]), item[0]))[:MOST_BARS]
    most = max((count for _, samples in rows for _, count in samples), default=0) or 1
    high = 22
    parts = []
    for row, (name, samples) in enumerate(rows):
        y = row * high
        parts.append(_label(LEFT - 8, y + 15, name, end=True))
        parts.append(
            f'<rect x="{LEFT}" y="{y + 3}" width="{INNER}" height="{high - 6}" fill="var(--line)"'
            ' opacity="0.4"/>'
        )
        ends = [at for at, _ in samples[1:]] + [seconds]
        for (at, count), end in zip(samples, ends, strict=False):
            if count and at < seconds:
                x = _x(at, seconds)
                wide = _x(min(end, seconds), seconds) - x
                parts.append(
                    f'<rect x="{x:.1f}" y="{y + 3}" width="{wide:.1f}" height="{high - 6}"'
                    f' fill="var(--mark)" opacity="{0.25 + 0.75 * count / most:.2f}">'
                    f"<title>{count} orders behind</title></rect>"
                )
    base = len(rows) * high
    parts.append(_time_axis(seconds, base))
    return _svg(base + 40, parts, f"Orders behind by kitchen, at most {most}")


def _bytes(found: Mapping[str, Any]) -> str:
    moved = {name: one["sent"] + one["received"] for name, one in found["bytes"].items()}
    rows = [(name, float(count), kilobytes(count)) for name, count in moved.items()]
    return _bars(rows[:MOST_BARS], "Bytes by device")


def _bars(rows: Sequence[tuple[str, float, str]], title: str) -> str:
    high, left = 24, 150
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    parts = []
    for row, (name, value, shown) in enumerate(rows):
        y = row * high
        wide = value / most * (WIDTH - left - 110)
        parts.append(_label(left - 8, y + 16, name, end=True))
        parts.append(
            f'<rect x="{left}" y="{y + 4}" width="{wide:.1f}" height="{high - 8}"'
            ' fill="var(--bar)"/>'
        )
        parts.append(_label(left + wide + 8, y + 16, shown))
    return _svg(len(rows) * high + 4, parts, title)


def _time_axis(seconds: float, y: float) -> str:
    step = next((s for s in (5, 10, 15, 30, 60, 120, 300, 600) if seconds / s <= 9), 1_800)
    parts = [f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="var(--line)"/>']
    at = 0
    while at <= seconds:
        minutes, rest = divmod(at, 60)
        parts.append(_label(_x(at, seconds), y + 22, f"{minutes}:{rest:02}", middle=True))
        at += step
    return "".join(parts)


def _label(x: float, y: float, text: str, *, end: bool = False, middle: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ' text-anchor="middle"' if middle else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{anchor}>{escape(text)}</text>'


def _svg(height: float, parts: Iterable[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _x(at: float, seconds: float) -> float:
    return LEFT + at / seconds * INNER


def _range(low: int, high: int) -> str:
    if low >= 1000:
        return f"{low // 1000}\N{EN DASH}{high // 1000} s"
    return f"{low}\N{EN DASH}{high} ms"


def _short(value: int) -> str:
    return f"{value // 1000} s" if value >= 1000 else f"{value} ms"

"""What the simulation found, as plain data and as text."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.simulate.judge import Verdict
from gateway.simulate.shop import Peer, Record


def facts(
    verdict: Verdict, record: Record, peers: Sequence[Peer], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything, for scripts; times in milliseconds unless their name says otherwise."""
    orders = list(record.orders.values())
    direct = [s.seen_at - s.rung_at for s in orders if s.seen_at is not None and s.linked]
    late = [s.seen_at - s.rung_at for s in orders if s.seen_at is not None and not s.linked]
    saved = [s.saved_at - s.rung_at for s in orders if s.saved_at is not None]
    return {
        "well": verdict.well and not record.refused and bool(orders),
        "sentence": sentence(verdict, record),
        "converged": not verdict.differing,
        "lost": list(verdict.lost),
        "differing": list(verdict.differing),
        "refused": record.refused[:20],
        "documents": verdict.documents,
        "compared": verdict.compared,
        "orders": len(orders),
        "orders_saved": len(saved),
        "patches": record.patches,
        "changes_shown": record.changes,
        "happened": dict(Counter(one.kind for one in record.happened)),
        "latency_ms": _percentiles(direct),
        "latency_in_trouble_ms": _percentiles(late),
        "saved_ms": _percentiles(saved),
        "caught_up_seconds": round(record.caught_up_seconds, 1),
        "bytes": {
            peer.device.name: {"sent": peer.way.sent_bytes, "received": peer.way.received_bytes}
            for peer in peers
        },
        "gateway_memory_mb": round(record.gateway_memory_mb, 1),
        "gateway_cpu_seconds": round(record.gateway_cpu_seconds, 1),
        "settings": dict(settings),
    }


def sentence(verdict: Verdict, record: Record) -> str:
    """The verdict for people."""
    if verdict.lost:
        lost = counted(len(verdict.lost), "order that was", "orders that were")
        return f"{lost} called saved {'is' if len(verdict.lost) == 1 else 'are'} lost."
    if verdict.differing:
        return "Not all devices ended with the same orders."
    if record.refused:
        return "Some changes were refused."
    if not record.orders:
        return "Nothing was tried: no order was rung up. Take a longer day, or a higher --rate."
    count = len(record.orders)
    orders = f"all {count} orders are" if count > 1 else "the only order is"
    trouble = sum(one.kind in ("outage", "gateway") for one in record.happened)
    times = {0: "without an outage", 1: "in spite of one outage"}.get(
        trouble, f"in spite of {trouble} outages"
    )
    return f"Nothing was lost: {orders} on every device that wants them, {times}."


def counted(count: int, one: str, more: str) -> str:
    """A count with the noun that fits it."""
    return f"{count} {one if count == 1 else more}"


def text(found: Mapping[str, Any]) -> str:
    """A page for a terminal."""
    lines = [found["sentence"], ""]
    lines += [f"  {trouble}" for key in ("lost", "differing", "refused") for trouble in found[key]]
    happened = found["happened"]
    rows = {
        "orders": f"{found['orders']} rung up, {found['orders_saved']} saved,"
        f" {found['patches']} times worked on",
        "kiosk to kitchen": _shown(found["latency_ms"]),
        "while in trouble": _shown(found["latency_in_trouble_ms"]),
        "saved after": _shown(found["saved_ms"]),
        "outages": f"{happened.get('gateway', 0)} x a gateway lost power,"
        f" {happened.get('outage', 0)} x it could not be reached",
        "devices": f"{happened.get('peer', 0)} lost power, {happened.get('restart', 0)} restarted,"
        f" {happened.get('cut', 0)} links cut",
        "all caught up": f"{found['caught_up_seconds']} s after the last of it",
        "a device": f"sent {_median(found, 'sent')}, received {_median(found, 'received')}"
        " (the middle one)",
        "the gateway": f"{found['gateway_memory_mb']} MB, {found['gateway_cpu_seconds']} s of CPU"
        " since its last start",
        "compared": f"{found['compared']} copies of {found['documents']} documents",
        "seed": f"{found['settings']['seed']}: the same seed is the same day",
    }
    lines += [f"  {name:16}  {value}" for name, value in rows.items()]
    return "\n".join(lines)


def kilobytes(count: float) -> str:
    """A size for people."""
    return f"{count / 1000:,.0f} kB" if count >= 10_000 else f"{count / 1000:.1f} kB"


def milliseconds(value: float) -> str:
    """A time for people."""
    return f"{value / 1000:.1f} s" if value >= 1_000 else f"{value:.0f} ms"


def _shown(found: Mapping[str, float]) -> str:
    if not found["count"]:
        return "none"
    half, most, worst = (milliseconds(found[key]) for key in ("p50", "p95", "max"))
    return f"half within {half}, 95 % within {most}, at most {worst} ({found['count']:.0f})"


def _median(found: Mapping[str, Any], which: str) -> str:
    return kilobytes(statistics.median(one[which] for one in found["bytes"].values()))


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    found: dict[str, float] = {"count": len(ordered)}
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        place = min(len(ordered) - 1, int(share * len(ordered)))
        found[name] = round(1000 * ordered[place], 1) if ordered else 0.0
    return found

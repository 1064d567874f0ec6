"""What was asked of the gateway, and whether a result meets it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.stats import ratios

OURS = "gateway"
Y_WEBSOCKET = "y-websocket"
HOCUSPOCUS = "hocuspocus"


@dataclass(frozen=True)
class Target:
    """``limit``: at most, or at least, this; ``against``: a ratio to that case, else a figure."""

    text: str
    scenario: str
    measure: str
    limit: float
    at_least: bool = False
    case: str = OURS
    against: str | None = None
    unit: str = ""

    @property
    def asked(self) -> str:
        """For the table."""
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.limit:g}{' x' if self.against else self.unit}"

    def found(self, scenarios: Mapping[str, Any], case: str = "") -> Sequence[float]:
        """One figure a round; none if it was not measured. ``case``: of another than asked."""
        cases = scenarios.get(self.scenario, {}).get("values", {}).get(self.measure, {})
        ours = cases.get(case or self.case, [])
        return ratios(ours, cases.get(self.against, [])) if self.against else ours

    def met(self, median: float) -> bool:
        """Whether the median of the rounds is within the limit."""
        return median >= self.limit if self.at_least else median <= self.limit


def _fan_out() -> list[Target]:
    return [
        Target(f"fan-out to {size} clients, {part}", "fan-out", f"{part}-{size}", limit,
               against=Y_WEBSOCKET)
        for part, limit in (("p50", 0.65), ("p99", 0.7))
        for size in (10, 50, 200)
    ]  # fmt: skip


def _throughput() -> list[Target]:
    return [
        Target("deliveries a second, 1 room of 20", "throughput", "rate-1x20", 2.2,
               at_least=True, against=Y_WEBSOCKET),
        Target("deliveries a second, 1 room of 20, beside Hocuspocus", "throughput", "rate-1x20", 1,
               at_least=True, against=HOCUSPOCUS),
        Target("deliveries a second, 50 rooms of 4", "throughput", "rate-50x4", 2.2,
               at_least=True, against=Y_WEBSOCKET),
        Target("processor time a delivery, 1 room of 20", "throughput", "cpu-1x20", 0.5,
               against=Y_WEBSOCKET),
        Target("processor time a delivery, 50 rooms of 4", "throughput", "cpu-50x4", 0.5,
               against=Y_WEBSOCKET),
    ]  # fmt: skip


def _gateways(links: str, case: str) -> list[Target]:
    return [
        Target(f"partition, 5,000 edits on each side, {links}: link back to all equal", "mesh",
               "heal", 5, case=case, unit=" s"),
        Target(f"partition, 5,000 edits on each side, {links}: bytes, of the missing updates",
               "mesh", "heal-bytes", 1.5, case=case, unit=" x"),
        Target(f"gateways with the same 10,000 documents, {links}: bytes of the caller", "mesh",
               "equal-up", 64, case=case, unit=" B"),
        Target(f"gateways with the same 10,000 documents, {links}: bytes of the other", "mesh",
               "equal-down", 64, case=case, unit=" B"),
        Target(f"3 of 10,000 documents differ, {links}: bytes without the updates", "mesh",
               "differing-beyond", 2_000, case=case, unit=" B"),
    ]  # fmt: skip


def _cloud() -> list[Target]:
    broken = (
        "dead", "1 kB/s", "never answers", "went silent", "breaks", "bad certificate",
        "not authorised", "quota", "topic denied",
    )  # fmt: skip
    return [
        Target(f"a change in the shop, p99, cloud: {case}, beside no cloud", "cloud-broken",
               "slower", 1.2, case=case, unit=" x")
        for case in broken
    ]  # fmt: skip


def _bluetooth() -> list[Target]:
    scenario = "bluetooth"
    return [
        *(
            Target(f"Bluetooth: beyond a status change of 45 bytes, {way}", scenario,
                   f"overhead-{way}", 25, unit=" B")
            for way in ("up", "down")
        ),
        *(
            Target(f"Bluetooth: {by} {way}, {air}, beside bare sockets", scenario,
                   f"{measure}-{way}{suffix}", 0.9, at_least=True, against="bare")
            for suffix, air in (("-radio", "60 kB/s"), ("", "clear air"))
            for by, measure in (("GATT", "gatt"), ("L2CAP", "channel"))
            for way in ("up", "down")
        ),
        Target("Bluetooth: an enrolled phone connects, round trips to its document", scenario,
               "round-trips", 6),
        Target("Bluetooth: a day of 5,000 orders, one document, 20 kB/s", scenario, "day", 20,
               unit=" s"),
        Target("Bluetooth: a live change meanwhile", scenario, "day-live", 1, unit=" s"),
        Target("Bluetooth: 5,000 orders, a document each, 20 kB/s", scenario, "documents", 20,
               unit=" s"),
        Target("Bluetooth: a live change meanwhile, a document each", scenario, "documents-live",
               1, unit=" s"),
        Target("Bluetooth: eight phones at once, slowest beside fastest", scenario, "spread", 2,
               unit=" x"),
    ]  # fmt: skip


TARGETS = (
    *_fan_out(),
    *_throughput(),
    Target("memory of 1,000 idle connections", "memory", "idle", 0.8, against=Y_WEBSOCKET),
    Target("memory at the start", "memory", "start", 60, unit=" MB"),
    Target("join of 100,000 edits", "whole", "join-100000", 0.45, against=Y_WEBSOCKET),
    Target("kill -9 until 100,000 edits are back", "whole", "restart", 0.5, unit=" s"),
    Target("bytes written a byte of updates", "throughput", "written-1x20", 5, unit=" x"),
    Target("bytes written a day with nothing to do", "idle", "idle", 5, unit=" MB"),
    Target("1,000 subscriptions by value: fan-out to 50 mesh peers", "subscriptions", "relay", 1.2,
           case="by value", against="none"),
    Target("1,000 subscriptions by value: processor time an update", "subscriptions", "cpu", 1.2,
           case="by value", against="none"),
    Target("bytes to a peer that wants 1 % of 10,000 documents", "small-peer", "share", 1.2,
           unit=" %"),
    *_gateways("open", OURS),
    *_gateways("sealed", "sealed"),
    Target("ten minutes apart, sealed, 5,000 edits on each side: link back to all equal",
           "long-partition", "heal", 5, case="sealed", unit=" s"),
    Target("ten minutes apart, sealed: bytes, of the missing updates", "long-partition",
           "heal-bytes", 1.5, case="sealed", unit=" x"),
    Target("a change through three gateways, beside one", "mesh", "each-hop", 3.5, unit=" x"),
    Target("relay with 100,000 documents beside that with 100", "documents", "relay", 1.2,
           case="100000", against="100"),
    Target("relay beside typing in a long text, beside a short one", "texts", "slower", 1.2,
           unit=" x"),
    *_cloud(),
    *_bluetooth(),
)  # fmt: skip

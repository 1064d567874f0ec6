"""Does the gateway stay as it was? A steady load on a real one, and its vitals every 5 s.

``python -m tests.campaign.soak [--minutes 10] [--seed N] [--json]``: twenty devices of a shop
(``tests.campaign.shop``) work for so long, after as many documents as the gateway keeps in
memory without need were written; then they work hard for a while, then they only stay
linked for a minute, then they leave. Judged: the slope of memory after a warm-up, descriptors
and threads, bytes written for each byte of updates, bytes written with nothing to do, what the
gateway said. The folder should be on a real disk: in memory nothing counts as written. SIGINT
ends the load early and judges what there is.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

from gateway.core.hub import IDLE_ROOMS
from tests.campaign.shop import Shop
from tests.campaign.vitals import Vitals, look, slope, written_bytes
from tests.support.gateway import GatewayProcess, eventually

MB = 1_000_000
SAMPLE_SECONDS = 5.0
# The first samples show caches being filled, not a leak; so do the first documents.
WARM_UP = 0.2
FILL_DOCUMENTS = IDLE_ROOMS + 44
# Updates a second of all devices together; what a busy shop has.
RATE = 20.0
BUSY_RATE = 500.0
BUSY_SECONDS = 20.0
IDLE_SECONDS = 60.0
SETTLE_SECONDS = 3.0
BEAT_SECONDS = 10.0
SWAP_SECONDS = 5.0
DAY_SECONDS = 86_400.0
MOST_MB_A_MINUTE = 0.2
MOST_AMPLIFICATION = 5.0
MOST_IDLE_MB_A_DAY = 5.0


@dataclass
class Report:
    """What a run found; memory in MB, ``slopes`` in MB a minute."""

    seed: int
    minutes: float = 0.0
    clients: int = 0
    updates: int = 0
    update_bytes: int = 0
    orders: int = 0
    swaps: int = 0
    first_mb: dict[str, float] = field(default_factory=dict)
    last_mb: dict[str, float] = field(default_factory=dict)
    slopes: dict[str, float] = field(default_factory=dict)
    # With all devices linked, at the beginning and at the end; with none, likewise.
    descriptors: tuple[int, int] = (0, 0)
    descriptors_alone: tuple[int, int] = (0, 0)
    threads: tuple[int, int] = (0, 0)
    # Bytes written for each byte of updates, at the steady rate and at the high one.
    amplification_steady: float = 0.0
    amplification_busy: float = 0.0
    idle_mb_a_day: float = 0.0
    store_mb: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def judge(self) -> None:
        """Say in ``wrong`` what is not as it should be."""
        limits = {
            "RSS grows: MB a minute": (self.slopes["rss"], MOST_MB_A_MINUTE),
            "written for each byte, busy": (self.amplification_busy, MOST_AMPLIFICATION),
            "written with nothing to do: MB a day": (self.idle_mb_a_day, MOST_IDLE_MB_A_DAY),
        }
        self.wrong += [
            f"{what}: {value:.2f}, at most {most}"
            for what, (value, most) in limits.items()
            if value > most
        ]
        for what in ("descriptors", "descriptors_alone", "threads"):
            before, after = getattr(self, what)
            if before != after:
                self.wrong.append(f"{what}: {before} at the beginning, {after} at the end")


class Soak:
    """One run against one gateway. ``show(vitals)`` is called at each look."""

    def __init__(
        self, gateway: GatewayProcess, seed: int, show: Callable[[Vitals, Shop], None]
    ) -> None:
        self.report = Report(seed)
        self.interrupted = False
        self._gateway = gateway
        self._show = show
        self._began = time.monotonic()
        self._beat_at = self._began

    def run(self, minutes: float, rate: float, busy_seconds: float, idle_seconds: float) -> None:
        """All phases. Raises ``AssertionError`` when the gateway ended a link."""
        report, pid = self.report, self._gateway.pid
        alone = self._look()
        shop = Shop(self._gateway.port, report.seed)
        report.clients = len(shop.devices)
        shop.fill(FILL_DOCUMENTS)
        self._work(shop, 0.0, SETTLE_SECONDS)
        self._began, filled = time.monotonic(), shop.written
        first = self._look()
        samples = list(self._load(shop, minutes * 60, rate))
        self._work(shop, 0.0, SETTLE_SECONDS)
        last = self._look()
        report.descriptors = (first.descriptors, last.descriptors)
        report.updates, report.update_bytes = shop.updates, shop.written
        report.orders, report.swaps = shop.orders, shop.swaps
        report.amplification_steady = (last.written - first.written) / (shop.written - filled)
        self._remember(samples)

        before = shop.written
        self._work(shop, BUSY_RATE, busy_seconds, act=shop.act)
        self._work(shop, 0.0, SETTLE_SECONDS)
        written = written_bytes(pid)
        report.amplification_busy = (written - last.written) / (shop.written - before)

        self._work(shop, 0.0, idle_seconds)
        idle = (written_bytes(pid) - written) / MB
        report.idle_mb_a_day = idle * DAY_SECONDS / idle_seconds
        shop.close()
        eventually(lambda: self._look().descriptors <= alone.descriptors, 10.0)
        report.descriptors_alone = (alone.descriptors, self._look().descriptors)
        report.store_mb = sum(f.stat().st_size for f in self._gateway.folder.iterdir()) / MB

    def _look(self) -> Vitals:
        return look(self._gateway.pid, time.monotonic() - self._began)

    def _load(self, shop: Shop, seconds: float, rate: float) -> Iterator[Vitals]:
        """The steady load; a look every 5 s, a device replaced in between."""
        for number in count(1):
            until = min(number * SAMPLE_SECONDS, seconds)
            self._work(shop, rate, self._began + until - time.monotonic(), act=shop.act)
            vitals = self._look()
            self._show(vitals, shop)
            yield vitals
            if until >= seconds or self.interrupted:
                return
            shop.swap()

    def _work(
        self, shop: Shop, rate: float, seconds: float, act: Callable[[], None] | None = None
    ) -> None:
        """``rate`` actions a second for so long; everybody takes what comes all the time."""
        began = time.monotonic()
        done = 0
        while (now := time.monotonic()) < began + seconds:
            while act is not None and done < (now - began) * rate:
                act()
                done += 1
            if now >= self._beat_at:
                self._beat_at = now + BEAT_SECONDS
                shop.beat()
            shop.pump()
            # The pace of the load; nothing waits for it.
            time.sleep(0.01)

    def _remember(self, samples: Sequence[Vitals]) -> None:
        report = self.report
        warm = samples[int(len(samples) * WARM_UP) :]
        report.minutes = round(samples[-1].seconds / 60, 2)
        report.threads = (warm[0].threads, warm[-1].threads)
        for name in ("pss", "rss", "uss", "anonymous"):
            points = [(vitals.seconds / 60, getattr(vitals, name) / MB) for vitals in warm]
            report.first_mb[name], report.last_mb[name] = points[0][1], points[-1][1]
            report.slopes[name] = round(slope(points), 4) if len(points) > 1 else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE, help="updates a second")
    parser.add_argument("--busy-seconds", type=float, default=BUSY_SECONDS)
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    parser.add_argument("--folder", default="/var/tmp", help="on a real disk")
    parser.add_argument("--samples", type=Path, help="write every look, one JSON line each")
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    options = parser.parse_args(arguments)
    began = time.monotonic()

    def show(vitals: Vitals, shop: Shop) -> None:
        if options.samples is not None:
            with options.samples.open("a") as file:
                file.write(json.dumps(asdict(vitals) | {"update_bytes": shop.written}) + "\n")
        print(
            f"\r{vitals.seconds / 60:7.1f} min  {vitals.rss / MB:6.1f} MB"
            f"  {vitals.descriptors} descriptors  {shop.updates:,} updates",
            end="", file=sys.stderr, flush=True,
        )  # fmt: skip

    with tempfile.TemporaryDirectory(prefix="soak-", dir=options.folder) as name:
        with GatewayProcess(Path(name) / "data") as gateway:
            soak = Soak(gateway, options.seed, show)
            signal.signal(signal.SIGINT, lambda *_: setattr(soak, "interrupted", True))
            soak.run(options.minutes, options.rate, options.busy_seconds, options.idle_seconds)
            code = gateway.stop()
        report, log = soak.report, gateway.log()
    report.judge()
    if code or "Traceback" in log or "panic" in log.lower():
        report.wrong.append(f"the gateway ended with {code} and said: {log[-2_000:]}")
    print(file=sys.stderr)
    facts = {"passed": not report.wrong, "seconds": round(time.monotonic() - began, 1)}
    facts |= asdict(report)
    if options.json:
        print(json.dumps(facts))
    else:
        print("\n".join(f"{name:22} {value}" for name, value in facts.items()))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""A shop that goes on working while the internet is gone: devices that write over sealed links.

As fast as the gateway acknowledges; they come again when it was killed, with what it did not
acknowledge. Everything they write is known beforehand (``tests.support.outage_plan``).
"""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.gateway import eventually
from tests.support.outage_device import Device
from tests.support.outage_plan import DEVICES, Plan
from tests.support.sealed import Member
from tests.support.timed_clock import TimedClock
from tests.support.timed_gateway import TimedGateway

# A device that is asked answers before the gateway's time goes on, though others compute.
SWITCH_SECONDS = 0.0002
FIRST_PEER = 0xDE0
PATIENCE_SECONDS = 120.0
# Less than a link may be silent until it is asked (docs/protocol.md, PING), so answers are in time.
STEP_SECONDS = 14.0
# Time passes in so many parts of a day.
PARTS_A_DAY = 96
DAY_HOURS, HOUR_SECONDS = 24, 3_600.0


class Load:
    """``with Load(folder, port) as load``: devices of the claimed gateway in ``folder``.

    With its ``clock`` the gateway's time goes on only after all of them took what it said.

    They write what was released. ``acked``: the numbers of all updates that the gateway said are on
    its disk; ``update_bytes``: the bytes of all updates that were made, each by itself.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        clock: TimedClock | None = None,
        *,
        seed: int = 1,
        updates: int = 100_000,
        orders: int = 5_000,
        text: int = 0,
    ) -> None:
        self.clock = clock
        self.plan = Plan(seed, updates, orders, text)
        self.acked: set[int] = set()
        self.limit = 0
        self.over = False
        self.failure = ""
        self._news = threading.Condition()
        self._devices = [
            Device(self, device, Member(folder, FIRST_PEER + device), port)
            for device in range(DEVICES)
        ]

    def __enter__(self) -> Self:
        self._switch = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        if self.clock is not None:
            self.clock.watch(DEVICES)
        for device in self._devices:
            device.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over = True
        if self.clock is not None:
            self.clock.watch(0)
        for device in self._devices:
            device.join()
        sys.setswitchinterval(self._switch)

    @property
    def update_bytes(self) -> int:
        """See the class."""
        return sum(device.update_bytes for device in self._devices)

    @property
    def links(self) -> int:
        """How often a device was let in."""
        return sum(self.links_each)

    @property
    def links_each(self) -> list[int]:
        """How often each device was let in."""
        return [device.links for device in self._devices]

    def linked(self, before: Sequence[int] = (0,) * DEVICES) -> None:
        """Wait until all devices are linked, and were let in once more than ``before``."""

        def all_are() -> bool:
            pairs = zip(self._devices, before, strict=True)
            there = all(one.is_linked and one.links > number for one, number in pairs)
            return there or bool(self.failure)

        eventually(all_are)
        assert not self.failure, self.failure

    def release(self, until: int) -> None:
        """Let the devices write the updates up to this number, without it."""
        self.limit = min(until, len(self.plan.changes))

    def settle(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until all that was released is acknowledged; time is for the next one each."""
        with self._news:
            while (before := len(self.acked)) < self.limit and not self.failure:
                assert self._news.wait(seconds), f"{before} acknowledged, no more"
        assert not self.failure, self.failure

    def told(self, numbers: set[int], failure: str = "") -> None:
        """Of a device: these are acknowledged, or something is wrong."""
        with self._news:
            self.acked.update(numbers)
            self.failure = self.failure or failure
            self._news.notify_all()

    def wrong(self, read: Callable[[str], Mapping[str, Any] | None]) -> list[str]:
        """What is lost or out of order, after all was released; ``read``: see ``Plan.wrong``."""
        documents = {document for _, document in self.plan.last}
        return list(self.plan.wrong({document: read(document) for document in documents}))


def outage(
    load: Load,
    gateway: TimedGateway,
    *,
    hours: float = 72.0,
    kills: int = 5,
    step: float = STEP_SECONDS,
    during: Callable[[float], object] = lambda _: None,
) -> None:
    """Write all of ``load`` while so many hours of the gateway's time pass, with ``kill -9``s.

    ``during(share)`` is called after each part, with how much of the time is over (0 to 1).
    """
    parts = max(kills + 1, round(hours / DAY_HOURS * PARTS_A_DAY))
    total = len(load.plan.changes)
    killed = {round(parts * (number + 1) / (kills + 1)) for number in range(kills)}
    gateway.clock.pace(step=step)
    for part in range(1, parts + 1):
        # Somebody who is greeting has ten seconds, which are over soon here.
        load.linked()
        load.release(total * part // parts)
        if part in killed:
            # In the middle of what was just released.
            before = load.links_each
            gateway.kill()
            gateway.start()
            load.linked(before)
        gateway.clock.advance(hours * HOUR_SECONDS / parts)
        assert not load.failure, load.failure
        during(part / parts)
    load.settle()

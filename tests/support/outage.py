"""A shop that goes on working while the internet is gone: devices that write over sealed links.

As fast as the gateway acknowledges; they come again when it was killed, with what it did not
acknowledge. Everything they write is known beforehand (``tests.support.outage_plan``).
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pycrdt import Array, Doc, Map

from gateway.core import messages as m
from tests.support.gateway import eventually
from tests.support.outage_plan import DEVICES, FIELDS, NUMBERS, Change, Plan
from tests.support.raw import Closed
from tests.support.sealed import Member, SealedClient
from tests.support.timed_gateway import TimedGateway

# What one device has under way without an acknowledgement, and what it says at once.
WINDOW = 500
AT_ONCE = 20
# How soon a device notices that it may write more, or that the gateway is there again.
LOOK_SECONDS = 0.01
AGAIN_SECONDS = 0.05
# A device that is asked answers before the gateway's time goes on, though others compute.
SWITCH_SECONDS = 0.0002
FIRST_PEER, FIRST_CLIENT = 0xDE0, 7_000
PATIENCE_SECONDS = 120.0
# How a link may end: the gateway stops or is gone, or its time went on faster than our answer.
PASSING = frozenset({1001, 1005, 1006, 4205, 4408})
# Less than a link may be silent until it is asked (docs/protocol.md, PING), so answers are in time.
STEP_SECONDS = 14.0
# Time passes in so many parts of a day.
PARTS_A_DAY = 96
DAY_HOURS, HOUR_SECONDS = 24, 3_600.0


class Load:
    """``with Load(folder, port) as load``: devices of the claimed gateway in ``folder``.

    They write what was released. ``acked``: the numbers of all updates that the gateway said are on
    its disk; ``update_bytes``: the bytes of all updates that were made, each by itself.
    """

    def __init__(
        self, folder: Path, port: int, *, seed: int = 1, updates: int = 100_000, orders: int = 5_000
    ) -> None:
        self.plan = Plan(seed, updates, orders)
        self.acked: set[int] = set()
        self.limit = 0
        self.over = False
        self.failure = ""
        self._news = threading.Condition()
        self._devices = [
            _Device(self, device, Member(folder, FIRST_PEER + device), port)
            for device in range(DEVICES)
        ]

    def __enter__(self) -> Self:
        self._switch = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
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

    def told(self, numbers: Mapping[int, object] | set[int], failure: str = "") -> None:
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


class _Held:
    """A document that a device works on, and what of it is not acknowledged."""

    def __init__(self, client: int) -> None:
        self.doc: Doc = Doc(client_id=client)
        self.fields = self.doc.get(FIELDS, type=Map)
        self.numbers = self.doc.get(NUMBERS, type=Array)
        self.unacked: set[int] = set()
        # Ours on this link, and whether the other side has told what it has.
        self.handle = 0
        self.is_open = False
        self.made: list[bytes] = []
        self.doc.observe(lambda event: self.made.append(event.update))

    def write(self, change: Change) -> bytes:
        """The update of a change."""
        with self.doc.transaction():
            for key, value in change.fields.items():
                self.fields[key] = value
            self.numbers.append(change.number)
        self.unacked.add(change.number)
        return self.made.pop()


class _Device(threading.Thread):
    """Writes its part of the plan over one link at a time."""

    def __init__(self, load: Load, device: int, member: Member, port: int) -> None:
        super().__init__(name=f"device-{device}")
        self._load = load
        self._member = member
        self._port = port
        self._source = f"127.0.1.{device + 1}"
        self._client = FIRST_CLIENT + device
        self._device = device
        self._todo = deque(load.plan.of(device))
        self._held: dict[str, _Held] = {}
        self.update_bytes = self.links = 0
        self.is_linked = False

    def run(self) -> None:
        """Be linked, and write, until the load is over."""
        try:
            while not self._load.over:
                try:
                    self._serve()
                except Closed as closed:
                    if closed.code not in PASSING:
                        raise
                    time.sleep(AGAIN_SECONDS)
        except BaseException as error:
            self._load.told(set(), f"{self.name}: {error!r}")
            raise

    def _serve(self) -> None:
        link = SealedClient(self._port, self._member, source=self._source)
        try:
            self._begin()
            self.is_linked = True
            self._say(link, [self._open(name) for name, held in self._held.items()])
            while not self._load.over:
                can_write = self._may_write()
                for record in link.heard(0.0 if can_write else LOOK_SECONDS):
                    self._say(link, self._take(record))
                self._say(link, self._write())
        finally:
            self.is_linked = False
            link.close()

    def _begin(self) -> None:
        """A new link: nothing is bound, nothing is under way."""
        self.links += 1
        self._handle = self._sent = 0
        # Numbers of updates by the number of the record that brought them, in order.
        self._under_way: deque[tuple[int, str, tuple[int, ...]]] = deque()
        for held in self._held.values():
            held.handle, held.is_open = 0, False

    def _may_write(self) -> bool:
        room = len(self._under_way) < WINDOW
        return room and bool(self._todo) and self._todo[0].number < self._load.limit

    def _write(self) -> list[m.Record]:
        spoken: list[m.Record] = []
        for _ in range(AT_ONCE):
            if not self._may_write():
                break
            change = self._todo.popleft()
            held = self._held.setdefault(change.document, _Held(self._client))
            update = held.write(change)
            self.update_bytes += len(update)
            if held.is_open:
                self._count(change.document, (change.number,))
                spoken.append(m.Update(held.handle, update))
            elif not held.handle:
                spoken.append(self._open(change.document))
        return spoken

    def _open(self, name: str) -> m.Open:
        self._handle += 1
        held = self._held[name]
        held.handle = self._handle
        return m.Open(held.handle, name, held.doc.get_state())

    def _take(self, record: m.Record) -> list[m.Record]:
        match record:
            case m.Open():
                return self._answer(record)
            case m.Ack():
                return self._acked(record.number)
            case m.Ping():
                return [m.Pong(record.nonce)]
            case m.Refuse() | m.Deny():
                raise AssertionError(f"the gateway said {record}")
        # What others wrote is for those who show it.
        return []

    def _answer(self, asked: m.Open) -> list[m.Record]:
        """What the gateway lacks of a document, all of our updates merged."""
        held = self._held.get(asked.document)
        if held is None or not held.handle:
            return []
        held.is_open = True
        self._count(asked.document, tuple(held.unacked))
        return [m.Diff(held.handle, 0, b"", held.doc.get_update(asked.state_vector))]

    def _count(self, document: str, numbers: tuple[int, ...]) -> None:
        self._sent += 1
        self._under_way.append((self._sent, document, numbers))

    def _acked(self, number: int) -> list[m.Record]:
        spoken: list[m.Record] = []
        acked: set[int] = set()
        while self._under_way and self._under_way[0][0] <= number:
            _, document, numbers = self._under_way.popleft()
            acked.update(numbers)
            held = self._held.get(document)
            if held is None:
                continue
            held.unacked.difference_update(numbers)
            if self._load.plan.last[self._device, document] in acked and not held.unacked:
                del self._held[document]
                spoken.append(m.Close(held.handle))
        self._load.told(acked)
        return spoken

    def _say(self, link: SealedClient, spoken: list[m.Record]) -> None:
        if spoken:
            link.say(*spoken)

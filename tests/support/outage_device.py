"""One device of a shop without internet: writes its part of the plan over one link at a time."""

import threading
import time
from collections import deque
from typing import Protocol

from pycrdt import Array, Doc, Map

from gateway.core import messages as m
from tests.support.outage_plan import FIELDS, NUMBERS, Change, Plan
from tests.support.raw import Closed
from tests.support.sealed import Member, SealedClient
from tests.support.timed_clock import TimedClock

# What one device has under way without an acknowledgement, and what it says at once.
WINDOW = 500
AT_ONCE = 20
# How soon a device notices that it may write more, or that the gateway is there again.
LOOK_SECONDS = 0.001
AGAIN_SECONDS = 0.05
SILENCE_SECONDS = 14.0
# How a link may end: the gateway stops or is gone, or its time went on faster than our answer.
PASSING = frozenset({1001, 1005, 1006, 4205, 4408})
FIRST_CLIENT = 7_000


class Work(Protocol):
    """What devices share. They write what is below ``limit``, until it is ``over``."""

    clock: TimedClock | None
    plan: Plan
    limit: int
    over: bool

    def told(self, numbers: set[int], failure: str = "") -> None:
        """These updates are acknowledged, or something is wrong."""


class Held:
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


class Device(threading.Thread):
    """Writes its part of the plan over one link at a time."""

    def __init__(self, work: Work, device: int, member: Member, port: int) -> None:
        super().__init__(name=f"device-{device}")
        self._work = work
        self._member = member
        self._port = port
        self._source = f"127.0.1.{device + 1}"
        self._client = FIRST_CLIENT + device
        self._device = device
        self._now = work.clock.monotonic if work.clock else time.monotonic
        self._todo = deque(work.plan.of(device))
        self._held: dict[str, Held] = {}
        self.update_bytes = self.links = 0
        self.is_linked = False

    def run(self) -> None:
        """Be linked, and write, until the load is over."""
        try:
            while not self._work.over:
                try:
                    self._serve()
                except Closed as closed:
                    if closed.code not in PASSING:
                        raise
                    time.sleep(AGAIN_SECONDS)
        except BaseException as error:
            self._work.told(set(), f"{self.name}: {error!r}")
            raise

    def _serve(self) -> None:
        clock = self._work.clock
        link = SealedClient(self._port, self._member, source=self._source)
        try:
            self._begin()
            self.is_linked = True
            self._say(link, [self._open(name) for name, held in self._held.items()])
            while not self._work.over:
                can_write = self._may_write()
                asked = clock.asked if clock else 0.0
                for record in link.heard(0.0 if can_write else LOOK_SECONDS):
                    self._say(link, self._take(record))
                self._say(link, self._write() or self._alive())
                if clock and asked == clock.asked:
                    clock.saw(self._device, asked)
        finally:
            self.is_linked = False
            link.close()

    def _begin(self) -> None:
        """A new link: nothing is bound, nothing is under way."""
        self.links += 1
        self._said_at = self._now()
        self._handle = self._sent = 0
        # Numbers of updates by the number of the record that brought them, in order.
        self._under_way: deque[tuple[int, str, tuple[int, ...]]] = deque()
        for held in self._held.values():
            held.handle, held.is_open = 0, False

    def _may_write(self) -> bool:
        room = len(self._under_way) < WINDOW
        return room and bool(self._todo) and self._todo[0].number < self._work.limit

    def _write(self) -> list[m.Record]:
        spoken: list[m.Record] = []
        for _ in range(AT_ONCE):
            if not self._may_write():
                break
            change = self._todo.popleft()
            held = self._held.setdefault(change.document, Held(self._client))
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
            if self._work.plan.last[self._device, document] in acked and not held.unacked:
                del self._held[document]
                spoken.append(m.Close(held.handle))
        self._work.told(acked)
        return spoken

    def _alive(self) -> list[m.Record]:
        """Who said nothing for a while says that it is there (docs/protocol.md, PING)."""
        return [m.Ping(0)] if self._now() - self._said_at >= SILENCE_SECONDS else []

    def _say(self, link: SealedClient, spoken: list[m.Record]) -> None:
        if spoken:
            link.say(*spoken)
            self._said_at = self._now()

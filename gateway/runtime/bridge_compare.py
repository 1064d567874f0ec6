"""Compares what is here with what a hub has, now and then, and brings what differs.

docs/protocol.md section 12. What goes on is decided in ``core.comparison``.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from gateway.core.bridge_items import Ask, Change, Item, Turn
from gateway.core.comparison import Comparison, Due
from gateway.core.errors import PeerError
from gateway.core.events import Survey
from gateway.core.reconcile import SALT_BYTES, Catalogue
from gateway.ports import Clock
from gateway.runtime.bridge_inbox import Declined
from gateway.runtime.bridge_relay import MESSAGE_BYTES, Upwards
from gateway.runtime.bridge_shelf import READ_AT_ONCE, Shelf
from gateway.runtime.bridge_talk import RECORD_BYTES, Talk
from gateway.runtime.perform import Performer

# How often it is looked whether all documents were surveyed, or whether there is an answer.
LOOK_SECONDS = 1.0
# Turns that wait; the hub has one to answer at a time.
MOST_TURNS = 4
# Documents of which something is missing, that are asked about apart from a comparison.
MOST_MISSED = 1_000

# After one that came to its end; whether there is reason for another one at once.
OnEnded = Callable[[], Awaitable[bool]]


class Compare:
    """``collections``: those that take part; None: all. ``wanted``: those of which changes are
    taken. ``chance()`` is from 0 to 1."""

    def __init__(
        self,
        collections: Collection[str] | None,
        wanted: Collection[str],
        upwards: Upwards,
        shelf: Shelf,
        talk: Talk,
        performer: Performer,
        declined: Declined,
        draw: Callable[[int], bytes],
        clock: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._collections = collections
        self._wanted = frozenset(wanted)
        self._upwards = upwards
        self._shelf = shelf
        self._talk = talk
        self._performer = performer
        self._decline = declined
        self._draw = draw
        self._now = clock.monotonic
        self._chance = chance
        self._due = Due()
        self._running: Comparison | None = None
        self._turns: list[bytes] = []
        self._missed: dict[str, None] = {}
        self._news = asyncio.Event()
        self._woken = asyncio.Event()
        # When one came to its end last, and how many documents differed and were left out then.
        self.ended_at: float | None = None
        self.differed = self.unanswered = 0

    @property
    def left(self) -> int:
        """How many documents are still to be compared, as far as is known."""
        return 0 if self._running is None else self._running.left

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        return self._running is not None

    def started(self) -> None:
        """A worker of the hub started."""
        self._due.started(self._now(), self._chance())
        self._woken.set()

    def turned(self, ranges: bytes) -> None:
        """The hub's turn."""
        if len(self._turns) < MOST_TURNS:
            self._turns.append(ranges)
            self._news.set()

    def told(self, document: str) -> None:
        """The hub said something of a document."""
        if self._running is not None:
            self._running.answered(document, self._now())
            self._news.set()

    def missed(self, document: str) -> None:
        """A change of the hub refers to what is not here."""
        if len(self._missed) < MOST_MISSED:
            self._missed[document] = None
            self._woken.set()

    async def asked(self, asks: Sequence[Ask], fingerprints: Mapping[str, bytes]) -> None:
        """The hub asks what it lacks."""
        limit = self._talk.limit - RECORD_BYTES
        changes: list[Change] = []
        answered: list[str] = []
        for first in range(0, len(asks), READ_AT_ONCE):
            some = asks[first : first + READ_AT_ONCE]
            known = {a.document: (a.state_vector, fingerprints.get(a.document, b"")) for a in some}
            changes += await self._shelf.lacking(known, limit)
            answered += known
            is_last = first + READ_AT_ONCE >= len(asks)
            if is_last or sum(len(change.update) for change in changes) >= MESSAGE_BYTES:
                # What is not taken is found to differ the next time.
                if changes and not await self._talk.tell(changes):
                    return
                for document in answered:
                    self.told(document)
                changes, answered = [], []

    async def serve(self, on_ended: OnEnded) -> None:
        """Compare when it is time, until the connection is lost. Raises ``GatewayError``."""
        self._due.connected()
        try:
            while True:
                await self._talk.until_heard()
                await self._upwards.caught_up.wait()
                if await self._is_time():
                    await self._compare(on_ended)
        finally:
            self._running = None

    async def _is_time(self) -> bool:
        """Wait until a comparison is due; False: something else was to be done."""
        self._woken.clear()
        if self._missed:
            missed, self._missed = list(self._missed), {}
            await self._talk.tell(await self._shelf.asks(missed))
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._due.seconds(self._now())):
                await self._woken.wait()
                return False
        return self._talk.is_heard

    async def _compare(self, on_ended: OnEnded) -> None:
        self._due.began(self._now())
        catalogue = await self._catalogue()
        salt, limit = self._draw(SALT_BYTES), self._talk.limit - RECORD_BYTES
        one = Comparison(catalogue, salt, self._collections, self._wanted, limit, self._now())
        self._running, self._turns = one, []
        try:
            went_on = await self._say(one, [Turn(one.opening())])
            while went_on and one.look(self._now()):
                went_on = await self._go_on(one)
        except PeerError as error:
            self._decline(f"a turn of the exchange ({error.code.word}: {error.reason})")
        finally:
            self._running = None
        self.differed, self.unanswered = one.differed, one.unanswered
        if not one.is_whole:
            self._due.failed(self._now(), self._chance())
            if not one.heard:
                self._talk.lost()
            return
        self.ended_at = self._now()
        again = await on_ended()
        self._due.ended(self._now(), self._chance(), more=one.more or again)

    async def _go_on(self, one: Comparison) -> bool:
        """One step; whether it was taken."""
        self._news.clear()
        if self._turns:
            reply = one.turn(self._turns.pop(0), self._now())
            return await self._say(one, [Turn(reply)] if reply is not None else [])
        documents = one.next(self._upwards.relay.waits)
        if documents:
            return await self._say(one, await self._shelf.asks(documents))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._news.wait()
        return True

    async def _say(self, one: Comparison, items: Sequence[Item]) -> bool:
        is_taken = not items or await self._talk.tell(items)
        one.said(self._now())
        return is_taken

    async def _catalogue(self) -> Catalogue:
        """All that is here; the first time all documents are read for it."""
        selections = self._performer.hub.selections
        catalogue = selections.catalogue()
        if catalogue is None:
            self._performer.perform([Survey()])
        while catalogue is None:
            await asyncio.sleep(LOOK_SECONDS)
            catalogue = selections.catalogue()
        return catalogue

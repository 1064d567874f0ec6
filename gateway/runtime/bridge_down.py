"""Takes what a hub sends, and hands it to who is concerned; what is wrong reaches nobody.

docs/protocol.md section 12.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from gateway.core.bridge import Message
from gateway.core.bridge_envelope import open_down
from gateway.core.bridge_items import Answer, Ask, Change, Item, Nothing, Pong, Turn, read
from gateway.core.bridge_topics import Topics
from gateway.core.cloud_session import CloudSession
from gateway.core.errors import Code, PeerError
from gateway.core.events import UpdateReceived
from gateway.core.membership import Membership
from gateway.ports import BrokerLink
from gateway.runtime.bridge_inbox import Declined, Inbox
from gateway.runtime.peer import BACKLOG_PAUSE_SECONDS, TURN_MESSAGES, take
from gateway.runtime.perform import Performer
from gateway.runtime.threads import Helper

# A message above this is opened beside the loop.
HEAVY_BYTES = 8_192
# After some items nothing is taken for as long as they took, but not longer than this.
REST_SECONDS = 0.05
# Messages of which something is not yet on the disk or answered; then no more are read.
MOST_UNDECIDED = 8


class Concerned(Protocol):
    """Who is told what else a hub says."""

    def answered(self, nonce: int) -> None:
        """It is there."""

    def mistaken(self) -> None:
        """What came to our own topic was signed by another key than the hub's."""

    def turned(self, ranges: bytes) -> None:
        """Its turn of the exchange."""

    def told(self, document: str) -> None:
        """It answered a question about a document, and that is on the disk."""

    def missed(self, document: str) -> None:
        """A change of it refers to what is not here."""

    async def asked(self, asks: Sequence[Ask], fingerprints: dict[str, bytes]) -> None:
        """It asks what it lacks; ``fingerprints`` of what it has, where it told."""


class Downwards:
    """``hub``: its public key; ``collections``: those it may change here; ``sends(document)``:
    whether it may have a document."""

    def __init__(
        self,
        hub: bytes,
        collections: Collection[str],
        sends: Callable[[str], bool],
        membership: Callable[[], Membership | None],
        concerned: Concerned,
        performer: Performer,
        helper: Helper,
        declined: Declined,
    ) -> None:
        self._hub = hub
        self._sends = sends
        self._membership = membership
        self._concerned = concerned
        self._performer = performer
        self._helper = helper
        self._decline = declined
        self._session = CloudSession(collections, self._decided, concerned.missed)
        self._number = 0
        self._deciding: dict[int, asyncio.Future[bool]] = {}
        # How many items were taken, and how long the last of them took.
        self._items = 0
        self._took = 0.0
        # Changes that were taken, since the start.
        self.taken = 0

    async def serve(self, link: BrokerLink, topics: Topics, inbox: Inbox) -> None:
        """Take what comes until the connection is lost."""
        room = asyncio.Semaphore(MOST_UNDECIDED)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await room.acquire()
                message = await inbox.message(topics.down)
                items = await self._opened(message)
                deciding = await self._take(items)
                work = self._finish(link, message, items, deciding)
                tasks.create_task(work).add_done_callback(lambda _: room.release())

    async def _opened(self, message: Message) -> Sequence[Item]:
        """What a message holds; nothing if it is not a message of the hub for us."""
        if message.retained:
            self._decline("a retained message of the hub")
            return ()
        membership = self._membership()
        assert membership is not None
        arguments = (message.payload, self._hub, membership.store, membership.peer)
        try:
            if len(message.payload) > HEAVY_BYTES:
                return await self._helper.run(_read, *arguments)
            return _read(*arguments)
        except PeerError as error:
            self._decline(f"a message of the hub ({error.code.word}: {error.reason})")
            if error.code is Code.UNAUTHORISED:
                self._concerned.mistaken()
            return ()

    async def _take(self, items: Iterable[Item]) -> list[asyncio.Future[bool]]:
        """Hand the changes over in their order, and the rest to who is concerned."""
        deciding = []
        loop = asyncio.get_running_loop()
        for item in items:
            began = loop.time()
            deciding += await self._take_one(item)
            self._took += loop.time() - began
            self._items += 1
            if not self._items % TURN_MESSAGES:
                # Devices come first, however much the hub has to bring.
                await asyncio.sleep(min(max(self._took, BACKLOG_PAUSE_SECONDS), REST_SECONDS))
                self._took = 0.0
        return deciding

    async def _take_one(self, item: Item) -> list[asyncio.Future[bool]]:
        match item:
            case Change(document, update):
                return await self._hand_over(document, update, answer=False)
            case Answer(document, _, update):
                return await self._hand_over(document, update, answer=True)
            case Ask() | Nothing():
                # Answered once the rest of the message is on the disk.
                pass
            case Turn(ranges):
                self._concerned.turned(ranges)
            case Pong(nonce):
                self._concerned.answered(nonce)
            case _:
                self._decline("what only a gateway says")
        return []

    async def _hand_over(
        self, document: str, update: bytes, *, answer: bool
    ) -> list[asyncio.Future[bool]]:
        if not self._session.may_write(document):
            self._decline("a change of a collection that mqtt.down does not name")
            return []
        self._number += 1
        number = self._number
        decided: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._deciding[number] = decided
        self._session.expect(number)
        event = UpdateReceived(document, update, number, answer=answer, more=False)
        try:
            await take(self._session, event, self._performer, self._helper)
        except BaseException:
            self._session.give_up(number)
            del self._deciding[number]
            raise
        return [decided]

    async def _finish(
        self,
        link: BrokerLink,
        message: Message,
        items: Sequence[Item],
        deciding: Sequence[asyncio.Future[bool]],
    ) -> None:
        """Once its changes are on the disk or refused, a message is done, and is answered."""
        decided = [await one for one in deciding]
        self.taken += sum(decided)
        link.done(message)
        answers = {i.document: i.fingerprint for i in items if isinstance(i, Answer)}
        asks = {i.document: i for i in items if isinstance(i, Ask)}
        known = [ask for document, ask in asks.items() if self._sends(document)]
        for document in (answers.keys() | asks.keys()) - {ask.document for ask in known}:
            if self._session.may_write(document):
                self._concerned.told(document)
            elif document in asks:
                self._decline("a question about a collection that the settings do not name")
        for item in items:
            if isinstance(item, Nothing):
                self._concerned.told(item.document)
        if known:
            await self._concerned.asked(known, answers)

    def _decided(self, number: int, code: Code | None, reason: str) -> None:
        if code is not None:
            self._decline(f"a change of the hub ({code.word}: {reason})")
        decided = self._deciding.pop(number)
        # Whoever waited for it may be gone.
        if not decided.done():
            decided.set_result(code is None)


def _read(payload: bytes, hub: bytes, store: bytes, peer: bytes) -> list[Item]:
    return read(open_down(payload, hub, store, peer))

"""What a small device may forget, and when."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.core.document import DocumentBroken
from gateway.core.errors import GatewayError
from gateway.core.events import DocumentOpened, UpdateReceived
from gateway.core.hub import Hub, Quotas
from gateway.core.records import Change
from gateway.core.selections import Interest
from gateway.core.session import Progress, Standing
from gateway.runtime.eviction import Eviction
from gateway.runtime.perform import Performer
from tests.core.edits import Author
from tests.core.sessions import RecordingSession
from tests.runtime.memory import NoLink
from tests.runtime.test_perform import Running, asynchronous, running, until

OURS = 77
WANTED, OLD, NEWER = "orders/1", "menu/1", "menu/2"


class Peer(RecordingSession):
    """A gateway that has everything on its disk."""

    large = True


class Device(Running):
    """A small device that wants orders, with three documents in its store."""

    def __init__(self, one: Running) -> None:
        self.store, self.note, self.failed, self.helper = (
            one.store, one.note, one.failed, one.helper,
        )  # fmt: skip
        self.sizes: dict[str, int] = {}
        for number, name in enumerate((WANTED, OLD, NEWER), 1):
            update = Author(number).set("text", "x" * 1_000)
            self.sizes[name] = len(update)
            self.store.rows.append(Change(name, update, "somebody"))
        quotas = Quotas(1 << 30, 1 << 30, 1 << 30)
        self.hub = Hub(quotas, {}, frozenset(), interests=[Interest("orders", "")])
        self.performer = Performer(
            self.hub, self.store, self.note, self.helper, self.failed.append
        )  # fmt: skip

    def eviction(self, storage: int = 0, *, always: bool = True) -> Eviction:
        return Eviction(self.performer, self.store, OURS, storage, always=always)

    def gateway(self) -> Peer:
        session = Peer("gateway")
        self.performer.join(session, NoLink())
        return session

    async def opens(self, session: Peer, *names: str) -> None:
        """The gateway opens these, and is known to have all of them."""
        for name in names:
            await self.performer.take(session, DocumentOpened(name, b"\x00"))
            # Its own answer: it has nothing that is not here.
            event = UpdateReceived(name, b"\x00\x00", 1, answer=True, more=False)
            await self.performer.take(session, event)
        await until(lambda: not session.outbox and not self.hub.due)


@asynccontextmanager
async def device() -> AsyncIterator[Device]:
    async with running() as one:
        small = Device(one)
        small.performer.writer.start()
        small.performer.perform(small.hub.selections.begin())
        await until(lambda: small.hub.selections.unwanted(OLD))
        await until(lambda: (None, "orders") in small.hub.selections._scanned)
        try:
            yield small
        finally:
            small.performer.writer.close()
            small.performer.close()


@asynchronous
async def test_alone_it_keeps_everything() -> None:
    async with device() as small:
        assert await small.eviction().look() == 0
        assert small.store.names() == [OLD, NEWER, WANTED]


@asynchronous
async def test_what_a_gateway_is_not_known_to_have_is_offered_to_it_first() -> None:
    async with device() as small:
        session = small.gateway()
        assert await small.eviction().look() == 0
        await until(lambda: {name for name, _ in session.asked} == {OLD, NEWER})
        await small.opens(session, OLD, NEWER)
        session.far = Progress(Standing.SENT, 1)
        assert await small.eviction().look() == 0, "it is on its way"
        session.far = Progress(Standing.DECLINED)
        assert await small.eviction().look() == 0, "it was not taken"
        session.far = Progress(Standing.HAS)
        assert await small.eviction().look() == 2
        assert small.store.names() == [WANTED] and session.finished == [OLD, NEWER]


@asynchronous
async def test_over_its_storage_the_longest_unchanged_goes_first() -> None:
    async with device() as small:
        await small.opens(small.gateway(), OLD, NEWER)
        whole = sum(small.sizes.values())
        assert await small.eviction(whole, always=False).look() == 0
        assert await small.eviction(whole - 1, always=False).look() == 1
        assert small.store.names() == [NEWER, WANTED]
        assert await small.eviction(1, always=False).look() == 1
        assert small.store.names() == [WANTED], "what is subscribed to stays, over it or not"


@asynchronous
async def test_what_this_process_wrote_or_is_not_done_with_stays() -> None:
    async with device() as small:
        session = small.gateway()
        await small.opens(session, OLD, NEWER)
        update = Author(OURS).set("a", 1)
        event = UpdateReceived(OLD, update, 2, answer=False, more=False)
        await small.performer.take(session, event)
        await until(lambda: not small.hub.due)
        early = Author(9)
        early.set("a", 1)
        later = UpdateReceived(NEWER, early.set("b", 2), 3, answer=False, more=False)
        await small.performer.take(session, later)
        await until(lambda: not small.hub.due)
        assert small.hub.rooms[NEWER].document is not None
        assert small.hub.rooms[NEWER].document.early
        assert await small.eviction().look() == 0


@asynchronous
async def test_what_a_small_peer_has_open_stays() -> None:
    async with device() as small:
        session, phone = small.gateway(), small.join("phone")
        await small.opens(session, OLD, NEWER)
        await small.performer.take(phone, DocumentOpened(OLD, b"\x00"))
        assert await small.eviction().look() == 1
        assert small.store.names() == [OLD, WANTED]


@asynchronous
async def test_a_disk_that_takes_nothing_and_a_document_that_cannot_be_read() -> None:
    async with device() as small:
        await small.opens(small.gateway(), OLD, NEWER)
        small.store.failures.append(GatewayError("store-full", "full"))
        assert await small.eviction().look() == 2
        assert small.store.names() == [OLD, NEWER, WANTED]
        load = small.performer.load

        async def broken(document: str) -> None:
            if document == OLD:
                raise DocumentBroken(document, "broken")
            await load(document)

        small.performer.load = broken  # type: ignore[method-assign]
        assert await small.eviction().look() == 0
        assert OLD in small.store.names()

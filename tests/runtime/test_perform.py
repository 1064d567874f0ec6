"""The performer: what happens to peers when a document, or a turn, goes wrong."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from functools import partial, wraps

import pytest

from gateway.core import meter, selections
from gateway.core.document import Document, DocumentBroken
from gateway.core.errors import Code, GatewayError
from gateway.core.events import DocumentOpened, Subscribed, UpdateReceived
from gateway.core.hub import Hub, Quotas
from gateway.core.outbox import Answer
from gateway.core.records import Change
from gateway.core.selector import Selector
from gateway.core.session import State
from gateway.core.split import split_update
from gateway.runtime import answers, perform
from gateway.runtime.perform import Performer, Watcher
from gateway.runtime.threads import Helper
from tests.core.edits import Author
from tests.core.sessions import RecordingSession
from tests.runtime.memory import MemoryNote, MemoryStore, NoLink

NAME = "orders/1"
BROKEN = b"\x01\x01\x01\x00\x84\x00"


class Running:
    """A performer over a memory store."""

    def __init__(self, watcher: Watcher | None = None, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.note = MemoryNote()
        self.failed: list[GatewayError] = []
        quotas = Quotas(1 << 30, 1 << 30, 1 << 30)
        self.hub = Hub(quotas, {}, frozenset())
        self.helper = Helper("test")
        self.performer = Performer(
            self.hub, self.store, self.note, self.helper, self.failed.append, watcher
        )

    def join(self, name: str) -> RecordingSession:
        session = RecordingSession(name)
        self.performer.join(session, NoLink())
        return session


@asynccontextmanager
async def running(
    watcher: Watcher | None = None, store: MemoryStore | None = None
) -> AsyncIterator[Running]:
    one = Running(watcher, store)
    one.performer.writer.start()
    try:
        yield one
    finally:
        await asyncio.to_thread(one.performer.close)
        one.helper.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        # What is waited for happens in the loop's own turns; there is no one event for it.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def has_all(session: RecordingSession) -> bool:
    return bool(session.heard) and not session.outbox


def asynchronous(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """A test that runs in a loop of its own."""

    @wraps(test)
    def run(*arguments: object, **fixtures: object) -> None:
        asyncio.run(test(*arguments, **fixtures))

    return run


@asynchronous
async def test_a_stored_document_that_does_not_load_turns_away_only_who_wants_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as one:
        one.store.rows.append(Change(NAME, BROKEN, ""))
        session = one.join("ada")
        await one.performer.take(session, DocumentOpened(NAME, b"\x00"))
        update = UpdateReceived(NAME, Author(1).set("a", 1), 1, answer=False, more=False)
        await one.performer.take(session, update)
        await until(lambda: session.acknowledged == 1)
        assert session.denials == [(NAME, Code.UNAVAILABLE)]
        assert session.refusals == [(1, Code.UNAVAILABLE)]
        other = UpdateReceived("orders/2", Author(2).set("a", 1), 2, answer=False, more=False)
        await one.performer.take(session, other)
        await until(lambda: session.acknowledged == 2)
        assert one.failed == [] and session.state is State.OPEN
    assert "orders/1 cannot be read" in caplog.text


@asynchronous
async def test_a_document_that_breaks_while_it_answers_is_read_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as one:
        session = one.join("ada")
        breaks = [NAME]
        whole = one.hub.answer

        def answer(document: str, state_vector: bytes) -> Answer | None:
            if breaks:
                raise DocumentBroken(breaks.pop(), "a test")
            return whole(document, state_vector)

        monkeypatch.setattr(one.hub, "answer", answer)
        await one.performer.take(session, DocumentOpened(NAME, b"\x00"))
        await until(lambda: session.state is State.CLOSED and not one.hub.needs(NAME))
        assert session.farewell is not None and session.farewell.code is Code.RESET
        assert one.failed == []
    assert "a test" in caplog.text


@asynchronous
async def test_an_error_in_a_turn_ends_the_gateway_and_stays_in_the_note(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as one:
        session = one.join("ada")
        await one.performer.take(session, DocumentOpened(NAME, b"\x00"))

        def fails() -> list[object]:
            raise ZeroDivisionError("a test")

        monkeypatch.setattr(one.hub, "turn", fails)
        change = Author(1).set("a", 1)
        update = UpdateReceived(NAME, change, 1, answer=False, more=False)
        await one.performer.take(session, update)
        await until(lambda: bool(one.failed))
        assert [error.code for error in one.failed] == ["internal"]
        assert one.note.applying == [(NAME, "ada", change)]
        assert session.acknowledged == 0
    assert "an error of this program" in caplog.text


@asynchronous
async def test_a_large_answer_is_cut_beside_the_loop_and_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuts = []

    def cut(update: bytes, limit: int) -> list[bytes]:
        cuts.append(threading.current_thread().name)
        return split_update(update, limit)

    monkeypatch.setattr(answers, "split_update", cut)
    async with running() as one:
        author = Author(1)
        writer = one.join("writer")
        await one.performer.take(writer, DocumentOpened(NAME, b"\x00"))
        for number in range(5):
            update = author.set(f"note {number}", "x" * 80_000)
            event = UpdateReceived(NAME, update, 1, answer=False, more=False)
            await one.performer.take(writer, event)
        await until(lambda: not one.hub.due)
        for name in ("reader", "later"):
            reader = one.join(name)
            reader.limit = 100_000
            await one.performer.take(reader, DocumentOpened(NAME, b"\x00"))
            await until(partial(has_all, reader))
            copy = Author(2)
            for part in reader.heard:
                copy.take(part)
            assert copy.read() == author.read()
        assert len(cuts) == 1 and cuts[0].startswith("test")
        assert one.failed == []


@asynchronous
async def test_a_large_answer_is_made_once_for_all_who_join(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[bytes] = []
    original = Document.diff

    def diff(self: Document, known: bytes) -> bytes:
        made.append(known)
        return original(self, known)

    monkeypatch.setattr(Document, "diff", diff)
    monkeypatch.setattr(answers, "LARGE_BYTES", 100)
    async with running() as one:
        author, sessions = Author(1), [one.join(str(number)) for number in range(4)]
        await one.performer.take(
            sessions[0], UpdateReceived(NAME, author.set("a", "x" * 200), 1, False, False)
        )
        await until(lambda: not one.hub.due)
        for session in sessions:
            await one.performer.take(session, DocumentOpened(NAME, b"\x00"))
        await until(lambda: all(session.heard for session in sessions))
        assert made == [b"\x00"]
        await one.performer.take(
            sessions[0], UpdateReceived(NAME, author.set("a", "y" * 200), 2, False, False)
        )
        await until(lambda: not one.hub.due)
        late = one.join("late")
        await one.performer.take(late, DocumentOpened(NAME, b"\x00"))
        await until(lambda: bool(late.heard))
        reader = Author(9)
        reader.take(late.heard[0])
        assert reader.read() == {"a": "y" * 200} and len(made) == 2


@asynchronous
async def test_an_error_beside_the_loop_ends_the_gateway(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(update: bytes, limit: int) -> list[bytes]:
        raise ZeroDivisionError("a test")

    monkeypatch.setattr(answers, "split_update", fails)
    async with running() as one:
        session = one.join("ada")
        await one.performer.take(session, DocumentOpened(NAME, b"\x00"))
        update = Author(1).set("a", "x" * 1_000)
        event = UpdateReceived(NAME, update, 1, answer=False, more=False)
        await one.performer.take(session, event)
        reader = one.join("bea")
        reader.limit = 10
        await one.performer.take(reader, DocumentOpened(NAME, b"\x00"))
        await until(lambda: bool(one.failed))
        assert one.failed[0].code == "internal"
    assert "a test" in caplog.text


@asynchronous
async def test_a_session_that_fails_hurts_only_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(documents: object) -> list[bytes]:
        raise ZeroDivisionError("a test")

    async with running() as one:
        ada, bea = one.join("ada"), one.join("bea")
        monkeypatch.setattr(ada, "data_to_send", fails)
        for session in (ada, bea):
            await one.performer.take(session, DocumentOpened(NAME, b"\x00"))
        await until(lambda: ada.state is State.CLOSED and bool(bea.heard))
        assert bea.state is State.OPEN and one.failed == []
    assert "a session failed" in caplog.text


def subscribed(number: int, text: str) -> Subscribed:
    return Subscribed(number, "orders", Selector(text))


@asynchronous
async def test_a_subscription_finds_what_is_stored_and_asked_again_looks_again() -> None:
    async with running() as one:
        for number in range(20):
            fields = Author(number + 1).set("station", "grill" if number % 2 else "bar")
            one.store.rows.append(Change(f"orders/{number}", fields, ""))
        one.store.rows += [Change("orders/broken", BROKEN, ""), Change("menu/1", BROKEN, "")]
        session = one.join("screen")
        await one.performer.take(session, subscribed(1, '{"station": "grill"}'))
        await one.performer.take(session, subscribed(2, '{"station": "bar"}'))
        await until(lambda: len(session.asked) == 20)
        assert {name for name, _ in session.asked} == {f"orders/{n}" for n in range(20)}
        assert one.failed == []


@asynchronous
async def test_a_walk_waits_for_its_share_of_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "STEPS_A_TICK", 1_000)
    async with running() as one:
        for number in range(6):
            rows = Author(number + 1).set("l", [1] * 300)
            one.store.rows.append(Change(f"orders/{number}", rows, ""))
        greedy = one.join("greedy")
        await one.performer.take(greedy, subscribed(1, '{"l": {"$elemMatch": {"$in": [1]}}}'))
        await until(lambda: len(greedy.asked) == 1)
        other = one.join("other")
        other.address = "10.0.0.1:1"
        await one.performer.take(other, subscribed(1, ""))
        await until(lambda: len(other.asked) == 6)
        asked = [len(greedy.asked)]
        while asked[-1] < 6:
            one.performer.tick(1.0)
            await until(lambda: len(greedy.asked) > asked[-1])
            asked.append(len(greedy.asked))
        assert asked == [1, 2, 3, 4, 5, 6]


@asynchronous
async def test_who_does_not_answer_is_brought_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "UNANSWERED", 2)
    monkeypatch.setattr(perform, "UNANSWERED_SECONDS", 3_600.0)
    async with running() as one:
        one.store.rows += [Change(f"orders/{n}", Author(n + 1).set("a", 1), "") for n in range(6)]
        session = one.join("screen")
        await one.performer.take(session, subscribed(1, ""))
        await until(lambda: len(session.asked) == 2)
        other = one.join("other")
        await one.performer.take(other, Subscribed(1, "menu", Selector("")))
        await until(lambda: len(one.performer._scans._queues) == 1)
        assert len(session.asked) == 2
        for task in one.performer._scans._tasks:
            task.cancel()


@asynchronous
async def test_a_scan_ends_with_its_session_and_a_lost_store_is_said() -> None:
    async with running() as one:
        one.store.rows += [Change(f"orders/{n}", Author(n + 1).set("a", 1), "") for n in range(500)]
        session = one.join("screen")
        await one.performer.take(session, subscribed(1, ""))
        await until(lambda: len(session.asked) > 0)
        one.performer.leave(session)
        await until(lambda: not one.performer._scans._queues)
        assert len(session.asked) < 500

        def fails(collection: str = "") -> list[str]:
            raise GatewayError("store-failed", "the disk failed")

        one.performer._stored_names = fails
        other = one.join("other")
        await one.performer.take(other, subscribed(1, ""))
        await until(lambda: [error.code for error in one.failed] == ["store-failed"])


@asynchronous
async def test_it_is_told_which_documents_are_on_the_disk_and_not_before() -> None:
    written: set[str] = set()

    class Listening(Watcher):
        def stored(self, documents: Collection[str]) -> None:
            written.update(documents)

    async with running(Listening()) as one:
        session = one.join("ada")
        names = [f"orders/{number}" for number in range(3)]
        for name in names:
            await one.performer.load(name)
        one.store.gate.clear()
        for number, name in enumerate(names):
            update = UpdateReceived(name, Author(1).set("a", 1), number, answer=False, more=False)
            await one.performer.take(session, update)
        await asyncio.sleep(0.05)
        assert not written
        one.store.gate.set()
        await until(lambda: len(written) == 3)
        assert written == set(names)

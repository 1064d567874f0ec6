"""The performer: what happens to peers when a document, or a turn, goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps

import pytest

from gateway.core.document import DocumentBroken
from gateway.core.errors import Code, GatewayError
from gateway.core.events import DocumentOpened, UpdateReceived
from gateway.core.hub import Hub, Quotas
from gateway.core.outbox import Answer
from gateway.core.records import Change
from gateway.core.session import State
from gateway.runtime.perform import Performer
from tests.core.edits import Author
from tests.core.sessions import RecordingSession
from tests.runtime.memory import MemoryNote, MemoryStore, NoLink

NAME = "orders/1"
BROKEN = b"\x01\x01\x01\x00\x84\x00"


class Running:
    """A performer over a memory store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.note = MemoryNote()
        self.failed: list[GatewayError] = []
        quotas = Quotas(1 << 30, 1 << 30, 1 << 30)
        self.hub = Hub(quotas, {}, frozenset())
        self.performer = Performer(self.hub, self.store, self.note, self.failed.append)

    def join(self, name: str) -> RecordingSession:
        session = RecordingSession(name)
        self.performer.join(session, NoLink())
        return session


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    one = Running()
    one.performer.writer.start()
    try:
        yield one
    finally:
        await asyncio.to_thread(one.performer.close)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        # What is waited for happens in the loop's own turns; there is no one event for it.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


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
    assert "a turn failed" in caplog.text

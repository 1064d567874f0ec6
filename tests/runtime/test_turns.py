"""Turns of exchanges: who is over its budget is answered late, and read all the while."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.core.errors import Code
from gateway.core.events import Compared, Event, LinkEvent, Unsubscribed
from gateway.core.session import State
from gateway.runtime import turns as turns_module
from gateway.runtime.budget import Budget
from gateway.runtime.peer import serve
from gateway.runtime.perform import Performer
from gateway.runtime.turns import Turns
from tests.core.sessions import RecordingSession
from tests.runtime.memory import NoLink
from tests.runtime.test_budget import Watch
from tests.runtime.test_perform import Running, asynchronous, running, until


class Paused(Budget):
    """Nobody may go on while ``seconds`` are left."""

    def __init__(self) -> None:
        super().__init__(Watch())
        self.seconds = 0.001

    def pause(self, address: str, used: float) -> float:
        return self.seconds


class Answered(Performer):
    """Remembers the turns it was given."""

    turns: list[tuple[int, bytes]]

    def link(self, session: object, event: LinkEvent) -> None:
        assert isinstance(event, Compared)
        self.turns.append((event.number, event.payload))


def turns_of(one: Running, session: RecordingSession, budget: Budget) -> Turns:
    one.performer.__class__ = Answered
    assert isinstance(one.performer, Answered)
    one.performer.turns = []
    return Turns(session, one.performer, budget)


@asynchronous
async def test_turns_wait_in_order_and_those_of_a_changed_subscription_are_forgotten() -> None:
    async with running() as one:
        session, budget = one.join("ada"), Paused()
        turns = turns_of(one, session, budget)
        for number in (1, 2, 1):
            turns.take(Compared(number, False, b"x"))
        turns.take(Compared(1, True, b"y"))
        turns.forget(1)
        answered = one.performer.__dict__["turns"]
        await asyncio.sleep(0.01)
        assert answered == []
        budget.seconds = 0.0
        await until(lambda: len(answered) == 2)
        assert answered == [(2, b"x"), (1, b"y")]
        turns.take(Compared(3, False, b"z"))
        assert answered[-1] == (3, b"z"), "at once when nothing waits"
        turns.close()


@asynchronous
async def test_too_much_that_waits_ends_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "MAX_WAITING_BYTES", 10)
    async with running() as one:
        session = one.join("ada")
        turns = turns_of(one, session, Paused())
        for _ in range(2):
            turns.take(Compared(1, False, b"x" * 6))
        assert session.farewell is not None and session.farewell.code is Code.TOO_MANY
        turns._go_on()
        turns.close()
        assert one.performer.__dict__["turns"] == []


class Comparing(RecordingSession):
    """Takes a turn with each message."""

    def __init__(self) -> None:
        super().__init__("ada")
        self.read: list[bytes] = []

    def receive(self, data: bytes) -> Sequence[Event]:
        self.read.append(data)
        return (Compared(1, False, b""), Unsubscribed(7))


class Talking(NoLink):
    """Gives a message at a time, then ends."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)

    async def recv(self) -> list[bytes]:
        return [self.messages.pop(0)] if self.messages else []


@asynchronous
async def test_a_link_is_read_while_its_turn_waits() -> None:
    async with running() as one:
        session, budget = Comparing(), Paused()
        budget.seconds = 3_600.0
        await serve(Talking(b"1", b"2", b"3"), session, one.performer, one.helper, budget)
        assert session.read == [b"1", b"2", b"3"] and session.state is State.OPEN
        assert session.turns == []

"""What is read of a peer while its link takes nothing."""

import asyncio
from collections.abc import Sequence

from gateway.core.events import DocumentOpened, Event, UpdateReceived
from gateway.core.session import State
from gateway.runtime.budget import Budget
from gateway.runtime.peer import MOST_RECORDS, serve
from gateway.runtime.threads import Helper
from tests.core.sessions import RecordingSession
from tests.runtime.memory import NoLink

CHANGE = UpdateReceived("orders/1", b"\x00\x00", 1, answer=False, more=False)
OPENED = DocumentOpened("orders/1", b"\x00")


class Congested(NoLink):
    """A link with one message that takes nothing."""

    congested = True

    def __init__(self) -> None:
        self.waits = 0
        self._messages = [[b"x"], []]

    async def recv(self) -> list[bytes]:
        return self._messages.pop(0)

    async def writable(self) -> None:
        self.waits += 1
        self.congested = False


class Saying(RecordingSession):
    """A peer that says these in its only message."""

    def __init__(self, *said: Event) -> None:
        super().__init__()
        self._said = said

    def first_events(self) -> Sequence[Event]:
        return ()

    def receive(self, data: bytes) -> Sequence[Event]:
        return self._said


class Taken:
    """The part of a ``Performer`` that ``serve`` uses."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def join(self, session: object, link: object) -> None:
        pass

    def leave(self, session: object) -> None:
        pass

    def wake(self, session: object) -> None:
        pass

    async def take(self, session: object, event: Event) -> None:
        self.events.append(event)


def served(session: Saying) -> tuple[Congested, Taken]:
    link, performer = Congested(), Taken()

    async def run() -> None:
        helper = Helper("guard")
        try:
            await serve(link, session, performer, helper, Budget(Now()))  # type: ignore[arg-type]
        finally:
            helper.close()

    asyncio.run(run())
    return link, performer


class Now:
    """Satisfies ``Clock``."""

    def monotonic(self) -> float:
        return 0.0


def test_changes_are_read_while_the_link_takes_nothing() -> None:
    link, performer = served(Saying(CHANGE, CHANGE, CHANGE))
    assert link.waits == 0 and performer.events == [CHANGE] * 3


def test_what_makes_us_say_much_is_read_no_further() -> None:
    link, _ = served(Saying(OPENED, OPENED))
    assert link.waits == 1


def test_nor_are_changes_whose_answers_nobody_takes() -> None:
    session = Saying(CHANGE)
    session.outbox.records += [b"x"] * MOST_RECORDS
    link, _ = served(session)
    assert link.waits == 1


def test_a_closed_session_waits_for_nothing() -> None:
    session = Saying(OPENED)
    session.state = State.CLOSED
    assert served(session)[0].waits == 0

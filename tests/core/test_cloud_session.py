"""What a hub sends is decided on as what any peer sends."""

from gateway.core.cloud_session import CloudSession
from gateway.core.errors import Code
from gateway.core.events import DocumentOpened, Persist, UpdateReceived
from gateway.core.hub import MAX_HELD_BYTES, Hub, Quotas
from gateway.core.records import CLOUD, Change, StoredDocument
from gateway.core.session import State
from tests.core.edits import Author
from tests.core.sessions import RecordingSession

NAME = "menu/1"


class World:
    """A hub, a device in a document, and what comes from the cloud."""

    def __init__(self) -> None:
        self.decided: list[tuple[int, Code | None]] = []
        self.asked: list[str] = []
        self.session = CloudSession(
            ["menu"], lambda number, code, _: self.decided.append((number, code)), self.asked.append
        )
        self.hub = Hub(Quotas(1 << 30, 1 << 30, 1 << 30), {}, frozenset())
        self.records: list[Change] = []
        self._number = 0

    def device(self, name: str) -> RecordingSession:
        session = RecordingSession(name)
        self.hub.join(session)
        self.load(NAME)
        self.hub.handle(session, DocumentOpened(NAME, b"\x00"))
        return session

    def load(self, name: str) -> None:
        if self.hub.needs(name):
            self.hub.loaded(name, StoredDocument(b"", ()))

    def comes(self, update: bytes, name: str = NAME, *, answer: bool = False) -> int:
        self.load(name)
        self._number += 1
        self.session.expect(self._number)
        event = UpdateReceived(name, update, self._number, answer=answer, more=False)
        effects = self.hub.handle(self.session, event)
        self.settle([*effects, *self.hub.turn()])
        return self._number

    def settle(self, effects: object) -> None:
        assert isinstance(effects, list)
        for effect in effects:
            if isinstance(effect, Persist):
                self.records += [one for one in effect.records if isinstance(one, Change)]
                self.hub.stored(effect.receipts)


def test_a_change_is_written_as_the_clouds_and_reaches_who_is_there() -> None:
    world = World()
    device = world.device("till")
    number = world.comes(Author(1).set("name", "Tea"))
    assert world.decided == [(number, None)] and device.outbox
    assert [(one.document, one.peer) for one in world.records] == [(NAME, CLOUD)]


def test_what_it_may_not_write_is_refused_and_reaches_nobody() -> None:
    world = World()
    number = world.comes(Author(1).set("status", "open"), "orders/1")
    wrong = world.comes(b"garbage")
    assert world.decided == [(number, Code.FORBIDDEN), (wrong, Code.MALFORMED)]
    assert world.records == []


def test_it_is_asked_for_what_is_missing_but_not_after_an_answer() -> None:
    world = World()
    author = Author(1)
    author.set("a", 1)
    world.comes(author.set("b", 2))
    assert world.asked == [NAME]
    world.asked.clear()
    world.comes(author.set("c", 3), answer=True)
    assert world.asked == []


def test_nobody_writes_in_the_name_of_a_device_that_is_linked() -> None:
    world = World()
    device, author, forger = world.device("till"), Author(1), Author(1)
    first = author.set("a", 1)
    world.hub.handle(device, UpdateReceived(NAME, first, 1, answer=False, more=False))
    world.settle(world.hub.turn())
    # The answer to what it was asked when it came.
    nothing = UpdateReceived(NAME, b"\x00\x00", 2, answer=True, more=False)
    world.settle(world.hub.handle(device, nothing))
    forger.take(first)
    number = world.comes(forger.set("a", "forged"))
    assert world.decided == [] and len(world.records) == 1
    # It says what it has: nothing more.
    world.settle([*world.hub.handle(device, nothing), *world.hub.turn()])
    assert world.decided == [(number, Code.REFUSED)] and world.hub._held[world.session] == 0


def test_what_is_given_up_is_decided_once() -> None:
    world = World()
    for number in (1, 2, 3):
        world.session.expect(number)
    world.session.give_up(2)
    world.session.close(Code.TOO_BIG, "too much")
    world.session.acknowledge(1)
    assert world.decided == [(1, Code.TOO_BIG), (3, Code.TOO_BIG)]
    assert world.session.state is State.OPEN and not world.session.writes_as(1)
    assert world.session.address == "the cloud" and MAX_HELD_BYTES

"""A small peer is given what it subscribed to and nothing else, before and after a restart."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters.sqlite_store import SqliteStore
from gateway.core import messages as m
from gateway.core.records import Change
from tests.core.edits import Author
from tests.support.gateway import GatewayProcess
from tests.support.mesh import MeshClient

pytestmark = pytest.mark.integration

ORDERS = 40
GRILL = '{"station": "grill"}'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("subscriptions") / "data") as running:
        yield running


def name(number: int) -> str:
    return f"orders/{number:03}"


def station(number: int) -> str:
    return "grill" if number % 4 == 0 else "bar"


class Till(MeshClient):
    """Opens documents and writes to them."""

    def __init__(self, port: int) -> None:
        super().__init__(port, bytes([1] * 16))
        self.authors: dict[str, Author] = {}
        self.sent = 0

    def put(self, document: str, key: str, value: object) -> None:
        author = self.authors.get(document)
        if author is None:
            author = self.authors[document] = Author(1_000 + len(self.authors))
            self.say(m.Open(len(self.authors), document, b"\x00"))
        handle = list(self.authors).index(document) + 1
        self.say(m.Update(handle, author.set(key, value)))
        self.sent += 1

    def saved(self) -> None:
        while not isinstance(ack := self.hear(m.Ack), m.Ack) or ack.number < self.sent:
            pass


class Screen(MeshClient):
    """Subscribes, and takes what it is offered."""

    def __init__(self, port: int) -> None:
        super().__init__(port, bytes([2] * 16))
        self.names: dict[int, str] = {}
        self.copies: dict[str, Author] = {}
        self.handles: dict[str, int] = {}

    def settle(self) -> None:
        """Take everything that was on its way when we asked."""
        for nonce in (1, 2, 3):
            self.say(m.Ping(nonce))
            while not isinstance(self.take(), m.Pong):
                pass

    def take(self) -> m.Record:
        record = self.hear(m.Open, m.Diff, m.Update, m.Close, m.Pong)
        match record:
            case m.Open():
                self.names[record.handle] = record.document
                copy = self.copies.setdefault(record.document, Author(7))
                handle = self.handles.setdefault(record.document, len(self.handles) + 1)
                self.say(m.Open(handle, record.document, copy.state()))
                self.say(m.Diff(handle, 0, b"", b"\x00\x00"))
            case m.Diff() | m.Update():
                self.copies[self.names[record.handle]].take(record.update)
            case m.Close():
                del self.names[record.handle]
        return record

    def has(self, *documents: str) -> None:
        """Wait until exactly these are open and here."""
        while sorted(self.names.values()) != sorted(documents) or not all(
            self.copies[document].read() for document in documents
        ):
            self.take()


def test_what_matches_comes_now_and_later(gateway: GatewayProcess) -> None:
    till, screen = Till(gateway.port), Screen(gateway.port)
    for number in range(ORDERS):
        till.put(name(number), "station", station(number))
    till.put("menu/1", "station", "grill")
    till.saved()
    screen.say(m.Subscribe(1, "orders", GRILL))
    grill = [name(number) for number in range(ORDERS) if station(number) == "grill"]
    screen.has(*grill)

    till.put(name(1), "station", "grill")
    screen.has(*grill, name(1))
    till.put(name(1), "station", "bar")
    screen.has(*grill)
    assert screen.copies[name(1)].read() == {"station": "bar"}, "the last change came too"
    till.put(name(1), "note", "nothing of the screen's business")
    screen.settle()
    assert screen.copies[name(1)].read() == {"station": "bar"}

    for _ in range(20):
        till.put(name(1), "station", "grill")
        till.put(name(1), "station", "bar")
    till.put(name(1), "station", "grill")
    screen.has(*grill, name(1))
    till.put(name(1), "more", "yes")
    while "more" not in screen.copies[name(1)].read():
        screen.take()
    till.put(name(1), "station", "bar")
    screen.has(*grill)

    screen.say(m.Subscribe(1, "orders", '{"station": "bar", "note": {"$exists": true}}'))
    screen.has(name(1))
    screen.say(m.Unsubscribe(1))
    screen.has()
    till.close()
    screen.close()


def test_what_is_only_on_the_disk_is_found(gateway: GatewayProcess) -> None:
    gateway.kill()
    gateway.start()
    screen = Screen(gateway.port)
    screen.say(m.Subscribe(1, "orders", '{"station": "grill"}'), m.Subscribe(2, "menu", ""))
    expected = [name(number) for number in range(ORDERS) if station(number) == "grill"]
    screen.has(*expected, "menu/1")
    screen.close()


def test_a_small_peer_receives_what_it_asked_for_and_little_else(tmp_path: Path) -> None:
    documents, hundredth = 2_000, 20
    folder = tmp_path / "data"
    changes = []
    with closing(SqliteStore.open(folder)) as store:
        for number in range(documents):
            fields = {"station": "grill" if number < hundredth else "bar", "note": "x" * 200}
            author = Author(number + 1)
            for key, value in fields.items():
                author.set(key, value)
            changes.append(Change(f"orders/{number:05}", author.whole(), ""))
        store.append(changes)
    received = {}
    with GatewayProcess(folder) as gateway:
        for selector, count in ((GRILL, hundredth), ("", documents)):
            screen = Screen(gateway.port)
            screen.say(m.Subscribe(1, "orders", selector))
            screen.has(*[f"orders/{number:05}" for number in range(count)])
            received[count] = screen.raw.received_bytes
            screen.close()
    assert received[hundredth] <= 0.012 * received[documents], received


def test_a_selector_that_cannot_be_used_is_said(gateway: GatewayProcess, tmp_path: Path) -> None:
    client = MeshClient(gateway.port)
    client.say(m.Subscribe(1, "orders", '{"a": {"$regex": "x"}}'))
    goodbye = client.hear(m.Goodbye)
    assert isinstance(goodbye, m.Goodbye)
    assert goodbye.code == 4400 and "$regex" in goodbye.reason
    client.close()

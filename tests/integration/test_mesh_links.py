"""What one mesh link may do in one breath, and that the others do not feel it."""

import struct
import time
from collections.abc import Iterator

import pycrdt
import pytest

from gateway.core import messages as m
from gateway.core import y_messages as y
from gateway.core.varint import write_string, write_varint
from tests.core.edits import Author
from tests.integration.test_kill9 import stored
from tests.support.gateway import GatewayProcess, eventually
from tests.support.mesh import MeshClient
from tests.support.raw import CLOSE, RawClient, frame

pytestmark = pytest.mark.integration

PINGS = 30
HEAVY = Author(1).write("y" * 200_000)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("mesh") / "data") as running:
        yield running


@pytest.fixture
def links(gateway: GatewayProcess) -> Iterator[list[MeshClient]]:
    clients = [MeshClient(gateway.port, bytes([number] * 16)) for number in range(1, 4)]
    yield clients
    for client in clients:
        client.close()


def opened(client: MeshClient, document: str) -> None:
    client.say(m.Open(1, document, b"\x00"))
    client.hear(m.Diff)


def test_what_the_session_answers_by_itself_does_not_wait_for_the_clock(
    gateway: GatewayProcess,
) -> None:
    # The clock ticks once a second: thirty answers that wait for it take thirty seconds.
    client = MeshClient(gateway.port)
    begun = time.monotonic()
    for number in range(PINGS):
        client.say(m.Ping(number))
        assert client.hear(m.Pong) == m.Pong(number)
    assert time.monotonic() - begun < PINGS / 2
    client.close()


def test_a_document_left_behind_a_heavy_update_hurts_nobody(
    gateway: GatewayProcess, links: list[MeshClient]
) -> None:
    leaver, writer, neighbour = links
    author = Author(2)
    opened(leaver, "mesh/left")
    opened(writer, "mesh/left")
    opened(neighbour, "mesh/other")
    for _ in range(10):
        leaver.say(m.Update(1, HEAVY), m.Close(1))
        for number in range(20):
            writer.say(m.Update(1, author.set("k", number)))
        opened(leaver, "mesh/left")
        neighbour.say(m.Ping(1))
        neighbour.hear(m.Pong)


def test_documents_opened_and_left_in_one_breath_are_asked_for_again(
    gateway: GatewayProcess, links: list[MeshClient]
) -> None:
    client = links[0]
    for number in range(600):
        client.say(m.Open(1, f"mesh/{number}", b"\x00"), m.Close(1))
    client.heard.clear()
    client.say(m.Open(1, "mesh/7", b"\x00"), m.Ping(9))
    client.hear(m.Pong)
    client.say(m.Open(2, "mesh/8", b"\x00"))
    heard = client.hear(m.Open)
    while isinstance(heard, m.Open) and heard.document != "mesh/8":
        heard = client.hear(m.Open)


def test_a_crowd_of_awareness_in_one_message_holds_nobody_up(
    gateway: GatewayProcess, links: list[MeshClient]
) -> None:
    crowd, neighbour, _ = links
    opened(neighbour, "mesh/neighbour")
    records: list[m.Record] = []
    for block in range(300):
        states = [write_varint(64 * block + i + 1) + b"\x01" + write_string("1") for i in range(64)]
        payload = write_varint(64) + b"".join(states)
        records += [m.Open(1, "mesh/crowd", b"\x00"), m.Awareness(1, payload), m.Close(1)]
    neighbour.raw.socket.settimeout(4.0)
    crowd.say(*records)
    for number in range(20):
        neighbour.say(m.Ping(number))
        neighbour.hear(m.Pong)
    crowd.say(m.Ping(1))
    crowd.hear(m.Pong)


def test_what_a_stock_client_said_before_it_closed_is_kept_though_it_had_to_wait(
    gateway: GatewayProcess, links: list[MeshClient]
) -> None:
    for number, link in enumerate(links):
        opened(link, f"mesh/busy-{number}")
        link.say(*[m.Update(1, HEAVY)] * 4)
    author = Author(3)
    client = RawClient(gateway.port, "/sync/mesh/typed")
    data = frame(y.update(author.set("paste", "x" * 20_000)))
    for number in range(20):
        data += frame(y.update(author.set(f"key {number}", number)))
    client.socket.sendall(data + frame(struct.pack(">H", 1000), CLOSE))
    client.socket.close()
    eventually(lambda: stored(gateway.port, "mesh/typed") == set(author.read()))


def test_a_large_document_reaches_a_newcomer_while_it_changes(
    gateway: GatewayProcess, links: list[MeshClient]
) -> None:
    writer, reader, _ = links
    opened(writer, "mesh/large")
    document: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = document.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    subscription = document.observe(lambda event: updates.append(event.update))
    for number in range(3_000):
        text.insert(number % 7, f"{number:0300}")
    for update in updates[:2_900]:
        writer.say(m.Update(1, update))
    writer.say(m.Ping(1))
    writer.hear(m.Pong)
    reader.say(m.Open(1, "mesh/large", b"\x00"))
    for update in updates[2_900:]:
        writer.say(m.Update(1, update))
    copy: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    parts = 0
    while copy.get_state() != document.get_state():
        record = reader.hear(m.Diff, m.Update)
        assert isinstance(record, m.Diff | m.Update)
        copy.apply_update(record.update)
        parts += isinstance(record, m.Diff)
    assert parts > 3
    assert str(copy.get("text", type=pycrdt.Text)) == str(text)
    document.unobserve(subscription)

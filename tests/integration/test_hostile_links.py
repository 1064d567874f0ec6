"""Frames, handshakes and messages no honest client sends; the neighbour must not notice."""

import random
import socket
import time
from collections.abc import Iterator
from itertools import count

import pytest

from gateway.adapters.websocket import FREE_MISTAKES, PENALTY_SECONDS
from gateway.core import messages as m
from gateway.core import y_messages as y
from tests.core.edits import Author
from tests.support.gateway import GatewayProcess, eventually
from tests.support.mesh import MeshClient
from tests.support.raw import CONTINUATION, PING, TEXT, RawClient, frame

pytestmark = pytest.mark.integration

ROOM = "/sync/orders/1"
MESSAGE_BYTES = 262_144
# A client id and a word of its own for each pair of neighbours and each time they talk.
NUMBERS = count(2)
NOISE = b"\x01" + random.Random(1).randbytes(MESSAGE_BYTES - 9)
V2_UPDATE = "00010000000001000100010200001602000001fdffffffff7f0000"
SMUGGLED = (
    b"POST /sync/a/b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("hostile") / "data") as running:
        yield running


def stranger() -> str:
    """An address nobody had yet: who makes many mistakes is served late."""
    return f"127.0.1.{next(NUMBERS) % 250 + 1}"


class Neighbours:
    """Two honest clients in the same document; ``talk`` proves the way between them."""

    def __init__(self, port: int) -> None:
        self.author = Author(next(NUMBERS))
        self.seen = Author(1)
        self.reader = RawClient(port, ROOM)
        self.writer = RawClient(port, ROOM)
        for client in (self.reader, self.writer):
            client.send(y.step_1(b"\x00"))

    def talk(self) -> None:
        word = f"word-{next(NUMBERS)}"
        self.writer.send(y.update(self.author.set(word, True)))
        while word not in self.seen.read():
            message = y.decode(self.reader.recv())
            if isinstance(message, y.Change):
                self.seen.take(message.update)

    def close(self) -> None:
        self.reader.socket.close()
        self.writer.socket.close()


@pytest.fixture
def neighbours(gateway: GatewayProcess) -> Iterator[Neighbours]:
    pair = Neighbours(gateway.port)
    try:
        pair.talk()
        yield pair
        pair.talk()
    finally:
        pair.close()


MESSAGES = {
    "empty": (b"", 4400),
    "one byte": (b"\x00", 4400),
    "two messages in one frame": (y.update(b"\x00\x00") * 2, 4400),
    "length beyond the frame": (b"\x00\x02\x7f\x00", 4400),
    "varint of 12 bytes": (b"\x00\x02" + b"\xff" * 12, 4400),
    "varint not in its shortest form": (b"\x00\x02\x80\x00", 4400),
    "state vector of 2^31 clients": (y.step_1(bytes.fromhex("808080800f")), 4400),
    "update of nothing": (y.update(b""), 4400),
    "update that is noise": (y.update(bytes(range(64))), 4400),
    "V2 as V1": (y.update(bytes.fromhex(V2_UPDATE)), 4400),
    "awareness of 2^32 clients": (y.presence(bytes.fromhex("ffffffff0f")), 4400),
    "awareness that is no JSON": (y.presence(b"\x01\x01\x01\x03{a}"), 4400),
    "the largest message, of noise": (y.update(NOISE), 4400),
    "one byte too many": (bytes(MESSAGE_BYTES + 1), 1009),
    "far too many": (bytes(4 * MESSAGE_BYTES), 1009),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_close_with_a_code(
    name: str, gateway: GatewayProcess, neighbours: Neighbours
) -> None:
    data, code = MESSAGES[name]
    with RawClient(gateway.port, ROOM, source=stranger()) as client:
        try:
            client.send(data)
        except ConnectionError:
            return  # Cut off while it still sent.
        closed = client.until_closed()
        assert closed.code == code, closed
        assert closed.reason or code == 1009


@pytest.mark.parametrize("data", [b"\x04", b"\x7f\x00", b"\x02\x00", b"\x00\x05\x00", b"null"])
def test_unknown_messages_are_skipped(
    data: bytes, gateway: GatewayProcess, neighbours: Neighbours
) -> None:
    with RawClient(gateway.port, ROOM, source=stranger()) as client:
        client.send(data)
        client.send(y.step_1(b"\x00"))
        while not client.recv().startswith(b"\x00\x01"):
            pass


FRAMES = {
    "text": frame(b"null", TEXT),
    "reserved bit": frame(b"\x03", first=0xC2),
    "opcode 3": frame(b"\x03", first=0x83),
    "opcode 11": frame(b"", first=0x8B),
    "control frame of 126 bytes": frame(bytes(126), PING),
    "fragmented control frame": frame(b"", first=0x09),
    "continuation of nothing": frame(b"\x03", CONTINUATION),
    "a fragment inside a message": frame(b"\x03", first=0x02) + frame(b"\x03", first=0x02),
    "unmasked": b"\x82\x01\x03",
    "length of 2^63": b"\x82\xff" + b"\xff" * 8 + bytes(4),
    "fragments for ever": frame(b"\x00", first=0x02) + frame(bytes(100), first=0x00) * 10_000,
    "ten thousand empty fragments": frame(b"", first=0x02) + frame(b"", first=0x00) * 10_000,
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_break_rfc_6455_close(
    name: str, gateway: GatewayProcess, neighbours: Neighbours
) -> None:
    with RawClient(gateway.port, ROOM, source=stranger()) as client:
        try:
            client.socket.sendall(FRAMES[name])
        except ConnectionError:
            return
        assert client.until_closed().code in (1002, 1006, 1009, 4400, 1003)


def test_a_message_in_one_byte_fragments_arrives(
    gateway: GatewayProcess, neighbours: Neighbours
) -> None:
    message = y.step_1(b"\x00")
    with RawClient(gateway.port, ROOM, source=stranger()) as client:
        client.socket.sendall(frame(message[:1], first=0x02))
        for byte in message[1:-1]:
            client.socket.sendall(frame(bytes([byte]), first=0x00))
        client.socket.sendall(frame(message[-1:], first=0x80))
        while not client.recv().startswith(b"\x00\x01"):
            pass


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (ROOM, {"Origin": "http://evil.example"}, 403),
        (ROOM, {"Origin": "null"}, 403),
        (ROOM, {"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        (ROOM, {"Origin": "http://127.0.0.1:3000"}, 101),
        (ROOM, {"Host": "localhost", "Origin": "http://localhost:8788"}, 101),
        (ROOM, {"Host": "gateway.local"}, 101),
        ("/elsewhere", {}, 404),
    ],
)
def test_who_may_connect(
    path: str, headers: dict[str, str], status: int, gateway: GatewayProcess
) -> None:
    with RawClient(gateway.port, path, headers=headers) as client:
        assert client.status == status


def test_a_plain_request_gets_a_hint(gateway: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b""
        while data := link.recv(65_536):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200") and b"sync port of a Store Gateway" in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/0.9\r\n\r\n",
        b"\x00" * 1000,
        b"GET /sync/a/b HTTP/1.1\r\nX: " + b"a" * 1_000_000,
        b"GET /sync/a/b HTTP/1.1\r\n" + b"".join(b"X%d: a\r\n" % n for n in range(10_000)),
        SMUGGLED,
    ],
    ids=["http 0.9", "zeros", "a header of 1 MB", "10,000 headers", "smuggling"],
)
def test_broken_handshakes_are_dropped(
    request_bytes: bytes, gateway: GatewayProcess, neighbours: Neighbours
) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=15) as link:
        try:
            link.sendall(request_bytes)
            while link.recv(65_536):
                pass
        except ConnectionError:
            pass  # Dropped, which is what is wanted.


BAD_PATHS = ["", "x", "a/../b", "a/%2e%2e/b", "a/%00", "a/" + "b" * 4096]


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: path[:20])
def test_bad_document_names(path: str, gateway: GatewayProcess) -> None:
    with RawClient(gateway.port, f"/sync/{path}", source=stranger()) as client:
        closed = client.until_closed()
        assert closed.code == 4404 and closed.reason


def test_a_flood_of_step_1_is_answered_within_the_cap(
    gateway: GatewayProcess, neighbours: Neighbours
) -> None:
    with RawClient(gateway.port, ROOM, source=stranger()) as client:
        client.socket.sendall(frame(y.step_1(b"\x00")) * 10_000)
        client.send(b"\x03")
        seen = 0
        while True:
            if client.recv().startswith(b"\x00\x01"):
                seen += 1
                break
        assert seen == 1


def test_connections_that_come_and_go(gateway: GatewayProcess, neighbours: Neighbours) -> None:
    for _ in range(200):
        client = RawClient(gateway.port, ROOM)
        client.socket.close()
    eventually(lambda: True)


def test_a_mesh_caller_that_says_nothing_is_dropped(gateway: GatewayProcess) -> None:
    with RawClient(gateway.port, "/mesh", seconds=20.0) as client:
        client.recv()
        assert client.until_closed(15.0).code == 4408


def test_an_address_of_many_mistakes_is_served_late(
    gateway: GatewayProcess, neighbours: Neighbours
) -> None:
    def answered_after(source: str) -> float:
        start = time.monotonic()
        with RawClient(gateway.port, ROOM, source=source) as client:
            client.recv()
        return time.monotonic() - start

    for _ in range(FREE_MISTAKES + 1):
        with RawClient(gateway.port, ROOM, source="127.0.2.1") as client:
            client.send(b"\x00")
            client.until_closed()
    # Late, but served: others may be behind the same address.
    assert answered_after("127.0.2.1") >= PENALTY_SECONDS
    neighbours.talk()


def test_who_writes_in_the_name_of_a_neighbour_is_told_and_the_neighbour_goes_on(
    gateway: GatewayProcess,
) -> None:
    honest, forger = MeshClient(gateway.port), MeshClient(gateway.port, bytes(16))
    author, document = Author(next(NUMBERS)), "orders/forged"
    for client in (honest, forger):
        client.say(m.Open(1, document, b"\x00"))
        client.hear(m.Open)
        client.hear(m.Diff)
        client.say(m.Diff(1, 0, b"", b"\x00\x00"))
    honest.say(m.Update(1, author.write("mine")))
    forger.hear(m.Update)
    double = Author(author.doc.client_id)
    double.take(author.whole())
    forger.say(m.Update(1, double.write("not mine")))
    honest.hear(m.Open)
    honest.say(m.Diff(1, 0, b"", b"\x00\x00"))
    refused = forger.hear(m.Refuse)
    assert isinstance(refused, m.Refuse) and (refused.number, refused.code) == (2, 4422)
    honest.say(m.Update(1, author.write(" again")))
    passed_on = forger.hear(m.Update)
    assert isinstance(passed_on, m.Update) and b" again" in passed_on.update
    honest.close()
    forger.close()

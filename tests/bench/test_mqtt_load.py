"""Packets of the client that loads a broker, and what a simulated store says."""

import asyncio
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gateway.core.bridge_items import Change, read
from gateway.core.cloud_reading import read_letter
from tests.bench.mqtt_load import LoadFailed, first_packet, hold, publish, text, variable
from tests.bench.stores import MERGED, ROOT, Published, SimulatedStore


@pytest.mark.parametrize(
    ("value", "raw"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (268_435_455, "ffffff7f")],
)
def test_a_variable_byte_integer(value: int, raw: str) -> None:
    assert variable(value) == bytes.fromhex(raw)


def test_a_text_has_its_octets_before_it() -> None:
    assert text("MQTT") == b"\x00\x04MQTT" and text("é") == b"\x00\x02\xc3\xa9"


def test_packets_are_taken_when_they_are_whole() -> None:
    long = b"\x40" + variable(200) + bytes(200)
    for size in range(len(long)):
        assert first_packet(long[:size]) is None
    assert first_packet(long + b"\x20") == ((0x40, bytes(200)), b"\x20")
    assert first_packet(b"\xd0\x00\xd0\x00") == ((0xD0, b""), b"\xd0\x00")


@contextmanager
def broker(answer: Callable[[int, bytes], bytes]) -> Iterator[int]:
    """The port of a broker that answers each packet; b"" ends the connection."""

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data = b""
            while piece := self.request.recv(4_096):
                data += piece
                while (found := first_packet(data)) is not None:
                    (kind, body), data = found
                    said = answer(kind, body)
                    if not said:
                        return
                    self.request.sendall(said)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def sound(kind: int, body: bytes) -> bytes:
    match kind:
        case 0x10:
            return b"\x20\x03\x00\x00\x00"
        case 0x82:
            return b"\x90\x04" + body[:2] + b"\x00\x01"
    length = int.from_bytes(body[:2], "big")
    return b"\x40\x02" + body[2 + length : 4 + length]


def test_all_is_published_and_acknowledged() -> None:
    work = {f"client-{n}": [Published("a/b", b"x", 1)] * 20 for n in range(3)}
    with broker(sound) as port:
        assert asyncio.run(publish([port], work)) == {0: 60}


def test_a_connection_is_held_with_its_subscriptions() -> None:
    asked = []

    def noting(kind: int, body: bytes) -> bytes:
        asked.append((kind, body))
        return sound(kind, body)

    with broker(noting) as port:
        asyncio.run(hold([port], {"one": ["a", "b"]}, None, lambda: asked.append((0, b""))))
    wanted = b"\x00\x01\x00\x00\x01a\x01\x00\x01b\x01"
    assert asked[1:] == [(0x82, wanted), (0, b"")]


@pytest.mark.parametrize("answer", [b"\x20\x03\x00\x87\x00", b""])
def test_a_broker_that_refuses_is_said(answer: bytes) -> None:
    with broker(lambda kind, body: answer) as port, pytest.raises(LoadFailed, match="broker"):
        asyncio.run(publish([port], {"one": []}))


def test_a_simulated_store_is_what_a_hub_takes() -> None:
    store = SimulatedStore(1)
    live = list(store.live(3))
    assert [one.changes for one in live] == [1] * 12
    (merged,) = store.merged(MERGED)
    assert merged.changes == MERGED and merged.topic == live[0].topic
    letter = read_letter(ROOT, merged.topic, merged.payload)
    assert letter.store == store.store.hex()
    assert sum(isinstance(item, Change) for item in read(letter.batch)) == MERGED
    assert list(SimulatedStore(1).live(3)) == live

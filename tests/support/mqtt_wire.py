"""MQTT as bytes: the packets of a stream, and a broker that takes no message."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

# MQTT 5.0 section 2.1.2.
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE = 1, 2, 3, 4, 8, 9, 10
PINGREQ, DISCONNECT = 12, 14
QUOTA_EXCEEDED: Final = 0x97
CHUNK_BYTES = 65_536
_CONNACK: Final = b"\x20\x03\x00\x00\x00"
_PINGRESP: Final = b"\xd0\x00"


class Packets:
    """One direction of a connection."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The packets that are complete now: the first byte, and what follows their length."""
        self._data += data
        while (found := _packet(self._data)) is not None:
            start, end = found
            head, body = self._data[0], self._data[start:end]
            self._data = self._data[end:]
            yield head, body


class FullBroker:
    """``with FullBroker() as broker``: MQTT 5 on ``broker.port``, no TLS; it lets everybody in and
    takes no message: PUBACK with 0x97, Quota exceeded. Mosquitto never says that.
    """

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.refused = 0
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for end in (self._server, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._server, *self._ends):
            end.close()

    def _spawn(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, name="full-broker")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                end, _ = self._server.accept()
                self._ends.append(end)
                self._spawn(self._serve, end)

    def _serve(self, end: socket.socket) -> None:
        packets = Packets()
        with contextlib.suppress(OSError):
            while data := end.recv(CHUNK_BYTES):
                for head, body in packets.feed(data):
                    end.sendall(self._answer(head, body))

    def _answer(self, head: int, body: bytes) -> bytes:
        kind = head >> 4
        if kind == CONNECT:
            return _CONNACK
        if kind == SUBSCRIBE:
            # Granted at QoS 1; one topic or several, each a reason.
            topics = _topics(body)
            return bytes([0x90, 3 + topics]) + body[:2] + b"\x00" + b"\x01" * topics
        if kind == UNSUBSCRIBE:
            return b"\xb0\x04" + body[:2] + b"\x00\x00"
        if kind == PUBLISH and head & 0x06:
            self.refused += 1
            start = 2 + int.from_bytes(body[:2], "big")
            return b"\x40\x03" + body[start : start + 2] + bytes([QUOTA_EXCEEDED])
        return _PINGRESP if kind == PINGREQ else b""


def _packet(data: bytes) -> tuple[int, int] | None:
    """Where the body of the first packet begins and ends (MQTT 5.0 section 1.5.5)."""
    length = 0
    for index, octet in enumerate(data[1:5]):
        length |= (octet & 0x7F) << 7 * index
        if not octet & 0x80:
            start = index + 2
            return (start, start + length) if len(data) >= start + length else None
    return None


def _topics(body: bytes) -> int:
    """How many topics SUBSCRIBE names (section 3.8); its properties are below 128 bytes."""
    position, count = 3 + body[2], 0
    while position < len(body):
        position += 2 + int.from_bytes(body[position : position + 2], "big") + 1
        count += 1
    return count

"""What a thin client says and hears: whole frames made beforehand, raw sockets.

A client never decodes what comes; it looks for marks that the load put into the updates
(``tests.bench.load``). So it costs little beside the servers, whatever they send.
"""

import base64
import contextlib
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core import y_messages as y
from gateway.core.varint import read_varint, write_string
from tests.support.raw import PONG, frame

EMPTY_VECTOR = b"\x00"
CHUNK_BYTES = 1 << 20
WAIT_SECONDS = 60.0
_AUTH_TOKEN = b"\x02\x00" + write_string("bench")


@dataclass(frozen=True)
class Dialect:
    """How a server wraps y-protocols messages. ``named``: behind the document's name."""

    named: bool

    def frames(self, room: str, message: bytes) -> bytes:
        """One message as the frame of a client."""
        return frame(self._wrapped(room, message))

    def hello(self, room: str) -> bytes:
        """All a client says to be let in and to be sent the whole document."""
        step_1 = self.frames(room, y.step_1(EMPTY_VECTOR))
        return self.frames(room, _AUTH_TOKEN) + step_1 if self.named else step_1

    def update_in(self, payload: bytes) -> bytes | None:
        """The Yjs update in a message of a server, if it is one that brings some."""
        if self.named:
            length, start = read_varint(payload, 0)
            payload = payload[start + length :]
        if payload[:2] not in (b"\x00\x01", b"\x00\x02"):
            return None
        length, start = read_varint(payload, 2)
        return bytes(memoryview(payload)[start : start + length])

    def _wrapped(self, room: str, message: bytes) -> bytes:
        return write_string(room) + message if self.named else message


PLAIN = Dialect(named=False)
HOCUSPOCUS = Dialect(named=True)


class Listening(Protocol):
    """What can be connected to."""

    def connect(self) -> socket.socket:
        """A TCP connection."""

    def path(self, room: str) -> str:
        """The path of a room."""


def upgrade(connection: socket.socket, path: str) -> bytes:
    """Shake hands; returns what came behind the answer's head."""
    lines = (
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
    )
    connection.settimeout(WAIT_SECONDS)
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(CHUNK_BYTES)
        if not data:
            raise AssertionError(f"closed in the handshake: {answer!r}")
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b" 101 " in head.split(b"\r\n", 1)[0], head
    return rest


class Reader:
    """Reads a server's messages one by one; answers pings."""

    def __init__(self, connection: socket.socket, rest: bytes = b"") -> None:
        self._socket = connection
        self._buffer = bytearray(rest)

    def message(self) -> bytes:
        """The next binary message."""
        while True:
            head = self._take(2)
            opcode, length = head[0] & 0x0F, head[1] & 0x7F
            if length >= 126:
                length = int.from_bytes(self._take(2 if length == 126 else 8), "big")
            payload = self._take(length)
            if opcode == 2:
                return payload
            if opcode == 9:
                self._socket.sendall(frame(payload, PONG))
            assert opcode != 8, f"closed by the server: {payload!r}"

    def _take(self, size: int) -> bytes:
        missing = size - len(self._buffer)
        if missing > CHUNK_BYTES:
            # A whole document: no copy more than needed.
            taken = bytearray(size)
            taken[: len(self._buffer)], self._buffer = self._buffer, bytearray()
            rest = memoryview(taken)[size - missing :]
            while rest:
                rest = rest[self._received(self._socket.recv_into(rest)) :]
            return bytes(taken)
        while len(self._buffer) < size:
            data = self._socket.recv(CHUNK_BYTES)
            self._received(len(data))
            self._buffer += data
        small = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return small

    def _received(self, size: int) -> int:
        assert size, "closed by the server"
        return size


def join(server: Listening, dialect: Dialect, room: str) -> tuple[socket.socket, Reader]:
    """A client that was let in and was sent a first answer."""
    connection = server.connect()
    reader = Reader(connection, upgrade(connection, server.path(room)))
    connection.sendall(dialect.hello(room))
    while dialect.update_in(reader.message()) is None:
        pass
    return connection, reader


def fetch(
    server: Listening, dialect: Dialect, room: str, marks: Sequence[bytes]
) -> tuple[float, list[bytes]]:
    """Join and read until all marks came: seconds since connecting, the updates."""
    start = time.perf_counter()
    connection = server.connect()
    with connection:
        reader = Reader(connection, upgrade(connection, server.path(room)))
        connection.sendall(dialect.hello(room))
        updates: list[bytes] = []
        missing = list(marks)
        while True:
            payload = reader.message()
            seconds = time.perf_counter() - start
            update = dialect.update_in(payload)
            if update is not None:
                updates.append(update)
                missing = [mark for mark in missing if mark not in update]
                if not missing:
                    return seconds, updates


def collect(server: Listening, dialect: Dialect, room: str, seconds: float) -> list[bytes]:
    """The updates a new client is sent within a time."""
    deadline = time.monotonic() + seconds
    updates = []
    with server.connect() as connection:
        reader = Reader(connection, upgrade(connection, server.path(room)))
        connection.sendall(dialect.hello(room))
        with contextlib.suppress(TimeoutError):
            while (left := deadline - time.monotonic()) > 0:
                connection.settimeout(left)
                update = dialect.update_in(reader.message())
                if update is not None:
                    updates.append(update)
    return updates

"""A bare WebSocket client on a blocking socket: sends what a real one never would."""

import base64
import os
import socket
import struct
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

BINARY, TEXT, CLOSE, PING, PONG = 2, 1, 8, 9, 10
CONTINUATION = 0


class Closed(Exception):
    """The gateway closed; ``code`` is 1006 when it said nothing (RFC 6455 section 7.1.5)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class RawClient:
    """``with RawClient(port, path)`` has shaken hands."""

    def __init__(
        self,
        port: int,
        path: str,
        seconds: float = 20.0,
        headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1",
    ) -> None:
        self.socket = socket.create_connection(
            ("127.0.0.1", port), timeout=seconds, source_address=(source, 0)
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.received_bytes = 0
        lines = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
        }
        lines.update(headers or {})
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        while b"\r\n\r\n" not in self._buffer:
            data = self.socket.recv(65_536)
            if not data:
                break
            self._buffer += data
        answer, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self.status = int(answer.split(b" ", 2)[1]) if answer else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, payload: bytes, opcode: int = BINARY, first: int | None = None) -> None:
        """Send one frame; ``first`` replaces its first byte."""
        self.socket.sendall(frame(payload, opcode, first))

    def recv(self) -> bytes:
        """The next binary message; raises ``Closed``."""
        while True:
            opcode, payload = self._frame()
            if opcode == BINARY:
                self.received_bytes += len(payload)
                return payload
            if opcode == PING:
                self.send(payload, PONG)
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                raise Closed(code, payload[2:].decode())

    @property
    def waiting(self) -> bool:
        """Whether bytes were read that belong to the next message."""
        return bool(self._buffer)

    def until_closed(self, seconds: float = 10.0) -> Closed:
        """Read on until the gateway closes."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.recv()
            except Closed as closed:
                return closed
        raise AssertionError("the gateway did not close")

    def _frame(self) -> tuple[int, bytes]:
        head = self._take(2)
        length = head[1] & 0x7F
        if length == 126:
            length = struct.unpack(">H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._take(8))[0]
        return head[0] & 0x0F, self._take(length)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                data = self.socket.recv(262_144)
            except ConnectionError:
                data = b""
            if not data:
                raise Closed(1006, "")
            self._buffer += data
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def frame(payload: bytes, opcode: int = BINARY, first: int | None = None) -> bytes:
    """One masked frame of a client (the mask is zero, so the payload stays readable)."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = b"\xfe" + struct.pack(">H", size)
    else:
        length = b"\xff" + struct.pack(">Q", size)
    return bytes([0x80 | opcode if first is None else first]) + length + bytes(4) + payload

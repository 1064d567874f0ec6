"""Thin links that never wait for the other side: what came is taken, what is to go is sent."""

import contextlib
import select
import socket
import struct
from collections.abc import Iterator

from tests.support.raw import BINARY, CLOSE, PING, PONG, Closed, RawClient, frame


class Link:
    """One WebSocket to the gateway. Raises ``Closed`` once it is gone."""

    def __init__(self, port: int, path: str) -> None:
        try:
            self._raw = RawClient(port, path)
        except OSError as error:
            raise Closed(1006, str(error)) from error
        self._socket = self._raw.socket
        if self._raw.status != 101:
            self._socket.close()
            raise Closed(1006, f"status {self._raw.status}")
        self._buffer = bytearray(self._raw._buffer)
        self.sent_bytes = self.received_bytes = 0

    def send(self, message: bytes) -> None:
        """Send one message."""
        self.sent_bytes += len(message)
        self._send(frame(message))

    def messages(self) -> Iterator[bytes]:
        """Every message that is here by now."""
        while select.select([self._socket], [], [], 0)[0]:
            try:
                data = self._socket.recv(1 << 20)
            except OSError as error:
                raise Closed(1006, str(error)) from error
            if not data:
                raise Closed(1006, "")
            self._buffer += data
        while (taken := self._frame()) is not None:
            opcode, payload = taken
            if opcode == BINARY:
                self.received_bytes += len(payload)
                yield payload
            elif opcode == PING:
                self._send(frame(payload, PONG))
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                raise Closed(code, payload[2:].decode())

    def cut(self, *, in_a_message: bool = False) -> None:
        """Lose the link, perhaps in the middle of a message."""
        if in_a_message:
            with contextlib.suppress(OSError):  # It may be lost already.
                self._socket.sendall(frame(bytes(200))[:50])
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Closed(1006, str(error)) from error

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + length:
            return None
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[start : start + length])
        del buffer[: start + length]
        return opcode, payload

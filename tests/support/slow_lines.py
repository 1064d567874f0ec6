"""Bad lines between a gateway and a broker, one for each way in which a line is bad.

``tests.support.proxy`` is the way that carries, narrows, goes silent (``stall``) and is lost
(``cut``); here are those that never carried, those that break again and again, and a broker that
takes nothing more.
"""

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import BinaryIO, Final, Self

from tests.support.proxy import Proxy
from tests.support.shape import Shape

SLOW_BYTES_PER_SECOND = 1_000
# After so many bytes a line breaks: in the TLS handshake, in CONNECT, in the middle of messages.
BREAKS_AFTER_BYTES = (100, 20_000)
# MQTT 5.0 section 2.1.2.
_CONNECT, _PUBLISH, _SUBSCRIBE, _UNSUBSCRIBE, _PING, _DISCONNECT = 1, 3, 8, 10, 12, 14
_CONNACK: Final = b"\x20\x03\x00\x00\x00"
_PINGRESP: Final = b"\xd0\x00"
QUOTA_EXCEEDED: Final = 0x97


def slow(target: int, bytes_per_second: float = SLOW_BYTES_PER_SECOND) -> Proxy:
    """A line that is so slow, either way."""
    shape = Shape(bytes_per_second)
    return Proxy(target, up=shape, down=shape)


def breaking(target: int, seed: int) -> Proxy:
    """A line that carries so many bytes, drawn from a seed, then is lost; the next one too."""
    return Proxy(target, lives=_lives(random.Random(seed)))


def _lives(chance: random.Random) -> Iterator[int]:
    while True:
        yield chance.randint(*BREAKS_AFTER_BYTES)


@contextlib.contextmanager
def refusing() -> Iterator[int]:
    """A port where nobody listens."""
    with socket.socket() as held:
        # Bound, so that nobody else gets it.
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@contextlib.contextmanager
def mute() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        # The kernel completes them; nobody accepts.
        yield int(server.getsockname()[1])


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
        with contextlib.suppress(OSError, EOFError), end.makefile("rb") as stream:
            while True:
                head = _taken(stream.read(1))[0]
                body = _taken(stream.read(size)) if (size := _length(stream)) else b""
                if head >> 4 == _DISCONNECT:
                    return
                end.sendall(self._answer(head, body))

    def _answer(self, head: int, body: bytes) -> bytes:
        kind = head >> 4
        if kind == _CONNECT:
            return _CONNACK
        if kind == _SUBSCRIBE:
            # Granted at QoS 1; one topic or several, each a reason.
            topics = _topics(body)
            return bytes([0x90, 3 + topics]) + body[:2] + b"\x00" + b"\x01" * topics
        if kind == _UNSUBSCRIBE:
            return b"\xb0\x04" + body[:2] + b"\x00\x00"
        if kind == _PUBLISH and head & 0x06:
            self.refused += 1
            start = 2 + int.from_bytes(body[:2])
            return b"\x40\x03" + body[start : start + 2] + bytes([QUOTA_EXCEEDED])
        return _PINGRESP if kind == _PING else b""


def _taken(data: bytes) -> bytes:
    if not data:
        raise EOFError
    return data


def _length(stream: BinaryIO) -> int:
    """The remaining length of a packet (MQTT 5.0 section 1.5.5)."""
    length = shift = 0
    while True:
        octet = _taken(stream.read(1))[0]
        length |= (octet & 0x7F) << shift
        if not octet & 0x80:
            return length
        shift += 7


def _topics(body: bytes) -> int:
    """How many topics SUBSCRIBE names (section 3.8); its properties are below 128 bytes."""
    position, count = 3 + body[2], 0
    while position < len(body):
        position += 2 + int.from_bytes(body[position : position + 2]) + 1
        count += 1
    return count

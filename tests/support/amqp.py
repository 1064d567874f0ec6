"""A broker of AMQP 0.9.1 that says what a test wants; written from the specification."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

METHOD, HEADER, BODY, END = 1, 2, 3, b"\xce"

# Class and method (AMQP 0.9.1 section 1.3 to 1.8).
START_OK, TUNE_OK, OPEN, CLOSE, CLOSE_OK = (10, 11), (10, 31), (10, 40), (10, 50), (10, 51)
CHANNEL_OPEN, CHANNEL_CLOSE = (20, 10), (20, 40)
DECLARE, BIND, QOS, CONSUME, ACK, REJECT = (
    (50, 10),
    (50, 20),
    (60, 10),
    (60, 20),
    (60, 80),
    (60, 90),
)


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + END


def method(channel: int, name: tuple[int, int], arguments: bytes = b"") -> bytes:
    return frame(METHOD, channel, struct.pack(">HH", *name) + arguments)


def closing(channel: int, code: int, text: bytes) -> bytes:
    """The end of a channel, or of the connection, which is channel 0."""
    name = CHANNEL_CLOSE if channel else CLOSE
    return method(channel, name, struct.pack(">H", code) + short(text) + bytes(4))


ANSWERS = {
    START_OK: method(0, (10, 30), struct.pack(">HIH", 16, 131_072, 0)),
    OPEN: method(0, (10, 41), short(b"")),
    CLOSE: method(0, CLOSE_OK),
    CHANNEL_OPEN: method(1, (20, 11), bytes(4)),
    CHANNEL_CLOSE: method(1, (20, 41)),
    DECLARE: method(1, (50, 11), short(b"store-gateway-hub") + bytes(8)),
    BIND: method(1, (50, 21)),
    QOS: method(1, (60, 11)),
}


class AmqpServer:
    """``heard``: the methods of the client with their arguments. ``answers`` may be changed."""

    def __init__(self) -> None:
        self.answers: dict[tuple[int, int], bytes] = dict(ANSWERS)
        self.heard: asyncio.Queue[tuple[tuple[int, int], bytes]] = asyncio.Queue()
        self.consuming = asyncio.Event()
        self._tag = b""
        self._writer: asyncio.StreamWriter | None = None

    def send(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)

    def hang_up(self) -> None:
        assert self._writer is not None
        self._writer.transport.abort()

    def deliver(self, number: int, key: bytes, body: bytes) -> None:
        """Deliver a message under a delivery tag."""
        arguments = short(self._tag) + struct.pack(">QB", number, 0) + short(b"amq.topic")
        self.send(method(1, (60, 60), arguments + short(key)))
        self.send(frame(HEADER, 1, struct.pack(">HHQH", 60, 0, len(body), 0)))
        if body:
            self.send(frame(BODY, 1, body))

    def cancel(self) -> None:
        """What a consumer is told whose queue is gone."""
        self.send(method(1, (60, 30), short(self._tag) + b"\x01"))

    async def until(self, name: tuple[int, int]) -> bytes:
        """The arguments of the next method of that name."""
        while True:
            heard, arguments = await self.heard.get()
            if heard == name:
                return arguments

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(8)
            start = b"\x00\x09" + bytes(4)
            for text in (b"PLAIN", b"en_US"):
                start += struct.pack(">I", len(text)) + text
            self.send(method(0, (10, 10), start))
            while True:
                await self._frame(reader)
        writer.close()

    async def _frame(self, reader: asyncio.StreamReader) -> None:
        kind, _, length = struct.unpack(">BHI", await reader.readexactly(7))
        payload = (await reader.readexactly(length + 1))[:-1]
        if kind != METHOD:
            return
        name = struct.unpack(">HH", payload[:4])
        self.heard.put_nowait((name, payload[4:]))
        if name == CONSUME and name not in self.answers:
            at = 7 + payload[6]
            self._tag = payload[at + 1 : at + 1 + payload[at]]
            self.send(method(1, (60, 21), short(self._tag)))
            self.consuming.set()
        else:
            self.send(self.answers.get(name, b""))


@asynccontextmanager
async def amqp_server() -> AsyncIterator[tuple[AmqpServer, int]]:
    """The server and its port."""
    server = AmqpServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        yield server, listener.sockets[0].getsockname()[1]

"""Publishes many messages over many MQTT 5 connections, as fast as the broker acknowledges.

A client that connects, subscribes and publishes at QoS 1, and no more: what loads a broker must not
be the slowest part. MQTT 5.0 sections 3.1 to 3.9.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.bench.stores import Published

CONNECT, CONNACK, PUBLISH_1, PUBACK, SUBSCRIBE, SUBACK = 0x10, 0x20, 0x32, 0x40, 0x82, 0x90
CLEAN_START, HAS_USER, HAS_PASSWORD = 0x02, 0x80, 0x40
KEEP_ALIVE_SECONDS = 600
# Without an answer at once, of a connection.
WINDOW = 8
# Reasons from here on are errors (section 2.4).
FAILURE = 0x80
# Connections that are made at once.
AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Login:
    """Who connects; without a user nobody in particular."""

    user: str = ""
    password: str = ""


class LoadFailed(Exception):
    """The broker refused a connection, or ended it; the text says how."""


async def publish(
    ports: Sequence[int], work: Mapping[str, Sequence[Published]], login: Login | None = None
) -> Counter[int]:
    """Publish each client's messages in their order over a connection of its own.

    ``work``: by client id. Connections are spread over ``ports`` of this machine. Returns the
    reason codes of all acknowledgements; raises ``LoadFailed``.
    """
    reasons = Counter[int]()
    async with _all_connected(ports, list(work), login or Login(), reasons) as clients:
        await asyncio.gather(
            *(
                client.publish(messages)
                for client, messages in zip(clients, work.values(), strict=True)
            )
        )
    return reasons


async def hold(
    ports: Sequence[int],
    topics: Mapping[str, Sequence[str]],
    login: Login | None,
    meanwhile: Callable[[], None],
) -> None:
    """Connect each client, by id, and subscribe it to its topics; end it after ``meanwhile``.

    Raises ``LoadFailed``.
    """
    names = list(topics)
    async with _all_connected(ports, names, login or Login(), Counter()) as clients:
        for client, wanted in zip(clients, topics.values(), strict=True):
            await client.subscribe(wanted)
        await asyncio.to_thread(meanwhile)


@asynccontextmanager
async def _all_connected(
    ports: Sequence[int], names: Sequence[str], login: Login, reasons: Counter[int]
) -> AsyncIterator[list["_Client"]]:
    clients: list[_Client] = []
    try:
        for first in range(0, len(names), AT_ONCE):
            clients += await asyncio.gather(
                *(
                    _connected(ports[(first + place) % len(ports)], name, login, reasons)
                    for place, name in enumerate(names[first : first + AT_ONCE])
                )
            )
        yield clients
    finally:
        await asyncio.gather(*(client.close() for client in clients))


async def _connected(port: int, name: str, login: Login, reasons: Counter[int]) -> "_Client":
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: _Client(reasons), "127.0.0.1", port)
    try:
        await client.greet(name, login)
    except LoadFailed:
        await client.close()
        raise
    return client


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, reasons: Counter[int]) -> None:
        self._reasons = reasons
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._changed = asyncio.Event()
        self._greeted: int | None = None
        self._unanswered = 0
        self._refused = 0
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        self._lost = True
        self._changed.set()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._buffer += data
        while (found := first_packet(self._buffer)) is not None:
            (kind, body), self._buffer = found
            if kind == CONNACK:
                self._greeted = body[1]
            elif kind == SUBACK:
                self._unanswered -= 1
                self._refused += sum(reason >= FAILURE for reason in body[3:])
            elif kind == PUBACK:
                self._unanswered -= 1
                self._reasons[body[2] if len(body) > 2 else 0] += 1
        self._changed.set()

    async def greet(self, name: str, login: Login) -> None:
        """Connect. Raises ``LoadFailed``."""
        flags = CLEAN_START
        payload = text(name)
        if login.user:
            flags |= HAS_USER | HAS_PASSWORD
            payload += text(login.user) + text(login.password)
        head = text("MQTT") + bytes([5, flags]) + struct.pack(">H", KEEP_ALIVE_SECONDS) + b"\0"
        self._send(CONNECT, head + payload)
        while self._greeted is None:
            await self._news()
        if self._greeted:
            raise LoadFailed(f"the broker refused {name}: {self._greeted:#x}")

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe to these topics at QoS 1. Raises ``LoadFailed``."""
        self._unanswered += 1
        wanted = b"".join(text(topic) + b"\x01" for topic in topics)
        self._send(SUBSCRIBE, struct.pack(">H", 1) + b"\0" + wanted)
        while self._unanswered:
            await self._news()
        if self._refused:
            raise LoadFailed(f"the broker refused a subscription to one of {topics}")

    async def publish(self, messages: Sequence[Published]) -> None:
        """Publish them all; returns once all are acknowledged. Raises ``LoadFailed``."""
        for number, message in enumerate(messages):
            while self._unanswered >= WINDOW:
                await self._news()
            identity = struct.pack(">H", 1 + number % 65_535)
            self._unanswered += 1
            self._send(PUBLISH_1, text(message.topic) + identity + b"\0" + message.payload)
        while self._unanswered:
            await self._news()

    async def close(self) -> None:
        """End the connection."""
        assert self._transport is not None
        self._transport.close()
        while not self._lost:
            self._changed.clear()
            await self._changed.wait()

    async def _news(self) -> None:
        if self._lost:
            raise LoadFailed("the broker ended a connection")
        self._changed.clear()
        await self._changed.wait()

    def _send(self, kind: int, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(bytes([kind]) + variable(len(body)) + body)


def first_packet(data: bytes) -> tuple[tuple[int, bytes], bytes] | None:
    """The first whole packet: its first byte, and what follows its length; and the rest."""
    length, place = 0, 1
    for place in range(1, min(len(data), 5)):
        length |= (data[place] & 127) << 7 * (place - 1)
        if data[place] < 128:
            break
    else:
        return None
    end = place + 1 + length
    if len(data) < end:
        return None
    return (data[0], data[place + 1 : end]), data[end:]


def text(value: str) -> bytes:
    """A text with its length before it (section 1.5.4)."""
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def variable(value: int) -> bytes:
    """A variable byte integer (section 1.5.5)."""
    found = bytearray()
    while True:
        value, low = divmod(value, 128)
        found.append(low | (128 if value else 0))
        if not value:
            return bytes(found)

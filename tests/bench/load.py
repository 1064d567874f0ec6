"""The work: updates made beforehand, and a crowd of thin clients that send and await them.

An *edit* sets a key of its own in one shared map, as an app adds a line to an order. The
value of an edit that closes a burst is a *mark*, so that a client knows what has come
without decoding anything: ``<author 3 digits>.<burst 6 digits>;``.
"""

import contextlib
import re
import select
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pycrdt import Doc, Map

from gateway.core import y_messages as y
from tests.bench.servers import Server
from tests.bench.wire import join
from tests.support.raw import PING, PONG, frame

MARK = re.compile(rb"(\d{3})\.(\d{6});")
MARK_BYTES = 11
CHUNK_BYTES = 1 << 18
# More than one update takes in any server's words.
SMALL_CHUNK_BYTES = 4_096
STALL_SECONDS = 60.0
FIRST_CLIENT = 1_000
# Stock clients renew their presence every 15 s; a server may drop who does not.
ALIVE_SECONDS = 15.0
SIGN_OF_LIFE = y.presence(y.awareness_payload(()))


def mark(author: int, burst: int) -> bytes:
    """What tells that a burst of an author has come."""
    return b"%03d.%06d;" % (author, burst)


@dataclass(frozen=True)
class Work:
    """``bursts[author]``: a list of bursts, each a list of updates."""

    bursts: list[list[list[bytes]]]

    @property
    def updates(self) -> int:
        """How many updates there are."""
        return sum(len(burst) for author in self.bursts for burst in author)

    @property
    def update_bytes(self) -> int:
        """The bytes of all updates, as Yjs encodes them."""
        return sum(len(u) for author in self.bursts for burst in author for u in burst)


def author_bursts(author: int, bursts: int, size: int) -> list[list[bytes]]:
    """What one author writes, made by an offline document of its own."""
    doc: Doc = Doc(client_id=FIRST_CLIENT + author)
    lines = doc.get("lines", type=Map)
    made = []
    for burst in range(bursts):
        updates = []
        for number in range(size):
            last = number == size - 1
            before = doc.get_state()
            lines[f"{author:x}-{burst * size + number:x}"] = (
                mark(author, burst).decode() if last else "1 espresso."
            )
            updates.append(doc.get_update(before))
        made.append(updates)
    return made


def work(authors: int, bursts: int, size: int) -> Work:
    """The same work for every server."""
    return Work([author_bursts(author, bursts, size) for author in range(authors)])


def arrivals(
    writer: socket.socket,
    readers: Sequence[socket.socket],
    messages: Sequence[tuple[bytes, bytes]],
    pause: float,
    before: Callable[[int], None] | None = None,
) -> list[float]:
    """Seconds from each message's sending until its mark reached the last reader.

    ``messages``: what to send, and the mark. All sockets are non-blocking. ``before(number)`` is
    called just before a message is sent.
    """
    receivers = {reader.fileno(): reader.recv for reader in readers}
    times = []
    with select.epoll() as epoll:
        for reader in receivers:
            epoll.register(reader, select.EPOLLIN)
        for number, (data, expected) in enumerate(messages):
            time.sleep(pause)
            if before is not None:
                before(number)
            missing = len(receivers)
            start = time.perf_counter()
            writer.sendall(data)
            while missing:
                ready = epoll.poll(STALL_SECONDS, len(receivers))
                assert ready, f"nothing came for {STALL_SECONDS} s"
                for reader, _ in ready:
                    came = receivers[reader](SMALL_CHUNK_BYTES)
                    assert came, "closed by the server"
                    if expected in came:
                        missing -= 1
            times.append(time.perf_counter() - start)
            with contextlib.suppress(BlockingIOError):
                writer.recv(CHUNK_BYTES)
    return times


class Client:
    """One connection of a crowd; writes as ``author``."""

    def __init__(self, connection: socket.socket, author: int, group: "Group") -> None:
        self.socket = connection
        self.author = author
        self.group = group
        self.tail = b""
        self.seen: dict[int, int] = {}
        connection.setblocking(False)


class Group:
    """The clients of one room, and how many still miss each burst."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.missing: dict[tuple[int, int], int] = {}


class Crowd:
    """Clients of one server: ``rooms`` with ``size`` clients each, all of them joined.

    The authors of a room are 0, 1, … in order. Only ``writers`` of a room write.
    """

    def __init__(
        self, server: Server, room: str, rooms: int, size: int, writers: int | None = None
    ) -> None:
        self.writers = size if writers is None else writers
        self.groups = []
        self._selector = selectors.EpollSelector()
        self._dialect = server.kind.dialect
        self._names: dict[int, str] = {}
        self._chunk = bytearray(CHUNK_BYTES)
        self._alive = time.monotonic()
        for number in range(rooms):
            group, name = Group(), f"{room}-{number}"
            for author in range(size):
                connection, _ = join(server, self._dialect, name)
                client = Client(connection, author, group)
                group.clients.append(client)
                self._selector.register(connection, selectors.EVENT_READ, client)
            self._names[id(group)] = name
            self.groups.append(group)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave."""
        for group in self.groups:
            for client in group.clients:
                self._selector.unregister(client.socket)
                client.socket.close()
        self._selector.close()

    def latencies(
        self, updates: Sequence[bytes], pause: float, before: Callable[[int], None] | None = None
    ) -> list[float]:
        """Seconds from an update's sending until the last other client has it, one by one.

        Author 0 of the first room writes; ``updates`` are its bursts from 0 on, of one
        update each. ``before(number)`` is called just before an update is sent.
        """
        group = self.groups[0]
        writer, *readers = (client.socket for client in group.clients)
        messages = [
            (self._frames(group, [update]), mark(0, number))
            for number, update in enumerate(updates)
        ]
        return arrivals(writer, readers, messages, pause, before)

    def say(self, load: Work) -> None:
        """Everybody writes everything, and nobody waits for anything."""
        for group in self.groups:
            for client in group.clients[: self.writers]:
                for burst in load.bursts[client.author]:
                    self._send(client, self._frames(group, burst))

    def idle(self, seconds: float) -> None:
        """Do nothing but answer pings and say from time to time that one is there."""
        deadline = time.monotonic() + seconds
        if time.monotonic() - self._alive > ALIVE_SECONDS:
            self._alive = time.monotonic()
            for group in self.groups:
                data = self._dialect.frames(self._names[id(group)], SIGN_OF_LIFE)
                for client in group.clients:
                    self._send(client, data)
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                data = key.data.socket.recv(CHUNK_BYTES)
                assert data, "closed by the server"
                if data[0] & 0x0F == PING:
                    self._send(key.data, frame(data[2 : 2 + data[1]], PONG))

    def deliver(self, load: Work, window: int, first: int = 0) -> float:
        """Everybody writes, each at most ``window`` bursts ahead of the slowest reader.

        Returns the seconds until everybody has everything. ``first``: number of the first
        burst, if the authors have written before.
        """
        todo: dict[Client, list[bytes]] = {}
        for group in self.groups:
            for client in group.clients[: self.writers]:
                bursts = load.bursts[client.author]
                todo[client] = [self._frames(group, burst) for burst in bursts]
                for number in range(first, first + len(bursts)):
                    group.missing[client.author, number] = len(group.clients) - 1
        open_bursts = sum(len(group.missing) for group in self.groups)
        sent = dict.fromkeys(todo, 0)
        start = time.perf_counter()
        for client, bursts_of_client in todo.items():
            for _ in bursts_of_client[:window]:
                self._write(client, todo, sent)
        while open_bursts:
            for group, author in self._read():
                open_bursts -= 1
                client = group.clients[author]
                if sent[client] < len(todo[client]):
                    self._write(client, todo, sent)
        return time.perf_counter() - start

    def _write(
        self, client: Client, todo: dict[Client, list[bytes]], sent: dict[Client, int]
    ) -> None:
        sent[client] += 1
        self._send(client, todo[client][sent[client] - 1])

    def _send(self, client: Client, data: bytes) -> None:
        client.socket.setblocking(True)
        client.socket.sendall(data)
        client.socket.setblocking(False)

    def _frames(self, group: Group, burst: list[bytes]) -> bytes:
        name = self._names[id(group)]
        return b"".join(self._dialect.frames(name, y.update(update)) for update in burst)

    def _read(self) -> list[tuple[Group, int]]:
        """Take what came; the (room, author) of each burst that now everybody has."""
        ready = self._selector.select(STALL_SECONDS)
        assert ready, f"nothing came for {STALL_SECONDS} s"
        complete = []
        for key, _ in ready:
            client: Client = key.data
            size = client.socket.recv_into(self._chunk)
            assert size, "closed by the server"
            data = client.tail + self._chunk[:size]
            client.tail = data[1 - MARK_BYTES :]
            for author, burst in self._news(client, data):
                missing = client.group.missing
                missing[author, burst] -= 1
                if not missing[author, burst]:
                    complete.append((client.group, author))
        return complete

    def _news(self, client: Client, data: bytes) -> list[tuple[int, int]]:
        """The bursts of others in these bytes that this client did not have yet."""
        news = []
        for found in MARK.findall(data):
            author, burst = int(found[0]), int(found[1])
            last = client.seen.get(author, -1)
            if author != client.author and burst > last:
                client.seen[author] = burst
                news += [(author, number) for number in range(last + 1, burst + 1)]
        return news

"""A TCP proxy that can cut, mend and narrow the way to the gateway, and counts its bytes."""

import asyncio
import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Self

from tests.support.shape import Line, Shape

CHUNK_BYTES = 65_536
# A narrow way takes this much of a second at once, so that it is even.
CHUNK_SECONDS = 0.02
# Who sends faster than the other takes has to wait.
MOST_CHUNKS = 64
FREE = Shape()

# When they are due at the other end, and the bytes; none at the end of the connection.
Travelling = asyncio.Queue[tuple[float, bytes]]


class Direction:
    """``carried_bytes``: what came through so far."""

    def __init__(self, shape: Shape) -> None:
        self.line = Line(shape)
        self.carried_bytes = 0

    @property
    def chunk_bytes(self) -> int:
        """How much is taken at once."""
        rate = self.line.shape.bytes_a_second
        return max(1, min(CHUNK_BYTES, int(rate * CHUNK_SECONDS))) if rate else CHUNK_BYTES


class Passed:
    """What one connection carried, and may still carry."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.pieces: list[tuple[bool, bytes]] = []


Before = Callable[[Passed, bool, bytes], bool]


class Proxy:
    """``with Proxy(port) as proxy``: clients connect to ``proxy.port``.

    ``up`` is what clients say, ``down`` what they hear. With ``record`` what came through is kept
    in ``passed``: for each connection its pieces in order, and whether each went up. ``lives``: how
    many bytes each connection carries, both ways together, before it is lost. ``before(passed, up,
    data)`` is asked, in the proxy's thread, before bytes go on; False: the connection is lost
    instead.
    """

    def __init__(
        self,
        target: int,
        host: str = "127.0.0.1",
        *,
        up: Shape = FREE,
        down: Shape = FREE,
        record: bool = False,
        lives: Iterator[int] | None = None,
        before: Before | None = None,
    ) -> None:
        self._target = host, target
        self.lives = lives or itertools.repeat(sys.maxsize)
        self._before = before
        self._record = record
        self.passed: list[list[tuple[bool, bytes]]] = []
        self.up = Direction(up)
        self.down = Direction(down)
        self._up = True
        self._carries = asyncio.Event()
        self._carries.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy")
        self.port = 0
        # When (time.monotonic) the last bytes went through.
        self.carried_at = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def carried_bytes(self) -> int:
        """What went through so far, both ways."""
        return self.up.carried_bytes + self.down.carried_bytes

    def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        self._call(self._cut)

    def mend(self) -> None:
        """Let connections through again."""
        self._call(self._mend)

    def stall(self) -> None:
        """Carry nothing more, and say nothing of it: connections stay, new ones are taken."""
        self._call(self._carries.clear)

    def carry(self) -> None:
        """Carry again."""
        self._call(self._carries.set)

    def _call(self, function: object) -> None:
        done = threading.Event()

        def run() -> None:
            function()  # type: ignore[operator]
            done.set()

        self._loop.call_soon_threadsafe(run)
        done.wait()

    def _cut(self) -> None:
        self._up = False
        for writer in self._writers:
            writer.transport.abort()

    def _mend(self) -> None:
        self._up = True

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        if not self._up:
            self._cut()
        passed = Passed(next(self.lives))
        self.passed.append(passed.pieces)
        for source, sink, way in ((reader, far_writer, self.up), (far_reader, writer, self.down)):
            self._spawn(self._copy(source, sink, way, passed))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _copy(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        way: Direction,
        passed: Passed,
    ) -> None:
        travelling = Travelling(MOST_CHUNKS)
        arriving = self._spawn(self._arrive(travelling, sink, way, passed))
        try:
            while data := await source.read(way.chunk_bytes):
                await self._carries.wait()
                free_at, due_at = way.line.send(len(data), time.monotonic())
                await travelling.put((due_at, data))
                await asyncio.sleep(free_at - time.monotonic())
            await travelling.put((0.0, b""))
            await arriving
        except OSError:
            pass  # A cut link ends here; the other direction ends by itself.
        finally:
            arriving.cancel()
            sink.transport.abort()
            self._writers.discard(sink)

    async def _arrive(
        self,
        travelling: Travelling,
        sink: asyncio.StreamWriter,
        way: Direction,
        passed: Passed,
    ) -> None:
        while True:
            due_at, data = await travelling.get()
            if not data:
                return
            if (rest := due_at - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            if sink.transport.is_closing():
                # What was under way when the link was cut is lost, and no more is taken.
                continue
            if self._before is not None and not self._before(passed, way is self.up, data):
                sink.transport.abort()
                continue
            data = data[: passed.left]
            passed.left -= len(data)
            if self._record:
                passed.pieces.append((way is self.up, data))
            way.carried_bytes += len(data)
            self.carried_at = time.monotonic()
            sink.write(data)
            with contextlib.suppress(OSError):
                await sink.drain()
            if not passed.left:
                sink.transport.abort()

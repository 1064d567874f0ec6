"""A TCP proxy on loopback that can cut and mend the way to the gateway, and counts its bytes."""

import asyncio
import threading
import time
from types import TracebackType
from typing import Self

CHUNK_BYTES = 65_536


class Proxy:
    """``with Proxy(port) as proxy``: clients connect to ``proxy.port``."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._up = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy")
        self.port = 0
        # What went through so far, and when (time.monotonic) the last of it did.
        self.carried_bytes = 0
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

    def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        self._call(self._cut)

    def mend(self) -> None:
        """Let connections through again."""
        self._call(self._mend)

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
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        if not self._up:
            self._cut()
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = self._loop.create_task(self._copy(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                self.carried_bytes += len(data)
                self.carried_at = time.monotonic()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # A cut link ends here; the other direction ends by itself.
        finally:
            sink.transport.abort()
            self._writers.discard(sink)

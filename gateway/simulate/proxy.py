"""The network of the simulated shop: one port a device, which can be cut, and counts bytes."""

import asyncio

CHUNK_BYTES = 65_536


class Way:
    """The way of one device to the gateway on ``target``, a port of this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        # From the device, and to it.
        self.sent_bytes = 0
        self.received_bytes = 0
        self.is_open = True
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Lose the link that is there."""
        for writer in self._writers:
            writer.transport.abort()

    def close(self) -> None:
        """Lose the link, and let none come."""
        self.is_open = False
        self.cut()

    def open(self) -> None:
        """Let links come again."""
        self.is_open = True

    def _check(self) -> None:
        """The way may have been closed while the gateway was being reached."""
        if not self.is_open:
            self.cut()

    async def stop(self) -> None:
        """Listen no more."""
        self.close()
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        self._check()
        for source, sink, up in ((reader, far_writer, True), (far_reader, writer, False)):
            task = asyncio.get_running_loop().create_task(self._copy(source, sink, up=up))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, up: bool
    ) -> None:
        try:
            while data := await source.read(CHUNK_BYTES):
                if up:
                    self.sent_bytes += len(data)
                else:
                    self.received_bytes += len(data)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # A lost link ends here; its other direction ends by itself.
        finally:
            sink.transport.abort()
            self._writers.discard(sink)

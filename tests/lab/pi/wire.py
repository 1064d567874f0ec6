"""The test's end of the serial port over which the guest's agent takes commands."""

import asyncio
import json
import os
import pty
import tty
from typing import Any, Self

# One line of the agent holds all a command printed.
LINE_BYTES = 64 * 1024 * 1024


class Wire:
    """Requests and answers; ``path`` is the terminal for the kernel."""

    def __init__(self, near: int, far: int) -> None:
        self.path = os.ttyname(far)
        self._far = far
        self._near = near
        self._reader = asyncio.StreamReader(limit=LINE_BYTES)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        # The agent's word that it is there.
        self.ready = self._expect(0)

    @classmethod
    async def open(cls) -> Self:
        """A new pair of terminals."""
        near, far = pty.openpty()
        tty.setraw(far)
        wire = cls(near, far)
        await wire._connect()
        return wire

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        source = os.fdopen(self._near, "rb", buffering=0)
        self._reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), source
        )
        sink = os.fdopen(os.dup(self._near), "wb", buffering=0)
        self._writing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sink)
        self._listening = asyncio.create_task(self._listen())

    def _expect(self, number: int) -> asyncio.Future[dict[str, Any]]:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        return future

    async def _listen(self) -> None:
        async for line in self._reader:
            message = json.loads(line)
            future = self._waiting.pop(message["id"], None)
            if future is not None and not future.done():
                future.set_result(message)

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self._number += 1
        future = self._expect(self._number)
        self.send({**request, "id": self._number})
        return await future

    def send(self, request: dict[str, Any]) -> None:
        """Send a request without waiting."""
        self._writing.write(json.dumps(request).encode() + b"\n")

    def close(self) -> None:
        """Let go of both ends."""
        self._listening.cancel()
        self._reading.close()
        self._writing.close()
        os.close(self._far)

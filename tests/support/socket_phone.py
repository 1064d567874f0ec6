"""A phone of a gateway whose radio is a socket (``radio_gateway``)."""

import asyncio
import json
from asyncio import StreamWriter
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONNECT_SECONDS = 10.0


class SocketPhone:
    """Satisfies ``PageRadio``. ``reachable``: whether the radio reaches the gateway."""

    def __init__(self, path: Path) -> None:
        self.reachable = True
        self.connections = 0
        self._path = path
        self._writer: StreamWriter | None = None
        self._answers: asyncio.Queue[str] = asyncio.Queue()
        self._heard: dict[str, Callable[[bytes], object]] = {}
        self._lost: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    async def reach(self) -> None:
        """See ``PageRadio``."""
        if not self.reachable:
            raise ConnectionError("nobody is near")
        reader, self._writer = await asyncio.open_unix_connection(self._path)
        self.connections += 1
        self._answers = asyncio.Queue()
        self._heard, self._lost = {}, lambda: None
        self._task = asyncio.create_task(self._hear(reader))

    async def read(self, characteristic: str) -> bytes:
        """See ``PageRadio``."""
        return bytes.fromhex(await self._ask(verb="read"))

    async def write(self, characteristic: str, value: bytes, *, answered: bool = True) -> None:
        """See ``PageRadio``."""
        await self._ask(verb="write", value=value.hex())

    async def listen(self, characteristic: str, heard: Callable[[bytes], object]) -> None:
        """See ``PageRadio``."""
        self._heard[characteristic] = heard

    def on_lost(self, lost: Callable[[], None]) -> None:
        """See ``PageRadio``."""
        self._lost = lost

    async def disconnect(self) -> None:
        """See ``PageRadio``."""
        writer, self._writer = self._writer, None
        self._lost = lambda: None
        if writer is not None:
            writer.close()
        if self._task is not None:
            await self._task

    def vanish(self) -> None:
        """Out of reach, from now on."""
        self.reachable = False
        if self._writer is not None:
            self._writer.close()

    async def _ask(self, **line: Any) -> str:
        if self._writer is None or self._writer.is_closing():
            raise ConnectionError("there is no connection")
        self._writer.write(json.dumps(line).encode() + b"\n")
        return await asyncio.wait_for(self._answers.get(), CONNECT_SECONDS)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            said = json.loads(line)
            if "notified" not in said:
                self._answers.put_nowait(said["value"])
            elif heard := self._heard.get(said["notified"]):
                heard(bytes.fromhex(said["value"]))
        self._lost()

"""The processes of the simulated shop, and the JSON lines they speak."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.core.errors import GatewayError

# A line may hold a whole document.
LINE_BYTES = 1 << 22
START_SECONDS = 60.0
STOP_SECONDS = 20.0

Line = Mapping[str, Any]


class Program:
    """One ``store-gateway`` command in a process of its own; ``on_line`` gets what it prints."""

    def __init__(self, name: str, folder: Path, on_line: Callable[[Line], None]) -> None:
        self.name = name
        self.folder = folder
        self._on_line = on_line
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Line] | None = None

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Its process id; it must run."""
        assert self._process is not None
        return self._process.pid

    async def start(self, *arguments: str) -> Line:
        """Start it; what it said when it was ready. Raises ``GatewayError`` ``simulation``."""
        with self._log.open("a") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", *arguments, "--data", str(self.folder),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                limit=LINE_BYTES,
                # Ctrl-C is for the simulator, which then ends them in order.
                start_new_session=True,
            )  # fmt: skip
        self._ready = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(self._process, self._ready))
        async with asyncio.timeout(START_SECONDS):
            return await self._ready

    def say(self, request: Line) -> None:
        """A request; nothing happens while it does not run."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Tell it to end, and wait."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None or self._reader is None:
            return
        if process.returncode is None:
            os.kill(process.pid, number)
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
        await self._reader

    @property
    def _log(self) -> Path:
        return self.folder.with_suffix(".log")

    async def _read(self, process: asyncio.subprocess.Process, ready: asyncio.Future[Line]) -> None:
        assert process.stdout is not None
        while data := await process.stdout.readline():
            line = json.loads(data)
            if not ready.done():
                ready.set_result(line)
            self._on_line(line)
        said = self._log.read_text().strip()[-500:] or "it said nothing"
        if not ready.done():
            sentence = f"{self.name} did not start: {said}"
            ready.set_exception(GatewayError("simulation", sentence))
        elif self._process is process:
            raise GatewayError("simulation", f"{self.name} ended by itself: {said}")

    def check(self) -> None:
        """Raises ``GatewayError`` ``simulation`` if the process ended by itself."""
        if self._reader is not None and self._reader.done() and self.runs:
            self._reader.result()

"""The admin pages' process, started beside the gateway where no service manager does it.

The child watches its standard input, so it never outlives the gateway, not even after
kill -9.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

from gateway.core.errors import GatewayError

START_SECONDS = 20.0
STOP_SECONDS = 1.0
RESTART_SECONDS = 2.0

log = logging.getLogger("gateway.pages")


class Pages:
    """One child process that serves the pages on ``port``."""

    def __init__(self, control: Path, host: str, port: int, sync_port: int) -> None:
        self._arguments = [
            "--control", str(control), "--host", host, "--sync-port", str(sync_port),
        ]  # fmt: skip
        self.port = port
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> int:
        """Start the child; returns its port. Raises ``GatewayError`` when it cannot start."""
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "web", *self._arguments, "--port", str(self.port),
                "--watch-parent",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            sentence = f"the pages cannot be started ({error.strerror}); or use --no-pages"
            raise GatewayError("pages-failed", sentence, 69) from error
        self._child = child
        assert child.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await child.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise await self._failure(child)
        self.port = int(json.loads(line)["port"])
        return self.port

    async def keep(self) -> None:
        """Start the child again whenever it ends, for ever."""
        while True:
            assert self._child is not None
            await asyncio.gather(self._child.wait(), _log_lines(self._child))
            log.warning("the pages stopped; starting them again")
            await asyncio.sleep(RESTART_SECONDS)
            try:
                await self.start()
            except GatewayError as error:
                log.warning("%s", error.sentence)

    async def stop(self) -> None:
        """End the child."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        child.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()

    async def _failure(self, child: asyncio.subprocess.Process) -> GatewayError:
        if child.returncode is None:
            await self.stop()
        _, errors = await child.communicate()
        lines = errors.decode(errors="replace").strip().splitlines()
        sentence = lines[-1] if lines else "the pages did not start"
        return GatewayError("pages-failed", sentence, 69)


async def _log_lines(child: asyncio.subprocess.Process) -> None:
    assert child.stderr is not None
    async for line in child.stderr:
        log.info("%s", line.decode(errors="replace").rstrip())

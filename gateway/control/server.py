"""The admin door: a Unix socket whose file's rights say who may come in."""

import asyncio
import os
import socket
from pathlib import Path

from gateway.control.answers import Handler, answer
from gateway.control.messages import REQUEST_BYTES, TOO_LONG, failure
from gateway.core.errors import GatewayError

# The pages, a script and a technician; more at once is a mistake.
MAX_CALLERS = 8
IDLE_SECONDS = 10.0
REFUSAL_SECONDS = 1.0
SOCKET_MODE = 0o660
EX_TEMPFAIL = 75


class ControlServer:
    """Answers requests by ``handler(verb, arguments)``; its ``GatewayError`` is an answer too."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._callers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Listen. A socket nobody listens on is replaced; raises ``control-in-use`` else."""
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            name = f"/proc/self/fd/{folder}/{self._path.name}"
            if _answers(name):
                raise GatewayError(
                    "control-in-use",
                    f"another gateway answers on {self._path}; stop it first",
                    EX_TEMPFAIL,
                )
            self._path.unlink(missing_ok=True)
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.bind(name)
        finally:
            os.close(folder)
        self._path.chmod(SOCKET_MODE)
        self._server = await asyncio.start_unix_server(self._accept, sock=link, limit=REQUEST_BYTES)

    async def close(self) -> None:
        """Stop answering and remove the socket; idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        # Their readers see the end; cancelled they would make asyncio complain.
        for writer in self._callers.values():
            writer.close()
        await asyncio.gather(*self._callers, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._callers[task] = writer
        try:
            if len(self._callers) > MAX_CALLERS:
                # What is unread when a socket closes takes the answer with it.
                async with asyncio.timeout(REFUSAL_SECONDS):
                    await reader.read(REQUEST_BYTES)
                writer.write(failure(0, "too-many", "too many callers at once; try again"))
            else:
                await self._serve(reader, writer)
        except (OSError, TimeoutError):
            pass  # The caller went away or said nothing.
        finally:
            del self._callers[task]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(IDLE_SECONDS):
                try:
                    line = await reader.readline()
                except ValueError:
                    writer.write(failure(0, "bad-request", TOO_LONG))
                    return
            if not line:
                return
            _, said = await answer(line, self._handler)
            writer.write(said)
            await writer.drain()


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.connect(path)
        except OSError:
            return False
    return True

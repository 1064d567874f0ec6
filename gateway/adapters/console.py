"""Standard input and output as lines, beside the event loop; files, pipes and terminals alike."""

import asyncio
import os
import select
from concurrent.futures import ThreadPoolExecutor

from gateway.core.errors import GatewayError

# A put of this size is about what one link message takes.
LINE_BYTES = 262_144
_CHUNK_BYTES = 65_536
# As a shell says of who was ended by SIGPIPE: the reader, such as head, had enough.
ENDED_BY_READER = 141
EX_IOERR = 74


def output_lost(error: OSError) -> GatewayError:
    """Nothing can be written to standard output any more."""
    exit_code = ENDED_BY_READER if isinstance(error, BrokenPipeError) else EX_IOERR
    sentence = f"standard output cannot be written: {error.strerror}"
    return GatewayError("output", sentence, exit_code)


class Console:
    """``source`` and ``target`` are file descriptors. Close it to end its threads."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._reader = ThreadPoolExecutor(1, "console-in")
        self._writer = ThreadPoolExecutor(1, "console-out")
        self._watcher = ThreadPoolExecutor(1, "console-watch")
        self._stopped, self._stop = os.pipe()
        self._rest = b""
        self._skipping = False

    async def line(self) -> str | None:
        """The next line without its end; None at the end of the input.

        Raises ``ValueError`` for one above ``LINE_BYTES``, once; what is left of it is skipped.
        Raises ``GatewayError`` ``input`` when the input cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read)

    async def write(self, line: str) -> bool:
        """Write a line; False once nobody reads any more. Raises ``GatewayError`` ``output``."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._print, line)

    async def deaf(self) -> None:
        """Return once nobody reads any more, also while there is nothing to write."""
        await asyncio.get_running_loop().run_in_executor(self._watcher, self._watch)

    def close(self) -> None:
        """End reading and writing; what nobody took by now is lost."""
        os.write(self._stop, b"\0")
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._writer.shutdown(wait=True)
        self._watcher.shutdown(wait=True)
        os.close(self._stopped)
        os.close(self._stop)

    def _read(self) -> str | None:
        while True:
            line, end, rest = self._rest.partition(b"\n")
            if end:
                self._rest = rest
                if self._skipping:
                    self._skipping = False
                    continue
                return line.decode(errors="replace").removesuffix("\r")
            if len(line) > LINE_BYTES:
                self._rest, skipping, self._skipping = b"", self._skipping, True
                if not skipping:
                    raise ValueError(f"a line is at most {LINE_BYTES} bytes")
            data = self._more()
            if not data:
                self._rest, last = b"", self._rest
                return last.decode(errors="replace") if last and not self._skipping else None
            self._rest += data

    def _more(self) -> bytes:
        ready, _, _ = select.select([self._source, self._stopped], [], [])
        if self._stopped in ready:
            return b""
        try:
            return os.read(self._source, _CHUNK_BYTES)
        except OSError as error:
            sentence = f"standard input cannot be read: {error.strerror}"
            raise GatewayError("input", sentence, EX_IOERR) from error

    def _watch(self) -> None:
        poll = select.poll()
        # No event is asked for: that the reader of a pipe is gone is told without.
        poll.register(self._target, 0)
        poll.register(self._stopped, select.POLLIN)
        poll.poll()

    def _print(self, line: str) -> bool:
        data = line.encode(errors="surrogateescape") + b"\n"
        try:
            while data:
                stopped, _, _ = select.select([self._stopped], [self._target], [])
                if stopped:
                    return False
                # No more than a pipe that is writable takes without waiting.
                data = data[os.write(self._target, data[: select.PIPE_BUF]) :]
        except BrokenPipeError:
            return False
        except OSError as error:
            raise output_lost(error) from error
        return True

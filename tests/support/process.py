"""A program in a process of its own: started, waited for, and ended by a signal."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Program:
    """``with`` starts it and ends it by SIGTERM. Whoever is one says in ``start`` how it starts.

    ``kept`` is the file of what it says; it grows when the program is started again.
    """

    # A gateway promises five; the machine may be busy.
    end_seconds = 10.0

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> object:
        """Start it, and wait until it is ready."""
        raise NotImplementedError

    def launch(self, command: Sequence[str | Path], *, reads: bool = False, **how: Any) -> None:
        """Start the process; ``reads``: its standard output is for ``line``. ``how``: of Popen."""
        with self._kept.open("a") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE if reads else log, stderr=log, text=True, **how
            )

    def line(self) -> dict[str, Any]:
        """The next JSON line on its standard output. Fails if it ends instead."""
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise AssertionError(f"it ended: {self.log()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def await_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Until it is ready, of which nothing tells us. Fails if it ends, or not in time."""
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"it does not start: {self.log()}")
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut or a crash would."""
        self.end(signal.SIGKILL)

    def stop(self) -> int:
        """End it by SIGTERM; returns the exit code."""
        return self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> int:
        """End it by a signal; returns the exit code, 0 if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            code = process.wait(self.end_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{number.name} does not end it: {self.log()}") from None
        finally:
            self.ended()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        return code

    def ended(self) -> None:
        """It has just ended, and its pipes are still open."""

    def log(self) -> str:
        """What it said."""
        return self._kept.read_text(errors="replace")

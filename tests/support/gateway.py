"""A real gateway in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0


class GatewayProcess:
    """``with GatewayProcess(folder) as gateway`` starts it and ends it by SIGTERM."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        module: str = "gateway",
    ) -> None:
        self.folder = folder
        self.port = port
        self.facts: dict[str, Any] = {}
        self._arguments = arguments
        self._module = module
        self._environment = {**os.environ, **environment} if environment else None
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

    def start(self) -> None:
        """Start it on the port it had before and wait until it is ready."""
        command = [
            sys.executable, "-m", self._module, "run", "--port", str(self.port),
            "--data", str(self.folder), "--json", *self._arguments,
        ]  # fmt: skip
        if "--pages" not in self._arguments:
            command.append("--no-pages")
        else:
            command.remove("--pages")
        errors = (self.folder.parent / f"{self.folder.name}.log").open("a")
        self._process = subprocess.Popen(
            command,
            cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        errors.close()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.facts = json.loads(line) if line else {}
        if not self.facts.get("ready"):
            self._process.wait(timeout=10)
            self._process.stdout.close()
            self._process = None
            raise AssertionError(f"no gateway: {line}{self.log()}")
        self.port = int(self.facts["mesh"].rsplit(":", 1)[1].split("/")[0])

    def kill(self) -> None:
        """End it as a power cut or a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it by SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM)

    def log(self) -> str:
        """What it said on standard error."""
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    def _end(self, number: int) -> int:
        process = self._process
        if process is None:
            return 0
        self._process = None
        os.kill(process.pid, number)
        code = process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()
        return code


def eventually(check: Callable[[], Any], seconds: float = 30.0, every: float = 0.05) -> Any:
    """The first truthy result of ``check``; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: last result {result!r}")
        time.sleep(every)

"""A real gateway in a process of its own."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.process import Program

ROOT = Path(__file__).resolve().parents[2]


class GatewayProcess(Program):
    """``with GatewayProcess(folder) as gateway`` starts it and ends it by SIGTERM."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        module: str = "gateway",
    ) -> None:
        super().__init__(folder.parent / f"{folder.name}.log")
        self.folder = folder
        self.port = port
        self.facts: dict[str, Any] = {}
        self._arguments = arguments
        self._module = module
        self._environment = {**os.environ, **environment} if environment else None

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
        self.launch(command, reads=True, cwd=ROOT, env=self._environment)
        self.facts = self.line()
        if not self.facts.get("ready"):
            # It says why in JSON, then in words.
            assert self._process is not None
            self._process.wait(timeout=10)
            self.stop()
            raise AssertionError(f"it ended: {self.log()}")
        self.port = int(self.facts["mesh"].rsplit(":", 1)[1].split("/")[0])


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

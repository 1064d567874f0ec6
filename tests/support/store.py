"""A claimed gateway and its commands, as a person or a script uses them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gateway.control.client import ControlClient
from tests.support.gateway import ROOT

# A request waits for the disk, others wait with it; a process answers so many at once.
WRITERS = 8


def command(folder: Path, *arguments: str, text: str = "") -> dict[str, Any]:
    """A command with --json at the gateway or peer of this folder; its answer."""
    ended = run(folder, *arguments, "--json", text=text)
    assert ended.stdout, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def run(folder: Path, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    """A command at the gateway or peer of this folder."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--data", str(folder)],
        cwd=ROOT, input=text, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def ask(folder: Path, verb: str, **arguments: Any) -> Any:
    """What the gateway or peer of this folder says to a request; raises ``ControlError``."""
    return ControlClient(folder / "control.sock").request(verb, **arguments)


def put(written: Mapping[tuple[Path, str], dict[str, Any]]) -> None:
    """Write documents, as far as possible at once; ``written`` by folder and name."""

    def write(item: tuple[tuple[Path, str], dict[str, Any]]) -> None:
        (folder, document), content = item
        ask(folder, "put", document=document, content=content)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, written.items()))


class Pairing:
    """``with Pairing(folder) as pairing`` opens a window; ``code`` and ``uri`` are for a device."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "pair", "--json", "--data", str(folder), *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        facts = json.loads(self._process.stdout.readline())
        self.code, self.uri = str(facts["code"]), str(facts["uri"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def end(self) -> dict[str, Any]:
        """How it ended."""
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

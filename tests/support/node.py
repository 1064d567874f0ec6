"""A Node process that is told what to do by JSON lines."""

import json
import subprocess
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

SCRIPTS = Path(__file__).resolve().parents[1] / "js"


class NodeClient:
    """One script in tests/js; ``call`` sends a command and returns its answer."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            ["node", script, *arguments],
            cwd=SCRIPTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"node {script}")
        self._reader.start()

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
        self._reader.join()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def call(self, do: str, seconds: float = 60.0, **arguments: Any) -> Any:
        """Send a command; its result, or an AssertionError with what the script said."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        try:
            answer = json.loads(self._answers.get(timeout=seconds))
        except Empty:
            raise AssertionError(f"{do}: no answer in {seconds} s") from None
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put('{"error": "the script ended"}')

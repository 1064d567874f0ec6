"""A real ``store-gateway peer`` in a process of its own, driven by its JSON lines."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.gateway import ROOT
from tests.support.process import Program

WAIT_SECONDS = 30.0


class PeerProcess(Program):
    """``with PeerProcess(folder, "--connect", …) as peer`` starts it and ends it by SIGTERM.

    ``events`` are all lines it wrote; ``documents`` what it told of its subscriptions.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        super().__init__(folder.parent / f"{folder.name}.log")
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self.documents: dict[str, dict[str, Any]] = {}
        self._arguments = arguments
        self._news = threading.Condition()
        self._number = 0

    def start(self) -> dict[str, Any]:
        """Start it and wait until it is ready; returns what it said then."""
        command = [sys.executable, "-m", "gateway", "peer", "--data", str(self.folder)]
        self.launch([*command, *self._arguments], reads=True, cwd=ROOT, stdin=subprocess.PIPE)
        self.events.clear()
        self._reader = threading.Thread(target=self._read, args=(self._process,))
        self._reader.start()
        return self.wait(lambda event: event.get("event") == "ready")

    def ask(self, verb: str, document: str, content: dict[str, Any] | None = None) -> Any:
        """One request; its result. Raises ``AssertionError`` with the answer if it failed."""
        assert self._process is not None and self._process.stdin is not None
        self._number += 1
        number = self._number
        request = {"verb": verb, "document": document, "id": number}
        if verb != "get":
            request["content"] = content or {}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self.wait(lambda event: event.get("id") == number)
        assert answer["ok"], answer
        return answer["result"]

    def wait(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first line that matches, said already or to come."""
        with self._news:
            found = self._news.wait_for(
                lambda: next((event for event in self.events if matches(event)), None),
                WAIT_SECONDS,
            )
            assert found is not None, f"not among {self.events[-20:]}"
            return found

    def until(self, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Until its documents fulfil a condition."""
        with self._news:
            assert self._news.wait_for(lambda: holds(self.documents), WAIT_SECONDS), self.documents

    def ended(self) -> None:
        self._reader.join()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            with self._news:
                self.events.append(event)
                if event.get("event") == "change":
                    self.documents[event["document"]] = event["content"]
                elif event.get("event") == "left":
                    self.documents.pop(event["document"], None)
                self._news.notify_all()

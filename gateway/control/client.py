"""The blocking client of the admin door, for the pages and the command line."""

import os
import socket
from pathlib import Path
from typing import Any

from gateway.control.messages import ANSWER_BYTES, ControlError, read_answer, request

TIMEOUT_SECONDS = 5.0


class ControlClient:
    """Asks the gateway whose socket is ``path``; a fresh connection for every request."""

    def __init__(self, path: Path, timeout: float = TIMEOUT_SECONDS) -> None:
        self._path = path
        self._timeout = timeout

    def request(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """The gateway's result. Raises ``ControlError``; ``not-running`` when nobody answers."""
        line = request(1, verb, arguments)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(self._timeout)
                self._connect(link)
                link.sendall(line)
                return read_answer(_read_line(link))
        except TimeoutError:
            raise ControlError("timeout", "the gateway did not answer in time") from None
        except OSError:
            raise ControlError(
                "not-running",
                f"no gateway is running on {self._path.parent}:"
                " start it, or name its folder by --data",
            ) from None

    def _connect(self, link: socket.socket) -> None:
        # A socket's path has at most 107 bytes; through its folder any path works.
        folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            link.connect(f"/proc/self/fd/{folder}/{self._path.name}")
        finally:
            os.close(folder)


def _read_line(link: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        data = link.recv(65_536)
        if not data or len(line) > ANSWER_BYTES:
            raise ControlError("bad-answer", "the gateway's answer was cut off")
        line += data
    return line

"""A real server on loopback, and bare sockets that speak to it."""

import json
import socket
import threading
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from types import TracebackType
from typing import Any, Self

from gateway.http.server import Server

SECONDS = 20.0


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Serving:
    """``with Serving(app.wsgi) as serving`` runs it in a thread of its own."""

    def __init__(self, wsgi: Any, threads: int = 4, **limits: Any) -> None:
        self._server = Server(wsgi, "127.0.0.1", 0, threads, **limits)
        self.port = self._server.port
        self._thread = threading.Thread(target=self._server.run, name="serving")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._thread.join()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Got:
        """One request over a connection of its own; ``_`` in names of headers is ``-``."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)) as link:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            link.request(method, path, body, named)
            answer = link.getresponse()
            return Got(answer.status, answer.headers, answer.read())

    def get(self, path: str, **headers: str) -> Got:
        """See ``ask``."""
        return self.ask("GET", path, None, **headers)

    def link(self, sent: bytes = b"", receive_bytes: int = 0) -> socket.socket:
        """A bare connection that sent these bytes."""
        link = socket.socket()
        if receive_bytes:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        link.settimeout(SECONDS)
        link.connect(("127.0.0.1", self.port))
        link.sendall(sent)
        return link


def request(path: str, *headers: str) -> bytes:
    """The bytes of a GET."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
    return "\r\n".join(lines).encode()


def read_until(link: socket.socket, mark: bytes) -> bytes:
    """What comes up to and with a mark."""
    data = b""
    while mark not in data:
        more = link.recv(65_536)
        assert more, f"the end came before {mark!r}: {data[-200:]!r}"
        data += more
    return data

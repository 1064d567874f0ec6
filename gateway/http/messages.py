"""Requests and answers of HTTP as plain values: handlers need no library."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from json import JSONEncoder
from typing import Any

JSON_TYPE = "application/json"
_ENCODER = JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Request:
    """A request; ``path`` and ``query`` are decoded, and were UTF-8, percent-encoded rightly.

    ``header(name)`` is one of its headers or ""; ``read()`` its body, raises ``HttpProblem`` 413;
    ``gone()``: nobody waits for the answer any more. ``parts``: what stands in the path for the
    names of its route.
    """

    method: str
    path: str
    query: Mapping[str, str]
    parts: Mapping[str, str]
    host: str
    remote: str
    header: Callable[[str], str]
    read: Callable[[], bytes]
    gone: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. What an iterable gives is sent piece by piece; it is closed in the end."""

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpProblem(Exception):
    """A request is not done: a status, a stable code, a plain sentence, and headers."""

    def __init__(
        self, status: int, code: str, sentence: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence
        self.headers = headers or {}


Handler = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """Requests of a method at a path such as ``/demo/<path:file>`` go to a handler.

    ``<name>`` stands for one segment, ``<path:name>`` for one or more.
    """

    method: str
    path: str
    handler: Handler


def as_json(value: Any) -> bytes:
    """JSON of one line, as short as it goes; other letters are escaped."""
    return _ENCODER.encode(value).encode()

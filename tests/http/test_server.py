"""The server, really listening."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest

from gateway.http.server import AHEAD_BYTES, Server
from tests.support.gateway import eventually
from tests.support.serving import Serving, read_until, request

Start = Callable[[str, list[tuple[str, str]]], Any]


class Streams:
    """An app: /stream sends pieces of 64 kB for ever, anything else answers at once."""

    def __init__(self) -> None:
        self.made = 0
        self.ended = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [])
        return self._pieces() if environ["PATH_INFO"] == "/stream" else [b"here"]

    def _pieces(self) -> Iterator[bytes]:
        try:
            while True:
                self.made += 65_536
                yield b"x" * 65_536
        finally:
            self.ended.set()


def test_who_takes_nothing_is_cut_and_was_never_much_ahead() -> None:
    app = Streams()
    with (
        Serving(app, slow_seconds=0.3) as serving,
        closing(serving.link(request("/stream"), receive_bytes=4_096)),
    ):
        assert app.ended.wait(20)
        # What the kernel holds for both sides is its own affair.
        assert app.made < AHEAD_BYTES + 8 * 1_048_576
        assert serving.get("/").body == b"here"


def test_who_goes_away_ends_what_was_made_for_it() -> None:
    app = Streams()
    with Serving(app) as serving:
        with closing(serving.link(request("/stream"))) as link:
            read_until(link, b"xxx")
            assert not app.ended.is_set()
        assert app.ended.wait(20)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("/", "X-Long: " + "x" * 20_000), b" 431 "),
        (b"GET /\r\n\r\n" * 1 + b"\0\r\n\r\n", b" 400 "),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", b" 413 "),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\nA: 1\r\nTransfer-Encoding: nonsense\r\n\r\n", b" 501 "),
    ],
)
def test_what_is_no_request_is_answered_and_does_no_harm(sent: bytes, status: bytes) -> None:
    with Serving(Streams()) as serving:
        with closing(serving.link(sent)) as link:
            data = b""
            while more := link.recv(65_536):
                data += more
        assert status in data or b"here" in data
        assert serving.get("/").body == b"here"


def test_a_request_of_two_lengths_is_refused_and_what_follows_is_none() -> None:
    lengths = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    sent = b"POST / HTTP/1.1\r\nHost: x\r\n" + lengths + request("/")
    with Serving(Streams()) as serving, closing(serving.link(sent)) as link:
        got = b"".join(iter(lambda: link.recv(65_536), b""))
        assert got.startswith(b"HTTP/1.1 400 ") and got.count(b"HTTP/1.1") == 1


def test_a_port_that_is_taken_is_an_error_of_the_system() -> None:
    with Serving(Streams()) as serving, pytest.raises(OSError):
        Server(Streams(), "127.0.0.1", serving.port, 1)


def test_a_stop_ends_streams_too() -> None:
    app = Streams()
    with Serving(app) as serving:
        link = serving.link(request("/stream"))
        read_until(link, b"xxx")
    # It ends once nobody can be written to any more.
    eventually(app.ended.is_set)
    link.close()

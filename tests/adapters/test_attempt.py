"""Attempts to connect, on this machine."""

import socket

import pytest

from gateway.adapters.attempt import attempt
from gateway.core.diagnosis import Port


@pytest.fixture
def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_who_listens_and_who_does_not(listening: socket.socket) -> None:
    with listening:
        port = listening.getsockname()[1]
        assert attempt("127.0.0.1", port) == (("127.0.0.1",), Port.OPEN)
        # Whatever else the name stands for: the address that answers comes first.
        ips, met = attempt("localhost", port)
        assert ips[0] == "127.0.0.1" and met is Port.OPEN
    assert attempt("127.0.0.1", port) == (("127.0.0.1",), Port.CLOSED)


@pytest.mark.parametrize("name", ["nobody.invalid", "x" * 300, "a..b"])
def test_a_name_that_stands_for_nothing(name: str) -> None:
    assert attempt(name, 8787) == ((), Port.NO_NAME)


def test_what_is_not_answered_in_time() -> None:
    # A queue of connections that is full drops what comes.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        assert attempt("127.0.0.1", port, 0.2) == (("127.0.0.1",), Port.FILTERED)
        for one in waiting:
            one.close()

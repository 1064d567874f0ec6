"""The admin door, both ends over a real socket."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from gateway.control.client import ControlClient
from gateway.control.messages import REQUEST_BYTES, ControlError, read_answer, read_request, request
from gateway.control.server import MAX_CALLERS, ControlServer
from gateway.core.errors import GatewayError


async def handler(verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    if verb == "fail":
        raise GatewayError("store-full", "the disk is full")
    if verb == "break":
        raise ValueError("a fault of ours")
    return {"verb": verb, **arguments}


class Door:
    """A server in a loop of its own thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server = ControlServer(path, handler)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with Door(tmp_path / "control.sock") as running:
        yield running


def test_a_request_is_answered(door: Door) -> None:
    client = ControlClient(door.path)
    assert client.request("status", deep=[1]) == {"verb": "status", "deep": [1]}
    assert door.path.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(("verb", "code"), [("fail", "store-full"), ("break", "internal")])
def test_errors_carry_a_code_and_a_sentence(door: Door, verb: str, code: str) -> None:
    with pytest.raises(ControlError) as caught:
        ControlClient(door.path).request(verb)
    assert caught.value.code == code and caught.value.sentence


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'{"id":1.5,"verb":"x"}\n',
        b"\xff\n",
        b"x" * (REQUEST_BYTES + 1_000),
    ],
)
def test_broken_requests_are_answered_and_nobody_else_minds(door: Door, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(door.path))
        link.sendall(line)
        answer = json.loads(link.makefile("rb").readline())
    assert answer["code"] == "bad-request"
    assert ControlClient(door.path).request("status")


def test_a_long_request_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    fits = "é" * ((REQUEST_BYTES - 50) // 2)
    sent = {"text": fits, "name": "\udc80"}
    assert read_request(request(1, "put", sent)) == (1, {"verb": "put", **sent})
    with pytest.raises(ControlError) as caught:
        ControlClient(tmp_path / "control.sock").request("put", text=fits + 50 * "x")
    assert caught.value.code == "usage" and "at most 262144 bytes" in caught.value.sentence


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(ControlError) as caught:
        ControlClient(tmp_path / "control.sock").request("status")
    assert caught.value.code == "not-running"


def test_a_second_server_is_refused_and_a_dead_socket_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with Door(path):

        async def second() -> None:
            await ControlServer(path, handler).start()

        with pytest.raises(GatewayError) as caught:
            asyncio.run(second())
        assert caught.value.code == "control-in-use"
        assert ControlClient(path).request("status")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Door(path):
        assert ControlClient(path).request("status")


def test_long_paths_work(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with Door(folder / "control.sock") as door:
        assert ControlClient(door.path).request("status")


def test_callers_are_limited(door: Door) -> None:
    links = [socket.socket(socket.AF_UNIX) for _ in range(MAX_CALLERS)]
    try:
        for link in links:
            link.connect(str(door.path))
            link.sendall(b'{"id":1,"verb":"status"}\n')
            assert link.recv(100)
        with pytest.raises(ControlError) as caught:
            ControlClient(door.path).request("status")
        assert caught.value.code == "too-many"
    finally:
        for link in links:
            link.close()


def test_messages_read_back() -> None:
    assert read_request(b'{"id":1,"verb":"x","a":2}') == (1, {"verb": "x", "a": 2})
    with pytest.raises(ControlError):
        read_answer(b'{"ok":true}')

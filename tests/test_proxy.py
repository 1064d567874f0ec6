"""The narrow way of the lab: how long it takes, what it counts, what a cut takes."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.gateway import eventually
from tests.support.proxy import CHUNK_SECONDS, Proxy
from tests.support.shape import Line, Shape

RATE = 20_000.0
DELAY_SECONDS = 0.1


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10.0)
        yield server


def ends(listener: socket.socket, proxy: Proxy) -> tuple[socket.socket, socket.socket]:
    near = socket.create_connection(("127.0.0.1", proxy.port), timeout=10.0)
    far, _ = listener.accept()
    far.settimeout(10.0)
    return near, far


def taken(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := end.recv(size - len(data))):
        data += more
    return data


def test_bytes_go_one_after_the_other_and_each_takes_a_while() -> None:
    line = Line(Shape(1_000, 0.5))
    assert line.send(100, 10.0) == pytest.approx((10.1, 10.6))
    assert line.send(200, 10.0) == pytest.approx((10.3, 10.8))
    # After a pause the line is free at once: nothing was saved up.
    assert line.send(100, 20.0) == pytest.approx((20.1, 20.6))


def test_a_line_without_a_shape_takes_all_at_once() -> None:
    line = Line(Shape())
    assert line.send(1 << 30, 7.0) == (7.0, 7.0)
    assert line.send(1, 7.0) == (7.0, 7.0)


def test_each_direction_has_its_own_shape_and_counts(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with Proxy(port, up=Shape(RATE, DELAY_SECONDS), record=True) as proxy:
        near, far = ends(listener, proxy)
        with closing(near), closing(far):
            began = time.monotonic()
            near.sendall(bytes(6_000))
            assert taken(far, 6_000) == bytes(6_000)
            # It cannot be faster, whatever else the machine does.
            assert time.monotonic() - began >= 6_000 / RATE + DELAY_SECONDS
            far.sendall(b"x" * 90_000)
            assert taken(near, 90_000) == b"x" * 90_000
            assert (proxy.up.carried_bytes, proxy.down.carried_bytes) == (6_000, 90_000)
            assert proxy.carried_bytes == 96_000
            (passed,) = proxy.passed
            assert b"".join(data for up, data in passed if not up) == b"x" * 90_000
            assert max(len(data) for up, data in passed if up) <= RATE * CHUNK_SECONDS


def test_a_cut_loses_what_is_under_way_and_a_mended_way_takes_links_again(
    listener: socket.socket,
) -> None:
    port = listener.getsockname()[1]
    with Proxy(port, up=Shape(None, 30.0)) as proxy:
        near, far = ends(listener, proxy)
        with closing(near), closing(far):
            near.sendall(b"lost")
            proxy.cut()
            assert taken(far, 4) == b""
            assert proxy.carried_bytes == 0
        with closing(socket.create_connection(("127.0.0.1", proxy.port))) as refused:
            refused.settimeout(10.0)
            assert ended(refused)
        proxy.mend()
        near, far = ends(listener, proxy)
        with closing(near), closing(far):
            far.sendall(b"back")
            assert taken(near, 4) == b"back"
            eventually(lambda: proxy.down.carried_bytes == 4)


def ended(end: socket.socket) -> bool:
    try:
        return end.recv(1) == b""
    except ConnectionResetError:
        return True


def test_what_was_said_before_the_end_arrives(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with Proxy(port, up=Shape(None, 0.2)) as proxy:
        near, far = ends(listener, proxy)
        with closing(far):
            with closing(near):
                near.sendall(b"goodbye")
            assert taken(far, 7) == b"goodbye"


def test_a_way_that_is_stalled_says_nothing_and_goes_on(listener: socket.socket) -> None:
    with Proxy(listener.getsockname()[1]) as proxy:
        near, far = ends(listener, proxy)
        with closing(near), closing(far):
            proxy.stall()
            near.sendall(b"late")
            far.settimeout(0.2)
            with pytest.raises(TimeoutError):
                far.recv(1)
            far.settimeout(10.0)
            proxy.carry()
            assert taken(far, 4) == b"late"


def test_a_connection_is_lost_after_so_many_bytes_of_both_ways(listener: socket.socket) -> None:
    with Proxy(listener.getsockname()[1], lives=iter([10, 3]), record=True) as proxy:
        near, far = ends(listener, proxy)
        with closing(near), closing(far):
            near.sendall(b"12345678")
            assert taken(far, 8) == b"12345678"
            far.sendall(b"12345")
            assert taken(near, 5) in (b"12", b"")
            assert ended(far)
        near, far = ends(listener, proxy)
        with closing(near), closing(far):
            near.sendall(b"1234")
            assert ended(near)
        assert [sum(len(data) for _, data in passed) for passed in proxy.passed] == [10, 3]


def test_what_is_about_to_go_on_can_be_the_end_of_the_connection(listener: socket.socket) -> None:
    seen: list[tuple[bool, bytes]] = []

    def before(passed: object, up: bool, data: bytes) -> bool:
        seen.append((up, data))
        return b"end" not in data

    with Proxy(listener.getsockname()[1], before=before) as proxy:
        near, far = ends(listener, proxy)
        with closing(near), closing(far):
            far.sendall(b"on")
            assert taken(near, 2) == b"on"
            near.sendall(b"the end")
            assert ended(near)
            assert ended(far)
    assert seen == [(False, b"on"), (True, b"the end")]

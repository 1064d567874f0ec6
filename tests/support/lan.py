"""Networks of network namespaces: two subnets with a router between them, devices on them.

Nothing of the machine's own network is touched; all that is made goes with the last process in it.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

HUB = "hub"
SUBNETS = (0, 1)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def why_not() -> str:
    """Why there can be no namespaces here, or ""."""
    name = f"sg-try-{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
    except FileNotFoundError:
        return "ip is missing (Debian package iproute2)"
    except AssertionError as error:
        return f"network namespaces are not permitted here: {error}"
    try:
        _run("ip", "-n", name, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", name, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    except AssertionError as error:
        return f"bridges or veth pairs are not permitted here: {error}"
    finally:
        _run("ip", "netns", "del", name)
    return ""


def need_namespaces() -> None:
    """Skip the test where namespaces are not permitted; CI must permit them."""
    reason = why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"CI must be able to run this: {reason}")
    if reason:
        pytest.skip(reason)


class Lan:
    """Two bridges and a router; ``device`` n has 10.77.SUBNET.n and a link-local IPv6 address.

    Its interface is ``eth0``. The router forwards nothing before ``route``.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._prefix = f"sg{os.getpid()}"

    def __enter__(self) -> Self:
        self._add(HUB)
        for subnet in SUBNETS:
            bridge = f"br{subnet}"
            self.ip(HUB, "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
            self.ip(HUB, "address", "add", f"10.77.{subnet}.254/24", "dev", bridge)
            self.ip(HUB, "link", "set", bridge, "up")
        self.route(open_=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in self._names:
            _run("ip", "netns", "del", self._full(name))

    def route(self, *, open_: bool) -> None:
        """Whether the two subnets reach each other; never by multicast."""
        with self.inside(HUB):
            Path("/proc/sys/net/ipv4/ip_forward").write_text(f"{open_:d}")

    def device(self, number: int, *, multicast: bool = True, subnet: int = 0) -> str:
        """Add a device to a bridge; returns its name."""
        name = f"d{number}"
        self._add(name)
        self.ip(HUB, "link", "add", name, "type", "veth", "peer", "eth0", "netns", self._full(name))
        self.ip(HUB, "link", "set", name, "master", f"br{subnet}", "up")
        if not multicast:
            port = ("type", "bridge_slave", "mcast_flood", "off", "bcast_flood", "on")
            self.ip(HUB, "link", "set", name, *port)
        self.ip(name, "address", "add", f"10.77.{subnet}.{number}/24", "dev", "eth0")
        self.ip(name, "link", "set", "eth0", "up")
        self.ip(name, "route", "add", "default", "via", f"10.77.{subnet}.254")
        return name

    def ip(self, name: str, *arguments: str) -> str:
        """``ip`` in a device, or in the hub."""
        return _run("ip", "-n", self._full(name), *arguments)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Processes that are started here run in a device."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self._full(name)}", os.O_RDONLY)
        with ExitStack() as stack:
            stack.callback(os.close, own)
            stack.callback(os.close, there)
            _enter(there)
            stack.callback(_enter, own)
            yield

    def _add(self, name: str) -> None:
        _run("ip", "netns", "add", self._full(name))
        self._names.append(name)
        self.ip(name, "link", "set", "lo", "up")

    def _full(self, name: str) -> str:
        return f"{self._prefix}-{name}"


def _enter(handle: int) -> None:
    """Move this thread to a network namespace: setns(2); os.setns is new in Python 3.12."""
    import ctypes

    setns: Callable[[int, int], int] = ctypes.CDLL(None, use_errno=True).setns
    if setns(handle, 0x4000_0000):
        raise OSError(ctypes.get_errno(), "setns")

"""Addresses of this device, read from the kernel, and their changes in a namespace of its own."""

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gateway.adapters import rtnetlink
from gateway.adapters.rtnetlink import Network
from tests.support.lan import Lan, need_namespaces

SOON = 10.0


def run(work: Callable[[Network], Coroutine[Any, Any, None]]) -> None:
    async def inside() -> None:
        network = Network()
        try:
            async with asyncio.timeout(SOON):
                await work(network)
        finally:
            network.close()

    asyncio.run(inside())


def test_loopback_is_there_and_of_no_use() -> None:
    async def work(network: Network) -> None:
        found = {address.ip: address for address in network.addresses()}
        assert found["127.0.0.1"].prefix == 8 and not found["127.0.0.1"].usable
        assert all(ipaddress.ip_address(ip) for ip in found)

    run(work)


@pytest.mark.integration
def test_changes_are_told_once_they_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    need_namespaces()
    monkeypatch.setattr(rtnetlink, "LOOK_SECONDS", SOON)
    with Lan() as lan:
        device = lan.device(1)

        async def settled(network: Network, usable: set[str]) -> None:
            while {a.ip for a in network.addresses() if a.usable and ":" not in a.ip} != usable:
                await network.changed()

        async def work(network: Network) -> None:
            await settled(network, {"10.77.0.1"})
            lan.ip(device, "address", "add", "10.77.0.9/24", "dev", "eth0")
            await settled(network, {"10.77.0.1", "10.77.0.9"})
            lan.ip(device, "link", "set", "eth0", "down")
            await settled(network, set())
            assert "10.77.0.1" in {address.ip for address in network.addresses()}
            lan.ip(device, "link", "set", "eth0", "up")
            await settled(network, {"10.77.0.1", "10.77.0.9"})

        with lan.inside(device):
            run(work)


def test_sleep_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = [100.0]
    monkeypatch.setattr(rtnetlink, "_slept", lambda: slept[0])
    monkeypatch.setattr(rtnetlink, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(rtnetlink, "QUIET_SECONDS", 0.01)

    async def work(network: Network) -> None:
        network.addresses()
        waiting = asyncio.create_task(network.changed())
        await asyncio.sleep(0)
        assert not waiting.done()
        slept[0] += 60.0
        await waiting

    run(work)


def test_a_change_that_never_ends_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtnetlink, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(rtnetlink, "QUIET_SECONDS", 0.5)

    async def work(network: Network) -> None:
        async def stirring() -> None:
            while True:
                network._stirred.set()
                await asyncio.sleep(0)

        busy = asyncio.create_task(stirring())
        await network.changed()
        busy.cancel()

    run(work)

"""Finding peers by real multicast on loopback, and what others may say there."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from gateway.adapters import mdns
from gateway.adapters.mdns import MAX_NAMES, PAGES, PEERS, MulticastDns
from gateway.core.errors import GatewayError
from gateway.ports import Discovery
from tests.contracts.discovery import HERE, ONE, OWN, TWO, DiscoveryContract, Seen
from tests.support.air import Air, MemoryDiscovery
from tests.support.lan import Lan, why_not


@pytest.fixture(autouse=True, scope="module")
def alone() -> Iterator[None]:
    """A loopback of our own, where it may be had: others on this machine may be testing too."""
    if why_not():
        yield
        return
    with Lan() as lan, lan.inside(lan.device(1)):
        yield


class TestMulticastDns(DiscoveryContract):
    @staticmethod
    def pair() -> tuple[Discovery, Discovery]:
        return MulticastDns(), MulticastDns()


class TestMemoryDiscovery(DiscoveryContract):
    @staticmethod
    def pair() -> tuple[Discovery, Discovery]:
        air = Air()
        return MemoryDiscovery(air), MemoryDiscovery(air)


def run(work: Callable[[MulticastDns, AsyncZeroconf], Awaitable[None]]) -> None:
    """Ours beside a stranger's."""

    async def both() -> None:
        ours, stranger = MulticastDns(), AsyncZeroconf(interfaces=["127.0.0.1"])
        try:
            await work(ours, stranger)
        finally:
            await ours.stop(goodbye=True)
            await stranger.async_close()

    asyncio.run(both())


async def say(stranger: AsyncZeroconf, label: str, txt: dict[str, Any], port: int = 1) -> None:
    info = AsyncServiceInfo(
        PEERS, f"{label}.{PEERS}", port, properties=txt, server="x.local.",
        parsed_addresses=["10.0.0.1"],
    )  # fmt: skip
    await (await stranger.async_register_service(info, cooperating_responders=True, strict=False))


def test_what_is_broken_or_foreign_is_not_told_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def work(ours: MulticastDns, stranger: AsyncZeroconf) -> None:
        seen = Seen()
        await ours.start(HERE, None, seen)
        good, much = OWN.txt(), dict.fromkeys("xyz", "much" * 50)
        await asyncio.gather(
            say(stranger, "evil \u202e name", good),
            say(stranger, "f" * 32, good),
            say(stranger, "a" * 32, {**good, "id": "a" * 32, "v": "9"}),
            say(stranger, "b" * 32, {**good, "id": "b" * 32, **much}),
            say(stranger, "c" * 32, {"id": "c" * 32}),
            say(stranger, TWO, {**good, "id": TWO, "more": "to come"}),
        )  # fmt: skip
        await seen.until(lambda: TWO in seen.now)
        assert seen.now.keys() == {TWO}

    run(work)
    assert "evil" not in caplog.text and "\u202e" not in caplog.text


def test_of_too_many_names_only_some_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    async def look(self: MulticastDns, zeroconf: object, peer: str) -> None:
        asked.add(peer)
        await asyncio.sleep(60)

    monkeypatch.setattr(MulticastDns, "_look", look)
    monkeypatch.setattr(mdns, "MAX_QUESTIONS", MAX_NAMES + 9)

    async def work(ours: MulticastDns, stranger: AsyncZeroconf) -> None:
        for number in range(MAX_NAMES + 9):
            change = ServiceStateChange.Added
            ours._changed(stranger.zeroconf, PEERS, f"{number:032x}.{PEERS}", change)
        await asyncio.sleep(0)
        assert len(asked) == MAX_NAMES

    run(work)


def test_the_pages_are_announced_for_people() -> None:
    async def work(ours: MulticastDns, stranger: AsyncZeroconf) -> None:
        names: list[str] = []
        arrived = asyncio.Event()

        def changed(name: str, **more: object) -> None:
            names.append(name)
            arrived.set()

        await ours.start(HERE, replace(OWN, name=f"Tea\x07 & Co. {CUP}"), Seen())
        browser = AsyncServiceBrowser(stranger.zeroconf, PAGES, handlers=[changed])
        async with asyncio.timeout(10):
            await arrived.wait()
        await browser.async_cancel()
        assert names == [f"Tea  & Co  {CUP} (11111111).{PAGES}"]
        info = AsyncServiceInfo(PAGES, names[0])
        assert await info.async_request(stranger.zeroconf, 3_000)
        assert info.port == OWN.pages

    run(work)


CUP = "\N{TEACUP WITHOUT HANDLE}"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        pytest.param(CUP * 99, CUP * 10, id="long"),
        pytest.param("", "Store Gateway", id="none"),
        pytest.param(".", "Store Gateway", id="no letter"),
    ],
)
def test_names_for_people_fit(name: str, label: str) -> None:
    assert mdns._label(name) == label


@pytest.mark.parametrize("error", [OSError(19, "No such device"), RuntimeError("No adapter")])
def test_what_cannot_be_started_says_so_and_may_be_started_later(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(**options: object) -> AsyncZeroconf:
        raise error

    async def work(ours: MulticastDns, stranger: AsyncZeroconf) -> None:
        with monkeypatch.context() as now:
            now.setattr(mdns, "AsyncZeroconf", broken)
            with pytest.raises(GatewayError) as caught:
                await ours.start(HERE, OWN, Seen())
        assert caught.value.code == "discovery-failed" and "at the moment" in caught.value.sentence
        seen = Seen()
        await ours.start(HERE, OWN, seen)
        await seen.until(lambda: ONE in seen.now)

    run(work)

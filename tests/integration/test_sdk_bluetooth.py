"""The SDK with two ways to a real gateway: network and Bluetooth, of which the air is a socket."""

import asyncio
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.page import Page
from tests.support.radio_gateway import RADIO_SOCKET
from tests.support.socket_phone import SocketPhone
from tests.support.store import Pairing, run

pytestmark = pytest.mark.integration


class Shop:
    """A claimed gateway with a radio, and devices that reach it by both ways or one."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "radio"
        self.gateway = GatewayProcess(
            folder / "data", "--bluetooth", environment={RADIO_SOCKET: str(self.socket)},
            module="tests.support.radio_gateway",
        )  # fmt: skip

    def __enter__(self) -> Self:
        self.gateway.start()
        try:
            run(self.gateway.folder, "claim")
            # Nobody is heard by Bluetooth before it is of a store.
            eventually(self.socket.exists)
        except BaseException:
            self.gateway.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.stop()

    def phone(self) -> SocketPhone:
        return SocketPhone(self.socket)

    def page(self, phone: SocketPhone, *, network: bool = True) -> Page:
        return Page(phone, f"ws://127.0.0.1:{self.gateway.port}" if network else "")

    async def let_in(self, page: Page) -> None:
        """Pair a device."""
        with Pairing(self.gateway.folder) as pairing:
            assert await page.call("pair", code=pairing.code) is None
            await asyncio.to_thread(pairing.end)


def by(way: str | None) -> Any:
    return lambda state: state["via"] == way


def test_the_same_document_by_both_ways_and_back(tmp_path: Path) -> None:
    async def main(shop: Shop) -> None:
        phone, other = shop.phone(), shop.phone()
        async with shop.page(phone) as till, shop.page(other, network=False) as kitchen:
            await kitchen.call("choose")
            await shop.let_in(till)
            await shop.let_in(kitchen)
            await till.call("choose")
            await till.until("state", by("network"))
            await till.call("put", name="orders/1", fields={"dish": "soup", "note": "hot " * 400})
            assert await till.call("saved")
            await kitchen.until("read", lambda it: it.get("dish") == "soup", name="orders/1")
            # Nobody tells the gateway that this link is over.
            await till.call("network", works=False)
            await till.call("put", name="orders/1", fields={"table": 4})
            await kitchen.call("put", name="orders/1", fields={"status": "cooking"})
            await till.until("state", by("bluetooth"))
            assert await till.call("saved")
            await kitchen.until("read", lambda it: it.get("table") == 4, name="orders/1")
            await till.until("read", lambda it: it.get("status") == "cooking", name="orders/1")
            for number in range(20):
                await till.call("put", name="orders/1", fields={"table": number})
            assert await till.call("saved")
            await till.call("network", works=True)
            await till.until("state", by("network"))
            await till.call("put", name="orders/1", fields={"dish": "stew"})
            assert await till.call("saved")
            await kitchen.until("read", lambda it: it.get("dish") == "stew", name="orders/1")
            assert (await till.call("read", name="orders/1"))["table"] == 19
            for page in (till, kitchen):
                assert await page.call("refusals") == []
            assert phone.connections == 1

    with Shop(tmp_path) as shop:
        asyncio.run(main(shop))
        assert shop.gateway.log() == ""


def test_a_page_by_bluetooth_outlives_the_gateway_and_the_radio(tmp_path: Path) -> None:
    async def main(shop: Shop) -> None:
        phone = shop.phone()
        async with shop.page(phone, network=False) as page:
            await page.call("choose")
            await shop.let_in(page)
            await page.until("state", by("bluetooth"))
            phone.vanish()
            await page.call("put", name="orders/1", fields={"dish": "soup"})
            await page.until("state", by(None))
            phone.reachable = True
            assert await page.call("saved")
            await asyncio.to_thread(shop.gateway.stop)
            await page.call("put", name="orders/1", fields={"dish": "stew"})
            await page.until("state", by(None))
            shop.socket.unlink()
            await asyncio.to_thread(shop.gateway.start)
            assert await page.call("saved")
            await page.call("restart")
            await page.call("choose")
            await page.until("read", lambda it: it == {"dish": "stew"}, name="orders/1")

    with Shop(tmp_path) as shop:
        asyncio.run(main(shop))

"""The JavaScript SDK as browsers run it, by Bluetooth: the gateway whole, real BlueZ."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.opening import SERVICE
from tests.lab.pi.air import Air
from tests.lab.pi.member import ATT_BYTES, Member
from tests.lab.pi.phone import MTU, Phone
from tests.lab.pi.store import Store, store
from tests.support.page import Page

pytestmark = pytest.mark.lab


class Tablet:
    """Satisfies ``PageRadio`` by a phone."""

    def __init__(self, phone: Phone, mtu: int = MTU) -> None:
        self._phone = phone
        self._mtu = mtu
        self.read = phone.read
        self.listen = phone.listen
        self.disconnect = phone.disconnect

    async def reach(self) -> None:
        await self._phone.connect((await self._phone.find(SERVICE)).address, self._mtu)

    async def write(self, characteristic: str, value: bytes, *, answered: bool = True) -> None:
        # Some systems cut what is longer, others do not send it.
        assert len(value) <= self._mtu - ATT_BYTES
        await self._phone.write(characteristic, value, answered=answered)

    def on_lost(self, lost: Callable[[], None]) -> None:
        self._phone.on_lost(lost)


async def let_in(page: Page, shop: Store) -> None:
    """Choose the gateway, and pair."""
    await page.call("choose")
    window = await shop.ask("pair")
    assert await page.call("pair", code=window["code"]) is None
    await page.until("state", lambda state: state["via"] == "bluetooth")


# A page is not told the MTU: 185 is that of iPhones, 23 the least.
@pytest.mark.parametrize("mtu", [MTU, 185, 23])
def test_a_page_is_paired_and_orders_travel_by_bluetooth_alone(mtu: int, tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with (
            store(tmp_path, air) as shop,
            Phone(air, 1) as phone,
            Member(air, 2, "orders") as kitchen,
            Page(Tablet(phone, mtu)) as page,
        ):
            assert (await page.call("state"))["needsPairing"] is False
            await let_in(page, shop)
            await shop.pair(kitchen)
            await page.call("put", name="orders/1", fields={"dish": "soup", "note": "hot " * 400})
            assert await page.call("saved")
            assert (await shop.read("orders/1"))["dish"] == "soup"
            await kitchen.until(lambda: kitchen.read("orders/1").get("dish") == "soup")
            kitchen.change("orders/1", "status", "ready")
            await page.until("read", lambda it: it.get("status") == "ready", name="orders/1")

    asyncio.run(main())


def test_a_page_that_was_out_of_reach_comes_back_and_brings_what_changed(tmp_path: Path) -> None:
    async def main() -> None:
        air = Air()
        async with (
            store(tmp_path, air) as shop,
            Phone(air, 1) as phone,
            Page(Tablet(phone)) as page,
        ):
            await let_in(page, shop)
            air.cut("phone1")
            await page.call("put", name="orders/1", fields={"dish": "soup"})
            await page.until("state", lambda state: state["via"] is None)
            air.mend("phone1")
            assert await page.call("saved")
            assert await shop.read("orders/1") == {"dish": "soup"}
            await page.call("restart")
            await page.call("choose")
            await page.until("read", lambda it: it == {"dish": "soup"}, name="orders/1")
            assert (await page.call("state"))["paired"]

    asyncio.run(main())

"""Phones join the Pi's Wi-Fi and reach the gateway over it."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from tests.lab.pi.machine import VirtualPi
from tests.lab.pi.test_gateway import GATEWAY
from tests.lab.pi.wifi import ADDRESS, PACKAGES, Network, NotJoined, Wifi, more_radios

pytestmark = pytest.mark.lab

WPA2 = Network("Shop", "a good password")
WPA3 = Network("Shop", "a good password", wpa3=True)
WRONG = Network("Shop", "a wrong password")

GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"


ORDER = {"verb": "put", "document": "orders/7", "content": {"station": "grill"}}


@pytest.mark.parametrize("network", [WPA2, WPA3], ids=["wpa2", "wpa3"])
def test_phones_join_find_the_gateway_and_share_an_order(tmp_path: Path, network: Network) -> None:
    async def main() -> None:
        radios = (more_radios(3),)
        async with VirtualPi(tmp_path, packages=PACKAGES, environment=radios) as pi:
            wifi = Wifi(pi)
            await wifi.access_point(network)
            await pi.spawn("gateway", *GATEWAY, "run", "--lan", "--data", "/var/lib/store")
            till, grill = [await wifi.station(name) for name in ("till", "grill")]
            for phone in (till, grill):
                await phone.join(network)
            assert len({ADDRESS, await till.lease(), await grill.lease()}) == 3
            protected = "yes" if network.wpa3 else "no"
            assert re.search(
                rf"MFP:\s+{protected}", await till.run("iw", "dev", "wlan1", "station", "dump")
            )

            await pi.until("/run/gateway.log", "8788")
            page = f"http://{ADDRESS}:8788/healthz"
            assert json.loads(await till.run(sys.executable, "-c", GET, page)) == {"ok": True}

            # Found by multicast, over WebSocket.
            peer = (*GATEWAY, "peer", "--subscribe", "orders", "--data")
            await grill.spawn("kitchen", *peer, "/var/lib/grill")
            await till.run(*peer, "/var/lib/till", "--once", given=json.dumps(ORDER))
            await pi.until("/run/kitchen.log", '"change".*"grill"')

    asyncio.run(main())


def test_a_wrong_password_is_not_let_in_and_the_right_one_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with VirtualPi(tmp_path, packages=PACKAGES) as pi:
            wifi = Wifi(pi)
            await wifi.access_point(WPA2)
            phone = await wifi.station("till")
            with pytest.raises(NotJoined, match="WRONG_KEY"):
                await phone.join(WRONG)
            await phone.leave()
            await phone.join(WPA2)
            assert (await phone.lease()).startswith("10.42.0.")

    asyncio.run(main())

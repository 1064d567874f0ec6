"""Advertising by BlueZ (docs/bluetooth.md, "Advertising"): up again after whatever ends it.

bluez-peripheral's advertisement cannot do it: it takes itself from the bus as soon as it is
registered, cannot be taken back, and its service data has a type that BlueZ refuses.
"""

import asyncio
from base64 import urlsafe_b64encode
from typing import Any

from gateway.adapters.ble_bus import Bus, BusError, variant
from gateway.core.beacon import COMPANY, Beacon
from gateway.core.opening import SERVICE

PATH = "/store_gateway/advertisement"
MANAGER = "org.bluez.LEAdvertisingManager1"
ADVERTISEMENT = "org.bluez.LEAdvertisement1"
# How often phones may be told something new; and how often BlueZ is asked at all, as it has to be
# after every phone that comes.
CHANGE_SECONDS = 1.0
PAUSE_SECONDS = 0.2
# A controller with as many links as it can have does not advertise; it may later.
RETRY_SECONDS = 2.0


class Advertiser:
    """Advertises on one adapter while ``run`` runs. ``up``: what is to be told is told."""

    def __init__(self, bus: Bus, adapter: str) -> None:
        self._bus = bus
        self._adapter = adapter
        self._beacon: Beacon | None = None
        self._registered = False
        self.up = False
        self._due = asyncio.Event()
        self._changed_at = asyncio.get_running_loop().time() - CHANGE_SECONDS
        self._later: asyncio.TimerHandle | None = None

    def show(self, beacon: Beacon | None) -> None:
        """Advertise this from now on; None: nothing. Changes are a second apart."""
        if beacon == self._beacon:
            return
        self._beacon = beacon
        loop = asyncio.get_running_loop()
        if self._later is None:
            self._later = loop.call_at(self._changed_at + CHANGE_SECONDS, self._change)

    def again(self) -> None:
        """Something happened that may have ended it."""
        self._due.set()

    async def run(self) -> None:
        """Keep it up for ever."""
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                self.up = await self._renew()
                await asyncio.sleep(PAUSE_SECONDS if self.up else RETRY_SECONDS)
        finally:
            if self._later is not None:
                self._later.cancel()
            self._bus.offer(PATH, None)

    def _change(self) -> None:
        self._later = None
        self._changed_at = asyncio.get_running_loop().time()
        self._due.set()

    async def _renew(self) -> bool:
        # Anew each time: a phone that connects ends it for BlueZ too, and BlueZ 5.66 itself ends
        # when it is told of a change that cannot be sent.
        try:
            if self._registered:
                self._registered = False
                await self._bus.call(self._adapter, MANAGER, "UnregisterAdvertisement", "o", PATH)
        except BusError:
            # Already gone.
            pass
        if self._beacon is None:
            return True
        self._bus.offer(PATH, self._answer)
        try:
            await self._bus.call(
                self._adapter, MANAGER, "RegisterAdvertisement", "oa{sv}", PATH, {}
            )
        except BusError:
            self._due.set()
            return False
        self._registered = True
        return True

    def _answer(self, member: str) -> tuple[str, list[Any]]:
        shown = advertised(self._beacon) if self._beacon is not None else {}
        if member == "GetManagedObjects":
            return "a{oa{sa{sv}}}", [{PATH: {ADVERTISEMENT: shown}}]
        if member == "GetAll":
            return "a{sv}", [shown]
        if member == "Release":
            # BlueZ ended it by itself.
            self._registered = False
            self._due.set()
        return "", []


def advertised(beacon: Beacon) -> dict[str, Any]:
    """The properties of an advertisement, whose two packets have 31 and 20 octets.

    BlueZ puts the name alone into the scan response; more there are for 5.82 and newer only.
    """
    return {
        "Type": variant("s", "peripheral"),
        # Or it is not general discoverable.
        "Discoverable": variant("b", True),
        "ServiceUUIDs": variant("as", [SERVICE]),
        "ManufacturerData": variant("a{qv}", {COMPANY: variant("ay", beacon.manufacturer_data())}),
        "LocalName": variant("s", name(beacon)),
    }


def name(beacon: Beacon) -> str:
    """What the beacon says beside the address, as a name: 18 letters, digits, - and _."""
    return urlsafe_b64encode(beacon.name_bytes()).rstrip(b"=").decode()

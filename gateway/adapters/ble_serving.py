"""One time of serving phones on one adapter, from registering until it is lost."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from gateway.adapters.ble_advert import MANAGER, Advertiser
from gateway.adapters.ble_bus import Bus, BusError
from gateway.adapters.ble_gatt import Gatt, device_of, phone_of
from gateway.adapters.ble_l2cap import L2capListener
from gateway.core.beacon import Beacon
from gateway.core.errors import GatewayError
from gateway.core.radio import NO_DAEMON
from gateway.ports import Channel, Phones

EX_UNAVAILABLE = 69
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
# What an adapter has that can do all that is needed here.
NEEDED = {ADAPTER, MANAGER, "org.bluez.GattManager1"}
# BlueZ needs less than a second; the supervisor does not wait for ever.
SET_UP_SECONDS = 20.0
# For BlueZ to read that phones are to go, when serving ends; it may hang.
GOODBYE_SECONDS = 1.0

Objects = Mapping[str, Mapping[str, Mapping[str, Any]]]


class Serving:
    """Between BlueZ and ``phones``. ``gatt`` and ``advertiser`` are for ``Ble``, while it runs."""

    def __init__(self, bus: Bus, adapter: str, phones: Phones) -> None:
        self._bus = bus
        self._adapter = adapter
        self._phones = phones
        self._connected: set[str] = set()
        # Those that use the service: others may be somebody's keyboard.
        self._ours: set[str] = set()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ready = False
        self._listener = L2capListener(self.channel)
        self.gatt = Gatt(bus, adapter, self, self._listener.psm, self._fail)
        self.advertiser = Advertiser(bus, adapter)

    @property
    def adapter(self) -> str:
        """The adapter's name while phones can find it, or use it: it may be too busy for more."""
        offered = self._ready and (self.advertiser.up or self._ours)
        return self._adapter.rpartition("/")[2] if offered else ""

    async def run(self, beacon: Beacon | None) -> None:
        """Serve until it is lost. Raises ``GatewayError`` or ``BusError``."""
        async with asyncio.timeout(SET_UP_SECONDS):
            await self._set_up()
        self.advertiser.show(beacon)
        self._ready = True
        advertising = asyncio.create_task(self.advertiser.run())
        ended = asyncio.create_task(self._bus.lost())
        parts = {advertising, ended, self._over}
        try:
            first, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in first:
                part.result()
            raise BusError("", "the bus is gone")
        finally:
            advertising.cancel()
            ended.cancel()
            await asyncio.gather(advertising, ended, return_exceptions=True)

    async def _set_up(self) -> None:
        await self._bus.set(self._adapter, ADAPTER, "Powered", "b", True)
        # Nothing rests on pairing, so nobody is asked to.
        await self._bus.set(self._adapter, ADAPTER, "Pairable", "b", False)
        await self._bus.listen(self._heard)
        await self.gatt.register()
        for path, interfaces in (await self._bus.objects()).items():
            self._device(path, interfaces.get(DEVICE, {}))

    async def close(self) -> None:
        """Let all phones go."""
        self._over.cancel()
        await self.gatt.close()
        self._listener.close()
        for phone in self._ours:
            self.disconnect(phone)
        with contextlib.suppress(BusError, TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._bus.ping()
        for phone in tuple(self._connected):
            self.disconnected(phone)

    def disconnect(self, phone: str) -> None:
        """End a phone's connection."""
        self._bus.tell(device_of(self._adapter, phone), DEVICE, "Disconnect")

    def connected(self, phone: str) -> None:
        """See ``Phones``. BlueZ may say so after something came by the connection."""
        if phone not in self._connected:
            self._connected.add(phone)
            self._phones.connected(phone)

    def disconnected(self, phone: str) -> None:
        """See ``Phones``."""
        if phone in self._connected:
            self._connected.discard(phone)
            self._ours.discard(phone)
            self._phones.disconnected(phone)

    def info(self, phone: str, psm: int) -> bytes:
        """See ``Phones``."""
        self._uses(phone)
        return self._phones.info(phone, psm)

    def written(self, phone: str, value: bytes, mtu: int) -> None:
        """See ``Phones``."""
        self._uses(phone)
        self._phones.written(phone, value, mtu)

    def room(self, phone: str) -> None:
        """See ``Phones``."""
        if phone in self._connected:
            self._phones.room(phone)

    def channel(self, phone: str, channel: Channel) -> None:
        """See ``Phones``."""
        self._uses(phone)
        self._phones.channel(phone, channel)

    def _uses(self, phone: str) -> None:
        self.connected(phone)
        self._ours.add(phone)

    def _heard(self, path: str, interface: str, member: str, body: list[Any]) -> None:
        match interface, member, body:
            case (str(), "PropertiesChanged", [str(of), dict(changed), *_]) if of == DEVICE:
                self._device(path, changed)
            case (str(), "PropertiesChanged", [str(of), {"Powered": False}, *_]) if of == ADAPTER:
                if path == self._adapter:
                    sentence = "the Bluetooth adapter was switched off"
                    self._fail(GatewayError("bluetooth-adapter-off", sentence, EX_UNAVAILABLE))
            case (str(), "InterfacesAdded", [str(at), dict(interfaces)]):
                self._device(at, interfaces.get(DEVICE, {}))
            case (str(), "InterfacesRemoved", [str(at), list(names)]):
                self._removed(at, names)
            case (str(), "NameOwnerChanged", _):
                self._fail(GatewayError(NO_DAEMON, "bluetoothd ended", EX_UNAVAILABLE))

    def _device(self, path: str, changed: Mapping[str, Any]) -> None:
        phone = phone_of(path)
        if phone is None or not path.startswith(f"{self._adapter}/") or "Connected" not in changed:
            return
        if changed["Connected"]:
            self.connected(phone)
        else:
            self.disconnected(phone)
        # A connectable advertisement ends when somebody connects.
        self.advertiser.again()

    def _removed(self, path: str, names: list[str]) -> None:
        if path == self._adapter and NEEDED & set(names):
            sentence = "the Bluetooth adapter is gone"
            self._fail(GatewayError("bluetooth-lost", sentence, EX_UNAVAILABLE))
        phone = phone_of(path)
        if phone is not None and DEVICE in names:
            self.disconnected(phone)

    def _fail(self, error: GatewayError | BusError) -> None:
        if not self._over.done():
            self._over.set_exception(error)


def chosen(objects: Objects, name: str) -> str:
    """The adapter to use. Raises ``GatewayError`` bluetooth-no-adapter."""
    found = [
        (not interfaces[ADAPTER].get("Powered"), path)
        for path, interfaces in objects.items()
        if set(interfaces) >= NEEDED and name in {"", path.rpartition("/")[2]}
    ]
    if not found:
        sentence = f"there is no Bluetooth adapter {name}".rstrip() + " that can serve phones"
        raise GatewayError("bluetooth-no-adapter", sentence, EX_UNAVAILABLE)
    return min(found)[1]

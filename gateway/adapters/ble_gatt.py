"""The GATT service of docs/bluetooth.md, by bluez-peripheral: the one module that knows it.

All goes by D-Bus calls and signals (docs/decisions.md says why not by BlueZ's sockets).
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from bluez_peripheral.gatt.characteristic import CharacteristicFlags, characteristic
from bluez_peripheral.gatt.service import Service, ServiceCollection

from gateway.adapters.ble_bus import Bus, BusError, called, refusal
from gateway.core.opening import INFO, RX, SERVICE, TX
from gateway.ports import Phones

APPLICATION = "/store_gateway/gatt"
# Of a connection that has not agreed on more (Core specification, vol. 3 part F, 5.2.1).
LEAST_MTU = 23
# Notifications that BlueZ did not take from the bus yet: the socket to the bus holds at least 130
# of the largest, and the library drops the whole connection when it is full.
WINDOW = 64
# So many of them are confirmed at a time, by an answer to a call that was sent after them.
CONFIRMED = 16

_DEVICE = re.compile(r"/dev_([0-9A-F]{2}(?:_[0-9A-F]{2}){5})\Z")


def phone_of(path: str) -> str | None:
    """The address of the device that BlueZ has at a path; None if there is none."""
    found = _DEVICE.search(path)
    return found[1].replace("_", ":") if found else None


def device_of(adapter: str, phone: str) -> str:
    """Where BlueZ has a phone."""
    return f"{adapter}/dev_{phone.replace(':', '_')}"


class Gatt:
    """The service on one adapter. ``lost``: called when BlueZ does not answer any more."""

    def __init__(
        self,
        bus: Bus,
        adapter: str,
        phones: Phones,
        psm: int,
        lost: Callable[[BusError], None],
    ) -> None:
        self._bus = bus
        self._adapter = _Adapter(bus, adapter)
        self._room = phones.room
        self._lost = lost
        self._tx = [characteristic(uuid, CharacteristicFlags.NOTIFY) for uuid in TX]
        service = Service(SERVICE)
        for part in (_Info(phones, psm), _Rx(phones), *self._tx):
            service.add_characteristic(part)
        self._application = ServiceCollection([service])
        # Those nobody confirmed, and those who were refused one.
        self._outstanding = self._unasked = 0
        self._refused: dict[str, None] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def register(self) -> None:
        """Offer the service. Raises ``BusError``."""
        await self._application.register(self._bus.connection, APPLICATION, self._adapter)

    def notify(self, phone: str, place: int, value: bytes) -> bool:
        """See ``Radio``."""
        if self._outstanding >= WINDOW:
            self._refused[phone] = None
            return False
        self._tx[place - 1].changed(value)
        self._outstanding += 1
        self._unasked += 1
        if self._unasked == CONFIRMED:
            self._unasked = 0
            task = asyncio.get_running_loop().create_task(self._confirm())
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return True

    async def close(self) -> None:
        """End what waits for answers; the service ends with the bus."""
        for task in tuple(self._asking):
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _confirm(self) -> None:
        # Its answer proves that what was sent before it was read.
        try:
            await self._bus.ping()
        except BusError as error:
            self._lost(error)
            return
        self._outstanding -= CONFIRMED
        refused, self._refused = list(self._refused), {}
        # Who is first takes most: another one next time.
        for phone in refused[1:] + refused[:1]:
            self._room(phone)


class _Adapter:
    """What the library wants to know an adapter by, without asking BlueZ to describe it."""

    def __init__(self, bus: Bus, path: str) -> None:
        self._proxy = self
        self._bus = bus
        self._path = path
        self._interface = ""

    def get_interface(self, name: str) -> "_Adapter":
        self._interface = name
        return self

    async def call_register_application(self, path: str, options: dict[str, Any]) -> None:
        await self._bus.call(
            self._path, self._interface, "RegisterApplication", "oa{sv}", path, options
        )


class _Rx(characteristic):  # type: ignore[misc]
    def __init__(self, phones: Phones) -> None:
        flags = CharacteristicFlags.WRITE | CharacteristicFlags.WRITE_WITHOUT_RESPONSE
        super().__init__(RX, flags)
        self._phones = phones

    @called(data="ay", options="a{sv}")
    def WriteValue(self, data, options):  # type: ignore[no-untyped-def] # noqa: N802
        """See BlueZ's doc/gatt-api.txt."""
        phone = _phone(options)
        # Long writes come in pieces; nobody has a use for them here.
        if _option(options, "offset", 0):
            raise refusal("org.bluez.Error.NotSupported", "whole writes only")
        self._phones.written(phone, bytes(data), _option(options, "mtu", LEAST_MTU))


class _Info(characteristic):  # type: ignore[misc]
    def __init__(self, phones: Phones, psm: int) -> None:
        super().__init__(INFO, CharacteristicFlags.READ)
        self._phones = phones
        self._psm = psm

    @called(returns="ay", options="a{sv}")
    def ReadValue(self, options):  # type: ignore[no-untyped-def] # noqa: N802
        """See BlueZ's doc/gatt-api.txt."""
        return self._phones.info(_phone(options), self._psm)[_option(options, "offset", 0) :]


def _phone(options: dict[str, Any]) -> str:
    phone = phone_of(_option(options, "device", ""))
    if phone is None:
        raise refusal("org.bluez.Error.NotPermitted", "for phones only")
    return phone


def _option(options: dict[str, Any], name: str, missing: Any) -> Any:
    value = options[name].value if name in options else missing
    return value if isinstance(value, type(missing)) else missing

"""A GATT service for the lab's own tests: what is written to RX is notified by TX.

echo.py SERVICE RX TX, run in the guest. It answers BlueZ's calls by hand, which is shorter here
than objects. A line on standard output says that it is advertised; it ends when its bus does.
"""

import asyncio
import sys
from typing import Any

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

SERVICE, RX, TX = sys.argv[1:4]
BLUEZ = "org.bluez"
ADAPTER = "/org/bluez/hci0"
ROOT = "/lab"
ADVERTISEMENT = "/lab/advertisement"
PROPERTIES = "org.freedesktop.DBus.Properties"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"

# Object path → interface → properties, as the core specification's attributes want them in BlueZ.
OBJECTS: dict[str, dict[str, dict[str, Variant]]] = {
    f"{ROOT}/s": {
        "org.bluez.GattService1": {"UUID": Variant("s", SERVICE), "Primary": Variant("b", True)}
    },
    f"{ROOT}/s/rx": {
        CHARACTERISTIC: {
            "UUID": Variant("s", RX),
            "Service": Variant("o", f"{ROOT}/s"),
            "Flags": Variant("as", ["write", "write-without-response"]),
        }
    },
    f"{ROOT}/s/tx": {
        CHARACTERISTIC: {
            "UUID": Variant("s", TX),
            "Service": Variant("o", f"{ROOT}/s"),
            "Flags": Variant("as", ["notify"]),
        }
    },
}
# BlueZ puts a name into the scan response, and all else into the advertisement.
ADVERTISED = {
    "Type": Variant("s", "peripheral"),
    "ServiceUUIDs": Variant("as", [SERVICE]),
    "LocalName": Variant("s", "echo"),
    "Discoverable": Variant("b", True),
}


class Echo:
    """The application behind a connection to the bus."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._again = asyncio.Event()

    def handle(self, message: Message) -> Message | None:
        """Answer what BlueZ calls; notice who connects."""
        if message.message_type is MessageType.SIGNAL:
            self._notice(message)
            return None
        if message.message_type is not MessageType.METHOD_CALL or message.sender is None:
            return None
        match message.member:
            case "GetManagedObjects":
                return Message.new_method_return(message, "a{oa{sa{sv}}}", [OBJECTS])
            case "GetAll" if message.path == ADVERTISEMENT:
                return Message.new_method_return(message, "a{sv}", [ADVERTISED])
            case "WriteValue":
                self._notify(message.body[0])
        return Message.new_method_return(message)

    def _notice(self, message: Message) -> None:
        # A connectable advertisement ends with a connection. A device that BlueZ never saw comes
        # as a new object, any other as a changed property.
        if message.member in {"PropertiesChanged", "InterfacesAdded"}:
            changed = message.body[1]
            if message.member == "InterfacesAdded":
                changed = changed.get("org.bluez.Device1", {})
            if "Connected" in changed:
                self._again.set()

    def _notify(self, value: bytes) -> None:
        self._bus.send(
            Message(
                message_type=MessageType.SIGNAL,
                path=f"{ROOT}/s/tx",
                interface=PROPERTIES,
                member="PropertiesChanged",
                signature="sa{sv}as",
                body=[CHARACTERISTIC, {"Value": Variant("ay", bytes(value))}, []],
            )
        )

    async def call(self, interface: str, member: str, signature: str, body: list[Any]) -> None:
        """Call the adapter; what it refuses is said and not fatal."""
        reply = await self._bus.call(
            Message(
                destination=BLUEZ,
                path=ADAPTER,
                interface=interface,
                member=member,
                signature=signature,
                body=body,
            )
        )
        if reply is not None and reply.message_type is MessageType.ERROR:
            print(member, reply.error_name, reply.body, file=sys.stderr, flush=True)

    async def advertise(self) -> None:
        """Advertise now and again after each connection."""
        manager = "org.bluez.LEAdvertisingManager1"
        while True:
            await self.call(manager, "RegisterAdvertisement", "oa{sv}", [ADVERTISEMENT, {}])
            print("advertised", flush=True)
            await self._again.wait()
            self._again.clear()
            await self.call(manager, "UnregisterAdvertisement", "o", [ADVERTISEMENT])


async def main() -> None:
    """Serve until the bus is gone."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    echo = Echo(bus)
    bus.add_message_handler(echo.handle)
    await bus.call(
        Message(
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus",
            member="AddMatch",
            signature="s",
            body=[f"type='signal',sender='{BLUEZ}'"],
        )
    )
    await echo.call("org.bluez.GattManager1", "RegisterApplication", "oa{sv}", [ROOT, {}])
    await asyncio.gather(echo.advertise(), bus.wait_for_disconnect())  # type: ignore[no-untyped-call]


asyncio.run(main())

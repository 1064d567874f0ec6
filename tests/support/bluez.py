"""BlueZ as the adapters see it, without a bus: what is called is kept, what it says is made up."""

import asyncio
from collections.abc import Callable
from typing import Any

from dbus_next.service import ServiceInterface
from dbus_next.signature import Variant

from gateway.adapters.ble_bus import Answer, BusError, Heard

HCI0 = "/org/bluez/hci0"
PHONE = "F0:F1:F2:F3:F4:01"
DEVICE_PATH = f"{HCI0}/dev_F0_F1_F2_F3_F4_01"
ADAPTER = {
    "org.bluez.Adapter1": {"Powered": True},
    "org.bluez.GattManager1": {},
    "org.bluez.LEAdvertisingManager1": {},
}


class FakeBluez:
    """In the place of ``Bus`` and of the library's connection below it."""

    def __init__(self) -> None:
        self.connection = self
        self.tree: dict[str, dict[str, dict[str, Any]]] = {HCI0: ADAPTER}
        # Member and arguments, in order.
        self.calls: list[tuple[Any, ...]] = []
        # Member → what it fails with; or waits for.
        self.errors: dict[str, BusError] = {}
        self.held: dict[str, asyncio.Event] = {}
        self.notified: list[tuple[str, bytes]] = []
        self.exported: dict[str, ServiceInterface] = {}
        self.offered: dict[str, Answer] = {}
        self.say: Heard = lambda *_: None
        self.gone = asyncio.Event()

    async def lost(self) -> None:
        """See ``Bus``."""
        await self.gone.wait()

    async def close(self) -> None:
        """See ``Bus``."""
        self.gone.set()

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *body: Any, to: str = ""
    ) -> list[Any]:
        """See ``Bus``."""
        self.calls.append((member, *body))
        if member in self.held:
            await self.held[member].wait()
        if member in self.errors:
            raise self.errors[member]
        return []

    def tell(self, path: str, interface: str, member: str) -> None:
        """See ``Bus``."""
        self.calls.append((member, path))

    async def ping(self) -> None:
        """See ``Bus``."""
        await self.call("/", "", "Ping")

    async def set(self, path: str, interface: str, name: str, signature: str, value: Any) -> None:
        """See ``Bus``."""
        await self.call(path, interface, f"{name}={value}")

    async def listen(self, heard: Heard) -> None:
        """See ``Bus``."""
        self.say = heard

    async def objects(self) -> dict[str, dict[str, dict[str, Any]]]:
        """See ``Bus``."""
        await self.call("/", "", "GetManagedObjects")
        return self.tree

    def offer(self, path: str, answer: Answer | None) -> None:
        """See ``Bus``."""
        if answer is None:
            self.offered.pop(path, None)
        else:
            self.offered[path] = answer

    def export(self, path: str, interface: ServiceInterface) -> None:
        """See dbus-next's ``MessageBus``."""
        self.exported[path] = interface
        ServiceInterface._add_bus(interface, self)  # type: ignore[no-untyped-call]

    def _interface_signal_notify(
        self, interface: Any, name: str, member: str, signature: str, body: list[Any]
    ) -> None:
        self.notified.append((interface.uuid.urn[9:], body[1]["Value"].value))

    def characteristic(self, uuid: str) -> ServiceInterface:
        """What was exported for a characteristic."""
        [found] = [one for one in self.exported.values() if str(getattr(one, "uuid", "")) == uuid]
        return found

    def ask(self, uuid: str, member: str, *arguments: Any, **options: tuple[str, Any]) -> Any:
        """Call a method of a characteristic as BlueZ does."""
        interface = self.characteristic(uuid)
        methods = ServiceInterface._get_methods(interface)  # type: ignore[no-untyped-call]
        [function] = [method.fn for method in methods if method.name == member]
        if member.endswith("Value"):
            arguments = (*arguments, {key: Variant(*value) for key, value in options.items()})
        return function(interface, *arguments)

    def count(self, member: str) -> int:
        """How often a method was called."""
        return sum(call[0] == member for call in self.calls)


class Recorder:
    """Satisfies ``Phones``: keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.on_room: Callable[[str], None] = lambda phone: None

    def connected(self, phone: str) -> None:
        self.heard.append(("connected", phone))

    def disconnected(self, phone: str) -> None:
        self.heard.append(("disconnected", phone))

    def info(self, phone: str, psm: int) -> bytes:
        self.heard.append(("info", phone))
        return bytes(range(22))

    def written(self, phone: str, value: bytes, mtu: int) -> None:
        self.heard.append(("written", phone, value, mtu))

    def room(self, phone: str) -> None:
        self.heard.append(("room", phone))
        self.on_room(phone)

    def channel(self, phone: str, channel: Any) -> None:
        self.heard.append(("channel", phone))


async def until(check: Callable[[], Any], seconds: float = 10.0) -> None:
    """Return once something is so; fails when it is not in time."""
    async with asyncio.timeout(seconds):
        while not check():  # noqa: ASYNC110 - of what is looked at nobody tells
            await asyncio.sleep(0.005)

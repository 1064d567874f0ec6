"""What the radio carries with next to nothing above it, to compare the gateway with.

Run in the guest as a module. A phone asks by one write, or by the first message of a channel, for
``UP count`` or ``DOWN count``: so many packets are then taken, or sent. By GATT packets go through
BlueZ's descriptors (AcquireWrite, AcquireNotify); after each ``GRANT`` of them who takes them says
so by ``TAKEN``, and at most ``WINDOW`` are under way. A channel has credits of its own, so there
only the end is said.
"""

import asyncio
import socket
import struct

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.message import Message
from dbus_next.signature import Variant

from tests.lab.pi.bare import (
    CHANNEL_BYTES,
    GRANT,
    NOTIFY_BYTES,
    PSM,
    RX,
    SERVICE,
    TAKEN,
    TX,
    WINDOW,
)
from tests.lab.pi.guest.channel import accept, listener

BLUEZ = "org.bluez"
ADAPTER = "/org/bluez/hci0"
ROOT = "/lab"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
ATTRIBUTES = {"rx": (RX, ["write-without-response"]), "tx": (TX, ["notify"])}
ORDER = struct.Struct("<cH")
# More than a packet has.
READ_BYTES = 8_192


def objects() -> dict[str, dict[str, dict[str, Variant]]]:
    """As BlueZ wants to be told of the service."""
    found = {
        f"{ROOT}/s": {
            "org.bluez.GattService1": {"UUID": Variant("s", SERVICE), "Primary": Variant("b", True)}
        }
    }
    for name, (uuid, flags) in ATTRIBUTES.items():
        acquired = "WriteAcquired" if name == "rx" else "NotifyAcquired"
        found[f"{ROOT}/s/{name}"] = {
            CHARACTERISTIC: {
                "UUID": Variant("s", uuid),
                "Service": Variant("o", f"{ROOT}/s"),
                "Flags": Variant("as", flags),
                acquired: Variant("b", False),
            }
        }
    return found


class Gatt:
    """The service; one phone at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._notify: socket.socket | None = None

    def handle(self, message: Message) -> Message | None:
        """Answer what BlueZ calls."""
        if message.message_type is not MessageType.METHOD_CALL or message.sender is None:
            return None
        match message.member:
            case "GetManagedObjects":
                return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects()])
            case "AcquireWrite" | "AcquireNotify" as member:
                return self._acquired(message, writes=member == "AcquireWrite")
        return Message.new_method_return(message)

    def _acquired(self, message: Message, *, writes: bool) -> Message:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        if writes:
            task = self._loop.create_task(self._serve(ours))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._notify = ours
        mtu = message.body[0]["mtu"].value
        # The library sends a duplicate and leaves ours open: one for each phone that comes.
        return Message.new_method_return(message, "hq", [0, mtu], [theirs.detach()])

    async def _serve(self, writes: socket.socket) -> None:
        with writes:
            while data := await self._loop.sock_recv(writes, READ_BYTES):
                assert self._notify is not None
                what, count = ORDER.unpack(data)
                await (self._take if what == b"U" else self._send)(writes, self._notify, count)

    async def _take(self, writes: socket.socket, notify: socket.socket, count: int) -> None:
        await self._loop.sock_sendall(notify, TAKEN)
        for number in range(1, count + 1):
            await self._loop.sock_recv(writes, READ_BYTES)
            if number % GRANT == 0 or number == count:
                await self._loop.sock_sendall(notify, TAKEN)

    async def _send(self, writes: socket.socket, notify: socket.socket, count: int) -> None:
        window = WINDOW
        for _ in range(count):
            if not window:
                await self._loop.sock_recv(writes, READ_BYTES)
                window += GRANT
            window -= 1
            await self._loop.sock_sendall(notify, bytes(NOTIFY_BYTES))
        while window < WINDOW:
            await self._loop.sock_recv(writes, READ_BYTES)
            window += GRANT


async def channels() -> None:
    """Serve channels, one at a time."""
    listening = listener(PSM, CHANNEL_BYTES)
    loop = asyncio.get_running_loop()
    while True:
        came = asyncio.Event()
        loop.add_reader(listening, came.set)
        await came.wait()
        loop.remove_reader(listening)
        sock, _ = accept(listening)
        with sock:
            what, count = ORDER.unpack(await loop.sock_recv(sock, READ_BYTES))
            for _ in range(count):
                if what == b"U":
                    await loop.sock_recv(sock, READ_BYTES)
                else:
                    await loop.sock_sendall(sock, bytes(CHANNEL_BYTES))
            await loop.sock_sendall(sock, TAKEN)
            await loop.sock_recv(sock, READ_BYTES)


async def main() -> None:
    """Serve until the bus is gone."""
    bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    bus.add_message_handler(Gatt().handle)
    message = Message(
        destination=BLUEZ, path=ADAPTER, interface="org.bluez.GattManager1",
        member="RegisterApplication", signature="oa{sv}", body=[ROOT, {}],
    )  # fmt: skip
    reply = await bus.call(message)
    assert reply is not None and reply.message_type is not MessageType.ERROR, reply
    print("registered", flush=True)
    await channels()


asyncio.run(main())

"""The system bus over a socket whose other end is a few lines of D-Bus."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.message import Message
from dbus_next.signature import Variant

from gateway.adapters import ble_bus
from gateway.adapters.ble_bus import NO_ANSWER, Bus, BusError, variant
from tests.support.bluez import until

BLUEZ = ":1.7"
FIXED_BYTES = 16


class FakeDaemon:
    """dbus-daemon and BlueZ in one: answers what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bus"
        self.asked: list[Message] = []
        self.answers: dict[str, Callable[[Message], Message]] = {
            "Hello": lambda call: Message.new_method_return(call, "s", [":1.1"]),
            "GetNameOwner": lambda call: Message.new_method_return(call, "s", [BLUEZ]),
            "AddMatch": Message.new_method_return,
        }
        self.welcome: bytes | None = b"OK 0123456789abcdef0123456789abcdef\r\n"
        self.writer: asyncio.StreamWriter | None = None
        self._serial = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take connections."""
        server = await asyncio.start_unix_server(self._serve, self.path)
        try:
            yield
        finally:
            self.end()
            server.close()
            await server.wait_closed()
            # Its handlers see the end.
            await asyncio.sleep(0.01)

    def end(self) -> None:
        """Hang up."""
        if self.writer is not None:
            self.writer.close()

    def send(self, message: Message, sender: str = BLUEZ) -> None:
        """Send a message to the one who is connected."""
        assert self.writer is not None
        self._serial += 1
        message.serial = self._serial
        raw = bytes(message._marshall())  # type: ignore[no-untyped-call]
        self.writer.write(sent_by(raw, sender))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        try:
            while (await reader.readuntil(b"\r\n")) != b"BEGIN\r\n":
                if self.welcome is not None:
                    writer.write(self.welcome)
            while True:
                self._answer(await read(reader))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, message: Message) -> None:
        self.asked.append(message)
        if message.member in self.answers:
            self.send(self.answers[message.member](message))


def sent_by(raw: bytes, sender: str) -> bytes:
    """A message with its header field SENDER, which only a daemon writes."""
    fields = int.from_bytes(raw[12:16], "little")
    end, padding = FIXED_BYTES + fields, -fields % 8
    field = b"\x07\x01s\0" + len(sender).to_bytes(4, "little") + sender.encode() + b"\0"
    longer = fields + padding + len(field)
    head = raw[:12] + longer.to_bytes(4, "little") + raw[FIXED_BYTES:end] + bytes(padding) + field
    return head + bytes(-longer % 8) + raw[end + padding :]


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message of a connection."""
    head = await reader.readexactly(FIXED_BYTES)
    body, fields = (int.from_bytes(head[at : at + 4], "little") for at in (4, 12))
    rest = await reader.readexactly(fields + -fields % 8 + body)
    message: Message = Unmarshaller(BytesIO(head + rest)).unmarshall()  # type: ignore[no-untyped-call]
    return message


def descriptors() -> int:
    """How many files are open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDaemon:
    """A daemon that is the system's."""
    daemon = FakeDaemon(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={daemon.path}")
    monkeypatch.setattr(ble_bus, "CALL_SECONDS", 0.3)
    return daemon


def test_a_call_is_answered_or_fails(daemon: FakeDaemon) -> None:
    async def main() -> None:
        before = descriptors()
        async with daemon.running():
            bus = await Bus.open()
            daemon.answers["Get"] = lambda call: Message.new_method_return(call, "su", ["x", 1])
            assert await bus.call("/a", "b.c", "Get", "s", "name") == ["x", 1]
            asked = daemon.asked[-1]
            assert (asked.path, asked.interface, asked.body) == ("/a", "b.c", ["name"])
            assert asked.destination == "org.bluez"
            daemon.answers["Get"] = lambda call: Message.new_error(call, "a.Error.Busy", "later")
            with pytest.raises(BusError) as failed:
                await bus.call("/a", "b.c", "Get")
            assert (failed.value.name, str(failed.value)) == ("a.Error.Busy", "a.Error.Busy: later")
            with pytest.raises(BusError) as failed:
                await bus.call("/a", "b.c", "Silent")
            assert failed.value.name == NO_ANSWER
            # What comes too late harms nobody.
            daemon.send(Message.new_method_return(daemon.asked[-1]))
            daemon.answers["Ping"] = daemon.answers["Set"] = Message.new_method_return
            await bus.ping()
            await bus.set("/a", "b.c", "On", "b", True)
            [interface, name, value] = daemon.asked[-1].body
            assert (interface, name, value.signature, value.value) == ("b.c", "On", "b", True)
            await bus.close()
            await bus.close()
        assert descriptors() <= before

    asyncio.run(main())


def test_a_bus_that_ends_fails_what_waits_and_what_comes(daemon: FakeDaemon) -> None:
    async def main() -> None:
        before = descriptors()
        async with daemon.running():
            bus = await Bus.open()
            waiting = asyncio.create_task(bus.call("/a", "b.c", "Silent"))
            await until(lambda: daemon.asked[-1].member == "Silent")
            daemon.end()
            await asyncio.wait_for(bus.lost(), 10)
            for call in (waiting, bus.call("/a", "b.c", "Get"), bus.ping()):
                with pytest.raises(BusError) as failed:
                    await call
                assert failed.value.name == ""
            bus.tell("/a", "b.c", "Leave")
            await bus.close()
        assert descriptors() <= before

    asyncio.run(main())


def test_a_bus_that_takes_nothing_is_given_up(daemon: FakeDaemon) -> None:
    async def main() -> None:
        async with daemon.running():
            bus = await Bus.open()
            assert daemon.writer is not None
            daemon.writer.transport.pause_reading()  # type: ignore[attr-defined]
            # The library ends a connection that has no room; nothing is said of it (conftest.py).
            lost = asyncio.ensure_future(bus.lost())
            for _ in range(200):
                for _ in range(10):
                    much = Message.new_signal("/a", "b.c", "Much", "ay", [bytes(500)])
                    bus.connection.send(much)
                await asyncio.sleep(0)
                if lost.done():
                    break
            await asyncio.wait_for(lost, 10)
            del bus
            gc.collect()

    asyncio.run(main())


def test_only_bluez_and_the_daemon_are_listened_to(daemon: FakeDaemon) -> None:
    async def main() -> None:
        heard: list[Any] = []
        async with daemon.running():
            bus = await Bus.open()
            await bus.listen(lambda *signal: heard.append(signal))
            rules = [ask.body[0] for ask in daemon.asked if ask.member == "AddMatch"]
            assert len(rules) == 3
            body = ["org.bluez.Device1", {"Connected": Variant("b", True)}, []]
            for sender in (":1.99", BLUEZ, "org.freedesktop.DBus"):
                signal = Message.new_signal("/d", "i.Properties", "Changed", "sa{sv}as", body)
                daemon.send(signal, sender)
            await until(lambda: len(heard) == 2)
            plain = ["org.bluez.Device1", {"Connected": True}, []]
            assert heard == [("/d", "i.Properties", "Changed", plain)] * 2
            await bus.close()

    asyncio.run(main())


def test_objects_of_bluez_are_plain_values(daemon: FakeDaemon) -> None:
    async def main() -> None:
        tree = {"/a": {"i.A": {"On": Variant("b", True), "Data": Variant("a{qv}", {})}}}
        async with daemon.running():
            bus = await Bus.open()
            daemon.answers["GetManagedObjects"] = lambda call: Message.new_method_return(
                call, "a{oa{sa{sv}}}", [tree]
            )
            assert await bus.objects() == {"/a": {"i.A": {"On": True, "Data": {}}}}
            await bus.close()

    asyncio.run(main())


def test_objects_of_ours_are_answered_while_they_are_offered(daemon: FakeDaemon) -> None:
    async def main() -> None:
        async with daemon.running():
            bus = await Bus.open()
            bus.offer("/ours", lambda member: ("sv", [member, variant("b", True)]))
            daemon.send(call("/ours", "Look"))
            await until(lambda: daemon.asked[-1].reply_serial)
            assert daemon.asked[-1].body == ["Look", Variant("b", True)]
            bus.offer("/ours", None)
            bus.offer("/never", None)
            await bus.close()

    def call(path: str, member: str) -> Message:
        return Message(destination=":1.1", path=path, interface="i.I", member=member)

    asyncio.run(main())


def test_a_bus_that_is_not_there_or_lets_nobody_in_is_no_bus(daemon: FakeDaemon) -> None:
    async def main() -> None:
        before = descriptors()
        with pytest.raises(OSError):
            await Bus.open()
        for welcome in (b"REJECTED EXTERNAL\r\n", None, b"what?\r\n"):
            daemon.welcome = welcome
            async with daemon.running():
                with pytest.raises(OSError):
                    await Bus.open()
        assert descriptors() <= before

    asyncio.run(main())


def test_an_address_without_sense_is_no_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        for address in ("", "nonsense", "unix:", "carrier-pigeon:path=/x"):
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
            with pytest.raises(OSError):
                await Bus.open()

    asyncio.run(main())

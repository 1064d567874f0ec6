"""Serving phones from beginning to end, and what is said when it cannot be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.adapters import ble_advert
from gateway.adapters.ble import Ble, explained
from gateway.adapters.ble_bus import NO_ANSWER, Bus, BusError
from gateway.core.beacon import Beacon
from gateway.core.errors import GatewayError
from gateway.core.opening import INFO, RX, TX
from tests.support.bluez import ADAPTER, DEVICE_PATH, HCI0, PHONE, FakeBluez, Recorder, until

BEACON = Beacon(b"12345678", b"abcd")
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
DEVICE = "org.bluez.Device1"
CAME = ("connected", PHONE)
LEFT = ("disconnected", PHONE)


class Scene:
    """A radio that serves, and all around it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, adapter: str = "") -> None:
        self.bluez, self.phones, self.radio = FakeBluez(), Recorder(), Ble(adapter)

        async def open_() -> FakeBluez:
            return self.bluez

        monkeypatch.setattr(Bus, "open", open_)
        monkeypatch.setattr(ble_advert, "PAUSE_SECONDS", 0.01)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["asyncio.Task[None]"]:
        """Serve, and see that all is over afterwards."""
        await self.radio.advertise(BEACON)
        task = asyncio.create_task(self.radio.serve(self.phones))
        await until(lambda: self.radio.adapter or task.done())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert self.bluez.gone.is_set()
        assert self.radio.adapter == ""
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def changed(self, path: str, interface: str, **values: Any) -> None:
        """BlueZ says that properties changed."""
        self.bluez.say(path, PROPERTIES, "PropertiesChanged", [interface, values, []])


async def failure(task: "asyncio.Task[None]") -> str:
    """The code that serving ends with."""
    with pytest.raises(GatewayError) as ended:
        await asyncio.wait_for(task, 10)
    assert ended.value.exit_code == 69
    return ended.value.code


def test_it_is_set_up_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        assert scene.radio.notify(PHONE, 1, b"nobody is there")
        scene.radio.disconnect(PHONE)
        async with scene.serving():
            assert scene.radio.adapter == "hci0"
        members = [call[0] for call in scene.bluez.calls]
        # Who is there already is asked for after nothing can be missed.
        assert members == [
            "GetManagedObjects",
            "Powered=True",
            "Pairable=False",
            "RegisterApplication",
            "GetManagedObjects",
            "RegisterAdvertisement",
            "Ping",
        ]

    asyncio.run(main())


def test_phones_come_and_go_in_each_way_bluez_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        async with scene.serving():
            say, heard = scene.bluez.say, scene.phones.heard
            say("/", OBJECTS, "InterfacesAdded", [DEVICE_PATH, {DEVICE: {"Connected": True}}])
            scene.changed(DEVICE_PATH, DEVICE, Connected=True)
            assert heard == [CAME]
            await until(lambda: scene.bluez.count("RegisterAdvertisement") == 2)
            scene.changed(DEVICE_PATH, DEVICE, RSSI=-60)
            scene.changed(DEVICE_PATH, DEVICE, Connected=False)
            scene.changed(DEVICE_PATH, DEVICE, Connected=False)
            assert heard == [CAME, LEFT]
            await until(lambda: scene.bluez.count("RegisterAdvertisement") == 3)
            scene.changed(DEVICE_PATH, DEVICE, Connected=True)
            say("/", OBJECTS, "InterfacesRemoved", [DEVICE_PATH, [DEVICE]])
            assert heard == [CAME, LEFT] * 2
            # Of another adapter, of no device, of no sense.
            scene.changed("/org/bluez/hci1/dev_F0_F1_F2_F3_F4_02", DEVICE, Connected=True)
            scene.changed(HCI0, DEVICE, Connected=True)
            say("/", OBJECTS, "InterfacesRemoved", [DEVICE_PATH, ["org.bluez.Battery1"]])
            say("/", OBJECTS, "InterfacesAdded", [])
            say(HCI0, PROPERTIES, "PropertiesChanged", ["org.bluez.Adapter1", {"Alias": "x"}, []])
            assert heard == [CAME, LEFT] * 2

    asyncio.run(main())


def test_phones_that_are_there_already_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        scene.bluez.tree = {HCI0: ADAPTER, DEVICE_PATH: {DEVICE: {"Connected": True}}}
        async with scene.serving():
            assert scene.phones.heard == [CAME]
        assert scene.phones.heard == [CAME, LEFT]

    asyncio.run(main())


def test_what_a_phone_does_may_be_heard_before_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        async with scene.serving():
            scene.bluez.ask(RX, "WriteValue", b"x", device=("o", DEVICE_PATH))
            scene.changed(DEVICE_PATH, DEVICE, Connected=True)
            assert scene.phones.heard == [CAME, ("written", PHONE, b"x", 23)]
            scene.radio.disconnect(PHONE)
            assert scene.bluez.calls[-1] == ("Disconnect", DEVICE_PATH)
            before = scene.bluez.count("Disconnect")
        # It uses the service, which ends.
        assert scene.bluez.count("Disconnect") == before + 1
        assert scene.phones.heard[-1] == LEFT

    asyncio.run(main())


def test_a_keyboard_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        async with scene.serving():
            scene.changed(DEVICE_PATH, DEVICE, Connected=True)
        assert not scene.bluez.count("Disconnect")

    asyncio.run(main())


def test_notifications_and_info_go_to_phones(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        async with scene.serving():
            info = scene.bluez.ask(INFO, "ReadValue", device=("o", DEVICE_PATH))
            assert info == bytes(range(22))
            scene.bluez.ask(TX[2], "StartNotify")
            assert scene.radio.notify(PHONE, 3, b"hello")
            assert scene.bluez.notified == [(TX[2], b"hello")]
            while scene.radio.notify(PHONE, 3, b"hello"):
                pass
            await until(lambda: ("room", PHONE) in scene.phones.heard)
            # Nobody is told of room who is gone.
            while scene.radio.notify(PHONE, 3, b"hello"):
                pass
            scene.changed(DEVICE_PATH, DEVICE, Connected=False)
            told = scene.phones.heard.count(("room", PHONE))
            await until(lambda: scene.radio.notify(PHONE, 3, b"hello"))
            assert scene.phones.heard.count(("room", PHONE)) == told

    asyncio.run(main())


def test_a_busy_radio_that_cannot_advertise_is_offered_as_long_as_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        async with scene.serving():
            scene.bluez.ask(RX, "WriteValue", b"x", device=("o", DEVICE_PATH))
            scene.bluez.errors["RegisterAdvertisement"] = BusError("org.bluez.Error.Failed")
            scene.changed(DEVICE_PATH, DEVICE, Connected=True)
            await until(lambda: scene.bluez.count("RegisterAdvertisement") == 2)
            await asyncio.sleep(0)
            assert scene.radio.adapter == "hci0"
            scene.changed(DEVICE_PATH, DEVICE, Connected=False)
            assert scene.radio.adapter == ""

    asyncio.run(main())


@pytest.mark.parametrize(
    ("signal", "code"),
    [
        ((HCI0, PROPERTIES, "PropertiesChanged", ["org.bluez.Adapter1", {"Powered": False}, []]),
         "bluetooth-adapter-off"),
        (("/", OBJECTS, "InterfacesRemoved", [HCI0, ["org.bluez.Adapter1"]]), "bluetooth-lost"),
        (("/", "org.freedesktop.DBus", "NameOwnerChanged", ["org.bluez", ":1.2", ""]),
         "bluetooth-no-daemon"),
    ],
)  # fmt: skip
def test_serving_ends_when_something_is_lost(
    monkeypatch: pytest.MonkeyPatch, signal: tuple[str, str, str, list[Any]], code: str
) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        async with scene.serving() as task:
            scene.changed(DEVICE_PATH, DEVICE, Connected=True)
            scene.bluez.say(*signal)
            # More of it changes nothing.
            scene.bluez.say(*signal)
            assert await failure(task) == code
            assert scene.phones.heard[-1] == LEFT

    asyncio.run(main())


def test_serving_ends_with_the_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        async with scene.serving() as task:
            scene.bluez.gone.set()
            assert await failure(task) == "bluetooth-no-bus"

    asyncio.run(main())


def test_serving_ends_when_bluez_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        async with scene.serving() as task:
            scene.bluez.errors["Ping"] = BusError(NO_ANSWER)
            while scene.radio.notify(PHONE, 1, b"x"):
                pass
            assert await failure(task) == "bluetooth-lost"

    asyncio.run(main())


def test_a_bluez_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("gateway.adapters.ble_serving.GOODBYE_SECONDS", 0.05)
        scene = Scene(monkeypatch)
        async with scene.serving():
            scene.bluez.held["Ping"] = asyncio.Event()
            while scene.radio.notify(PHONE, 1, b"x"):
                pass
            await until(lambda: scene.bluez.count("Ping"))

    asyncio.run(main())


def test_a_set_up_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr("gateway.adapters.ble_serving.SET_UP_SECONDS", 0.05)
        scene = Scene(monkeypatch)
        scene.bluez.held["RegisterApplication"] = asyncio.Event()
        async with scene.serving() as task:
            assert await failure(task) == "bluetooth-lost"

    asyncio.run(main())


def test_it_serves_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        for _ in range(3):
            async with scene.serving() as task:
                assert scene.radio.adapter == "hci0"
                scene.bluez.gone.set()
                await failure(task)
            scene.bluez.gone.clear()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("named", "tree", "found"),
    [
        ("", {HCI0: ADAPTER}, "hci0"),
        ("hci0", {HCI0: ADAPTER}, "hci0"),
        ("hci1", {HCI0: ADAPTER}, None),
        ("", {}, None),
        # It has no radio for LE, or is something else of BlueZ.
        ("", {HCI0: {"org.bluez.Adapter1": {}}, "/org/bluez/test": {}}, None),
        ("", {HCI0: {**ADAPTER, "org.bluez.Adapter1": {"Powered": False}}}, "hci0"),
        ("", {HCI0: {**ADAPTER, "org.bluez.Adapter1": {"Powered": False}},
              "/org/bluez/hci1": ADAPTER}, "hci1"),
        ("hci0", {HCI0: {**ADAPTER, "org.bluez.Adapter1": {"Powered": False}},
                  "/org/bluez/hci1": ADAPTER}, "hci0"),
    ],
)  # fmt: skip
def test_the_adapter_that_is_named_or_on_is_taken(
    monkeypatch: pytest.MonkeyPatch, named: str, tree: Any, found: str | None
) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        scene.radio.use(named)
        scene.bluez.tree = tree
        async with scene.serving() as task:
            if found is None:
                assert await failure(task) == "bluetooth-no-adapter"
            else:
                assert scene.radio.adapter == found

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "bluetooth-no-bus"),
        (NO_ANSWER, "bluetooth-lost"),
        ("org.freedesktop.DBus.Error.ServiceUnknown", "bluetooth-no-daemon"),
        ("org.freedesktop.DBus.Error.Spawn.ExecFailed", "bluetooth-no-daemon"),
        ("org.freedesktop.DBus.Error.NoReply", "bluetooth-no-daemon"),
        ("org.freedesktop.DBus.Error.AccessDenied", "bluetooth-not-allowed"),
        ("org.freedesktop.DBus.Error.UnknownObject", "bluetooth-lost"),
        ("org.bluez.Error.Blocked", "bluetooth-adapter-off"),
        ("org.bluez.Error.Failed", "bluetooth-refused"),
    ],
)
def test_what_bluez_says_is_told_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, name: str, code: str
) -> None:
    async def main() -> None:
        scene = Scene(monkeypatch)
        scene.bluez.errors["Powered=True"] = BusError(name)
        async with scene.serving() as task:
            assert await failure(task) == code

    asyncio.run(main())
    assert explained(BusError("org.bluez.Error.Failed", "busy")).sentence == (
        "bluetoothd refuses: org.bluez.Error.Failed: busy"
    )


def test_without_a_bus_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_() -> Bus:
        raise ConnectionError

    async def main() -> None:
        monkeypatch.setattr(Bus, "open", open_)
        task = asyncio.create_task(Ble().serve(Recorder()))
        assert await failure(task) == "bluetooth-no-bus"

    asyncio.run(main())

"""The Bluetooth controller of this device, by BlueZ 5.66 or newer (docs/bluetooth.md)."""

from gateway.adapters.ble_bus import NO_ANSWER, Bus, BusError
from gateway.adapters.ble_serving import Serving, chosen
from gateway.core.beacon import Beacon
from gateway.core.errors import GatewayError
from gateway.core.radio import NO_BUS, NO_DAEMON, NOT_ALLOWED
from gateway.ports import Phones

EX_UNAVAILABLE = 69
# D-Bus errors of a bus on which nobody is BlueZ: it cannot be started, or just ended.
_NOBODY = ("ServiceUnknown", "NameHasNoOwner", "Spawn.", "TimedOut", "NoReply")
# What was there a moment ago is not.
_LOST = ("UnknownObject", "UnknownMethod", "UnknownInterface", "DoesNotExist")
_OFF = ("Blocked", "NotReady")


class Ble:
    """Satisfies ``Radio``. ``adapter``: a name such as hci0; "" for one that is on, or any."""

    def __init__(self, adapter: str = "") -> None:
        self._adapter = adapter
        self._beacon: Beacon | None = None
        self._serving: Serving | None = None

    async def serve(self, phones: Phones) -> None:
        """See ``Radio``."""
        try:
            bus = await Bus.open()
        except OSError as error:
            sentence = "there is no system bus (dbus), or it does not let this user in"
            raise GatewayError(NO_BUS, sentence, EX_UNAVAILABLE) from error
        try:
            await self._serve(bus, phones)
        except BusError as error:
            raise explained(error) from error
        except TimeoutError:
            raise explained(BusError(NO_ANSWER)) from None
        finally:
            await bus.close()

    def use(self, adapter: str) -> None:
        """See ``Radio``."""
        self._adapter = adapter

    @property
    def adapter(self) -> str:
        """See ``Radio``."""
        return self._serving.adapter if self._serving is not None else ""

    async def advertise(self, beacon: Beacon | None) -> None:
        """See ``Radio``."""
        self._beacon = beacon
        if self._serving is not None:
            self._serving.advertiser.show(beacon)

    def notify(self, phone: str, place: int, value: bytes) -> bool:
        """See ``Radio``."""
        return self._serving is None or self._serving.gatt.notify(phone, place, value)

    def disconnect(self, phone: str) -> None:
        """See ``Radio``."""
        if self._serving is not None:
            self._serving.disconnect(phone)

    async def _serve(self, bus: Bus, phones: Phones) -> None:
        adapter = chosen(await bus.objects(), self._adapter)
        self._serving = Serving(bus, adapter, phones)
        try:
            await self._serving.run(self._beacon)
        finally:
            serving, self._serving = self._serving, None
            await serving.close()


def explained(error: BusError) -> GatewayError:
    """What a failed call means to a person."""
    kind = error.name.rpartition(".Error.")[2]
    if not error.name:
        code, sentence = NO_BUS, "the system bus (dbus) ended"
    elif kind.startswith(_NOBODY):
        code, sentence = NO_DAEMON, "bluetoothd does not run; is bluez installed?"
    elif error.name == NO_ANSWER:
        code, sentence = "bluetooth-lost", "bluetoothd does not answer"
    elif kind in _LOST:
        code, sentence = "bluetooth-lost", "the Bluetooth adapter is gone"
    elif kind in _OFF:
        code = "bluetooth-adapter-off"
        sentence = "the Bluetooth adapter cannot be switched on; is it blocked (rfkill)?"
    elif kind == "AccessDenied":
        code = NOT_ALLOWED
        sentence = "this user may not use Bluetooth; does it belong to the group bluetooth?"
    else:
        code, sentence = "bluetooth-refused", f"bluetoothd refuses: {error}"
    return GatewayError(code, sentence, EX_UNAVAILABLE)

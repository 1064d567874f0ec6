"""The Bluetooth controller of this device, by BlueZ 5.66 or newer (docs/bluetooth.md)."""

from gateway.adapters.ble_bus import Bus, BusError
from gateway.adapters.ble_serving import Serving, chosen
from gateway.core.beacon import Beacon
from gateway.core.errors import GatewayError
from gateway.core.opening import INFO_BYTES
from gateway.ports import Phones

EX_UNAVAILABLE = 69
# INFO ends with PSM, phones and free.
PSM = slice(INFO_BYTES - 4, INFO_BYTES - 2)

# D-Bus errors of a bus on which nobody is BlueZ and nobody can start it.
_NOBODY = ("ServiceUnknown", "NameHasNoOwner", "Spawn.", "TimedOut")
# What was there a moment ago is not, or does not answer.
_LOST = ("", "UnknownObject", "UnknownMethod", "NoReply", "DoesNotExist")
_OFF = ("Blocked", "NotReady")


class Ble:
    """Satisfies ``Radio``. ``adapter``: a name such as hci0; "" for one that is on, or any."""

    def __init__(self, adapter: str = "") -> None:
        self._adapter = adapter
        self._info = bytes(INFO_BYTES)
        self._beacon: Beacon | None = None
        self._serving: Serving | None = None

    async def serve(self, phones: Phones) -> None:
        """See ``Radio``."""
        try:
            bus = await Bus.open()
        except OSError as error:
            sentence = "there is no system bus (dbus), or it does not let this user in"
            raise GatewayError("bluetooth-no-bus", sentence, EX_UNAVAILABLE) from error
        try:
            await self._serve(bus, phones)
        except BusError as error:
            raise explained(error) from error
        finally:
            await bus.close()

    def tell(self, info: bytes) -> None:
        """See ``Radio``."""
        self._info = info

    async def advertise(self, beacon: Beacon | None) -> None:
        """See ``Radio``."""
        self._beacon = beacon
        if self._serving is not None:
            self._serving.advertiser.show(beacon)

    def notify(self, phone: str, value: bytes) -> bool:
        """See ``Radio``."""
        return self._serving is None or self._serving.gatt.notify(phone, value)

    def disconnect(self, phone: str) -> None:
        """See ``Radio``."""
        if self._serving is not None:
            self._serving.disconnect(phone)

    async def _serve(self, bus: Bus, phones: Phones) -> None:
        adapter = chosen(await bus.objects(), self._adapter)
        self._serving = Serving(bus, adapter, phones, self._info_with)
        try:
            await self._serving.run(self._beacon)
        finally:
            serving, self._serving = self._serving, None
            await serving.close()

    def _info_with(self, psm: int) -> bytes:
        return self._info[: PSM.start] + psm.to_bytes(2, "little") + self._info[PSM.stop :]


def explained(error: BusError) -> GatewayError:
    """What a failed call means to a person."""
    kind = error.name.partition(".Error.")[2]
    if error.name and kind.startswith(_NOBODY):
        code, sentence = "bluetooth-no-daemon", "bluetoothd does not run; is bluez installed?"
    elif kind in _OFF:
        code = "bluetooth-adapter-off"
        sentence = "the Bluetooth adapter cannot be switched on; is it blocked (rfkill)?"
    elif kind == "AccessDenied":
        code = "bluetooth-refused"
        sentence = "this user may not use Bluetooth; does it belong to the group bluetooth?"
    elif kind in _LOST:
        code, sentence = "bluetooth-lost", "bluetoothd or the adapter is gone"
    else:
        code, sentence = "bluetooth-refused", f"bluetoothd refuses: {error}"
    return GatewayError(code, sentence, EX_UNAVAILABLE)

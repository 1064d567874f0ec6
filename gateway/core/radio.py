"""Why Bluetooth works or not: what the kernel and the service say in, one cause for people out.

The causes, what is done about them and when: docs/bluetooth.md, "When the radio does not work".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

# What ``Radio.serve`` ends with that the kernel cannot tell.
NO_BUS, NO_DAEMON = "bluetooth-no-bus", "bluetooth-no-daemon"
NOT_ALLOWED = "bluetooth-not-allowed"
# The service ended this often without a good minute between: it is no accident.
WEDGED_FAILURES = 2


class Repair(Enum):
    """What can be done, the gentlest first; the value is its name for people and scripts."""

    UNBLOCK = "unblock"
    POWER_ON = "power-on"
    POWER_CYCLE = "power-cycle"
    RESET = "reset"
    RESTART_DAEMON = "restart-daemon"
    OTHER_ADAPTER = "other-adapter"


class Lamp(Enum):
    """A pattern. Slow: it repairs itself. Fast: somebody has to do something."""

    ON = "on"
    OFF = "off"
    SLOW = "slow"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class Controller:
    """A controller the kernel has, such as hci0.

    ``set_up``: it told its address, which it can once its firmware runs. ``soft``, ``hard``: it is
    blocked by software, by a switch.
    """

    name: str
    up: bool = True
    set_up: bool = True
    soft: bool = False
    hard: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the kernel says at one moment.

    ``soft``, ``hard``: a switch of the whole device blocks Bluetooth; its controller is mostly
    gone then. ``bus``: the number of the system bus's socket, 0 if there is none. ``installed``:
    the program of BlueZ's daemon is there.
    """

    controllers: tuple[Controller, ...] = ()
    soft: bool = False
    hard: bool = False
    bus: int = 1
    installed: bool = True


@dataclass(frozen=True, slots=True)
class Service:
    """How the GATT service does. ``offered``: phones can find it now; ``phones``: so many use it.

    ``ended``: the code it ended with last; ``failures``: how often it ended since it last did well.
    """

    offered: bool = False
    phones: int = 0
    ended: str = ""
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """``what`` is so and what to ``do``; ``repairs`` that may help, in their order."""

    code: str
    what: str
    do: str
    lamp: Lamp
    repairs: tuple[Repair, ...] = ()


_ALL = tuple(Repair)
OFF = Cause(
    "bluetooth-off",
    "Bluetooth is turned off in the settings",
    "Set enabled = true in the section [bluetooth] of the settings file to use it.",
    Lamp.OFF,
)
UNCLAIMED = Cause(
    "bluetooth-unclaimed",
    "Bluetooth waits until this gateway is of a store",
    "Claim it: store-gateway claim",
    Lamp.OFF,
)
OK = Cause("bluetooth-ok", "Bluetooth works", "", Lamp.ON)
# Nothing is repaired then: it would cut off those who are served.
UNFOUND = Cause(
    "bluetooth-not-advertised",
    "Bluetooth serves the phones that are connected, but the adapter lets no others find it",
    "Some adapters take few phones at once: use a USB adapter, or let a phone that is done go.",
    Lamp.SLOW,
)
STARTING = Cause("bluetooth-starting", "Bluetooth starts", "Wait some seconds.", Lamp.SLOW)
INTERRUPTED = Cause(
    "bluetooth-interrupted",
    "Bluetooth was interrupted and starts again",
    "Wait some seconds.",
    Lamp.SLOW,
)
_SWITCH = Cause(
    "bluetooth-blocked-by-switch",
    "Bluetooth is switched off by a switch or key of this device",
    "Turn it on there: a switch at the case, a key with an aerial on it, or a setting of its BIOS.",
    Lamp.FAST,
)
_BLOCKED = Cause(
    "bluetooth-blocked",
    "Bluetooth is switched off in this device (rfkill)",
    "If it stays so, run: sudo rfkill unblock bluetooth",
    Lamp.SLOW,
    (Repair.UNBLOCK,),
)
_NO_CONTROLLER = Cause(
    "bluetooth-no-controller",
    "This device has no Bluetooth adapter",
    "Plug in a USB adapter; on a Raspberry Pi look for disable-bt in its config.txt.",
    Lamp.FAST,
)
_NOT_THERE = Cause(
    "bluetooth-no-such-adapter",
    "The Bluetooth adapter that the settings name is not there",
    "Plug it in; or change bluetooth.adapter, with nothing in it the first that works is taken.",
    Lamp.FAST,
)
_NOT_INSTALLED = Cause(
    "bluetooth-not-installed",
    "BlueZ, the Bluetooth service of Linux, is not installed",
    "Run: sudo apt-get install bluez",
    Lamp.FAST,
)
_NO_BUS = Cause(
    NO_BUS,
    "The system bus (D-Bus) of this device does not answer",
    "If it stays so, restart the device.",
    Lamp.FAST,
)
_NO_DAEMON = Cause(
    NO_DAEMON,
    "The Bluetooth service of this device (bluetoothd) does not run",
    "If it stays so, run: sudo systemctl restart bluetooth",
    Lamp.SLOW,
    (Repair.RESTART_DAEMON,),
)
_NOT_ALLOWED = Cause(
    NOT_ALLOWED,
    "This gateway may not use the Bluetooth service of this device",
    "Put its user into the group bluetooth, and start it anew.",
    Lamp.FAST,
)
_NO_FIRMWARE = Cause(
    "bluetooth-no-firmware",
    "The Bluetooth adapter is there, but does not start: its firmware is missing, or it hangs",
    "See what the kernel says: sudo dmesg | grep -i bluetooth; install the firmware it misses"
    " (firmware-brcm80211, firmware-realtek, bluez-firmware), or use a USB adapter.",
    Lamp.FAST,
    (Repair.POWER_ON, Repair.RESET, Repair.OTHER_ADAPTER),
)
_ADAPTER_OFF = Cause(
    "bluetooth-adapter-off",
    "The Bluetooth adapter is off and is being switched on",
    "If it stays so, take its power away for a moment: unplug it, or the device.",
    Lamp.SLOW,
    tuple(repair for repair in _ALL if repair is not Repair.UNBLOCK),
)
_WEDGED = Cause(
    "bluetooth-wedged",
    "The Bluetooth adapter does not do what it is told and is being reset",
    "If it stays so, take its power away for a moment, or use a USB adapter.",
    Lamp.SLOW,
    (Repair.POWER_CYCLE, Repair.RESET, Repair.RESTART_DAEMON, Repair.OTHER_ADAPTER),
)


def choose(facts: Facts, named: str, current: str) -> str:
    """The controller to use: the one that was ``named``; else ``current`` if it can be used, or
    the first that can. "" where there is none."""
    names = [controller.name for controller in facts.controllers]
    if named:
        return named
    usable = _usable(facts)
    if current in usable or (current in names and not usable):
        return current
    return next(iter(usable or names), "")


def other(facts: Facts, current: str) -> str:
    """The next controller that can be used in place of ``current``, or ""."""
    usable = [name for name in _usable(facts) if name != current]
    return next((name for name in usable if name > current), usable[0] if usable else "")


def diagnose(facts: Facts, service: Service, adapter: str, *, named: bool) -> Cause:
    """The cause to deal with first. ``adapter``: the controller in use; ``named``: no other may."""
    controller = next((one for one in facts.controllers if one.name == adapter), None)
    if controller is not None and (controller.hard or controller.soft):
        return _SWITCH if controller.hard else _BLOCKED
    if controller is not None and controller.up and (service.offered or service.phones):
        return OK if service.offered else UNFOUND
    if facts.hard or facts.soft:
        return _SWITCH if facts.hard else _BLOCKED
    if controller is None:
        return _NOT_THERE if facts.controllers and named else _NO_CONTROLLER
    return _of_service(facts, service, controller)


def _of_service(facts: Facts, service: Service, controller: Controller) -> Cause:
    if not service.failures and not service.offered:
        return STARTING
    if service.ended == NO_BUS or not facts.bus:
        return _NO_BUS
    if service.ended == NO_DAEMON:
        return _NO_DAEMON if facts.installed else _NOT_INSTALLED
    if service.ended == NOT_ALLOWED:
        return _NOT_ALLOWED
    if not controller.set_up:
        return _NO_FIRMWARE
    if not controller.up:
        return _ADAPTER_OFF
    return INTERRUPTED if service.failures < WEDGED_FAILURES else _WEDGED


def _usable(facts: Facts) -> Sequence[str]:
    return [one.name for one in facts.controllers if one.set_up and not one.hard]


def section(
    cause: Cause,
    since_seconds: float = 0.0,
    adapter: str = "",
    phones: int = 0,
    repairs: int = 0,
    cannot: Sequence[str] = (),
) -> dict[str, Any]:
    """What the status says of Bluetooth; ``cannot``: why repairs could not be tried."""
    return {
        "state": cause.code,
        "sentence": f"{cause.what}{f'; {cannot[0]}' if cannot else ''}.",
        "do": cause.do,
        "lamp": cause.lamp.value,
        "since_s": round(since_seconds, 1),
        "adapter": adapter,
        "phones": phones,
        "repairs": repairs,
        "cannot": list(cannot),
    }

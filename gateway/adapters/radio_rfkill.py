"""The switches of Bluetooth, as rfkill(8) shows them: sysfs to read, /dev/rfkill to write.

The kernel's Documentation/driver-api/rfkill.rst.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/class/rfkill")
DEVICE = Path("/dev/rfkill")
# linux/rfkill.h: struct rfkill_event up to its first version, RFKILL_OP_CHANGE_ALL,
# RFKILL_TYPE_BLUETOOTH.
_EVENT = struct.Struct("=IBBBB")
CHANGE_ALL, BLUETOOTH = 3, 2


@dataclass(frozen=True, slots=True)
class Switch:
    """``name``: of the controller it belongs to, such as hci0, or of the device's own switch."""

    name: str
    soft: bool
    hard: bool


def switches(sysfs: Path = SYSFS) -> list[Switch]:
    """Those of Bluetooth there are now."""
    return [switch for folder in sorted(sysfs.glob("rfkill*")) if (switch := _switch(folder))]


def unblock(device: Path = DEVICE) -> None:
    """Let all Bluetooth be on that no hard switch turns off, what comes later too.

    Raises ``OSError``: without the right to write the device above all.
    """
    # Unbuffered, as the kernel takes one event a write.
    with device.open("wb", buffering=0) as opened:
        opened.write(_EVENT.pack(0, BLUETOOTH, CHANGE_ALL, 0, 0))


def _switch(folder: Path) -> Switch | None:
    try:
        kind, name, soft, hard = (
            (folder / file).read_text().strip() for file in ("type", "name", "soft", "hard")
        )
    except OSError:
        return None  # gone meanwhile
    return Switch(name, soft == "1", hard == "1") if kind == "bluetooth" else None

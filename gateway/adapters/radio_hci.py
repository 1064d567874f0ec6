"""The kernel's Bluetooth controllers: what they are, on and off, and their drivers anew.

The ioctls are those of include/net/bluetooth/hci_sock.h. Python may have been built without
Bluetooth, so the numbers are here.
"""

import contextlib
import errno
import fcntl
import os
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

SYSFS = Path("/sys/class/bluetooth")
AF_BLUETOOTH, BTPROTO_HCI = 31, 1
# Up and down take a controller's number, the third fills a structure that begins with it.
HCIDEVUP, HCIDEVDOWN, HCIGETDEVINFO = 0x400448C9, 0x400448CA, 0x800448D3
# struct hci_dev_info: dev_id, name, bdaddr, flags; 92 bytes in all.
_INFO = struct.Struct("=H8s6sI")
INFO_BYTES = 92
HCI_UP = 0x1
# Buses whose devices can be given to their driver anew: USB adapters, and the UART of a Pi.
BUSES = {"usb", "serial"}
# A driver that let go needs a moment before it can take the device again.
UNBOUND_SECONDS = 1.0


def controllers(sysfs: Path = SYSFS) -> list[str]:
    """The names of all, such as hci0. Links appear there too (hci0:64), those are left out."""
    found = (re.fullmatch(r"hci(\d+)", path.name) for path in sysfs.glob("hci*"))
    return [f"hci{number}" for number in sorted(int(match[1]) for match in found if match)]


def state(name: str) -> tuple[bool, bool]:
    """Whether a controller is up, and whether it told its address, as it does once it was set up.

    Both where the kernel does not say: then nothing is to be concluded.
    """
    try:
        with _socket() as asking:
            data = bytearray(INFO_BYTES)
            struct.pack_into("=H", data, 0, _number(name))
            fcntl.ioctl(asking, HCIGETDEVINFO, data)
    except OSError:
        return True, True
    _, _, address, flags = _INFO.unpack_from(data)
    return bool(flags & HCI_UP), any(address)


def switch_on(name: str) -> None:
    """Raises ``OSError``: EPERM without CAP_NET_ADMIN, ENOENT where its firmware is missing."""
    with _socket() as asking:
        try:
            fcntl.ioctl(asking, HCIDEVUP, _number(name))
        except OSError as error:
            if error.errno != errno.EALREADY:
                raise


def switch_off(name: str) -> None:
    """Raises ``OSError``: EPERM without CAP_NET_ADMIN."""
    with _socket() as asking:
        fcntl.ioctl(asking, HCIDEVDOWN, _number(name))


def bind_anew(name: str, sysfs: Path = SYSFS) -> None:
    """Take the controller from its driver and give it back: set-up and firmware begin anew.

    Blocks for a second. Raises ``OSError``: ENODEV where it cannot be done, EACCES without the
    right to write in sysfs.
    """
    device = (sysfs / name / "device").resolve()
    driver = device / "driver"
    if _target(device / "subsystem") not in BUSES or not driver.exists():
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(device))
    # Resolved before: the link is gone while no driver has the device.
    driver = driver.resolve()
    (driver / "unbind").write_text(device.name)
    time.sleep(UNBOUND_SECONDS)
    (driver / "bind").write_text(device.name)


@contextlib.contextmanager
def _socket() -> Iterator[socket.socket]:
    with socket.socket(AF_BLUETOOTH, socket.SOCK_RAW, BTPROTO_HCI) as opened:
        yield opened


def _number(name: str) -> int:
    return int(name.removeprefix("hci"))


def _target(link: Path) -> str:
    return link.resolve().name

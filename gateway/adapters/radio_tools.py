"""Satisfies ``RadioTools`` by the kernel's files and ioctls, and systemctl(1) for the daemon."""

import asyncio
import errno
import time
from pathlib import Path

from gateway.adapters import radio_hci, radio_rfkill
from gateway.core.radio import Controller, Facts, Repair

BUS = Path("/run/dbus/system_bus_socket")
# Debian's, and those of others.
DAEMONS = tuple(
    Path(folder, "bluetoothd")
    for folder in (
        "/usr/libexec/bluetooth", "/usr/lib/bluetooth", "/usr/libexec", "/usr/sbin",
        "/usr/local/libexec/bluetooth",
    )
)  # fmt: skip
# Runs where systemd does, sd_booted(3).
SYSTEMD = Path("/run/systemd/system")
RESTART = ("systemctl", "--no-ask-password", "restart", "bluetooth.service")
# systemd itself gives a unit 90 s to stop; a daemon that needs longer than this hangs.
RESTART_SECONDS = 30.0
# A controller that was off for a moment forgets what it did.
OFF_SECONDS = 0.5
DENIED = {errno.EPERM, errno.EACCES, errno.EROFS}

UNBLOCK_DENIED = "this gateway may not switch it on, for that it must be let write /dev/rfkill"
POWER_DENIED = "this gateway may not switch adapters on and off, for that it needs CAP_NET_ADMIN"
RESET_DENIED = "this gateway may not start the adapter's driver anew, for that it must be root"
NO_DRIVER = "the adapter has no driver that could be started anew"
NO_FIRMWARE = "a firmware file of the adapter is missing"
NO_SYSTEMD = "there is no systemd here that could restart the Bluetooth service"
RESTART_DENIED = "this gateway may not restart the Bluetooth service"
RESTART_FAILED = "the Bluetooth service does not start (see: journalctl -u bluetooth)"


class LinuxRadioTools:
    """Satisfies ``RadioTools``."""

    def facts(self) -> Facts:
        """See ``RadioTools``."""
        switches = {switch.name: switch for switch in radio_rfkill.switches()}
        found = []
        for name in radio_hci.controllers():
            own = switches.pop(name, None)
            up, set_up = radio_hci.state(name)
            blocked = own is not None and own.soft, own is not None and own.hard
            found.append(Controller(name, up, set_up, *blocked))
        return Facts(
            tuple(found),
            any(switch.soft for switch in switches.values()),
            any(switch.hard for switch in switches.values()),
            _inode(BUS),
            any(path.exists() for path in DAEMONS),
        )

    async def repair(self, repair: Repair, adapter: str) -> str:
        """See ``RadioTools``."""
        if repair is Repair.RESTART_DAEMON:
            return await _restart()
        # In a thread: a controller that does not answer holds the caller for some seconds.
        return await asyncio.to_thread(_REPAIRS[repair], adapter)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _unblock(_adapter: str) -> str:
    try:
        radio_rfkill.unblock()
    except OSError:
        return UNBLOCK_DENIED
    return ""


def _power_on(adapter: str) -> str:
    try:
        radio_hci.switch_on(adapter)
    except OSError as error:
        return _why_off(error)
    return ""


def _power_cycle(adapter: str) -> str:
    try:
        radio_hci.switch_off(adapter)
    except OSError as error:
        return _why_off(error)
    time.sleep(OFF_SECONDS)
    return _power_on(adapter)


def _reset(adapter: str) -> str:
    try:
        radio_hci.bind_anew(adapter)
    except OSError as error:
        return RESET_DENIED if error.errno in DENIED else NO_DRIVER
    return ""


def _why_off(error: OSError) -> str:
    """Why it could not be tried; that it failed is seen by what is so afterwards."""
    if error.errno == errno.ENOENT:
        return NO_FIRMWARE
    return POWER_DENIED if error.errno in DENIED else ""


async def _restart() -> str:
    if not _has_systemd():
        return NO_SYSTEMD
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *RESTART, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(RESTART_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        return RESTART_FAILED
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return ""
    # systemctl has one exit code for both; polkit's refusals are told apart by their words.
    return RESTART_DENIED if b"uthenti" in said or b"denied" in said else RESTART_FAILED


def _has_systemd() -> bool:
    return SYSTEMD.is_dir()


_REPAIRS = {
    Repair.UNBLOCK: _unblock,
    Repair.POWER_ON: _power_on,
    Repair.POWER_CYCLE: _power_cycle,
    Repair.RESET: _reset,
}

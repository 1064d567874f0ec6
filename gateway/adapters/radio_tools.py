"""Satisfies ``RadioTools`` by the kernel's files and ioctls, and systemctl(1) for the daemon."""

import asyncio
import contextlib
import errno
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

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
RESTART: tuple[str, ...] = ("systemctl", "--no-ask-password", "restart", "bluetooth.service")
# systemd itself gives a unit 90 s to stop; a daemon that needs longer than this hangs.
RESTART_SECONDS = 30.0
# A controller that was off for a moment forgets what it did.
OFF_SECONDS = 0.5
Result = TypeVar("Result")
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

    async def facts(self) -> Facts:
        """See ``RadioTools``."""
        # Reading a switch waits while the kernel switches.
        return await _beside(_facts)

    async def repair(self, repair: Repair, adapter: str) -> str:
        """See ``RadioTools``."""
        return await _beside(partial(_REPAIRS[repair], adapter))


async def _beside(work: Callable[[], Result]) -> Result:
    """Do it in a thread: a controller that does not answer holds its caller for some seconds.

    The gateway does not wait for the thread when it ends.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def finish(work_done: Future[Result]) -> None:
        if done.done():
            return
        if error := work_done.exception():
            done.set_exception(error)
        else:
            done.set_result(work_done.result())

    def run() -> None:
        work_done: Future[Result] = Future()
        try:
            work_done.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            work_done.set_exception(error)
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, work_done)

    threading.Thread(target=run, name="radio", daemon=True).start()
    return await done


def _facts() -> Facts:
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


def _restart(_adapter: str) -> str:
    if not SYSTEMD.is_dir():
        return NO_SYSTEMD
    # Not by asyncio: with uvloop what is left behind keeps the pipe, and is waited for.
    try:
        ended = subprocess.run(  # noqa: S603 - no word of it comes from outside
            RESTART,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=RESTART_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return RESTART_FAILED
    if ended.returncode == 0:
        return ""
    # systemctl has one exit code for both; polkit's refusals are told apart by their words.
    refused = b"uthenti" in ended.stderr or b"denied" in ended.stderr
    return RESTART_DENIED if refused else RESTART_FAILED


_REPAIRS = {
    Repair.UNBLOCK: _unblock,
    Repair.POWER_ON: _power_on,
    Repair.POWER_CYCLE: _power_cycle,
    Repair.RESET: _reset,
    Repair.RESTART_DAEMON: _restart,
}

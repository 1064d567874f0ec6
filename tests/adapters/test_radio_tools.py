"""What each repair is answered with; a real systemctl and kernel are met in the lab."""

import asyncio
import errno
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters import radio_hci, radio_rfkill, radio_tools
from gateway.adapters.loop import new_event_loop
from gateway.adapters.radio_rfkill import Switch
from gateway.adapters.radio_tools import LinuxRadioTools
from gateway.core.radio import Controller, Facts, Repair

# Less than the daemon that is left behind lives.
SOON = 10.0


def raising(number: int) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def facts() -> Facts:
    return asyncio.run(LinuxRadioTools().facts())


def answer(repair: Repair) -> str:
    return asyncio.run(LinuxRadioTools().repair(repair, "hci0"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls at a kernel that does all it is told."""
    made: list[str] = []
    monkeypatch.setattr(radio_rfkill, "unblock", lambda: made.append("unblock"))
    for name in ("switch_on", "switch_off", "bind_anew"):
        monkeypatch.setattr(radio_hci, name, lambda adapter, name=name: made.append(name))
    monkeypatch.setattr(
        "gateway.adapters.radio_tools.time.sleep", lambda seconds: made.append("sleep")
    )
    return made


def test_facts_of_controllers_and_switches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = [Switch("hci1", True, False), Switch("dell-bluetooth", False, True)]
    monkeypatch.setattr(radio_rfkill, "switches", lambda: found)
    monkeypatch.setattr(radio_hci, "controllers", lambda: ["hci0", "hci1"])
    monkeypatch.setattr(radio_hci, "state", lambda name: (name == "hci0", True))
    monkeypatch.setattr(radio_tools, "BUS", tmp_path / "none")
    monkeypatch.setattr(radio_tools, "DAEMONS", (tmp_path / "none", tmp_path))
    two = (Controller("hci0"), Controller("hci1", up=False, soft=True))
    assert facts() == Facts(two, soft=False, hard=True, bus=0, installed=True)
    monkeypatch.setattr(radio_tools, "BUS", tmp_path)
    assert facts().bus == tmp_path.stat().st_ino


def test_a_fault_of_ours_is_raised_where_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(radio_hci, "switch_on", fail)
    with pytest.raises(ValueError, match="ours"):
        answer(Repair.POWER_ON)


def test_what_the_kernel_is_told(calls: list[str]) -> None:
    for repair in (Repair.UNBLOCK, Repair.POWER_ON, Repair.POWER_CYCLE, Repair.RESET):
        assert answer(repair) == ""
    assert calls == ["unblock", "switch_on", "switch_off", "sleep", "switch_on", "bind_anew"]


@pytest.mark.parametrize(
    ("function", "number", "repair", "sentence"),
    [
        ("switch_on", errno.EPERM, Repair.POWER_ON, radio_tools.POWER_DENIED),
        ("switch_on", errno.ENOENT, Repair.POWER_CYCLE, radio_tools.NO_FIRMWARE),
        ("switch_off", errno.EPERM, Repair.POWER_CYCLE, radio_tools.POWER_DENIED),
        # Tried, and it failed: what is so afterwards says more.
        ("switch_on", errno.ETIMEDOUT, Repair.POWER_ON, ""),
        ("bind_anew", errno.EACCES, Repair.RESET, radio_tools.RESET_DENIED),
        ("bind_anew", errno.ENODEV, Repair.RESET, radio_tools.NO_DRIVER),
    ],
)
def test_what_may_not_or_cannot_be_done(
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    number: int,
    repair: Repair,
    sentence: str,
) -> None:
    monkeypatch.setattr(radio_hci, function, raising(number))
    assert answer(repair) == sentence


def test_a_switch_that_may_not_be_written(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radio_rfkill, "unblock", raising(errno.EACCES))
    assert answer(Repair.UNBLOCK) == radio_tools.UNBLOCK_DENIED


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("exit 0", ""),
        ("echo 'Interactive authentication required.' >&2; exit 1", radio_tools.RESTART_DENIED),
        ("echo 'Access denied' >&2; exit 4", radio_tools.RESTART_DENIED),
        ("echo 'Job for bluetooth.service failed.' >&2; exit 1", radio_tools.RESTART_FAILED),
        ("exec sleep 60", radio_tools.RESTART_FAILED),
        # A daemon that it leaves behind is not waited for.
        ("setsid sleep 20 >/dev/null 2>&1 </dev/null & echo $! >daemon.pid", ""),
    ],
)
def test_the_daemon_is_restarted(
    script: str, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(radio_tools, "SYSTEMD", tmp_path)
    monkeypatch.setattr(radio_tools, "RESTART", ("sh", "-c", script))
    monkeypatch.chdir(tmp_path)
    if "exec" in script:
        monkeypatch.setattr(radio_tools, "RESTART_SECONDS", 0.1)
    before = time.monotonic()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        said = runner.run(LinuxRadioTools().repair(Repair.RESTART_DAEMON, ""))
    assert time.monotonic() - before < SOON
    if (tmp_path / "daemon.pid").exists():
        os.kill(int((tmp_path / "daemon.pid").read_text()), signal.SIGKILL)
    assert said == sentence


def test_a_repair_that_takes_long_is_not_waited_for_at_the_end(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, began = threading.Event(), threading.Event()

    def hold(_: str) -> None:
        began.set()
        held.wait()

    monkeypatch.setattr(radio_hci, "switch_on", hold)

    async def main() -> None:
        task = asyncio.ensure_future(LinuxRadioTools().repair(Repair.POWER_ON, "hci0"))
        await asyncio.sleep(0)
        assert began.wait(5)
        task.cancel()

    asyncio.run(main())
    held.set()


def test_without_systemd_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(radio_tools, "SYSTEMD", tmp_path / "none")
    assert answer(Repair.RESTART_DAEMON) == radio_tools.NO_SYSTEMD

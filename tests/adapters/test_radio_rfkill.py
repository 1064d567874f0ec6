"""Switches as sysfs shows them, and the one event that is written."""

from pathlib import Path

import pytest

from gateway.adapters.radio_rfkill import Switch, switches, unblock


def switch(sysfs: Path, number: int, kind: str, name: str, soft: int, hard: int) -> None:
    folder = sysfs / f"rfkill{number}"
    folder.mkdir()
    for file, text in (("type", kind), ("name", name), ("soft", soft), ("hard", hard)):
        (folder / file).write_text(f"{text}\n")


def test_only_those_of_bluetooth(tmp_path: Path) -> None:
    switch(tmp_path, 0, "wlan", "phy0", 1, 1)
    switch(tmp_path, 1, "bluetooth", "hci0", 1, 0)
    switch(tmp_path, 2, "bluetooth", "dell-bluetooth", 0, 1)
    (tmp_path / "rfkill3").mkdir()
    assert switches(tmp_path) == [
        Switch("hci0", True, False), Switch("dell-bluetooth", False, True)
    ]  # fmt: skip
    assert switches(tmp_path / "none") == []


def test_unblocking_is_one_event_for_all(tmp_path: Path) -> None:
    device = tmp_path / "rfkill"
    unblock(device)
    # index 0, type 2 (Bluetooth), operation 3 (change all), soft 0, hard 0
    assert device.read_bytes()[4:] == bytes([2, 3, 0, 0])
    with pytest.raises(OSError):
        unblock(tmp_path / "no folder" / "rfkill")

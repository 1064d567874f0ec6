"""Controllers by sysfs; the ioctls meet a real kernel in the lab."""

import errno
import threading
from pathlib import Path

import pytest

from gateway.adapters.radio_hci import bind_anew, controllers, state


def test_names_in_their_order_and_no_links(tmp_path: Path) -> None:
    for name in ("hci10", "hci2", "hci0", "hci0:64", "rfcomm0"):
        (tmp_path / name).mkdir()
    assert controllers(tmp_path) == ["hci0", "hci2", "hci10"]
    assert controllers(tmp_path / "none") == []


def test_nothing_is_concluded_from_a_kernel_that_says_nothing() -> None:
    assert state("hci9999") == (True, True)


def device(sysfs: Path, bus: str) -> Path:
    """A controller with a driver, as the links of sysfs show them."""
    driver, made = sysfs / "drivers" / "btusb", sysfs / "devices" / "1-1:1.0"
    for folder in (driver, made, sysfs / "buses" / bus, sysfs / "hci0"):
        folder.mkdir(parents=True)
    (sysfs / "hci0" / "device").symlink_to(made)
    (made / "subsystem").symlink_to(sysfs / "buses" / bus)
    (made / "driver").symlink_to(driver)
    return driver


def test_a_driver_is_taken_away_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = device(tmp_path, "usb")
    order: list[str] = []

    def asleep(seconds: float) -> None:
        assert (driver / "unbind").read_text() == "1-1:1.0" and not (driver / "bind").exists()
        # What the kernel does.
        (tmp_path / "devices" / "1-1:1.0" / "driver").unlink()
        order.append(threading.current_thread().name)

    monkeypatch.setattr("gateway.adapters.radio_hci.time.sleep", asleep)
    bind_anew("hci0", tmp_path)
    assert (driver / "bind").read_text() == "1-1:1.0" and len(order) == 1


def test_other_buses_and_drivers_are_left_alone(tmp_path: Path) -> None:
    driver = device(tmp_path, "tty")
    for name in ("hci0", "hci1"):
        with pytest.raises(OSError) as caught:
            bind_anew(name, tmp_path)
        assert caught.value.errno == errno.ENODEV
    assert list(driver.iterdir()) == []

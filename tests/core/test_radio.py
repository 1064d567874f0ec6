"""Facts in, one cause out: each alone, which goes first, and which controller is used."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core import radio
from gateway.core.radio import (
    NO_BUS,
    NO_DAEMON,
    NOT_ALLOWED,
    OFF,
    OK,
    Cause,
    Controller,
    Facts,
    Lamp,
    Repair,
    Service,
    choose,
    diagnose,
    other,
    section,
)

HCI0 = Controller("hci0")
WELL = Facts((HCI0,))
OFFERED = Service(offered=True)
LOST = Service(ended="bluetooth-lost", failures=1)
AGAIN = replace(LOST, failures=2)


def code(facts: Facts, service: Service = AGAIN, adapter: str = "hci0", named: bool = False) -> str:
    return diagnose(facts, service, adapter, named=named).code


def with_hci0(**changes: Any) -> Facts:
    return Facts((replace(HCI0, **changes),))


@pytest.mark.parametrize(
    ("facts", "service", "expected"),
    [
        (WELL, OFFERED, "bluetooth-ok"),
        (WELL, Service(phones=1), "bluetooth-not-advertised"),
        (WELL, Service(offered=True, phones=1), "bluetooth-ok"),
        (with_hci0(up=False), Service(phones=1, failures=1), "bluetooth-adapter-off"),
        (WELL, Service(), "bluetooth-starting"),
        (with_hci0(up=False), Service(), "bluetooth-starting"),
        (WELL, LOST, "bluetooth-interrupted"),
        (WELL, AGAIN, "bluetooth-wedged"),
        (with_hci0(up=False), LOST, "bluetooth-adapter-off"),
        (with_hci0(up=False), OFFERED, "bluetooth-adapter-off"),
        (with_hci0(up=False, set_up=False), LOST, "bluetooth-no-firmware"),
        (with_hci0(soft=True), LOST, "bluetooth-blocked"),
        (with_hci0(soft=True), OFFERED, "bluetooth-blocked"),
        (with_hci0(soft=True, hard=True), LOST, "bluetooth-blocked-by-switch"),
        (Facts(soft=True), LOST, "bluetooth-blocked"),
        (Facts(soft=True, hard=True), LOST, "bluetooth-blocked-by-switch"),
        (Facts(), LOST, "bluetooth-no-controller"),
        (WELL, Service(ended=NO_BUS, failures=1), "bluetooth-no-bus"),
        (replace(WELL, bus=0), LOST, "bluetooth-no-bus"),
        (WELL, Service(ended=NO_DAEMON, failures=9), "bluetooth-no-daemon"),
        (WELL, Service(ended=NOT_ALLOWED, failures=9), "bluetooth-not-allowed"),
        (
            replace(WELL, installed=False),
            Service(ended=NO_DAEMON, failures=1),
            "bluetooth-not-installed",
        ),
    ],
)
def test_causes(facts: Facts, service: Service, expected: str) -> None:
    assert code(facts, service) == expected


def test_what_goes_first() -> None:
    # Without a switch nothing else can be seen, without a controller nothing tried.
    no_daemon = Service(ended=NO_DAEMON, failures=3)
    assert code(with_hci0(hard=True, up=False), no_daemon) == "bluetooth-blocked-by-switch"
    assert code(replace(Facts(), bus=0), no_daemon) == "bluetooth-no-controller"
    # A daemon that is gone leaves controllers off.
    assert code(with_hci0(up=False), no_daemon) == "bluetooth-no-daemon"
    # A switch for another controller is none for the one that works.
    assert code(replace(WELL, hard=True), OFFERED) == "bluetooth-ok"


def test_a_controller_that_was_named_is_said_to_be_missing() -> None:
    assert code(WELL, adapter="hci1", named=True) == "bluetooth-no-such-adapter"
    assert code(WELL, adapter="hci1") == "bluetooth-no-controller"


def test_every_cause_says_what_to_do_and_has_a_lamp() -> None:
    for cause in (diagnose(WELL, AGAIN, "hci0", named=False), OFF):
        assert cause.what and cause.do and not cause.what.endswith(".")
    assert (OK.lamp, OFF.lamp) == (Lamp.ON, Lamp.OFF)
    assert diagnose(Facts(), LOST, "", named=False).lamp is Lamp.FAST
    wedged = diagnose(WELL, AGAIN, "hci0", named=False)
    assert wedged.lamp is Lamp.SLOW and wedged.repairs[-1] is Repair.OTHER_ADAPTER


def test_every_code_and_repair_is_in_the_page_for_technicians() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bluetooth.md").read_text(encoding="utf-8")
    names = "|".join(repair.value for repair in Repair)
    rows = {
        code: [cell.strip() for cell in cells]
        for code, *cells in re.findall(
            r"^\| `(bluetooth-[a-z-]+)` \|(.*?)\|(.*?)\|(.*?)\|", page, re.MULTILINE
        )
    }
    causes = {value.code: value for value in vars(radio).values() if isinstance(value, Cause)}
    assert rows.keys() == causes.keys()
    for code, (_, lamp, repairs) in rows.items():
        named = tuple(map(Repair, re.findall(names, repairs)))
        assert (lamp, named) == (causes[code].lamp.value, causes[code].repairs)
    for repair in Repair:
        assert f"\n| {repair.value} |" in page


def test_which_controller_is_used() -> None:
    two = Facts((HCI0, Controller("hci1")))
    assert choose(two, "", "") == "hci0"
    assert choose(two, "", "hci1") == "hci1"
    assert choose(two, "hci7", "hci0") == "hci7"
    assert choose(Facts(), "", "hci0") == ""
    blocked = Facts((replace(HCI0, hard=True), Controller("hci1")))
    assert choose(blocked, "", "hci0") == "hci1"
    # Where none can be used: the one there is.
    assert choose(with_hci0(set_up=False), "", "hci0") == "hci0"
    assert choose(with_hci0(set_up=False), "", "") == "hci0"


def test_the_other_controller() -> None:
    three = Facts((HCI0, Controller("hci1"), Controller("hci2", set_up=False)))
    assert (other(three, "hci0"), other(three, "hci1")) == ("hci1", "hci0")
    assert other(WELL, "hci0") == ""


def test_the_section_of_the_status() -> None:
    assert section(OFF)["sentence"] == "Bluetooth is turned off in the settings."
    said = section(OK, 61.23, "hci0", 3, 2, ("it may not", "nor that"))
    assert said == {
        "state": "bluetooth-ok",
        "sentence": "Bluetooth works; it may not.",
        "do": "",
        "lamp": "on",
        "since_s": 61.2,
        "adapter": "hci0",
        "phones": 3,
        "repairs": 2,
        "cannot": ["it may not", "nor that"],
    }

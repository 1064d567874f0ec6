"""The words of ``status`` about Bluetooth and the cloud."""

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from gateway import doctor, question_commands
from gateway.core import bridge
from gateway.core.radio import OFF, OK, UNCLAIMED, Controller, Facts, Service, diagnose, section

STORE = {"documents": 1, "file_bytes": 1, "waiting": 0, "quarantined": 0}
BASE: dict[str, Any] = {
    "sentence": "Everything works.", "session_count": 0, "document_count": 0, "store": STORE,
    "counters": {"refused": 0}, "sessions": [], "apps": [], "graph": [], "peer": "ab" * 16,
    "version": "1", "graph_count": 0,
}  # fmt: skip
OUT = diagnose(Facts((Controller("hci0", hard=True),)), Service(failures=1), "hci0", named=False)


def status(bluetooth: dict[str, Any], about: str = "bluetooth", **more: Any) -> str:
    """What the command prints of something."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {}

    def add(name: str, run: Callable[[argparse.Namespace], int], *_: str) -> Any:
        commands[name] = run
        return argparse.ArgumentParser()

    said: list[str] = []
    answer = {**BASE, "bluetooth": bluetooth, **more}
    question_commands.add(add, lambda _: lambda verb: answer, said.append)
    commands["status"](argparse.Namespace(json=False))
    return next(line for line in said[0].splitlines() if line.startswith(f"  {about} "))


@pytest.mark.parametrize(
    ("bluetooth", "line"),
    [
        (section(OFF), "  bluetooth  off"),
        (section(OK, adapter="hci0", phones=2), "  bluetooth  hci0, 2 phones connected"),
        (
            section(OK, adapter="hci0", repairs=3),
            "  bluetooth  hci0, 0 phones connected, repaired 3 times",
        ),
        (section(OUT), f"  bluetooth  {OUT.what}. {OUT.do}"),
    ],
)
def test_one_line(bluetooth: dict[str, Any], line: str) -> None:
    assert status(bluetooth) == line


LOST = bridge.cause_of("broker-lost")


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "off"),
        ({"cloud": bridge.section(bridge.OFF)}, "off"),
        ({"cloud": bridge.section(bridge.OK, broker="b:1")}, "connected to b:1, nothing waits"),
        (
            {"cloud": bridge.section(bridge.OK, broker="b:1", waiting=2)},
            "connected to b:1, 2 documents wait",
        ),
        (
            {"cloud": bridge.section(LOST, waiting=2, retry_seconds=4.2)},
            f"{LOST.what}. {LOST.do} Tried again in 4 s. 2 documents wait.",
        ),
        (
            {"cloud": bridge.section(bridge.OK, broker="b:1", waiting=1)},
            "connected to b:1, 1 document waits",
        ),
    ],
)
def test_one_line_about_the_cloud(more: dict[str, Any], line: str) -> None:
    assert status(section(OFF), "cloud", **more) == f"  cloud      {line}"


HUB: dict[str, Any] = {
    "outbox": {"bytes": 0, "documents": 0, "oldest_s": None, "drain_s": 0.0, "left": False},
    "compare": {"running": False, "documents": 0},
}


@pytest.mark.parametrize(
    ("outbox", "compare", "line"),
    [
        ({}, {}, ""),
        ({"bytes": 5_000, "oldest_s": 61.2}, {}, " (5000 bytes, for at least 61 s)"),
        ({"bytes": 5_000, "drain_s": 9.6}, {}, " (5000 bytes, 10 s more at this rate)"),
        ({}, {"running": True, "documents": 7}, "; 7 still to compare with the hub"),
        ({"left": True}, {}, "; too much waited, so all is compared with the hub"),
    ],
)
def test_what_is_said_of_updates_both_ways(
    outbox: dict[str, Any], compare: dict[str, Any], line: str
) -> None:
    more = {"outbox": {**HUB["outbox"], **outbox}, "compare": {**HUB["compare"], **compare}}
    said = {**bridge.section(bridge.OK, broker="b:1"), **more}
    assert (
        status(section(OFF), "cloud", cloud=said)
        == f"  cloud      connected to b:1, nothing waits{line}"
    )


def test_the_doctor_hears_of_the_cloud_only_if_it_is_broken() -> None:
    assert doctor.cloud_of({}) is None
    assert doctor.cloud_of({"cloud": bridge.section(bridge.NO_NETWORK)}) is None
    name = bridge.cause_of("broker-name")
    assert doctor.cloud_of({"cloud": bridge.section(name)}) == (name.code, name.what, name.do)


def test_the_doctor_hears_of_it_only_if_it_is_on_and_wrong() -> None:
    assert doctor.radio_of({}) is None
    assert doctor.radio_of({"bluetooth": section(OFF)}) is None
    assert doctor.radio_of({"bluetooth": section(OK)}) is None
    for cause in (OUT, UNCLAIMED):
        assert doctor.radio_of({"bluetooth": section(cause)}) == (cause.code, cause.what, cause.do)

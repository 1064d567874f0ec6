"""The bridge's causes, its pauses, and what the status says."""

import re
from pathlib import Path

from gateway.core.bridge import (
    CAUSES,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    OFF,
    OK,
    STEADY_SECONDS,
    Pauses,
    cause_of,
    section,
)

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "mqtt.md"


def test_pauses_double_up_to_five_minutes_and_are_shortened_by_chance() -> None:
    pauses = Pauses()
    waited = [pauses.after(0.0, 0.0) for _ in range(12)]
    assert waited[:3] == [FIRST_PAUSE_SECONDS, 2.0, 4.0]
    assert waited[-1] == LONGEST_PAUSE_SECONDS == 300.0
    assert pauses.after(0.0, 1.0) == LONGEST_PAUSE_SECONDS / 2


def test_a_good_connection_or_another_network_begins_anew() -> None:
    pauses = Pauses()
    for _ in range(5):
        pauses.after(STEADY_SECONDS - 1, 0.0)
    assert pauses.after(STEADY_SECONDS, 0.0) == FIRST_PAUSE_SECONDS
    assert pauses.after(0.0, 0.0) == 2.0
    pauses.begin_anew()
    assert pauses.after(0.0, 0.0) == FIRST_PAUSE_SECONDS


def test_every_cause_says_what_to_do() -> None:
    for code, cause in CAUSES.items():
        assert cause.code == code and cause.what and cause.do.endswith(".")
        assert not cause.what.endswith(".")
    assert cause_of("broker-name") is CAUSES["broker-name"]
    assert cause_of("something-else").code == "cloud-mistake"


def test_every_cause_is_in_the_documentation() -> None:
    told = set(
        re.findall(r"`((?:broker|cloud|hub)-[a-z-]+)`", DOCUMENT.read_text(encoding="utf-8"))
    )
    assert told == {*CAUSES, "cloud-off", "cloud-no-store", "cloud-no-network", "cloud-connecting",
                    "cloud-ok", "cloud-mistake"}  # fmt: skip


def test_the_section_of_the_status() -> None:
    assert section(OFF)["sentence"] == "The cloud is turned off in the settings."
    said = section(
        OK,
        1.26,
        detail="more",
        broker="b:1",
        waiting=3,
        retry_seconds=-1.0,
        counts={"x": 1},
    )
    assert said["sentence"] == "The cloud is connected (more)."
    assert (said["since_s"], said["retry_s"], said["waiting"]) == (1.3, 0.0, 3)
    assert said["broker"] == "b:1" and said["counters"] == {"x": 1} and not said["broken"]

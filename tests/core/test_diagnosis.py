"""Facts in, findings out: each cause alone, and all well."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.core.announcement import Address
from gateway.core.diagnosis import (
    Asked,
    Device,
    Facts,
    Greeting,
    Port,
    Seen,
    Target,
    diagnose,
    is_near,
)
from gateway.core.errors import Code

OWN, OTHER = "1" * 32, "2" * 32
LAN = (Address("127.0.0.1", 8, 1, False), Address("192.168.1.5", 24, 2, True))
BOTH = (Asked("192.168.1.5", True, frozenset({OWN, OTHER})),)
ALONE = (Asked("192.168.1.5", True, frozenset({OWN})),)
BESIDE = "192.168.1.20"


def device(
    *seen: Seen, running: bool = True, store: str = "", off: str = "", links: int = 0
) -> Device:
    return Device("/data", running, OWN, store, off, seen, links)


def seen(state: str, store: str = "", problem: str = "", ip: str = BESIDE) -> Seen:
    return Seen(OTHER, (ip,), state, store, problem)


def target(
    greeting: Greeting | None = None, port: Port = Port.OPEN, *, ips: tuple[str, ...] = (BESIDE,)
) -> Target:
    return Target("till:8787", ips, port, greeting)


def codes(
    own: Device,
    there: Target | None = None,
    asked: Sequence[Asked] = BOTH,
    addresses: Sequence[Address] = LAN,
) -> list[str]:
    return [finding.code for finding in diagnose(Facts(own, addresses, asked, there))]


def test_all_well() -> None:
    assert codes(device(seen("linked"))) == []
    assert codes(device(), target(Greeting(OTHER))) == []
    # Somebody who was named is linked, though nobody is seen.
    assert codes(device(links=1), asked=ALONE) == []


def test_this_device() -> None:
    assert codes(device(running=False)) == ["not-running"]
    assert codes(device(off="mesh.discover is off"), asked=ALONE) == ["discovery-off"]
    (finding,) = diagnose(Facts(device(off="mesh.discover is off"), LAN, BOTH))
    assert finding.why == "Mesh.discover is off."


def test_its_radio_where_nobody_else_is_asked_for() -> None:
    blocked = replace(device(), radio=("bluetooth-blocked", "It is blocked", "Unblock it."))
    (finding,) = diagnose(Facts(blocked, LAN, BOTH))
    assert (finding.code, finding.what) == ("bluetooth-blocked", "It is blocked")
    assert finding.do == "Unblock it." and "Bluetooth" in finding.why
    assert codes(blocked, target(Greeting(OTHER))) == []


def test_its_cloud_where_nobody_else_is_asked_for() -> None:
    out = replace(device(), cloud=("broker-name", "It has no name", "Name it."))
    (finding,) = diagnose(Facts(out, LAN, BOTH))
    assert (finding.code, finding.what, finding.do) == ("broker-name", "It has no name", "Name it.")
    assert codes(out, target(Greeting(OTHER))) == []


def test_its_network() -> None:
    assert codes(device(), addresses=LAN[:1], asked=()) == ["no-network"]
    deaf = (*BOTH, Asked("10.0.0.5", False, frozenset()))
    (finding,) = diagnose(Facts(device(), LAN, deaf))
    assert finding.code == "multicast-blocked-here" and finding.what.endswith("on 10.0.0.5")
    assert codes(device(), asked=ALONE) == ["nobody-answers"]


def test_multicast_that_does_not_come_through() -> None:
    assert codes(device(), target(Greeting(OTHER)), ALONE) == ["multicast-blocked"]
    # Not where none can be expected: this device itself, or somebody who is not there.
    assert codes(device(), target(Greeting(OTHER), ips=("127.0.0.1",)), ALONE) == []
    assert codes(device(), target(Greeting(OTHER), ips=("192.168.1.5",)), ALONE) == []
    assert codes(device(), target(port=Port.CLOSED), ALONE) == ["port-closed"]
    # A claimed one does not say its id to a stranger: that it is not heard is not known.
    refused = Greeting("", Code.UNAUTHORISED, "pair first", told=True)
    assert codes(device(), target(refused), ALONE) == ["not-paired"]


def test_another_network() -> None:
    far = target(Greeting(OTHER), ips=("10.9.9.9",))
    assert codes(device(), far, ALONE) == ["other-network"]
    assert is_near("fe80::1%eth0", (Address("fe80::5", 64, 2, True),))
    assert not is_near("10.9.9.9", LAN)


@pytest.mark.parametrize("port", [port for port in Port if port is not Port.OPEN])
def test_a_port_that_does_not_open(port: Port) -> None:
    ips = () if port is Port.NO_NAME else (BESIDE,)
    (finding,) = diagnose(Facts(device(), LAN, BOTH, target(port=port, ips=ips)))
    assert finding.code == port.value and "till:8787" in finding.what


def test_what_answers_is_no_gateway() -> None:
    assert codes(device(), target()) == ["not-a-gateway"]


@pytest.mark.parametrize(
    ("store", "code", "told", "expected"),
    [
        ("", Code.UNAUTHORISED, True, "not-paired"),
        ("aa", Code.UNAUTHORISED, False, "other-not-paired"),
        ("aa", Code.UNAUTHORISED, True, "not-let-in"),
        ("aa", Code.OTHER_STORE, True, "other-store"),
        ("", Code.VERSION, False, "version"),
        ("aa", Code.REVOKED, True, "revoked"),
        ("aa", Code.TOO_MANY, False, "itself"),
        ("", Code.MALFORMED, False, "not-let-in"),
    ],
)
def test_a_greeting_that_fails(store: str, code: Code, told: bool, expected: str) -> None:
    greeting = Greeting(OTHER, code, "because", told)
    assert codes(device(store=store), target(greeting)) == [expected]


def test_neighbours() -> None:
    assert codes(device(seen("other-store", "bb"))) == ["not-paired"]
    assert codes(device(seen("other-store", "bb"), store="aa")) == ["other-store"]
    assert codes(device(seen("other-store"), store="aa")) == ["other-not-paired"]
    assert codes(device(seen("version"))) == ["version"]
    assert codes(device(seen("no-address"))) == ["other-network"]
    assert codes(device(seen("called"), seen("calls-us"))) == []
    assert codes(device(seen("called", problem="it hides"))) == ["not-linked"]
    assert codes(device(seen("linked", problem="before"))) == []


def test_only_the_neighbour_that_was_asked_for() -> None:
    there = seen("version")
    elsewhere = seen("version", ip="192.168.1.99")
    closed = target(port=Port.CLOSED)
    assert codes(device(there, elsewhere), closed) == ["port-closed", "version"]
    assert codes(device(there), target(Greeting(OTHER))) == []


def test_what_another_device_says_cannot_steer_a_terminal() -> None:
    hostile = "\x1b[2J\x9b31m\u202egone\n" + "x" * 5_000
    told = Facts(device(), LAN, BOTH, target(Greeting(OTHER, Code.FORBIDDEN, hostile, told=True)))
    by_ourselves = Facts(device(), LAN, BOTH, target(Greeting(OTHER, Code.FORBIDDEN, hostile)))
    noted = Facts(device(seen("failed", problem=hostile)), LAN, BOTH, None)
    for facts in (told, by_ourselves, noted):
        (finding,) = diagnose(facts)
        assert finding.why.isprintable() and "gone" in finding.why
        assert len(finding.why) < 300


def test_who_looks_for_nobody_but_is_linked_is_well() -> None:
    told = Device("data", True, "aa", "", "it was told whom to call (--connect)")
    assert codes(told) == ["discovery-off"]
    assert codes(replace(told, links=1)) == []

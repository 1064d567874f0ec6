"""What a small device evicts leaves hub and selections, and comes back when it is wanted again."""

import pytest

from gateway.core import hub as hub_module
from gateway.core.selections import Interest
from tests.core.devices import Device, Wire, settle

GRILL = 'orders {"station": "grill"}'
NAME = "orders/2"


def linked() -> tuple[Device, Device, Wire]:
    """A gateway and a small device with one document that it wants and two that it does not."""
    gateway, small = Device(1), Device(2, GRILL)
    for name, station in (("orders/1", "grill"), (NAME, "bar"), ("menu/1", "none")):
        small.set(name, "station", station)
    small.turn()
    wire = Wire(small, gateway)
    settle(wire)
    return gateway, small, wire


def forget(small: Device, name: str) -> None:
    del small.rows[name]
    small.perform(small.hub.forget(name))


def test_only_what_no_subscription_holds_is_unwanted() -> None:
    _, small, _ = linked()
    unwanted = small.hub.selections.unwanted
    assert [unwanted(name) for name in ("orders/1", NAME, "menu/1")] == [False, True, True]


def test_nothing_is_unwanted_before_it_was_looked_at() -> None:
    small = Device(2, GRILL)
    small.set(NAME, "station", "bar")
    small.walks.clear()
    small.start()
    assert not small.hub.selections.unwanted(NAME)
    assert not Device(1).hub.selections.unwanted(NAME), "who subscribed to nothing wants all"


def test_what_is_about_to_be_looked_at_or_waits_for_a_peer_is_not_unwanted() -> None:
    gateway, small = Device(1), Device(2, GRILL)
    small.set(NAME, "station", "bar")
    small.turn()
    assert small.hub.selections.unwanted(NAME)
    small.hub.selections._late[NAME] = None
    assert not small.hub.selections.unwanted(NAME)
    small.hub.selections._late.clear()
    wire = Wire(small, gateway)
    settle(wire)
    small.hub.selections.released(wire.ends[0][1], NAME)
    small.hub.selections._unopened[wire.ends[0][1]].add(NAME)
    assert not small.hub.selections.unwanted(NAME)


def test_what_is_forgotten_is_closed_and_nothing_is_deleted() -> None:
    gateway, small, wire = linked()
    before = gateway.read(NAME)
    usage = small.hub.usage["orders"]
    forget(small, NAME)
    settle(wire)
    assert NAME not in small.hub.rooms and small.hub.usage["orders"] < usage
    assert gateway.read(NAME) == before == {"station": "bar"}
    session = wire.ends[1][1]
    assert session not in gateway.hub.rooms[NAME].members
    gateway.set(NAME, "note", "nobody there wants it")
    settle(wire)
    assert not small.rows.get(NAME)


def test_it_comes_back_when_it_is_wanted_again() -> None:
    gateway, small, wire = linked()
    forget(small, NAME)
    settle(wire)
    gateway.set(NAME, "station", "grill")
    settle(wire)
    assert small.read(NAME) == {"station": "grill"}
    wire.cut()
    forget(small, NAME)
    small.interests = [Interest("orders", "")]
    small.start()
    small.turn()
    settle(Wire(small, gateway))
    assert small.read(NAME) == {"station": "grill"}


def test_what_nobody_is_in_is_forgotten_too() -> None:
    small = Device(2, GRILL)
    small.set(NAME, "station", "bar")
    forget(small, NAME)
    assert NAME not in small.hub.rooms and NAME not in small.hub.held("orders")


def test_one_that_left_the_memory_at_once_is_forgotten_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "IDLE_ROOMS", 0)
    gateway, small, wire = linked()
    small.load(NAME)
    assert small.hub.rooms[NAME].members
    forget(small, NAME)
    settle(wire)
    assert NAME not in small.hub.rooms and not small.rows.get(NAME)
    assert gateway.read(NAME) == {"station": "bar"}

"""A peer with a budget of documents is given so many, and told that there are more."""

from gateway.core.allowance import Allowance
from gateway.core.errors import Code
from gateway.core.events import Declined
from tests.core.devices import Device, Wire, settle

OVER = Declined("orders", Code.QUOTA, "more documents match than this device's budget of 3")


def filled(count: int) -> Device:
    gateway = Device(1)
    for number in range(count):
        gateway.set(f"orders/{number}", "station", "grill")
    return gateway


def kept(small: Device) -> set[str]:
    return {name for name, rows in small.rows.items() if rows}


def declined(small: Device) -> list[Declined]:
    return [answer for answer in small.answers if isinstance(answer, Declined)]


def test_what_is_over_is_not_brought_and_told_once() -> None:
    gateway, small = filled(5), Device(2, "orders", budget=Allowance(documents=3))
    wire = Wire(small, gateway)
    settle(wire)
    assert len(kept(small)) == 3 and declined(small) == [OVER]
    gateway.set("orders/new", "station", "grill")
    settle(wire)
    assert len(kept(small)) == 3 and declined(small) == [OVER]
    name = min(kept(small))
    gateway.set(name, "status", "done")
    settle(wire)
    assert small.read(name)["status"] == "done", "what it has goes on"


def test_who_is_back_is_given_the_same_and_told_again() -> None:
    gateway, small = filled(5), Device(2, "orders", budget=Allowance(documents=3))
    wire = Wire(small, gateway)
    settle(wire)
    before = kept(small)
    wire.cut()
    settle(Wire(small, gateway))
    assert kept(small) == before and declined(small) == [OVER, OVER]


def test_a_document_that_leaves_makes_room() -> None:
    budget = Allowance(documents=3)
    gateway, small = filled(5), Device(2, 'orders {"station": "grill"}', budget=budget)
    wire = Wire(small, gateway)
    settle(wire)
    gone = min(kept(small))
    over = min({f"orders/{number}" for number in range(5)} - kept(small))
    gateway.set(gone, "station", "bar")
    settle(wire)
    assert small.read(gone)["station"] == "bar", "it learns what made it leave"
    gateway.set(over, "status", "open")
    settle(wire)
    assert small.read(over)["status"] == "open"


def test_a_peer_without_a_budget_is_given_everything() -> None:
    gateway, small = filled(5), Device(2, "orders")
    settle(Wire(small, gateway))
    assert len(kept(small)) == 5 and declined(small) == []

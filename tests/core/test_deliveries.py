"""What a peer has of what it was sent."""

import pytest

from gateway.core import deliveries as deliveries_module
from gateway.core.deliveries import Deliveries


def test_a_document_is_delivered_with_its_last_update() -> None:
    deliveries = Deliveries()
    for name in ("a/1", "a/2", "a/1", "a/3"):
        deliveries.sent(name)
    assert deliveries.acknowledged(2) == ("a/2",)
    assert deliveries.acknowledged(2) == ()
    assert deliveries.acknowledged(9) == ("a/1", "a/3")
    deliveries.sent("a/1")
    assert deliveries.acknowledged(5) == ("a/1",)


def test_what_was_refused_is_not_delivered() -> None:
    deliveries = Deliveries()
    for name in ("a/1", "a/2", "a/1"):
        deliveries.sent(name)
    assert deliveries.refused(1) == "a/1" and deliveries.refused(4) == deliveries.refused(0) == ""
    assert deliveries.acknowledged(3) == ("a/2",)
    assert deliveries.refused(1) == ""


def test_a_peer_that_acknowledges_nothing_costs_a_fixed_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries_module, "MAX_OUTSTANDING", 2)
    deliveries = Deliveries()
    for number in range(5):
        deliveries.sent(f"a/{number}")
    assert deliveries.acknowledged(5) == ("a/0", "a/1")

"""What a peer has of what it was sent."""

import pytest

from gateway.core import deliveries as deliveries_module
from gateway.core.deliveries import Deliveries


def test_a_document_is_delivered_with_its_last_update() -> None:
    deliveries = Deliveries()
    for name in ("a/1", "a/2", "a/1", "a/3"):
        deliveries.sent(name, 1.0)
    assert deliveries.acknowledged(2) == ("a/2",)
    assert deliveries.acknowledged(2) == ()
    assert deliveries.acknowledged(9) == ("a/1", "a/3")
    deliveries.sent("a/1", 1.0)
    assert deliveries.acknowledged(5) == ("a/1",)


def test_what_was_refused_is_not_delivered() -> None:
    deliveries = Deliveries()
    for name in ("a/1", "a/2", "a/1"):
        deliveries.sent(name, 1.0)
    assert deliveries.refused(1) == "a/1" and deliveries.refused(4) == deliveries.refused(0) == ""
    assert deliveries.acknowledged(3) == ("a/2",)
    assert deliveries.refused(1) == ""


def test_a_peer_that_acknowledges_nothing_costs_a_fixed_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries_module, "MAX_OUTSTANDING", 2)
    deliveries = Deliveries()
    for number in range(5):
        deliveries.sent(f"a/{number}", 1.0)
    assert deliveries.acknowledged(4) == ("a/0", "a/1")
    assert not deliveries.counted, "one of them is not known to be there"
    assert deliveries.acknowledged(5) == () and deliveries.counted


def test_what_is_outstanding_of_a_document_and_since_when() -> None:
    deliveries = Deliveries()
    deliveries.sent("a/1", 5.0)
    deliveries.sent("a/1", 7.0)
    assert deliveries.outstanding("a/1") == (2, 5.0) and deliveries.outstanding("a/2") == (0, 0.0)
    deliveries.refused(1)
    assert deliveries.lacks("a/1") and not deliveries.lacks("a/2")
    deliveries.acknowledged(2)
    assert deliveries.outstanding("a/1") == (0, 0.0)

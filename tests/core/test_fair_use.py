"""How long is worked for each store."""

import pytest

from gateway.core import fair_use
from gateway.core.fair_use import ALONE_SECONDS, CREDIT_SECONDS, SHARE, FairUse


def test_who_had_more_than_its_part_gets_it_back_slowly() -> None:
    use = FairUse()
    use.spend("b", 0.0, 100.0)
    use.spend("a", CREDIT_SECONDS - 1, 100.0)
    assert not use.is_over("a", 100.0)
    use.spend("a", 2.0, 100.0)
    assert use.is_over("a", 100.0) and not use.is_over("b", 100.0)
    assert use.is_over("a", 100.0 + 1 / SHARE) and not use.is_over("a", 100.1 + 1 / SHARE)


def test_who_is_alone_may_have_all() -> None:
    use = FairUse()
    use.spend("a", 2 * CREDIT_SECONDS, 100.0)
    assert not use.is_over("a", 100.0)
    use.spend("b", 0.0, 100.0)
    use.spend("a", ALONE_SECONDS, 100.0)
    assert use.is_over("a", 99.0 + ALONE_SECONDS)
    assert not use.is_over("a", 100.0 + ALONE_SECONDS)


def test_nobody_saves_up() -> None:
    use = FairUse()
    use.spend("a", 0.0, 0.0)
    use.spend("b", 0.0, 1_000_000.0)
    use.spend("a", CREDIT_SECONDS, 1_000_000.0)
    assert use.is_over("a", 1_000_000.0)


def test_so_many_stores_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_use, "MAX_STORES", 2)
    use = FairUse()
    for store in "abc":
        use.spend(store, CREDIT_SECONDS, 0.0)
    assert not use.is_over("a", 0.0) and use.is_over("b", 0.0) and use.is_over("c", 0.0)

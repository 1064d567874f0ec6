"""How long is worked for each store."""

import pytest

from gateway.core import fair_use
from gateway.core.fair_use import CREDIT_SECONDS, SHARE, FairUse


def test_who_had_more_than_its_part_gets_it_back_slowly() -> None:
    use = FairUse()
    use.spend("a", CREDIT_SECONDS - 1, 100.0)
    assert not use.is_over("a", 100.0)
    use.spend("a", 2.0, 100.0)
    assert use.is_over("a", 100.0) and not use.is_over("b", 100.0)
    assert use.is_over("a", 100.0 + 1 / SHARE) and not use.is_over("a", 100.1 + 1 / SHARE)


def test_nobody_saves_up() -> None:
    use = FairUse()
    use.spend("a", 0.0, 0.0)
    use.spend("a", CREDIT_SECONDS, 1_000_000.0)
    assert use.is_over("a", 1_000_000.0)


def test_so_many_stores_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_use, "MAX_STORES", 1)
    use = FairUse()
    use.spend("a", CREDIT_SECONDS, 0.0)
    use.spend("b", CREDIT_SECONDS, 0.0)
    assert not use.is_over("a", 0.0) and use.is_over("b", 0.0)

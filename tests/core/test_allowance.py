"""Budgets as devices tell them, and what follows for who sends."""

from gateway.core.allowance import MIN_BYTES_PER_SECOND, Allowance, Terms, heard


def test_what_is_told_is_heard() -> None:
    allowance = Allowance(20_000, 500, 1_000_000)
    assert heard(dict(allowance.told())) == allowance
    assert Allowance().told() == () and heard({}) == Allowance()


def test_what_is_no_number_is_no_budget() -> None:
    for text in ("", "-1", "many", "1e3", "٣", "9" * 16):
        assert heard({"budget-documents": text}) == Allowance()
    assert heard({"budget-bytes-per-second": "1"}).bytes_per_second == MIN_BYTES_PER_SECOND


def test_the_strictest_budget_counts() -> None:
    terms = Terms(roles={"kiosk": 5_000}, own=Allowance(bytes_per_second=9_000))
    assert terms.bytes_per_second(Allowance(), "kiosk") == 5_000
    assert terms.bytes_per_second(Allowance(), "tablet") == 9_000
    assert terms.bytes_per_second(Allowance(bytes_per_second=2_000), "kiosk") == 2_000
    assert Terms().bytes_per_second(Allowance(), "kiosk") == 0

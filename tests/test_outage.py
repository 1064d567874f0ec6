"""What the tests of long outages stand on: a gateway in its own time, and a shop that writes."""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.outage import Load, outage
from tests.support.outage_plan import DEVICES, FIELDS, NUMBERS, STATUSES, Expected, Plan
from tests.support.store import ask, command
from tests.support.timed_gateway import TimedGateway

UPDATES, ORDERS = 2_000, 100


def content(plan: Plan, expected: Expected) -> dict[str, object]:
    numbers = [number for own in expected.numbers.values() for number in own]
    return {FIELDS: dict(expected.fields), NUMBERS: numbers}


def test_a_plan_is_the_same_for_a_seed_and_like_a_shop() -> None:
    plan = Plan(5, UPDATES, ORDERS)
    assert plan.changes == Plan(5, UPDATES, ORDERS).changes
    assert plan.changes != Plan(6, UPDATES, ORDERS).changes
    assert [one.number for one in plan.changes] == list(range(UPDATES))
    kinds = Counter(one.document.partition("/")[0] for one in plan.changes)
    assert kinds["orders"] > kinds["tables"] > kinds["menu"] > 0
    assert {one.device for one in plan.changes} == set(range(DEVICES))
    orders = {one.document for one in plan.changes if one.document.startswith("orders/")}
    assert ORDERS * 0.9 < len(orders) < ORDERS * 1.3
    said = {one.fields["status"] for one in plan.changes if "status" in one.fields}
    assert said == set(STATUSES)


def test_changes_may_be_longer() -> None:
    short, long = Plan(5, UPDATES, ORDERS), Plan(5, UPDATES, ORDERS, text=200)
    texts = [one.fields[f"text-{one.device}"] for one in long.changes]
    assert {len(text) for text in texts} == {200} and len(set(texts)) == UPDATES
    for one, longer in zip(short.changes, long.changes, strict=True):
        assert longer.document == one.document and one.fields.items() < longer.fields.items()


def test_what_is_lost_doubled_or_out_of_order_is_found() -> None:
    plan = Plan(5, UPDATES, ORDERS)
    contents = {name: content(plan, expected) for name, expected in plan.expected().items()}
    assert not list(plan.wrong(contents))
    name = max(contents, key=lambda one: len(contents[one][NUMBERS]))  # type: ignore[arg-type]
    right = list(contents[name][NUMBERS])  # type: ignore[call-overload]
    for wrong in (right[:-1], [*right, right[-1]], right[::-1]):
        contents[name][NUMBERS] = wrong
        assert len(list(plan.wrong(contents))) == 1
    del contents[name]
    assert any(name in said for said in plan.wrong(contents))


@pytest.mark.integration
def test_hours_pass_and_a_gateway_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    with TimedGateway(tmp_path / "gateway") as gateway:
        assert command(gateway.folder, "claim")["ok"]
        before = gateway.clock.monotonic()
        with Load(
            gateway.folder, gateway.port, gateway.clock, updates=UPDATES, orders=ORDERS
        ) as load:
            outage(load, gateway, hours=6.0, kills=2)
            assert load.acked == set(range(UPDATES))
            assert load.update_bytes > UPDATES * 20
            assert min(load.links_each) >= 3
        assert gateway.clock.monotonic() - before >= 6 * 3_600.0
        # It is so much older since it was killed last, by its own clock.
        assert ask(gateway.folder, "status")["uptime_s"] > 3_600.0
        assert load.wrong(lambda name: ask(gateway.folder, "get", document=name)["content"]) == []

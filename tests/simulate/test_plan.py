"""The day in the shop."""

from itertools import pairwise

from gateway.simulate.plan import STATIONS, Plan, make_plan


def plan(**changes: object) -> Plan:
    settings = {
        "kiosks": 5, "tablets": 8, "gateways": 2, "minutes": 2.0, "outages": 3, "rate": 60.0,
        "seed": 1,
    }  # fmt: skip
    return make_plan(**{**settings, **changes})  # type: ignore[arg-type]


def test_the_same_seed_is_the_same_day() -> None:
    assert plan() == plan()
    assert plan(seed=2) != plan()


def test_what_was_asked_for_happens() -> None:
    day = plan()
    assert len(day.devices) == 13 and len(day.orders) == 120
    assert {device.station for device in day.devices} == {"", *STATIONS}
    assert sum(device.subscription == "orders" for device in day.devices) == 2
    outages = [one for one in day.happenings if one.kind in ("gateway", "outage")]
    assert len(outages) == 3
    assert all(a.at + a.lasts < b.at for a, b in pairwise(outages))
    assert all(0 < one.at < day.seconds * 0.9 for one in day.happenings)
    assert {one.kind for one in day.happenings} >= {"cut", "peer", "gateway", "outage"}
    assert not [one for one in plan(outages=0).happenings if one.kind in ("gateway", "outage")]

"""Who wants a document: the index finds the same as asking every selector."""

import json
import random

import pytest

from gateway.core import meter as meter_module
from gateway.core.meter import Meter
from gateway.core.selector import Selector
from gateway.core.subscription import Subscriptions
from tests.core.sessions import RecordingSession

FIELDS: list[dict[str, object]] = [
    dict[str, object](station=station, open=opened, number=number)
    for station in ("grill", "bar", None, ["grill"])
    for opened in (True, 1, False)
    for number in (0, 1, 2.5)
] + [{}, {"other": "x"}]


def test_the_index_finds_what_every_selector_for_itself_finds() -> None:
    chance = random.Random(1)
    subscriptions = Subscriptions()
    held: dict[tuple[RecordingSession, int], Selector] = {}
    sessions = [RecordingSession(str(number)) for number in range(8)]
    for _ in range(600):
        session, number = chance.choice(sessions), chance.randrange(6)
        if chance.random() < 0.3:
            found = subscriptions.remove(session, number)
            assert bool(found) is (held.pop((session, number), None) is not None)
        else:
            wanted: dict[str, object] = {}
            for name in chance.sample(["station", "open", "number"], chance.randrange(4)):
                wanted[name] = chance.choice(["grill", "bar", None, True, 1, 2.5, {"$gt": 0}])
            selector = held[session, number] = Selector(json.dumps(wanted))
            subscriptions.add(session, number, "orders", selector)
        for fields in chance.sample(FIELDS, 3):
            expected = {key[0] for key, one in held.items() if one.matches(fields)}
            before, now = subscriptions.judge("orders/1", fields)
            assert now == expected
            assert all(subscriptions.wants(one, "orders/1") is (one in now) for one in sessions)
            assert subscriptions.judge("orders/1", fields, (session,)) == (now & {session},) * 2
    assert subscriptions.judge("menu/1", {}) == (set(), set())
    for session in sessions:
        subscriptions.leave(session)
        subscriptions.leave(session)
    assert "orders" not in subscriptions and subscriptions._collections == {}


def test_a_number_is_used_for_another_collection() -> None:
    subscriptions, session = Subscriptions(), RecordingSession()
    subscriptions.add(session, 1, "orders", Selector(""))
    subscriptions.add(session, 1, "menu", Selector('{"open": true}'))
    assert "orders" not in subscriptions and "menu" in subscriptions
    assert subscriptions.judge("menu/1", {"open": True}) == (set(), {session})
    assert subscriptions.matched(session, 1) == {"menu/1"}
    assert subscriptions.collection(session, 1) == "menu"
    assert subscriptions.judge("menu/1", {"open": False}) == ({session}, set())
    assert not subscriptions.matched(session, 1) and not subscriptions.wants(session, "menu/1")
    assert subscriptions.remove(session, 1) == "menu" and subscriptions.remove(session, 1) == ""


LIST = '{"l": {"$elemMatch": {"$in": [1, 2, 3]}}}'


def test_who_had_its_share_is_asked_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_module, "STEPS_A_TICK", 2_000)
    meter = Meter()
    subscriptions = Subscriptions(meter)
    greedy, plain = RecordingSession("greedy"), RecordingSession("plain")
    greedy.address, plain.address = "10.0.0.1:1", "10.0.0.2:1"
    for number in range(4):
        subscriptions.add(greedy, number, "orders", Selector(LIST))
    subscriptions.add(plain, 1, "orders", Selector('{"a": 1}'))
    subscriptions.add(None, 1, "orders", Selector(LIST))
    fields = {"l": [3] * 200, "a": 1}
    assert subscriptions.judge("orders/1", fields) == (set(), {greedy, plain, None})
    assert not meter.allows(greedy) and meter.allows(plain) and meter.allows(None)
    assert len(subscriptions.behind()) == 2
    assert subscriptions.is_behind(greedy) and not subscriptions.is_behind(plain)
    assert subscriptions.judge("orders/2", fields) == (set(), {plain, None})
    assert subscriptions.judge("orders/1", {"a": 2}) == ({greedy, plain, None}, {greedy})
    assert subscriptions.far_behind(8) == [] and subscriptions.far_behind(5) == [greedy]
    meter.renew()
    key = subscriptions.behind()[0]
    name = subscriptions.next_behind(key)
    subscriptions.judge(name, {"a": 2}, (greedy,), key)
    assert subscriptions.next_behind(key) != name
    meter.renew()
    assert subscriptions.judge("orders/1", {"a": 2}) == ({greedy}, set())
    for number in range(4):
        subscriptions.remove(greedy, number)
    assert subscriptions.behind() == [] and subscriptions.next_behind(key) == ""
    assert subscriptions.fields("orders", (greedy,)) == ()


def test_what_is_remembered_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_module, "STEPS_A_TICK", 300)
    meter = Meter()
    subscriptions, session = Subscriptions(meter), RecordingSession()
    assert not subscriptions.would_want(session, "orders/1", {})
    for number in range(2):
        among = {"a": {"$in": list(range(200))}}
        subscriptions.add(session, number, "orders", Selector(json.dumps(among)))
    assert subscriptions.would_want(session, "orders/1", {"a": 7})
    assert not meter.allows(session)


def test_fields_are_those_of_whom_is_asked() -> None:
    subscriptions, one, other = Subscriptions(), RecordingSession("1"), RecordingSession("2")
    subscriptions.add(one, 1, "orders", Selector('{"a": 1, "": 2}'))
    subscriptions.add(other, 1, "orders", Selector('{"": 2, "b": 1}'))
    assert set(subscriptions.fields("orders")) == {"a", "b", ""}
    assert set(subscriptions.fields("orders", (one,))) == {"a", ""}
    assert subscriptions.judge("orders/1", {"a": 1, "": 2}) == (set(), {one})
    many = {**dict.fromkeys("cdefg", 0), "": 2, "b": 1}
    assert subscriptions.judge("orders/2", many) == (set(), {other})

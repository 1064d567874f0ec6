"""Who wants a document: the index finds the same as asking every selector."""

import json
import random

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

"""What goes first over one link, and how much of it."""

from gateway.core.schedule import MAX_CHUNK_BYTES, PART_BYTES, Lanes, Schedule, priority

PRIORITIES = {"orders": 10, "logs": -1}


def order(lanes: Lanes) -> list[str]:
    return [name for live in (True, False) for name, _ in lanes.in_order(live=live)]


def test_live_first_then_by_priority_then_in_order() -> None:
    lanes = Lanes(PRIORITIES)
    for name in ("logs/1", "menu/1", "orders/1", "menu/2", "orders/2"):
        lanes.put(name, b"", live=False)
    lanes.put("logs/2", b"", live=True)
    lanes.put("orders/3", b"", live=True)
    assert order(lanes) == [
        "orders/3", "logs/2", "orders/1", "orders/2", "menu/1", "menu/2", "logs/1",
    ]  # fmt: skip


def test_a_document_waits_in_one_place_and_keeps_it() -> None:
    lanes = Lanes({})
    for name in ("menu/1", "menu/2"):
        lanes.put(name, b"1", live=False)
    lanes.put("menu/1", b"2", live=False)
    assert list(lanes.in_order(live=False)) == [("menu/1", b"2"), ("menu/2", b"1")]
    lanes.put("menu/2", b"3", live=True)
    assert order(lanes) == ["menu/2", "menu/1"]
    assert lanes.pop("menu/2") == b"3" and lanes.pop("menu/2") is None
    assert "menu/1" in lanes and "menu/2" not in lanes and lanes
    lanes.clear()
    assert not lanes and order(lanes) == []


def test_a_collection_without_a_priority_has_0() -> None:
    assert [priority(PRIORITIES, name) for name in ("orders/1", "menu/1")] == [10, 0]
    assert priority({}, "orders/1") == 0


def test_history_has_its_share_while_live_changes_use_up_the_link() -> None:
    schedule, live, history = Schedule(), 0, 0
    for _ in range(10_000):
        schedule.sent(1_000, history=False)
        live += 1_000
        while schedule.history(live_waits=True):
            schedule.sent(PART_BYTES, history=True)
            history += PART_BYTES
    assert 0.12 < history / (live + history) < 0.13
    schedule.sent(PART_BYTES, history=True)
    assert not schedule.history(live_waits=True) and schedule.history(live_waits=False)


def test_so_much_at_a_time_as_the_link_takes_in_an_eighth_of_a_second() -> None:
    schedule = Schedule()
    for sent, chunk in ((800_000, 100_000), (1_000, PART_BYTES), (1 << 30, MAX_CHUNK_BYTES)):
        schedule.sent(sent, history=True)
        schedule.tick(1.0, waits=True)
        assert schedule.chunk == chunk
    schedule.sent(1_000, history=True)
    schedule.tick(1.0, waits=False)
    schedule.tick(0.0, waits=True)
    assert schedule.chunk == MAX_CHUNK_BYTES, "nothing was held back, so nothing was learned"


def test_a_budget_holds_over_time_and_live_changes_go_ahead_of_it() -> None:
    schedule = Schedule()
    schedule.limit(20_000)
    sent = 0
    for second in range(60):
        while schedule.history(live_waits=False):
            schedule.sent(PART_BYTES, history=True)
            sent += PART_BYTES
        assert schedule.live(), "history never uses up what a live change may"
        schedule.sent(500, history=False)
        sent += 500
        assert sent <= 20_000 * (second + 1) + PART_BYTES + 500
        schedule.tick(1.0, waits=True)
    assert sent > 20_000 * 59
    while schedule.live():
        schedule.sent(PART_BYTES, history=False)
        sent += PART_BYTES
    assert sent <= 20_000 * 62 + 2 * PART_BYTES
    for _ in range(5):
        schedule.tick(1.0, waits=False)
    assert schedule.history(live_waits=False)
    schedule.sent(20_000, history=True)
    assert not schedule.history(live_waits=False), "no more than a second is saved up"

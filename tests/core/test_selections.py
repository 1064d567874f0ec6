"""Who is brought which documents: subscriptions, exchanges, large peers."""

import json
import random
from itertools import pairwise

import pytest

from gateway.core import exchanges as exchanges_module
from gateway.core import hub as hub_module
from gateway.core import messages as m
from gateway.core import meter as meter_module
from gateway.core import remembered as remembered_module
from gateway.core import selections as selections_module
from gateway.core import subscription as subscription_module
from gateway.core.document import Document, DocumentBroken
from gateway.core.errors import Code
from gateway.core.events import (
    Compared,
    DocumentOpened,
    LinkOpened,
    Load,
    Notice,
    Scan,
    Subscribed,
    Survey,
    Unsubscribed,
    Wake,
)
from gateway.core.framing import frame, records
from gateway.core.mesh_session import MeshSession
from gateway.core.selections import EXCHANGE_SECONDS
from gateway.core.selector import Selector
from tests.core.devices import Device, Wire, settle
from tests.core.edits import Author
from tests.core.sessions import FromHub, RecordingSession
from tests.core.test_hub import NAME, pair, read

GRILL = 'orders {"station": "grill"}'


def order(station: str, author: Author | None = None) -> bytes:
    return (author or Author(1)).set("station", station)


def subscribed(session: RecordingSession, text: str, number: int = 1) -> Subscribed:
    return Subscribed(number, "orders", Selector(text))


def test_a_document_is_opened_to_who_subscribed_to_it_and_let_go_when_it_leaves() -> None:
    store, ada, _ = pair()
    grill = RecordingSession("grill")
    store.hub.join(grill)
    scan = store.hub.link(grill, subscribed(grill, '{"station": "grill"}'))
    assert scan == [Scan(grill, "orders")]
    author = Author(1)
    store.update(ada, order("grill", author))
    assert Wake(grill) in store.turn()
    assert [name for name, _ in grill.asked] == [NAME]
    store.say(grill, DocumentOpened(NAME, b"\x00"))
    assert read(*store.hear(grill)) == {"station": "grill"}
    store.update(ada, order("bar", author))
    store.turn()
    heard = Author(9)
    for update in grill.heard + store.hear(grill):
        heard.take(update)
    assert heard.read() == {"station": "bar"}, "the update that made it leave is delivered"
    assert grill.finished == [NAME] and grill not in store.hub.rooms[NAME].members
    store.update(ada, order("oven", author))
    store.turn()
    assert store.hear(grill) == [] and grill.finished == [NAME]
    store.update(ada, order("grill", author))
    store.turn()
    assert len(grill.asked) == 2


def test_a_subscription_that_changes_is_looked_through_again() -> None:
    store, ada, bea = pair()
    store.update(ada, order("grill"))
    store.turn()
    small = RecordingSession("small")
    store.hub.join(small)
    store.hub.link(small, subscribed(small, '{"station": "grill"}'))
    assert Wake(small) in store.hub.selections.look(NAME, small)
    store.say(small, DocumentOpened(NAME, b"\x00"))
    assert (
        store.hub.selections.look(NAME, small) == [] and store.hub.selections.look(NAME, bea) == []
    )
    changed = Subscribed(1, "menu", Selector(""))
    assert store.hub.link(small, changed) == [Scan(small, "menu"), Scan(small, "orders")]
    assert Wake(small) in store.hub.selections.look(NAME, small)
    assert small.finished == [NAME]
    assert store.hub.link(small, Unsubscribed(1)) == [Scan(small, "menu")]
    assert store.hub.link(small, Unsubscribed(1)) == []


def test_what_a_peer_opened_itself_is_not_let_go() -> None:
    store, ada, _ = pair()
    small = RecordingSession("small")
    store.join(small)
    store.hub.link(small, subscribed(small, '{"station": "grill"}'))
    author = Author(1)
    for station in ("grill", "bar"):
        store.update(ada, order(station, author))
        store.turn()
    assert small.finished == [] and small in store.hub.rooms[NAME].members


def test_nothing_is_opened_to_who_is_gone() -> None:
    store, ada, _ = pair()
    store.update(ada, order("grill"))
    store.turn()
    small = RecordingSession("small")
    store.hub.join(small)
    store.hub.link(small, subscribed(small, ""))
    small.close(Code.RESET, "gone")
    assert store.hub.selections.look(NAME, small) == []
    assert store.hub.link(small, Unsubscribed(1)) == []
    store.hub.leave(small)
    assert "orders" not in store.hub.selections.subscriptions


def test_a_document_that_broke_is_considered_when_it_is_there_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, ada, _ = pair()
    small = RecordingSession("small")
    store.hub.join(small)
    store.hub.link(small, subscribed(small, ""))

    def breaks(self: Document, batch: object) -> None:
        raise DocumentBroken(NAME, "a test")

    with monkeypatch.context() as patch:
        patch.setattr(Document, "apply", breaks)
        store.update(ada, order("grill"))
        store.hub.turn()
    assert small.asked == []


def test_large_documents_are_looked_at_once_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections_module, "LATE_BYTES", 500)
    monkeypatch.setattr(selections_module, "LATE_A_TICK", 1)
    store, ada, _ = pair()
    small = RecordingSession("small")
    store.hub.join(small)
    store.hub.link(small, subscribed(small, '{"station": "grill"}'))
    assert store.hub.selections.settled(small)
    for name in (NAME, "orders/2", "orders/3"):
        store.say(ada, DocumentOpened(name, b"\x00"))
        author = Author(1)
        store.update(ada, author.set("note", "x" * 600), document=name)
        store.turn()
        store.update(ada, author.set("station", "grill"), document=name)
        store.turn()
    assert small.asked == []
    assert not store.hub.selections.settled(small), "it is not known whether it wants them"
    store.hub.rooms["orders/2"].document = None
    for now in (1.0, 2.0):
        store.hub.tick(now)
    assert [name for name, _ in small.asked] == [NAME]
    store.hub.tick(3.0)
    assert [name for name, _ in small.asked] == [NAME, "orders/3"]


def test_a_subscription_to_everything_needs_no_look_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, ada, _ = pair()
    small = RecordingSession("small")
    store.hub.join(small)
    store.hub.link(small, subscribed(small, ""))
    monkeypatch.setattr(Document, "project", None)
    store.update(ada, order("grill"))
    store.turn()
    assert [name for name, _ in small.asked] == [NAME]
    assert store.hub.selections.subscriptions.fields("menu") == ()


def test_two_large_peers_exchange_what_differs_and_then_what_changes() -> None:
    one, two = Device(1), Device(2)
    for number in range(300):
        one.set(f"orders/{number}", "station", "grill")
    wire = Wire(one, two)
    settle(wire)
    assert len(two.rows) == 300 and one.fingerprints() == two.fingerprints()
    wire.cut()
    two.set("orders/7", "station", "bar")
    one.set("menu/1", "price", 3)
    again = Wire(two, one)
    settle(again)
    assert one.fingerprints() == two.fingerprints()
    assert again.count(m.Open) == 4 and again.bytes[m.Reconcile] < 2_000
    two.set("orders/8", "station", "bar")
    settle(again)
    assert one.read("orders/8") == {"station": "bar"}
    one.set("orders/8", "station", "oven")
    settle(again)
    assert two.read("orders/8") == {"station": "oven"}
    assert again.count(m.Open) == 6, "a document that is open stays open"


def test_equal_peers_say_two_small_messages() -> None:
    one, two = Device(1), Device(2)
    for number in range(40):
        one.set(f"orders/{number}", "station", "grill")
    settle(first := Wire(one, two))
    first.cut()
    settle(wire := Wire(one, two))
    assert wire.count(m.Open) == 0 and wire.bytes[m.Reconcile] <= 2 * 21
    exchanges = wire.count(m.Reconcile)
    for device in (one, two):
        device.perform(device.hub.tick(EXCHANGE_SECONDS))
    settle(wire)
    assert wire.count(m.Reconcile) == 2 * exchanges


def test_a_small_peer_gets_what_it_subscribed_to_and_gives_all_it_has() -> None:
    gateway, tablet = Device(1), Device(2, GRILL, "menu")
    for number in range(50):
        gateway.set(f"orders/{number}", "station", "grill" if number % 5 == 0 else "bar")
    gateway.set("menu/1", "price", 3)
    tablet.set("orders/new", "station", "grill")
    tablet.set("notes/1", "text", "own")
    settle(wire := Wire(tablet, gateway))
    assert len(tablet.rows) == 10 + 1 + 2
    assert gateway.read("orders/new") == {"station": "grill"}
    assert gateway.read("notes/1") == {"text": "own"}
    assert Notice("orders/10", matches=True) in tablet.notices
    wire.cut()
    gateway.set("orders/5", "station", "bar")
    gateway.set("orders/6", "station", "grill")
    gateway.set("orders/1", "note", "of no interest")
    settle(again := Wire(tablet, gateway))
    assert tablet.read("orders/5") == {"station": "bar"}, "what made it leave is delivered"
    assert tablet.read("orders/6") == {"station": "grill"}
    assert "orders/1" not in tablet.rows
    assert Notice("orders/5", matches=False) in tablet.notices
    # notes/1 is in no selection, so it is offered again; orders/5 and orders/6 differed.
    assert {r.document for r in again.said if isinstance(r, m.Open)} == {
        "orders/5", "orders/6", "notes/1",
    }  # fmt: skip


def test_what_a_peer_brings_itself_is_not_closed_before_it_is_known() -> None:
    gateway, tablet = Device(1), Device(2, GRILL)
    tablet.set("orders/1", "station", "grill")
    settle(wire := Wire(tablet, gateway))
    assert gateway.read("orders/1") == {"station": "grill"}
    assert wire.count(m.Close) == 0 and wire.count(m.Open) == 2


def test_what_matched_at_both_sides_is_followed_without_having_been_open() -> None:
    gateway, tablet = Device(1), Device(2, GRILL)
    for number in range(4):
        gateway.set(f"orders/{number}", "station", "grill")
    settle(first := Wire(tablet, gateway))
    first.cut()
    settle(wire := Wire(tablet, gateway))
    assert wire.count(m.Open) == 0
    gateway.set("orders/1", "status", "open")
    gateway.set("orders/2", "station", "bar")
    settle(wire)
    assert tablet.read("orders/1") == {"station": "grill", "status": "open"}
    assert tablet.read("orders/2") == {"station": "bar"}
    assert wire.count(m.Close) == 2, "both sides close what left the selection"
    tablet.set("orders/3", "status", "done")
    tablet.set("orders/2", "status", "done")
    settle(wire)
    assert gateway.read("orders/3")["status"] == gateway.read("orders/2")["status"] == "done"


def test_small_peers_share_without_a_gateway() -> None:
    kiosk, kitchen = Device(1, "orders"), Device(2, GRILL)
    kiosk.set("orders/1", "station", "grill")
    kiosk.set("orders/2", "station", "bar")
    settle(wire := Wire(kiosk, kitchen))
    assert set(kitchen.rows) == {"orders/1"}
    kitchen.set("orders/1", "status", "done")
    kiosk.set("orders/3", "station", "grill")
    settle(wire)
    assert kiosk.read("orders/1")["status"] == "done"
    assert kitchen.read("orders/3") == {"station": "grill"}


def test_a_chain_of_peers_carries_changes_through() -> None:
    kiosk, middle, far = Device(1, "orders"), Device(2), Device(3)
    wires = [Wire(kiosk, middle), Wire(middle, far)]
    settle(*wires)
    kiosk.set("orders/1", "station", "grill")
    settle(*wires)
    far.set("orders/1", "status", "done")
    settle(*wires)
    assert kiosk.read("orders/1") == {"station": "grill", "status": "done"}
    assert kiosk.fingerprints() == middle.fingerprints() == far.fingerprints()


@pytest.mark.parametrize(("seed", "kept"), [(7, 256), (1, 4), (2, 4), (3, 0)])
def test_devices_come_and_go_and_agree_in_the_end(
    monkeypatch: pytest.MonkeyPatch, seed: int, kept: int
) -> None:
    monkeypatch.setattr(hub_module, "IDLE_ROOMS", kept)
    chance = random.Random(seed)
    devices = [Device(1), Device(2), Device(3, GRILL), Device(4, "orders", "menu")]
    wires: list[Wire] = []
    for _ in range(400):
        device = chance.choice(devices)
        action = chance.random()
        if action < 0.6:
            name = f"{chance.choice(['orders', 'orders', 'menu'])}/{chance.randrange(12)}"
            device.set(name, "station", chance.choice(["grill", "bar"]))
        elif action < 0.75:
            other = chance.choice([one for one in devices if one is not device])
            wires.append(Wire(device, other))
        elif action < 0.9 and wires:
            wires.pop(chance.randrange(len(wires))).cut()
        elif action < 0.93:
            for wire in [w for w in wires if any(end[0] is device for end in w.ends)]:
                wires.remove(wire)
                wire.cut()
            device.start()
            device.turn()
        for wire in wires:
            if chance.random() < 0.5:
                wire.pump()
    for wire in wires:
        wire.cut()
    large, other, grill, small = devices
    settle(*(Wire(device, large) for device in (other, grill, small)))
    settle(*[Wire(device, large) for device in (other, grill, small)])
    held = large.fingerprints()
    assert held == other.fingerprints() and len(held) > 20
    assert small.fingerprints() == held
    for name, rows in grill.fingerprints().items():
        if large.read(name)["station"] == "grill":
            assert rows == held[name]
    wanted = {n for n in held if n.startswith("orders/") and large.read(n)["station"] == "grill"}
    assert wanted <= set(grill.rows)


def test_a_peer_that_does_not_compare_is_given_everything() -> None:
    old = m.FEATURE_SAVES | m.FEATURE_SUBSCRIPTIONS
    gateway, tablet = Device(1), Device(2, GRILL, features=old)
    gateway.set("orders/1", "station", "grill")
    gateway.set("orders/2", "station", "bar")
    tablet.set("orders/3", "station", "grill")
    settle(wire := Wire(tablet, gateway))
    assert wire.count(m.Reconcile) == 0
    assert set(tablet.rows) == {"orders/1", "orders/3"} and "orders/3" in gateway.rows
    other = Device(3, features=m.FEATURE_SAVES)
    settle(wire := Wire(gateway, other))
    assert wire.count(m.Reconcile) == wire.count(m.Subscribe) == 0
    assert gateway.fingerprints() == other.fingerprints()


def test_only_what_may_be_read_is_compared_and_brought() -> None:
    gateway, other = Device(1, grants=(("orders", 3),)), Device(2)
    gateway.set("staff/1", "wage", 10)
    gateway.set("orders/1", "station", "grill")
    settle(Wire(other, gateway))
    assert set(other.rows) == {"orders/1"}
    gateway.set("staff/2", "wage", 10)
    settle()
    assert set(other.rows) == {"orders/1"}


def test_the_oldest_is_closed_when_many_were_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections_module, "MOST_BROUGHT", 3)
    one, two = Device(1), Device(2)
    settle(wire := Wire(one, two))
    for number in range(8):
        one.set(f"orders/{number}", "n", number)
    settle(wire)
    for number in range(16):
        one.set(f"orders/{number}", "m", number)
        settle(wire)
    assert two.fingerprints() == one.fingerprints()
    assert wire.count(m.Close) >= 2 * 8
    assert len(one.hub.sessions[wire.ends[0][1]]) == 8


def test_a_full_gateway_brings_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Device(1), Device(2)
    settle(wire := Wire(one, two))
    monkeypatch.setattr(hub_module, "MAX_ROOMS", 0)
    one.set("orders/1", "n", 1)
    settle(wire)
    assert "orders/1" not in two.rows and "orders/1" in one.rows


def test_a_peer_that_never_answers_keeps_what_it_was_brought() -> None:
    gateway = Device(1)
    mute = RecordingSession("mute")
    gateway.hub.join(mute)
    gateway.set("orders/1", "station", "grill")
    gateway.perform(gateway.hub.link(mute, Subscribed(1, "orders", Selector(""))))
    gateway.turn()
    assert gateway.hub.link(mute, Unsubscribed(1)) == [Scan(mute, "orders")]
    assert gateway.hub.selections.look("orders/1", mute) == [] and mute.finished == []


def test_what_differs_although_it_is_open_is_asked_for_again() -> None:
    one, two = Device(1), Device(2)
    settle(wire := Wire(one, two))
    one.set("orders/1", "n", 1)
    settle(wire)
    opens = wire.count(m.Open)
    one.perform(one.hub.selections.bring(wire.ends[0][1], "orders/1"))
    settle(wire)
    assert wire.count(m.Open) == opens + 1


def test_all_that_is_here_is_known_once_it_was_surveyed() -> None:
    one = Device(1)
    one.set("orders/1", "n", 1)
    assert one.hub.selections.catalogue() is None
    one.perform([Survey()])
    one.turn()
    catalogue = one.hub.selections.catalogue()
    assert catalogue is not None and catalogue.holds(b"orders/1") and len(catalogue) == 1
    one.set("menu/1", "n", 1)
    assert len(one.hub.selections.catalogue() or ()) == 2


def test_turns_that_cannot_be_right_close_the_link() -> None:
    gateway = Device(1)
    peer = RecordingSession("peer")
    peer.reconciles = True
    gateway.hub.join(peer)

    def turn(payload: bytes, number: int = 0) -> list[object]:
        effects = gateway.hub.link(peer, Compared(number, False, payload))
        gateway.perform(effects)
        gateway.turn()
        return list(effects)

    assert turn(bytes(8) + b"\x00\x01" + bytes(8), number=9) == [], "about no subscription"
    assert turn(bytes(8) + b"\x00\x01" + bytes(8)) == [Survey()]
    assert len(peer.turns) == 1
    assert turn(bytes(range(8)) + b"\x00\x01" + bytes(8)) == [Wake(peer)]
    assert peer.farewell is not None and peer.farewell.code is Code.TOO_MANY
    other = RecordingSession("other")
    gateway.hub.join(other)
    gateway.perform(gateway.hub.link(other, Compared(0, False, bytes(5_000))))
    assert other.farewell is not None and other.farewell.code is Code.TOO_BIG
    third = RecordingSession("third")
    gateway.hub.join(third)
    gateway.perform(gateway.hub.link(third, Compared(0, False, b"short")))
    assert third.farewell is not None and third.farewell.code is Code.MALFORMED
    assert gateway.hub.link(third, Compared(0, True, bytes(8))) == [], "of an exchange long over"


def test_an_exchange_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges_module, "most_turns", lambda size: 2)
    gateway = Device(1)
    for number in range(100):
        gateway.set(f"orders/{number}", "n", number)
    peer = RecordingSession("peer")
    gateway.hub.join(peer)
    for _ in range(3):
        gateway.perform(
            gateway.hub.link(peer, Compared(0, False, bytes(8) + b"\x00\x01" + bytes(8)))
        )
        gateway.turn()
    assert peer.farewell is not None and peer.farewell.code is Code.TOO_MANY


def test_a_large_document_that_left_the_memory_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selections_module, "LATE_BYTES", 100)
    one, two = Device(1), Device(2)
    settle(wire := Wire(one, two))
    one.set("orders/1", "note", "x" * 200)
    with monkeypatch.context() as patch:
        patch.setattr(hub_module, "IDLE_ROOMS", 0)
        one.hub._retire()
    assert "orders/1" not in one.hub.rooms
    for now in (1.0, 2.0):
        one.perform(one.hub.tick(now))
    settle(wire)
    assert two.read("orders/1") == one.read("orders/1")


def test_a_document_that_cannot_be_used_is_not_in_the_inventory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = Device(1)
    one.set("orders/1", "n", 1)
    one.hub.selections.note("orders/1")

    def breaks(self: Document) -> bytes:
        raise DocumentBroken("orders/1", "a test")

    with monkeypatch.context() as patch:
        patch.setattr(Document, "fingerprint", breaks)
        one.hub.selections.dropped("orders/1")
    one.hub.selections.dropped("orders/1")
    assert one.hub.link(RecordingSession(), LinkOpened())


def test_a_subscription_reads_only_documents_whose_fields_are_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "IDLE_ROOMS", 1)
    gateway = Device(1)
    for number in range(30):
        gateway.set(f"orders/{number}", "station", "grill" if number % 10 == 0 else "bar")
    reads = []
    for selector in (
        '{"station": "grill"}',
        '{"station": "grill"}',
        '{"station": {"$exists": false}}',
        '{"n": 1}',
        '{"station": "grill", "n": 1}',
    ):
        gateway.loads = 0
        settle(wire := Wire(Device(2, f"orders {selector}"), gateway))
        wire.cut()
        reads.append(gateway.loads)
    everything, again, none, other, both = reads
    assert everything >= 29 and again <= 6 and none <= 1 and other >= 29 and both <= 1
    gateway.set("orders/1", "station", "grill")
    tablet = Device(3, GRILL)
    settle(Wire(tablet, gateway))
    assert set(tablet.rows) == {"orders/0", "orders/1", "orders/10", "orders/20"}


def test_what_is_remembered() -> None:
    remembered = remembered_module.Remembered()
    remembered.note("orders/1", ["a", "b"], {"a": "x", "c": [1]})
    assert remembered.fields("orders/1", ["a"]) == {"a": "x"}
    assert remembered.fields("orders/1", ["b", "a"]) == {"a": "x"}
    assert remembered.fields("orders/1", ["a", "c"]) is None
    remembered.note("orders/1", ["c"], {"c": [1]})
    assert remembered.fields("orders/1", []) is None
    for value, kept in (("x" * 65, False), (None, True), (True, True), (1.5, True), ({}, False)):
        remembered.note("orders/2", ["a"], {"a": value})
        assert (remembered.fields("orders/2", ["a"]) is not None) is kept


def test_the_longest_remembered_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_module, "MAX_DOCUMENTS", 2)
    remembered = remembered_module.Remembered()
    for number in range(3):
        remembered.note(f"orders/{number}", [], {})
    assert remembered.fields("orders/0", []) is None
    assert remembered.fields("orders/1", []) == remembered.fields("orders/2", []) == {}


def test_many_fields_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_module, "MAX_FIELDS", 3)
    monkeypatch.setattr(remembered_module, "MAX_CHOICES", 1)
    remembered = remembered_module.Remembered()
    remembered.note("orders/1", "abcd", {"a": 1})
    assert remembered.fields("orders/1", "a") is None
    remembered.note("orders/1", "abc", {"a": 1})
    assert remembered.fields("orders/1", "ab") == {"a": 1}
    remembered.note("orders/1", "d", {"d": 2})
    assert remembered.fields("orders/1", "d") == {"d": 2}
    assert remembered.fields("orders/1", "a") is None
    for number in range(100):
        remembered.note("orders/1", str(number), {})
    assert len(remembered._names) <= 2
    monkeypatch.setattr(remembered_module, "MAX_VALUES", 4)
    for number in range(3):
        remembered.note(f"menu/{number}", "ab", {})
    assert remembered.fields("menu/0", "a") is None and remembered.fields("menu/2", "a") == {}


def test_costly_selectors_are_asked_a_few_a_tick_and_delay_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meter_module, "STEPS_A_TICK", 1_500)
    store, ada, _ = pair()
    greedy, plain = RecordingSession("greedy"), RecordingSession("plain")
    greedy.address = "10.0.0.1:1"
    for session in (greedy, plain):
        store.hub.join(session)
    for number in range(16):
        among = {"l": {"$elemMatch": {"$in": list(range(8, 9 + number))}}}
        store.hub.link(greedy, subscribed(greedy, json.dumps(among), number))
    store.hub.link(plain, subscribed(plain, '{"station": "grill"}'))
    author = Author(1)
    store.update(ada, author.set("l", [15] * 100))
    store.turn()
    store.update(ada, order("grill", author))
    store.turn()
    assert [name for name, _ in plain.asked] == [NAME] and greedy.asked == []
    waiting = [len(store.hub.selections.subscriptions.behind())]
    assert not store.hub.selections.affords(greedy) and store.hub.selections.affords(plain)
    while waiting[-1]:
        store.hub.tick(1.0)
        waiting.append(len(store.hub.selections.subscriptions.behind()))
    assert all(0 < before - after <= 4 for before, after in pairwise(waiting))
    assert [name for name, _ in greedy.asked] == [NAME]


def test_what_was_not_asked_is_read_again_and_too_much_ends_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meter_module, "STEPS_A_TICK", 1)
    monkeypatch.setattr(subscription_module, "FREE_STEPS", 0)
    monkeypatch.setattr(selections_module, "MAX_BEHIND", 2)
    store, ada, _ = pair()
    greedy = RecordingSession("greedy")
    store.hub.join(greedy)
    for number in range(2):
        store.hub.link(greedy, subscribed(greedy, '{"a": {"$gt": 1}}', number))
    store.update(ada, Author(1).set("a", 2))
    store.turn()
    store.hub.rooms[NAME].document, document = None, store.hub.rooms[NAME].document
    assert Load(NAME) in store.hub.tick(1.0)
    store.hub.rooms[NAME].document = document
    assert store.hub.selections.subscriptions.behind() == []
    store.hub.selections.loaded(NAME)
    for number in range(3):
        name = f"orders/{number}"
        store.say(ada, DocumentOpened(name, b"\x00"))
        store.update(ada, Author(2).set("a", 2), document=name)
        store.turn()
    store.hub.tick(2.0)
    assert greedy.farewell is not None and greedy.farewell.code is Code.TOO_MANY


def test_fields_of_a_large_document_are_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections_module, "LARGE_FIELDS_BYTES", 500)
    monkeypatch.setattr(meter_module, "STEPS_A_TICK", 250)
    store, ada, _ = pair()
    store.update(ada, Author(1).set("l", ["x"] * 600))
    store.turn()
    small = RecordingSession("small")
    store.hub.join(small)
    store.hub.link(small, subscribed(small, '{"n": 1}'))
    store.hub.selections.look(NAME, small)
    assert store.hub.selections.affords(small)
    for number in range(3):
        store.hub.link(small, subscribed(small, '{"l": {"$size": 600}}', number))
    store.hub.selections.look(NAME, small)
    assert not store.hub.selections.affords(small) and len(small.asked) == 1
    store.update(ada, Author(2).set("other", 1))
    store.turn()
    behind = store.hub.selections.subscriptions.behind
    assert len(behind()) == 3
    for left in (2, 1, 0):
        store.hub.tick(1.0)
        assert len(behind()) == left, "one takes more than a share, and is asked all the same"


def test_what_is_brought_and_not_answered_is_not_kept_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "IDLE_ROOMS", 3)
    monkeypatch.setattr(hub_module, "MAX_ROOMS", 4)
    monkeypatch.setattr(hub_module, "RESERVED_ROOMS", 2)
    monkeypatch.setattr(selections_module, "UNANSWERED", 8)
    gateway = Device(1)
    for number in range(20):
        gateway.set(f"orders/{number:02}", "station", "grill")
    silent = gateway.session(calling=False)
    say(gateway, silent, m.Hello(1, 1, b"s" * 16, 0, 262_144), m.Auth(m.AUTH_NONE, b""))
    say(gateway, silent, m.Subscribe(1, "orders", ""))
    gateway.turn()
    assert silent.awaits("orders/00") and silent.awaits("orders/19")
    assert len(gateway.hub.rooms) <= 4 and not gateway.hub.full
    assert not gateway.hub.selections.answers(silent)
    assert not any(silent in room.members for room in gateway.hub.rooms.values())
    settle(Wire(Device(2, GRILL), gateway))
    say(gateway, silent, m.Open(1, "orders/00", b"\x00"), m.Diff(1, 0, b"", b"\x00\x00"))
    assert gateway.hub.rooms["orders/00"].members[silent]
    before = len([one for one in said(gateway, silent) if isinstance(one, m.Open)])
    assert before == 20, "it was not asked twice"
    gateway.set("orders/00", "station", "bar")
    assert [type(one) for one in said(gateway, silent)] == [m.Ack, m.Update]
    say(gateway, silent, m.Close(1))
    assert gateway.hub.rooms["orders/00"].members == {}
    gateway.perform(gateway.hub.leave(silent))
    assert gateway.hub.selections.answers(silent)


def test_so_many_documents_are_brought_to_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections_module, "MAX_BROUGHT", 5)
    gateway = Device(1)
    for number in range(6):
        gateway.set(f"orders/{number}", "station", "grill")
    silent = gateway.session(calling=False)
    say(gateway, silent, m.Hello(1, 1, b"s" * 16, 0, 262_144), m.Auth(m.AUTH_NONE, b""))
    say(gateway, silent, m.Subscribe(1, "orders", ""))
    gateway.turn()
    assert silent.farewell is not None and silent.farewell.code is Code.TOO_MANY


def say(device: Device, session: MeshSession, *said: m.Record) -> None:
    device.take(session, b"".join(frame(m.encode(one)) for one in said))


def said(device: Device, session: MeshSession) -> list[m.Record | None]:
    messages = session.data_to_send(FromHub(device.hub))
    return [m.decode(record) for message in messages for record in records(message)]


def test_who_did_not_compare_its_subscriptions_does_not_have_everything() -> None:
    gateway, phone = Device(1), Device(2, "orders", "menu")
    gateway.set("orders/1", "n", 1)
    wire = Wire(phone, gateway)
    session = wire.ends[1][1]
    settle(wire)
    assert phone.read("orders/1") == {"n": 1} and gateway.hub.selections.settled(session)
    assert gateway.hub.selections.settled(RecordingSession()), "it wants nothing"
    stranger = RecordingSession("stranger")
    stranger.reconciles = True
    gateway.hub.join(stranger)
    gateway.perform(gateway.hub.link(stranger, subscribed(stranger, "")))
    gateway.turn()
    assert not gateway.hub.selections.settled(stranger), "it lacks what it did not compare"

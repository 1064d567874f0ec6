"""What waits for a slow peer: merged, bounded, never lost in silence."""

from gateway.core import y_messages
from gateway.core.outbox import MAX_QUEUED_BYTES, MERGE_FROM, Answer, Outbox, Relay
from tests.core.edits import Author

SOME = Answer(b"some", b"")


def echo(document: str, state_vector: bytes) -> Answer:
    return Answer(state_vector, b"")


def test_few_updates_go_out_as_they_came() -> None:
    outbox, author = Outbox(), Author(1)
    relays = [Relay(author.set("a", n)) for n in range(3)]
    for relay in relays:
        outbox.offer("o/1", relay)
    assert outbox and outbox.queued_bytes == sum(len(r.update) for r in relays)
    assert list(outbox.take_relays()) == [("o/1", relay) for relay in relays]
    assert not outbox and outbox.queued_bytes == 0


def test_many_updates_are_merged_per_document() -> None:
    outbox, author = Outbox(), Author(1)
    for number in range(MERGE_FROM):
        outbox.offer("o/1", Relay(author.set("a", number)))
    ((name, relay),) = outbox.take_relays()
    reader = Author(2)
    reader.take(relay.update)
    assert name == "o/1" and reader.read() == {"a": MERGE_FROM - 1}


def test_an_owed_answer_covers_live_updates() -> None:
    outbox, author = Outbox(), Author(1)
    outbox.offer("o/1", Relay(author.set("a", 1)))
    outbox.owe("o/1", b"\x00")
    outbox.offer("o/1", Relay(author.set("a", 2)))
    outbox.owe("o/1", b"\x01\x01\x01")
    assert outbox.queued_bytes == 0
    assert list(outbox.take_relays()) == []
    assert outbox.take_answer(echo) == ("o/1", Answer(b"\x01\x01\x01", b""))
    assert outbox.take_answer(echo) is None


def test_an_answer_that_cannot_be_given_yet_stays_owed() -> None:
    outbox = Outbox()
    outbox.owe("o/1", b"\x00")
    outbox.owe("o/2", b"\x00")
    assert outbox.take_answer(lambda name, _: None if name == "o/1" else SOME) == ("o/2", SOME)
    assert outbox.take_answer(lambda *_: None) is None and outbox
    assert outbox.take_answer(echo) == ("o/1", Answer(b"\x00", b""))


def test_what_the_library_cannot_merge_goes_out_as_it_came() -> None:
    outbox = Outbox()
    for _ in range(MERGE_FROM):
        outbox.offer("o/1", Relay(b"not an update"))
    assert len(list(outbox.take_relays())) == MERGE_FROM


def test_what_the_library_cannot_merge_is_stale_above_the_cap() -> None:
    outbox = Outbox()
    for _ in range(2):
        outbox.offer("o/1", Relay(b"\xff" * (MAX_QUEUED_BYTES // 2 + 1)))
    assert outbox.stale == {"o/1"} and outbox.queued_bytes == 0


def test_above_the_cap_everything_is_dropped_and_marked_stale() -> None:
    outbox, author = Outbox(), Author(1)
    text = "x" * 60_000
    for _ in range(MAX_QUEUED_BYTES // 60_000 + 1):
        outbox.offer("o/1", Relay(author.write(text)))
    assert outbox.stale == {"o/1"}
    assert outbox.queued_bytes == 0
    outbox.offer("o/1", Relay(author.write("more")))
    assert outbox.queued_bytes == 0
    outbox.owe("o/1", b"\x00")
    assert outbox.stale == set()


def test_merging_can_be_enough() -> None:
    outbox, author = Outbox(), Author(1)
    update = author.set("a", "x" * 100_000)
    for _ in range(12):
        outbox.offer("o/1", Relay(update))
    assert outbox.stale == set()
    assert 0 < outbox.queued_bytes < MAX_QUEUED_BYTES // 2


def test_forget_and_clear() -> None:
    outbox, author = Outbox(), Author(1)
    outbox.offer("o/1", Relay(author.set("a", 1)))
    outbox.owe("o/2", b"\x00")
    outbox.forget("o/1")
    outbox.forget("o/2")
    assert not outbox
    outbox.records.append(b"x")
    outbox.clear()
    assert not outbox


def test_a_relay_is_encoded_once() -> None:
    relay = Relay(b"\x00\x00")
    assert relay.y_frame == y_messages.update(b"\x00\x00")
    assert relay.y_frame is relay.y_frame

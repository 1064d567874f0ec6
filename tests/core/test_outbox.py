"""What waits for a slow peer: merged, bounded, never lost in silence."""

from collections.abc import Iterable

from gateway.core import y_messages
from gateway.core.outbox import MAX_QUEUED_BYTES, MERGE_FROM, Answer, Diff, Outbox, Relay
from tests.core.edits import Author
from tests.core.sessions import Given


class Known:
    """``Documents`` that knows some; answers with the state vector it was asked."""

    def __init__(self, *unknown: str) -> None:
        self._unknown = unknown

    def answer(self, document: str, state_vector: bytes, limit: int) -> Answer | None:
        return None if document in self._unknown else Answer((state_vector,), b"")

    def presence(self, document: str, clients: Iterable[int] | None) -> list[bytes]:
        return [b"all" if clients is None else bytes(sorted(clients))]


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
    assert outbox.take_diff(Known(), 99) == Diff("o/1", b"\x01\x01\x01", b"", more=False)
    assert outbox.take_diff(Known(), 99) is None


def test_an_answer_that_cannot_be_given_yet_stays_owed() -> None:
    outbox = Outbox()
    outbox.owe("o/1", b"\x00")
    outbox.owe("o/2", b"\x02")
    assert outbox.take_diff(Known("o/1"), 99) == Diff("o/2", b"\x02", b"", more=False)
    assert outbox.take_diff(Known("o/1"), 99) is None and outbox
    assert outbox.take_diff(Known(), 99) == Diff("o/1", b"\x00", b"", more=False)


def test_a_large_answer_goes_part_by_part_and_then_what_changed_since() -> None:
    outbox = Outbox()
    outbox.owe("o/1", b"\x00")
    first = Given(Answer((b"1", b"2"), b"", b"\x07"))
    assert outbox.take_diff(first, 99) == Diff("o/1", b"1", b"", more=True)
    outbox.offer("o/1", Relay(b"what is owed covers it"))
    assert outbox.take_diff(Known("o/1"), 99) == Diff("o/1", b"2", b"", more=True)
    assert outbox.take_diff(Known(), 99) == Diff("o/1", b"\x07", b"", more=False)
    assert not outbox
    outbox.owe("o/1", b"\x00")
    outbox.take_diff(first, 99)
    outbox.owe("o/1", b"\x03")
    assert outbox.take_diff(Known(), 99) == Diff("o/1", b"\x03", b"", more=False)


def test_a_document_of_which_parts_are_on_their_way_is_not_hurried() -> None:
    outbox = Outbox()
    outbox.owe("o/1", b"\x00")
    outbox.owe("o/2", b"\x02")
    first = Given(Answer((b"1", b"2"), b"", b"\x07"))
    assert outbox.take_diff(first, 99) == Diff("o/1", b"1", b"", more=True)
    outbox.offer("o/1", Relay(b"what is owed covers it"))
    outbox.hurry("o/1")
    assert outbox.owes("o/1") and not outbox.owes("o/3")
    assert outbox.take_live_diff(Known(), 99) is None
    outbox.offer("o/2", Relay(b"what is owed covers it"))
    assert outbox.take_live_diff(Known(), 99) == Diff("o/2", b"\x02", b"", more=False)
    assert outbox.take_diff(Known(), 99) == Diff("o/1", b"2", b"", more=True)


def test_presence_is_owed_once_and_the_newest() -> None:
    outbox = Outbox()
    outbox.owe_presence("o/1", [1, 2])
    outbox.owe_presence("o/1", [2, 3])
    outbox.owe_presence("o/2", [1])
    outbox.owe_presence("o/2", None)
    outbox.owe_presence("o/2", [4])
    outbox.owe_presence("o/3", [1])
    outbox.forget("o/3")
    assert outbox
    assert list(outbox.take_presence(Known())) == [("o/1", b"\x01\x02\x03"), ("o/2", b"all")]
    assert not outbox


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

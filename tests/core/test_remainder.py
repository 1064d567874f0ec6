"""What is left of an update when what is forged in it is taken out."""

from gateway.core.events import Incoming
from gateway.core.facts import UpdateFacts
from gateway.core.fingerprint import write_varints
from gateway.core.guard import inspect_update
from gateway.core.remainder import remainder
from tests.core.edits import Author
from tests.core.sessions import RecordingSession


def item(update: bytes) -> Incoming:
    return Incoming(RecordingSession(), update, inspect_update(update), 1, True)


def left(update: bytes, known: dict[int, int]) -> tuple[bytes, UpdateFacts]:
    rest = remainder(item(update), known)
    assert rest is not None and rest.number == 1 and rest.answer
    return rest.update, rest.facts


def structs(*clients: tuple[int, int, bytes], deletes: tuple[int, ...] = (0,)) -> bytes:
    """Per client a clock and the bytes of garbage collected structs or skips of two bytes."""
    parts = [write_varints((len(clients),))]
    for client, clock, some in clients:
        parts.append(write_varints((len(some) // 2, client, clock)) + some)
    return b"".join(parts) + write_varints(deletes)


def test_nothing_forged_nothing_cut() -> None:
    whole = item(Author(1).write("mine"))
    assert remainder(whole, {}) is remainder(whole, {1: 4, 2: 0}) is whole


def test_nothing_is_left_of_what_is_forged_altogether() -> None:
    assert remainder(item(Author(1).write("forged")), {1: 0}) is None
    deletes = structs(deletes=(1, 1, 1, 5, 9))
    assert remainder(item(deletes), {1: 5}) is None


def test_what_is_left_is_what_the_guard_finds_in_it() -> None:
    gc, skip = b"\x00\x03", b"\x0a\x02"
    update = structs(
        (9, 0, gc + gc + skip + gc), (5, 4, gc + gc), (2, 0, gc),
        deletes=(2, 9, 2, 0, 4, 9, 1, 5, 1, 0, 8),
    )  # fmt: skip
    for known in ({9: 6}, {9: 7}, {9: 3}, {9: 0}, {5: 7}, {5: 9, 2: 0}, {9: 2, 5: 4, 2: 0}):
        made, facts = left(update, known)
        again = inspect_update(made)
        assert facts.spans == again.spans and facts.deletes == again.deletes, known
        for span in (*again.spans, *again.deletes):
            assert span.end <= known.get(span.client, span.end)
    made, facts = left(update, {9: 6})
    assert [tuple(span) for span in facts.spans] == [(9, 0, 6), (5, 4, 10), (2, 0, 3)]
    assert [tuple(span) for span in facts.deletes] == [(9, 0, 4), (5, 0, 8)]

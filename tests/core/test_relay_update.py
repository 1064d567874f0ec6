"""What of a document goes to a hub: as few bytes as do the same."""

import pytest

from gateway.core import relay_update
from gateway.core.document import Document, DocumentBroken, merge
from gateway.core.records import StoredDocument
from gateway.core.relay_update import (
    cut,
    first_clocks,
    is_worth,
    joined,
    lacking,
    shrunk,
    since,
)
from tests.core.edits import Author, facts

NAME = "orders/1"


def result(*updates: bytes) -> object:
    document = Document(NAME)
    for update in updates:
        document.apply([(update, facts(update))])
    return document.project(), document.fingerprint()


def test_changes_are_merged_but_not_where_a_character_may_be_cut() -> None:
    author = Author(1)
    plain = [author.set("a", 1), author.set("b", 2)]
    (one,) = joined(plain)
    assert result(one) == result(*plain)
    assert joined(plain[:1]) == plain[:1] and joined([]) == []
    doubled = [author.write("\U0001f600"), author.write("x")]
    assert joined(doubled) == doubled


def test_what_cannot_be_merged_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(updates: object) -> bytes:
        raise DocumentBroken("", "a test")

    monkeypatch.setattr(relay_update, "merge", fails)
    assert joined([b"1", b"2"]) == [b"1", b"2"]


def test_values_that_were_overwritten_are_not_sent() -> None:
    author = Author(1)
    before = [author.set("kept", "x" * 50), author.set("old", 1)]
    rows = [author.set("status", f"{number} {'y' * 40}") for number in range(100)]
    assert is_worth(rows) and not is_worth(rows[:1]) and not is_worth(rows[:2])
    stored = StoredDocument(b"", (*before, *rows))
    (update,) = shrunk(NAME, stored, rows)
    assert len(update) < 1_000 < sum(map(len, rows))
    assert result(*before, update) == result(*before, *rows)
    # And of another author nothing that is known there.
    other = Author(2)
    mixed = StoredDocument(b"", (*before, other.set("theirs", "z" * 5_000), *rows))
    assert len(shrunk(NAME, mixed, rows)[0]) < 1_000


def test_what_waits_is_looked_through_in_parts() -> None:
    author, other = Author(1), Author(2)
    before = [author.set("kept", "x" * 50)]
    rows = [author.set("status", number) for number in range(10)]
    theirs = [other.set("status", number) for number in range(10)]
    clocks = first_clocks(theirs, first_clocks(rows[5:]))
    assert first_clocks(rows[:5], clocks) == first_clocks([*rows, *theirs])
    stored = StoredDocument(b"", (*before, *rows, *theirs))
    update = since(NAME, stored, first_clocks([*rows, *theirs]))
    assert result(*before, update) == result(*stored.changes)
    # Something of it waits for something else.
    assert since(NAME, StoredDocument(b"", tuple(rows)), first_clocks(rows)) == b""


def test_what_is_no_shorter_goes_as_it_is() -> None:
    author = Author(1)
    rows = [author.set(f"{number}", "x" * 100) for number in range(20)]
    deletes = [author.set(f"{number}", 0) for number in range(20)]
    assert shrunk(NAME, StoredDocument(b"", (*rows, *deletes)), deletes) == joined(deletes)
    # It waits for something else, so it is not in the document.
    assert shrunk(NAME, StoredDocument(b"", tuple(rows[1:])), rows[1:]) == joined(rows[1:])


def test_what_waits_may_leave_something_out() -> None:
    author = Author(1)
    rows = [author.set("old", f"{number} {'y' * 400}") for number in range(9)]
    # The one in the middle was sent before.
    waiting = [merge([rows[0], *rows[2:5]]), *rows[5:]]
    (update,) = shrunk(NAME, StoredDocument(b"", tuple(rows)), waiting)
    assert len(update) < 1_000 and result(rows[1], update) == result(*rows)


def test_what_is_stored_but_cannot_be_read_goes_as_it_is() -> None:
    rows = [Author(1).set("a", 1), Author(2).set("a", 2)]
    broken = StoredDocument(b"\x01\x01\x01\x00\x84\x00", ())
    assert shrunk(NAME, broken, rows) == joined(rows)
    damaged = [*rows, b"\x05"]
    assert shrunk(NAME, StoredDocument(b"", tuple(rows)), damaged) == joined(damaged)


def test_what_somebody_lacks() -> None:
    author = Author(1)
    document = Document(NAME)
    for update in (author.set("a", 1), author.set("b", 2)):
        document.apply([(update, facts(update))])
    assert lacking(document, document.state_vector()) == b""
    assert result(lacking(document, b"\x00")) == result(document.diff(b"\x00"))


def test_updates_are_cut_or_cannot_be() -> None:
    author = Author(1)
    many = author.whole(), *(author.set(str(number), "x" * 50) for number in range(50))
    parts = cut([author.whole()], 500)
    assert len(parts) > 5 and max(map(len, parts)) <= 500
    assert result(*parts) == result(*many[1:])
    assert cut([Author(2).set("a", "x" * 1_000)], 500) == []

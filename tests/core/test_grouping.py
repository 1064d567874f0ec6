"""Small changes of a document become one row, and nothing of them is lost."""

from gateway.core.document import Document
from gateway.core.grouping import SMALL_BYTES, grouped
from gateway.core.records import CLOUD, Change, Refusal
from tests.core.edits import Author

REFUSAL = Refusal("o/1", b"bad", "ada", 4422, "no such thing")


def whole(*updates: bytes) -> dict[str, object]:
    return Document.load("o/1", b"", updates).project()


def test_small_changes_of_a_document_are_one() -> None:
    ada, bea = Author(1), Author(2)
    mine, hers = [ada.write("a"), ada.write("b")], bea.set("n", 1)
    other = Change("o/2", hers, "bea")
    rows = grouped([Change("o/1", mine[0], "ada"), REFUSAL, other, Change("o/1", mine[1], "bea"),
                    Change("o/1", hers, "bea")])  # fmt: skip
    assert [row.document for row in rows] == ["o/1", "o/1", "o/2"]
    first, *rest = rows
    assert rest == [REFUSAL, other] and first.peer == "ada"
    assert whole(first.update) == whole(*mine, hers)


def test_what_came_from_the_cloud_stays_apart() -> None:
    ada, cloud = Author(1), Author(2)
    mine, theirs = [ada.write("a"), ada.write("b")], [cloud.set("n", 1), cloud.set("m", 2)]
    changes = [
        Change("o/1", update, peer)
        for pair in zip(theirs, mine, strict=True)
        for update, peer in zip(pair, (CLOUD, "ada"), strict=True)
    ]
    rows = grouped(changes)
    assert [row.peer for row in rows] == [CLOUD, "ada"]
    assert whole(rows[0].update) == whole(*theirs) and whole(rows[1].update) == whole(*mine)


def test_what_waits_for_something_still_waits() -> None:
    ada, bea = Author(1), Author(2)
    missing, early, sound = ada.write("a"), ada.write("b"), bea.set("n", 1)
    (row,) = grouped([Change("o/1", early, "ada"), Change("o/1", sound, "bea")])
    document = Document.load("o/1", b"", [row.update])
    assert document.early and document.project() == whole(sound)
    assert whole(row.update, missing) == whole(missing, early, sound)


def test_large_updates_and_those_with_pairs_stay_as_they_are() -> None:
    ada = Author(1)
    changes = [
        Change("o/1", update, "ada")
        for update in (ada.write("x" * SMALL_BYTES), ada.write("\N{GRINNING FACE}"), ada.write("a"))
    ]
    assert grouped(changes) == changes


def test_what_the_library_does_not_merge_stays_apart() -> None:
    ada = Author(1)
    changes = [Change("o/1", ada.write("a"), "ada"), Change("o/1", b"\x05", "ada")]
    assert grouped(changes) == changes
    assert grouped([]) == []

"""Which rows wait, in memory."""

from gateway.adapters.sqlite_waiting import WaitingRows


def filled() -> WaitingRows:
    waiting = WaitingRows()
    for sequence, document in enumerate(["a", "b", "a", "c", "a"], 1):
        waiting.add(document, sequence, 10 * sequence)
    return waiting


def test_nothing_waits_at_first() -> None:
    waiting = WaitingRows()
    assert (len(waiting), waiting.bytes, waiting.first()) == (0, 0, None)
    assert waiting.documents(9) == [] and waiting.rows("a") == [] == waiting.drop("a", 9)


def test_documents_are_in_the_order_of_their_oldest() -> None:
    waiting = filled()
    assert waiting.documents(9) == ["a", "b", "c"] and waiting.documents(1) == ["a"]
    assert (len(waiting), waiting.bytes, waiting.first()) == (3, 150, 1)
    assert waiting.rows("a") == [(1, 10), (3, 30), (5, 50)]


def test_what_is_dropped_moves_the_rest_back() -> None:
    waiting = filled()
    assert waiting.upto("a", 4) == waiting.drop("a", 4) == [(1, 10), (3, 30)]
    assert waiting.documents(9) == ["b", "c", "a"] and waiting.first() == 2
    assert waiting.drop("a", 4) == []
    assert waiting.drop("b", 99) == [(2, 20)] and waiting.drop("c", 99) == [(4, 40)]
    assert (len(waiting), waiting.bytes, waiting.first()) == (1, 50, 5)


def test_what_is_merged_counts_as_its_last_row() -> None:
    waiting = filled()
    waiting.merge("a", 4, 7)
    assert waiting.rows("a") == [(3, 7), (5, 50)]
    assert waiting.documents(9) == ["b", "a", "c"] and waiting.bytes == 20 + 7 + 40 + 50
    waiting.merge("a", 9, 1)
    assert waiting.rows("a") == [(5, 1)] and waiting.documents(9) == ["b", "c", "a"]


def test_all_of_it_is_dropped() -> None:
    waiting = filled()
    assert waiting.clear() == {
        "a": [(1, 10), (3, 30), (5, 50)], "b": [(2, 20)], "c": [(4, 40)]
    }  # fmt: skip
    assert (len(waiting), waiting.bytes, waiting.documents(9)) == (0, 0, [])
    waiting.add("a", 6, 1)
    assert waiting.rows("a") == [(6, 1)]

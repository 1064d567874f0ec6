"""Large updates in parts: each fits, together they are the same."""

import pytest
from pycrdt import Doc, Map, Text, merge_updates

from gateway.core.guard import inspect_update
from gateway.core.split import split_update
from tests.core.edits import Author


@pytest.mark.parametrize("limit", [500, 8_192])
def test_parts_are_sound_fit_and_merge_to_the_same(limit: int) -> None:
    first, second = Author(1), Author(2)
    for number in range(400):
        first.set(f"a{number % 150}", "x" * (number % 90))
    second.take(first.whole())
    for number in range(300):
        second.set(f"b{number % 70}", number)
    for number in range(0, 150, 2):
        del second.doc.get("map", type=Map)[f"a{number}"]
    whole = second.whole()
    parts = split_update(whole, limit)
    assert len(parts) > 1 and all(len(part) <= limit for part in parts)
    for part in parts:
        inspect_update(part)
    again: Doc[Map] = Doc()
    again.apply_update(merge_updates(*parts))
    assert again.get("map", type=Map).to_py() == second.read()
    assert again.get_state() == second.state()


def test_what_fits_stays_whole() -> None:
    update = Author(1).set("a", 1)
    assert split_update(update, 1_000) == [update]


def test_a_struct_above_the_limit_travels_alone() -> None:
    author = Author(1)
    author.set("small", 1)
    author.set("large", "x" * 5_000)
    sizes = [len(part) for part in split_update(author.whole(), 500)]
    assert max(sizes) > 5_000 and len(sizes) == 2


def test_deletions_alone_are_cut_too() -> None:
    author = Author(1)
    text = "".join(chr(97 + n % 26) for n in range(600))
    author.write(text)
    root = author.doc.get("text", type=Text)
    for position in range(298, 0, -1):
        del root[position * 2 : position * 2 + 1]
    deletions = author.doc.get_update(author.state())
    parts = split_update(deletions, 200)
    assert len(parts) > 3
    base = Author(1)
    base.write(text)
    base.doc.apply_update(merge_updates(*parts))
    assert str(base.doc.get("text", type=Text)) == str(root)

"""Selectors: the cases both languages share, bad ones, and what an index may rely on."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import Code, PeerError
from gateway.core.selector import (
    MAX_NESTING,
    MAX_STEPS,
    MAX_TERMS,
    SELECTOR_BYTES,
    Selector,
    fields_of,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "selector.json").read_text(encoding="utf-8")
)
DOCUMENTS = {name: fields_of(roots) for name, roots in VECTORS["documents"].items()}


@pytest.mark.parametrize(("text", "document", "expected"), VECTORS["cases"])
def test_shared_cases(text: str, document: str, expected: bool) -> None:
    selector = Selector(text)
    assert selector.matches(DOCUMENTS[document]) is expected
    if expected:
        fields = DOCUMENTS[document]
        assert all(fields.get(name) == value for name, value in selector.equal.items())


@pytest.mark.parametrize("text", VECTORS["wrong"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(PeerError) as error:
        Selector(text)
    assert error.value.code is Code.MALFORMED


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"a": "x" * SELECTOR_BYTES}),
        json.dumps({"a": {"$in": list(range(MAX_TERMS))}}),
        json.dumps({"$or": [{"a": 1}] * MAX_TERMS}),
        '{"$not":' * (MAX_NESTING + 2) + "{}" + "}" * (MAX_NESTING + 2),
        '{"a":{"$not":' * MAX_NESTING + "1" + "}}" * MAX_NESTING,
    ],
)
def test_a_selector_is_bounded(text: str) -> None:
    with pytest.raises(PeerError) as error:
        Selector(text)
    assert error.value.code is Code.TOO_BIG


def test_what_an_index_may_rely_on() -> None:
    selector = Selector(
        '{"station": "grill", "open": true, "note": null, "number": {"$eq": 3}, "seat": {"$gt": 1},'
        ' "table.room": "x", "tags": ["a"], "$and": [{"floor": 2}], "$or": [{"a": 1}, {"b.c": 2}],'
        ' "items": {"$elemMatch": {"name": "tea"}}, "$not": {"d": 1}}'
    )
    assert selector.equal == {
        "station": "grill",
        "open": True,
        "note": None,
        "number": 3,
        "floor": 2,
    }
    names = "station open note number seat table tags floor a b items d"
    assert selector.fields == set(names.split())
    assert Selector("").equal == {} and Selector("").fields == frozenset()


def test_a_root_that_is_a_map_and_a_sequence_shows_its_entries() -> None:
    assert fields_of({"x": {"$map": {"a": 1}, "$sequence": [2]}})["a"] == 1
    assert fields_of({"x": {"$text": [{"insert": "a"}]}, "y": "plain"}) == {
        "x": {"$text": [{"insert": "a"}]},
        "y": "plain",
    }


def test_how_many_steps_it_takes_does_not_grow_with_the_document() -> None:
    among = list(range(100, 300))
    selector = Selector(json.dumps({"l": {"$elemMatch": {"$in": among}}}))
    for length in (10, 50, 40_000):
        wanted, steps = selector.judge({"l": [5] * length})
        assert not wanted and steps <= MAX_STEPS + 300
    assert selector.judge({"l": [5] * 10})[1] > 2_000
    assert not selector.matches({"l": [150] * 50}) and selector.matches({"l": [150]})
    assert Selector('{"a": {"b.c": [1, {"d": 2}]}}').judge({}) == (False, 10)


def test_lists_are_compared_with_lists_and_objects() -> None:
    selector = Selector('{"a": {"$in": [[1], {"b": 2}, "x"]}}')
    assert selector.matches({"a": [1]}) and selector.matches({"a": {"b": 2}})
    assert not selector.matches({"a": [2]}) and not selector.matches({})
    assert not Selector('{"a": {"$all": [1]}}').matches({"a": 1})

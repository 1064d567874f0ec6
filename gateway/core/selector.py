"""Which documents a small peer asked for: Mango selectors over the fields of a document.

The form is CouchDB's (https://docs.couchdb.org/en/stable/api/database/find.html, "Selector
Syntax"), a subset without regular expressions; docs/selectors.md says it for app
developers, and ``tests/vectors/selector.json`` holds the cases that the JavaScript side
runs too. A field that is missing matches nothing but ``{"$exists": false}``; ``$not`` and
``$nor`` are the plain contrary, so they match what is missing.

What a selector costs is counted in steps, which do not depend on the machine: both sides
have to give up at the same document.
"""

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gateway.core.errors import Code, PeerError
from gateway.core.json_text import check_json

SELECTOR_BYTES = 4_096
MAX_NESTING = 16
# Values and operators of one selector: each may cost a comparison per document.
MAX_TERMS = 256
# A list may be as long as a document, and each of its elements is compared: up to 3 ms.
MAX_STEPS = 10_000

Json = Any
# What can stand for a whole set of documents in an index.
Scalar = str | bool | int | float

_EXACT = 2**53
_MISSING = object()
_MINUS_ZERO = {"$number": "-0"}


class _TooManySteps(Exception):
    """It would take too long to find out."""


class _Steps:
    """Counts what it takes to look through lists."""

    def __init__(self) -> None:
        self.taken = 0

    def take(self, elements: int, size: int) -> None:
        """Each element is compared with values of this size."""
        if self.taken + elements * size > MAX_STEPS:
            raise _TooManySteps
        self.taken += elements * size


_Test = Callable[[Json, _Steps], bool]


class Selector:
    """One parsed selector.

    ``text``: as it was given. ``fields``: the names of the top-level fields it looks at. ``equal``:
    those whose value must be this one scalar, with the value; a document with another cannot
    match. ``terms``: how many it has of what is bounded.
    """

    def __init__(self, text: str) -> None:
        """Parse JSON text, "" for everything. Raises ``PeerError`` MALFORMED or TOO_BIG."""
        self.text = text
        parser = _Parser()
        wanted = _load(text) if text else {}
        self._test = parser.selector(wanted, 0, top=True)
        self._size = _size(wanted)
        self.terms = parser.terms
        self.fields = frozenset(parser.fields)
        self.equal: dict[str, Scalar | None] = dict(_equalities(wanted))

    def matches(self, fields: Mapping[str, Json]) -> bool:
        """Whether a document with these fields (``fields_of``) is wanted."""
        return self.judge(fields)[0]

    def judge(self, fields: Mapping[str, Json]) -> tuple[bool, int]:
        """Whether it is wanted, and about how many values were compared for it."""
        steps = _Steps()
        try:
            wanted = self._test(fields, steps)
        except _TooManySteps:
            wanted = False
        return wanted, steps.taken + self._size


def fields_of(projection: Mapping[str, Json]) -> dict[str, Json]:
    """The fields of a document, from its projection: its roots and what is in its root maps.

    A root goes before an entry of that name, and of two entries that of the first root by
    name counts; the others can be reached by their path, ``root.entry``.
    """
    fields: dict[str, Json] = {}
    for name in sorted(projection):
        root = projection[name]
        entries = root.get("$map", root) if isinstance(root, dict) else {}
        for key, value in entries.items():
            if not is_operator(key):
                fields.setdefault(key, _plain(value))
    return {**fields, **projection}


class _Parser:
    """Turns a selector into tests, counting what it takes."""

    def __init__(self) -> None:
        self.fields: set[str] = set()
        self.terms = 0

    def selector(self, wanted: Json, nesting: int, *, top: bool = False) -> _Test:
        """The test of an object's fields; ``top``: they are those of the document."""
        if not isinstance(wanted, dict):
            raise _wrong("a selector is an object")
        self._count(nesting, len(wanted))
        return _every([self._entry(key, one, nesting, top) for key, one in wanted.items()])

    def _entry(self, key: str, wanted: Json, nesting: int, top: bool) -> _Test:
        if key == "$not":
            return _negated(self.selector(wanted, nesting + 1, top=top))
        if key in _COMBINATIONS:
            if not isinstance(wanted, list) or not wanted:
                raise _wrong(f"{key} takes a list of selectors")
            self._count(nesting, len(wanted))
            return _COMBINATIONS[key]([self.selector(one, nesting + 1, top=top) for one in wanted])
        if is_operator(key):
            raise _wrong(f"{key[:20]} is not known, or not known here")
        path = key.split(".")
        if top:
            self.fields.add(path[0])
        test = self._condition(wanted, nesting + 1)
        return lambda fields, steps: test(_at(fields, path), steps)

    def _condition(self, wanted: Json, nesting: int) -> _Test:
        """The test of one value."""
        if not isinstance(wanted, dict) or not wanted:
            return self._operator("$eq", wanted, nesting)
        operators = [key for key in wanted if is_operator(key)]
        if not operators:
            nested = self.selector(wanted, nesting)
            return lambda value, steps: isinstance(value, dict) and nested(value, steps)
        if len(operators) < len(wanted):
            raise _wrong("operators and fields beside each other")
        self._count(nesting, len(wanted))
        return _every([self._operator(key, one, nesting) for key, one in wanted.items()])

    def _operator(self, name: str, wanted: Json, nesting: int) -> _Test:
        match name:
            case "$eq":
                return _same_as(wanted)
            case "$ne":
                return _there(_negated(_same_as(wanted)))
            case "$gt" | "$gte" | "$lt" | "$lte":
                return _ordered(wanted, _ORDERS[name])
            case "$in":
                return _among(self._list(name, wanted, nesting))
            case "$nin":
                return _there(_negated(_among(self._list(name, wanted, nesting))))
            case "$all":
                return _holding(self._list(name, wanted, nesting))
            case "$exists":
                if not isinstance(wanted, bool):
                    raise _wrong("$exists takes true or false")
                return lambda value, _: (value is not _MISSING) is wanted
            case "$size":
                if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 0:
                    raise _wrong("$size takes a whole number")
                return lambda value, _: isinstance(value, list) and len(value) == wanted
            case "$not":
                return _negated(self._condition(wanted, nesting + 1))
            case "$elemMatch":
                return _element(self._condition(wanted, nesting + 1), _size(wanted))
            case _:
                raise _wrong(f"{name[:20]} is not known, or not known here")

    def _list(self, name: str, wanted: Json, nesting: int) -> list[Json]:
        if not isinstance(wanted, list):
            raise _wrong(f"{name} takes a list")
        self._count(nesting, len(wanted))
        return wanted

    def _count(self, nesting: int, terms: int) -> None:
        self.terms += terms
        if nesting > MAX_NESTING or self.terms > MAX_TERMS:
            raise PeerError(Code.TOO_BIG, "a selector of too many terms, or nested too deeply")


def _every(tests: list[_Test]) -> _Test:
    if len(tests) == 1:
        return tests[0]
    return lambda value, steps: all(test(value, steps) for test in tests)


def _some(tests: list[_Test]) -> _Test:
    return lambda value, steps: any(test(value, steps) for test in tests)


def _negated(test: _Test) -> _Test:
    return lambda value, steps: not test(value, steps)


def _there(test: _Test) -> _Test:
    return lambda value, steps: value is not _MISSING and test(value, steps)


def _same_as(wanted: Json) -> _Test:
    return lambda value, _: value is not _MISSING and same(value, wanted)


def _among(wanted: list[Json]) -> _Test:
    """Equal to one of these; plain values are looked up."""
    plain = {_typed(one) for one in wanted if _is_scalar(one)}
    others = [one for one in wanted if not _is_scalar(one)]

    def test(value: Json, _: _Steps) -> bool:
        value = _plain(value)
        if _is_scalar(value):
            return _typed(value) in plain
        return value is not _MISSING and any(same(value, one) for one in others)

    return test


def _holding(wanted: list[Json]) -> _Test:
    """A list that holds all of these."""
    size = _size(wanted)

    def test(value: Json, steps: _Steps) -> bool:
        if not isinstance(value, list):
            return False
        steps.take(len(value), size)
        return all(any(same(element, one) for element in value) for one in wanted)

    return test


def _element(condition: _Test, size: int) -> _Test:
    """A list of which one element fulfils a condition of this size."""

    def test(value: Json, steps: _Steps) -> bool:
        if not isinstance(value, list):
            return False
        steps.take(len(value), size)
        return any(condition(element, steps) for element in value)

    return test


def _ordered(wanted: Json, holds: Callable[[Any, Any], bool]) -> _Test:
    """Numbers are compared with numbers and texts, by code points, with texts."""
    if _is_number(wanted):
        return lambda value, _: _is_number(value := _plain(value)) and holds(value, wanted)
    if isinstance(wanted, str):
        return lambda value, _: isinstance(value, str) and holds(value, wanted)
    raise _wrong("only numbers and texts have an order")


_COMBINATIONS: dict[str, Callable[[list[_Test]], _Test]] = {
    "$and": _every,
    "$or": _some,
    "$nor": lambda tests: _negated(_some(tests)),
}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def _at(fields: Json, path: list[str]) -> Json:
    value = fields
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return _MISSING
        value = value[key]
    return value


def same(value: Json, wanted: Json) -> bool:
    """Equal as JSON: true is not 1, and 1.0 is 1."""
    value = _plain(value)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(same, value, wanted))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(same(value[k], wanted[k]) for k in wanted)
    return bool(value == wanted)


def _plain(value: Json) -> Json:
    """A value as it is compared: minus zero is zero."""
    return 0 if value == _MINUS_ZERO else value


def _size(wanted: Json) -> int:
    """How many values there are, and parts of paths to look for them."""
    size = 1
    if isinstance(wanted, dict):
        size += sum(1 + key.count(".") + _size(one) for key, one in wanted.items())
    elif isinstance(wanted, list):
        size += sum(map(_size, wanted))
    return size


def _is_scalar(value: Json) -> bool:
    return value is None or isinstance(value, Scalar)


def _typed(value: Scalar | None) -> object:
    """What a plain value is looked up by: true is not 1."""
    return (isinstance(value, bool), value)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_operator(key: str) -> bool:
    """A genuine key that starts with $ is shown with one more (``gateway.core.values``)."""
    return key.startswith("$") and not key.startswith("$$")


def _equalities(wanted: Json) -> Iterator[tuple[str, Scalar | None]]:
    """The top-level fields that must have one value; true of all parts of an $and."""
    for key, one in wanted.items():
        if key == "$and":
            for part in one:
                yield from _equalities(part)
        elif not is_operator(key) and "." not in key:
            value = one.get("$eq", one) if isinstance(one, dict) else one
            if _is_scalar(value):
                yield key, value


def _load(text: str) -> Json:
    if len(text.encode()) > SELECTOR_BYTES:
        raise PeerError(Code.TOO_BIG, f"a selector above {SELECTOR_BYTES} bytes")
    check_json(text, 2 * MAX_NESTING)
    return json.loads(text, parse_int=_number)


def _number(digits: str) -> int | float:
    """Whole numbers that JavaScript cannot hold are what it would make of them."""
    whole = int(digits)
    return whole if abs(whole) <= _EXACT else float(digits)


def _wrong(reason: str) -> PeerError:
    return PeerError(Code.MALFORMED, f"a selector that cannot be used: {reason}")

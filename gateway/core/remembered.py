"""The plain fields of documents that are not in memory, so that a new subscription need not
read them all from the disk to find out which it matches."""

import sys
from collections.abc import Collection, Mapping
from typing import Any

from gateway.core.selector import Scalar

# Beyond these the longest remembered is forgotten. A value takes 110 bytes at most.
MAX_DOCUMENTS = 50_000
MAX_VALUES = 200_000
# A document of which more is looked at is not remembered.
MAX_FIELDS = 16
# Different choices of fields that documents share.
MAX_CHOICES = 256
# A document with a longer text in one of its fields is not remembered.
MAX_TEXT = 64
_MISSING = object()


class Remembered:
    """By document: values of the fields that were looked at last."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[tuple[str, ...], tuple[object, ...]]] = {}
        self._count = 0
        # One tuple for all documents that were asked for the same names.
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def note(self, document: str, names: Collection[str], fields: Mapping[str, Any]) -> None:
        """Remember these fields beside those that are; none if one is more than a plain value."""
        known = dict(zip(*self._pop(document), strict=True))
        asked = {name: fields.get(name, _MISSING) for name in names}
        known = {**known, **asked} if len({*known, *asked}) <= MAX_FIELDS else asked
        if len(known) > MAX_FIELDS or not all(map(_is_small, known.values())):
            return
        choice = tuple(sorted(known))
        if len(self._names) > MAX_CHOICES:
            self._names.clear()
        choice = self._names.setdefault(choice, choice)
        values = (known[name] for name in choice)
        kept = tuple(sys.intern(v) if isinstance(v, str) else v for v in values)
        self._values[document] = (choice, kept)
        self._count += len(kept)
        while len(self._values) > MAX_DOCUMENTS or self._count > MAX_VALUES:
            self._pop(next(iter(self._values)))

    def fields(self, document: str, names: Collection[str]) -> Mapping[str, Any] | None:
        """These fields, or None if one of them is not remembered."""
        asked, values = self._values.get(document, ((), ()))
        if document not in self._values or not set(names) <= set(asked):
            return None
        return {
            name: value for name, value in zip(asked, values, strict=True) if value is not _MISSING
        }

    def forget(self, document: str) -> None:
        """A document changed."""
        self._pop(document)

    def _pop(self, document: str) -> tuple[tuple[str, ...], tuple[object, ...]]:
        found = self._values.pop(document, ((), ()))
        self._count -= len(found[1])
        return found


def _is_small(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return value is None or value is _MISSING or isinstance(value, Scalar)

"""The plain fields of documents that are not in memory, so that a new subscription need not
read them all from the disk to find out which it matches."""

import sys
from collections.abc import Collection, Mapping
from typing import Any

from gateway.core.selector import Scalar

# About 200 bytes each; beyond it the longest remembered is forgotten.
MAX_DOCUMENTS = 50_000
# A document with a longer text in one of its fields is not remembered.
MAX_TEXT = 64
_MISSING = object()


class Remembered:
    """By document: values of the fields that were looked at last."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[tuple[str, ...], tuple[object, ...]]] = {}
        # One tuple for all documents that were asked for the same names.
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}

    def note(self, document: str, names: Collection[str], fields: Mapping[str, Any]) -> None:
        """Remember these fields beside those that are; none if one is more than a plain value."""
        known = dict(zip(*self._values.pop(document, ((), ())), strict=True))
        known.update((name, fields.get(name, _MISSING)) for name in names)
        if not all(map(_is_small, known.values())):
            return
        if len(self._values) >= MAX_DOCUMENTS:
            del self._values[next(iter(self._values))]
        asked = tuple(sorted(known))
        asked = self._names.setdefault(asked, asked)
        values = (known[name] for name in asked)
        kept = tuple(sys.intern(v) if isinstance(v, str) else v for v in values)
        self._values[document] = (asked, kept)

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
        self._values.pop(document, None)


def _is_small(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    return value is None or value is _MISSING or isinstance(value, Scalar)

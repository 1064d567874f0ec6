"""What small peers asked for, and who of them wants a document with given fields.

Looked up by collection and by one top-level field each selector fixes to a value, so many
subscriptions cost what they match, not how many there are.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from gateway.core.selector import Scalar, Selector
from gateway.core.session import Session

# A number a peer chose for one of its subscriptions.
Key = tuple[Session, int]
_NOWHERE = object()


@dataclass(slots=True)
class _Collection:
    """The subscriptions of one collection."""

    selectors: dict[Key, Selector] = field(default_factory=dict)
    # Where each subscription is looked up: under a field and its value, or None for the rest.
    slots: dict[object, set[Key]] = field(default_factory=dict)
    names: Counter[str] = field(default_factory=Counter)
    # The fields all selectors look at.
    fields: Counter[str] = field(default_factory=Counter)


class Subscriptions:
    """All standing requests of all sessions."""

    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}
        self._keys: defaultdict[Session, dict[int, str]] = defaultdict(dict)

    def __contains__(self, collection: str) -> bool:
        return collection in self._collections

    def add(self, session: Session, number: int, collection: str, selector: Selector) -> None:
        """Begin a subscription, or change the one of that number."""
        self.remove(session, number)
        self._keys[session][number] = collection
        held = self._collections.setdefault(collection, _Collection())
        name, slot = _slot(selector)
        held.selectors[session, number] = selector
        held.slots.setdefault(slot, set()).add((session, number))
        held.names[name] += 1
        held.fields.update(selector.fields)

    def remove(self, session: Session, number: int) -> str:
        """End a subscription; its collection, or "" if there is none of that number."""
        collection = self._keys.get(session, {}).pop(number, "")
        if collection:
            held = self._collections[collection]
            selector = held.selectors.pop((session, number))
            name, slot = _slot(selector)
            held.slots[slot].discard((session, number))
            if not held.slots[slot]:
                del held.slots[slot]
            held.names -= Counter([name])
            held.fields -= Counter(selector.fields)
            if not held.selectors:
                del self._collections[collection]
        return collection

    def leave(self, session: Session) -> None:
        """A session is gone."""
        for number in list(self._keys.get(session, ())):
            self.remove(session, number)
        self._keys.pop(session, None)

    def fields(self, collection: str) -> Collection[str]:
        """The fields that the selectors of a collection look at."""
        held = self._collections.get(collection)
        return () if held is None else held.fields.keys()

    def wanting(self, collection: str, fields: Mapping[str, Any]) -> set[Session]:
        """Who wants a document of this collection with these fields."""
        held = self._collections.get(collection)
        if held is None:
            return set()
        slots = [(name, _typed(fields.get(name))) if name else None for name in held.names]
        keys = chain.from_iterable(held.slots.get(slot, ()) for slot in slots)
        return {key[0] for key in keys if held.selectors[key].matches(fields)}


def _slot(selector: Selector) -> tuple[str, object]:
    """The field a subscription is looked up by, or "", and where."""
    for name, value in selector.equal.items():
        return name, (name, _typed(value))
    return "", None


def _typed(value: Any) -> object:
    """A value to look up by, under which true is not 1; what is no scalar is found nowhere."""
    if isinstance(value, bool):
        return (bool, value)
    return value if value is None or isinstance(value, Scalar) else _NOWHERE

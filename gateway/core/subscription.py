"""Standing requests for documents: who wants one with given fields, and what matches.

Looked up by collection and by one top-level field each selector fixes to a value, so many
subscriptions cost what they match, not how many there are.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from gateway.core.names import collection_of
from gateway.core.selector import Scalar, Selector
from gateway.core.session import Session

# Whose subscription it is; None: this device's own.
Owner = Session | None
# A number its owner chose for it.
Key = tuple[Owner, int]
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
    """All standing requests, and what of the documents judged so far matches them."""

    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}
        self._keys: defaultdict[Owner, dict[int, str]] = defaultdict(dict)
        # Both directions of: this subscription matches this document.
        self._matched: dict[Key, set[str]] = {}
        self._matching: dict[str, set[Key]] = {}

    def __contains__(self, collection: str) -> bool:
        return collection in self._collections

    def add(self, owner: Owner, number: int, collection: str, selector: Selector) -> None:
        """Begin a subscription, or change the one of that number; nothing matches it yet."""
        self.remove(owner, number)
        self._keys[owner][number] = collection
        held = self._collections.setdefault(collection, _Collection())
        name, slot = _slot(selector)
        held.selectors[owner, number] = selector
        held.slots.setdefault(slot, set()).add((owner, number))
        held.names[name] += 1
        held.fields.update(selector.fields)

    def remove(self, owner: Owner, number: int) -> str:
        """End a subscription; its collection, or "" if there is none of that number."""
        collection = self._keys.get(owner, {}).pop(number, "")
        if collection:
            key = (owner, number)
            for document in self._matched.pop(key, ()):
                self._unmatch(key, document)
            held = self._collections[collection]
            selector = held.selectors.pop(key)
            name, slot = _slot(selector)
            held.slots[slot].discard(key)
            if not held.slots[slot]:
                del held.slots[slot]
            held.names -= Counter([name])
            held.fields -= Counter(selector.fields)
            if not held.selectors:
                del self._collections[collection]
        return collection

    def leave(self, owner: Owner) -> None:
        """A session is gone."""
        for number in list(self._keys.get(owner, ())):
            self.remove(owner, number)
        self._keys.pop(owner, None)

    def collection(self, owner: Owner, number: int) -> str:
        """The collection of a subscription, or "" if there is none of that number."""
        return self._keys.get(owner, {}).get(number, "")

    def listed(self, owner: Owner) -> list[tuple[str, str]]:
        """Collection and selector of each subscription of theirs, by number."""
        return [
            (collection, self._collections[collection].selectors[owner, number].text)
            for number, collection in sorted(self._keys.get(owner, {}).items())
        ]

    def fields(self, collection: str) -> Collection[str]:
        """The fields that the selectors of a collection look at."""
        held = self._collections.get(collection)
        return () if held is None else held.fields.keys()

    def judge(
        self, document: str, fields: Mapping[str, Any], only: Collection[Owner] = ()
    ) -> tuple[set[Owner], set[Owner]]:
        """Who wanted the document when it was judged last, and who wants it with these fields.

        Asks all owners, or ``only`` these.
        """
        before = set(self._matching.get(document, ()))
        if only:
            before = {key for key in before if key[0] in only}
        now = self._wanting(collection_of(document), fields, only)
        for key in before - now:
            self._matched[key].discard(document)
            self._unmatch(key, document)
        for key in now - before:
            self._matched.setdefault(key, set()).add(document)
            self._matching.setdefault(document, set()).add(key)
        return {key[0] for key in before}, {key[0] for key in now}

    def wants(self, owner: Owner, document: str) -> bool:
        """Whether a subscription of theirs matched the document when it was judged last."""
        return any(key[0] is owner for key in self._matching.get(document, ()))

    def would_want(self, owner: Owner, document: str, fields: Mapping[str, Any]) -> bool:
        """Whether they want the document with these fields; nothing is noted."""
        return bool(self._wanting(collection_of(document), fields, (owner,)))

    def matched(self, owner: Owner, number: int) -> Collection[str]:
        """The documents judged so far that match a subscription."""
        return self._matched.get((owner, number), ())

    def _wanting(
        self, collection: str, fields: Mapping[str, Any], only: Collection[Owner]
    ) -> set[Key]:
        held = self._collections.get(collection)
        if held is None:
            return set()
        slots = [(name, _typed(fields.get(name))) if name else None for name in held.names]
        keys = chain.from_iterable(held.slots.get(slot, ()) for slot in slots)
        return {
            key
            for key in keys
            if (not only or key[0] in only) and held.selectors[key].matches(fields)
        }

    def _unmatch(self, key: Key, document: str) -> None:
        keys = self._matching[document]
        keys.discard(key)
        if not keys:
            del self._matching[document]


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

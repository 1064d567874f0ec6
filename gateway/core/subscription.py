"""Standing requests for documents: who wants one with given fields, and what matches.

Looked up by collection and by one top-level field each selector fixes to a value, so many
subscriptions cost what they match, not how many there are. What would take more than an owner's
share of a tick (``gateway.core.meter``) is kept for a later one.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from gateway.core.meter import FREE_STEPS, Meter
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
    slots: dict[object, dict[Key, None]] = field(default_factory=dict)
    names: Counter[str] = field(default_factory=Counter)
    # The fields the selectors of each owner look at, and those of all.
    fields: defaultdict[Owner, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    all_fields: Counter[str] = field(default_factory=Counter)


_NONE = _Collection()


class Subscriptions:
    """All standing requests, and what of the documents judged so far matches them."""

    def __init__(self, meter: Meter | None = None) -> None:
        self._meter = meter or Meter()
        self._collections: dict[str, _Collection] = {}
        self._keys: defaultdict[Owner, dict[int, str]] = defaultdict(dict)
        # Both directions of: this subscription matches this document.
        self._matched: dict[Key, set[str]] = {}
        self._matching: dict[str, set[Key]] = {}
        # Documents that a subscription was not asked about when they changed.
        self._behind: dict[Key, dict[str, None]] = {}

    def __contains__(self, collection: str) -> bool:
        return collection in self._collections

    def add(self, owner: Owner, number: int, collection: str, selector: Selector) -> None:
        """Begin a subscription, or change the one of that number; nothing matches it yet."""
        self.remove(owner, number)
        self._keys[owner][number] = collection
        held = self._collections.setdefault(collection, _Collection())
        name, slot = _slot(selector)
        held.selectors[owner, number] = selector
        held.slots.setdefault(slot, {})[owner, number] = None
        held.names[name] += 1
        held.fields[owner].update(selector.fields)
        held.all_fields.update(selector.fields)

    def remove(self, owner: Owner, number: int) -> str:
        """End a subscription; its collection, or "" if there is none of that number."""
        collection = self._keys.get(owner, {}).pop(number, "")
        if collection:
            key = (owner, number)
            for document in self._matched.pop(key, ()):
                self._unmatch(key, document)
            self._behind.pop(key, None)
            held = self._collections[collection]
            selector = held.selectors.pop(key)
            name, slot = _slot(selector)
            del held.slots[slot][key]
            if not held.slots[slot]:
                del held.slots[slot]
            _discount(held.names, (name,))
            _discount(held.fields[owner], selector.fields)
            if not held.fields[owner]:
                del held.fields[owner]
            _discount(held.all_fields, selector.fields)
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

    def numbers(self, owner: Owner) -> Collection[int]:
        """The numbers of their subscriptions."""
        return self._keys.get(owner, {}).keys()

    def listed(self, owner: Owner) -> list[tuple[str, str]]:
        """Collection and selector of each subscription of theirs, by number."""
        return [
            (collection, self._collections[collection].selectors[owner, number].text)
            for number, collection in sorted(self._keys.get(owner, {}).items())
        ]

    def fields(self, collection: str, only: Collection[Owner] = ()) -> Collection[str]:
        """The fields that the selectors of a collection look at: all, or of ``only`` one owner."""
        held = self._collections.get(collection)
        if held is None:
            return ()
        return (
            next((held.fields[one].keys() for one in only if one in held.fields), ())
            if only
            else held.all_fields.keys()
        )

    def judge(
        self,
        document: str,
        fields: Mapping[str, Any],
        only: Collection[Owner] = (),
        late: Key | None = None,
    ) -> tuple[set[Owner], set[Owner]]:
        """Who wanted the document when it was judged last, and who wants it with these fields.

        Asks all subscriptions, or those of ``only`` these owners, or the ``late`` one.
        """
        before = set(self._matching.get(document, ()))
        if only:
            before = {key for key in before if key[0] in only}
        held = self._collections.get(collection_of(document), _NONE)
        keys = _candidates(held, fields, only) if late is None else [late]
        kept = set() if late is None else before - {late}
        asked = self._ask(held, keys, document, fields)
        now = asked | kept | {key for key in before if document in self._behind.get(key, ())}
        for key in before - now:
            self._matched[key].discard(document)
            self._unmatch(key, document)
        for key in now - before:
            self._matched.setdefault(key, set()).add(document)
            self._matching.setdefault(document, set()).add(key)
        return {key[0] for key in before}, {key[0] for key in now}

    def behind(self) -> list[Key]:
        """The subscriptions that were not asked about some document."""
        return list(self._behind)

    def is_behind(self, owner: Owner) -> bool:
        """Whether a subscription of theirs was not asked about some document."""
        return any(key[0] is owner for key in self._behind)

    def next_behind(self, key: Key) -> str:
        """A document that a subscription is to be asked about (``judge``, ``late``), or ""."""
        return next(iter(self._behind.get(key, ())), "")

    def skip(self, key: Key, document: str) -> None:
        """Leave a question open no more."""
        behind = self._behind.get(key)
        if behind is not None:
            behind.pop(document, None)
            if not behind:
                del self._behind[key]

    def far_behind(self, most: int) -> list[Session]:
        """Whose subscriptions were not asked more than ``most`` questions."""
        open_questions = Counter[Owner]()
        for key, documents in self._behind.items():
            open_questions[key[0]] += len(documents)
        return [one for one, count in open_questions.items() if one is not None and count > most]

    def wants(self, owner: Owner, document: str) -> bool:
        """Whether a subscription of theirs matched the document when it was judged last."""
        return any(key[0] is owner for key in self._matching.get(document, ()))

    def would_want(self, owner: Owner, document: str, fields: Mapping[str, Any]) -> bool:
        """Whether they want the document with these fields; nothing is noted."""
        held = self._collections.get(collection_of(document))
        if held is None:
            return False
        judged = [held.selectors[key].judge(fields) for key in _candidates(held, fields, (owner,))]
        self._meter.take(owner, _counted(sum(steps for _, steps in judged)))
        return any(wanted for wanted, _ in judged)

    def matched(self, owner: Owner, number: int) -> Collection[str]:
        """The documents judged so far that match a subscription."""
        return self._matched.get((owner, number), ())

    def _ask(
        self, held: _Collection, keys: Iterable[Key], document: str, fields: Mapping[str, Any]
    ) -> set[Key]:
        """Which of these subscriptions want a document; whose owner had enough is asked later."""
        wanting: set[Key] = set()
        taken = Counter[Owner]()
        for key in keys:
            owner = key[0]
            if not self._meter.allows(owner):
                self._behind.setdefault(key, {})[document] = None
                continue
            self.skip(key, document)
            wanted, steps = held.selectors[key].judge(fields)
            if wanted:
                wanting.add(key)
            taken[owner] += steps
            if taken[owner] > FREE_STEPS:
                self._meter.take(owner, steps)
        return wanting

    def _unmatch(self, key: Key, document: str) -> None:
        keys = self._matching[document]
        keys.discard(key)
        if not keys:
            del self._matching[document]


def _candidates(held: _Collection, fields: Mapping[str, Any], only: Collection[Owner]) -> list[Key]:
    """The subscriptions, of all or ``only`` these owners, that may want these fields."""
    if len(fields) < len(held.names):
        # A field that is missing equals nothing.
        names = [name for name in {"", *fields} if name in held.names]
    else:
        names = [name for name in held.names if not name or name in fields]
    slots = [(name, _typed(fields[name])) if name else None for name in names]
    keys = chain.from_iterable(held.slots.get(slot, ()) for slot in slots)
    return [key for key in keys if not only or key[0] in only]


def _counted(steps: int) -> int:
    return steps if steps > FREE_STEPS else 0


def _discount(counter: Counter[str], names: Iterable[str]) -> None:
    for name in names:
        counter[name] -= 1
        if not counter[name]:
            del counter[name]


def _slot(selector: Selector) -> tuple[str, object]:
    """The field a subscription is looked up by, or "", and where."""
    name = next(filter(None, selector.equal), "")
    return name, (name, _typed(selector.equal[name])) if name else None


def _typed(value: Any) -> object:
    """A value to look up by, under which true is not 1; what is no scalar is found nowhere."""
    if isinstance(value, bool):
        return (bool, value)
    return value if value is None or isinstance(value, Scalar) else _NOWHERE

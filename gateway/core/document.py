"""One document: the only module that knows the CRDT library (pycrdt, yrs below it).

Every byte that comes here was inspected by the guard or read from this device's own
disk. The library never sees what it would mishandle: causes that are missing (it hides
such updates), structs it knows already (a forged repetition makes it panic), edits that
cut a character in two (it loses text).
The gateway writes nothing of its own into a document (invariant 7).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import finalize

import pycrdt

from gateway.core.early import Early
from gateway.core.errors import GatewayError
from gateway.core.fingerprint import (
    Ranges,
    canonical,
    fingerprint,
    merged,
    read_delete_set,
    read_state_vector,
    write_varints,
)
from gateway.core.guard import UpdateFacts
from gateway.core.projection import project
from gateway.core.structs import read_update
from gateway.core.surrogates import Pairs, may_hold_pairs, mended

# The library's merge takes time in the square of the number of updates: 20,000 at once
# 1.1 s, in groups 14 ms; 32 measured fastest.
MERGED_AT_ONCE = 32


class DocumentBroken(GatewayError):
    """The library failed on a document: what it holds in memory is not to be used again.

    Load the document from the store. If that was in ``apply``, apply the updates of the
    batch one by one; the one that raises this again, alone, is the offender.
    """

    def __init__(self, name: str, cause: BaseException | str) -> None:
        super().__init__("document-broken", "A document had to be loaded again.")
        self.name = name
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did.

    ``delta``: one update with all that changed, b"" if nothing did. ``early``: indices of
    updates of which something is kept waiting. ``overflow``: indices of early updates
    that did not fit any more: nothing of them was taken, their senders keep them.
    """

    delta: bytes
    early: tuple[int, ...]
    overflow: tuple[int, ...] = ()


def merge(updates: Sequence[bytes]) -> bytes:
    """One update that does what these do, in any order; they must be accepted ones.

    Raises ``DocumentBroken`` (without a name) if the library cannot.
    """
    while len(updates) > 1:
        groups = range(0, len(updates), MERGED_AT_ONCE)
        updates = [_merge_few(updates[start : start + MERGED_AT_ONCE]) for start in groups]
    return updates[0]


class Document:
    """A document in memory. Use it from one thread; every method may raise DocumentBroken.

    ``clocks``: per client the first clock that is not known.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.clocks: dict[int, int] = {}
        self._early = Early(partial(_trimmed, name))
        self._pairs = Pairs()
        self._fingerprint: bytes | None = None
        self._events: list[Any] = []
        self._open()

    def _open(self) -> None:
        """Start with an empty Doc of the library."""
        self._doc: pycrdt.Doc[Any] = pycrdt.Doc()
        # The library's subscription keeps the Doc alive: end it with this object.
        self._close = finalize(self, self._doc.unobserve, self._doc.observe(self._events.append))

    @classmethod
    def load(cls, name: str, snapshot: bytes, changes: Sequence[bytes]) -> "Document":
        """The document of a snapshot (or b"") and the updates stored after it.

        Updates that were early when they were stored are early again, if what they wait
        for is still missing.
        """
        whole = cls(name)
        try:
            if whole._load_whole(snapshot, changes):
                return whole
        except DocumentBroken:
            if not changes:
                raise
        document = cls(name)
        document._load_parts(snapshot, changes)
        return document

    @property
    def early(self) -> tuple[bytes, ...]:
        """The updates of which something waits for what is missing; to be stored."""
        return self._early.raw

    def apply(self, batch: Sequence[tuple[bytes, UpdateFacts]]) -> Applied:
        """Apply all that arrived together, once, and say what changed.

        Raises ``DocumentBroken``: nothing of the batch is to be relayed or acknowledged.
        """
        ready: list[bytes] = []
        advanced: set[int] = set()
        early: list[int] = []
        overflow: list[int] = []
        doubtful = False
        for index, (update, facts) in enumerate(batch):
            taken = self._take(update, facts)
            if taken is None:
                kept = _call(self.name, self._early.add, update)
                (early if kept else overflow).append(index)
            elif taken:
                ready.append(self._spare_pairs(taken, ready))
                advanced.update([span.client for span in facts.spans])
                doubtful |= len(facts.spans) > 1 or taken is not update
        if self._early:
            released = self._early.release(self.clocks, advanced)
            if released:
                ready.append(self._spare_pairs(released, ready))
                doubtful = True
        delta = self._integrate(ready, doubtful) if ready else b""
        still = tuple(index for index in early if batch[index][0] in self._early)
        return Applied(delta, still, tuple(overflow))

    def state_vector(self) -> bytes:
        """The encoded state vector."""
        numbers = [len(self.clocks)]
        for item in self.clocks.items():
            numbers += item
        return write_varints(numbers)

    def diff(self, state_vector: bytes) -> bytes:
        """What a replica with this state vector lacks, deletions always included."""
        lacking: bytes = _call(self.name, self._doc.get_update, state_vector)
        return lacking

    def fingerprint(self) -> bytes:
        """The fingerprint of docs/protocol.md section 6; computed once per change."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint(_call(self.name, _canonical, self._doc))
        return self._fingerprint

    def snapshot(self) -> bytes:
        """The whole state as one update, without what is early; proven to load again."""
        whole: bytes = _call(self.name, self._doc.get_update)
        if Document.load(self.name, whole, ()).fingerprint() != self.fingerprint():
            raise DocumentBroken(self.name, "its snapshot does not load to the same state")
        return whole

    def project(self) -> dict[str, Any]:
        """The content as JSON, as ``gateway.core.projection`` describes it."""
        return project(read_update(_call(self.name, self._doc.get_update)))

    def _take(self, update: bytes, facts: UpdateFacts) -> bytes | None:
        """What the library may be shown of an update (b"" nothing); None if it is early.

        Counts the structs as known when it is not.
        """
        clocks = self.clocks
        ends: dict[int, int] = {}
        repeated = False
        for span in facts.spans:
            client = span.client
            known = ends.get(client)
            if known is None:
                known = clocks.get(client, 0)
            if span.start > known:
                return None
            repeated |= span.start < known
            ends[client] = max(span.end, known)
        for client, need in facts.needs.items():
            if need > clocks.get(client, 0) and need > ends.get(client, 0):
                return None
        if repeated:
            update = self._unknown(update, facts, ends)
        clocks.update(ends)
        return update

    def _unknown(self, update: bytes, facts: UpdateFacts, ends: Mapping[int, int]) -> bytes:
        """An update without the structs that are known."""
        known = {client: self.clocks.get(client, 0) for client in ends}
        if known == ends and not facts.deletes:
            return b""
        return _trimmed(self.name, mended(update, set(known.items())), known)

    def _spare_pairs(self, update: bytes, ready: list[bytes]) -> bytes:
        """An update that cuts no character in two; ``ready`` is what is applied before it."""
        if not self._pairs and not may_hold_pairs(update):
            return update
        parsed = _call(self.name, read_update, update)
        self._pairs.note(parsed)
        cut = self._pairs.cut_by(parsed)
        if not cut:
            return update
        ready[:] = [mended(earlier, cut) for earlier in ready]
        whole: bytes = _call(self.name, self._doc.get_update)
        self._close()
        self._open()
        _call(self.name, self._doc.apply_update, mended(whole, cut))
        return mended(update, cut)

    def _integrate(self, updates: list[bytes], doubtful: bool) -> bytes:
        self._fingerprint = None
        self._events.clear()
        _call(self.name, self._doc.apply_update, merge(updates))
        if doubtful and self._integrated() != self.clocks:
            raise DocumentBroken(self.name, "an update hides structs that need each other")
        deltas = [event.update for event in self._events]
        self._events.clear()
        return merge(deltas) if deltas else b""

    def _integrated(self) -> dict[int, int]:
        """The clocks as the library sees them."""
        return read_state_vector(_call(self.name, self._doc.get_state))[0]

    def _load_whole(self, snapshot: bytes, changes: Sequence[bytes]) -> bool:
        """Apply everything at once; False if something in it needs more care."""
        if changes and any(map(may_hold_pairs, (snapshot, *changes))):
            return False
        tail = merge(changes) if changes else b""
        for update in (snapshot, tail):
            if update:
                self._integrate([self._spare_pairs(update, [])], doubtful=False)
        self.clocks = self._integrated()
        return not tail or self._covers(tail)

    def _load_parts(self, snapshot: bytes, changes: Sequence[bytes]) -> None:
        """Apply what is ready of each part, and wait with the rest."""
        self._load_whole(snapshot, ())
        for change in changes:
            _call(self.name, partial(self._early.add, bounded=False), change)
        released = self._early.release(self.clocks, ())
        if released:
            self._integrate([self._spare_pairs(released, [])], doubtful=True)

    def _covers(self, update: bytes) -> bool:
        """Whether all structs and deletions of an update are integrated."""
        lacking = _trimmed(self.name, update, self.clocks)
        if lacking[0]:
            return False
        shown = _call(self.name, _deletes, pycrdt.Snapshot.from_doc(self._doc).encode())
        wanted = _call(self.name, read_delete_set, lacking, 1)[0]
        return all(
            merged([*shown.get(client, ()), *ranges]) == shown.get(client)
            for client, ranges in wanted.items()
        )


def _merge_few(updates: Sequence[bytes]) -> bytes:
    merged_update: bytes = _call("", pycrdt.merge_updates, *updates)
    return merged_update


def _call(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call into the library; its panics are BaseExceptions, and all it raises is final."""
    try:
        return function(*arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise DocumentBroken(name, error) from error


def _trimmed(name: str, update: bytes, known: Mapping[int, int]) -> bytes:
    numbers = [len(known)]
    for item in known.items():
        numbers += item
    trimmed: bytes = _call(name, pycrdt.get_update, update, write_varints(numbers))
    return trimmed


def _canonical(doc: "pycrdt.Doc[Any]") -> bytes:
    """The canonical bytes of ``gateway.core.fingerprint`` of what is integrated."""
    encoded = pycrdt.Snapshot.from_doc(doc).encode()
    deletes, position = read_delete_set(encoded)
    return canonical(read_state_vector(encoded, position)[0], deletes)


def _deletes(encoded: bytes) -> dict[int, Ranges]:
    deletes = read_delete_set(encoded)[0]
    return {client: merged(ranges) for client, ranges in deletes.items()}

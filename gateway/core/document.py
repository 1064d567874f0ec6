"""One document: what is applied, what waits, what it looks like from outside.

Updates come inspected by the guard or from this device's own disk. The CRDT library is
shown only what it handles: structs whose causes are known, that are not known themselves
(a forged repetition makes it panic), and edits that leave characters whole. The gateway
writes nothing of its own into a document (invariant 7).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.core.crdt import (
    DocumentBroken,
    Replica,
    edited,
    guarded,
    merge,
    reencoded,
    state_vector,
    trimmed,
)
from gateway.core.early import Early
from gateway.core.edit import Changes
from gateway.core.fingerprint import fingerprint, merged, read_delete_set
from gateway.core.guard import UpdateFacts
from gateway.core.projection import project
from gateway.core.selector import fields_of
from gateway.core.structs import read_update
from gateway.core.surrogates import Pairs, may_hold_pairs, mended

__all__ = ["Applied", "Document", "DocumentBroken", "merge"]


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


class Document:
    """A document in memory. Use it from one thread; every method may raise DocumentBroken.

    ``clocks``: per client the first clock that is not known. ``version`` moves with the content.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.clocks: dict[int, int] = {}
        self._replica = Replica(name)
        self._early = Early(partial(trimmed, name))
        self._pairs = Pairs()
        self._fingerprint: bytes | None = None
        # Counts what changed the content since this was made or loaded.
        self.version = 0
        # What was stored, but breaks the document: it is not in it.
        self.forgotten: tuple[bytes, ...] = ()

    @classmethod
    def load(cls, name: str, snapshot: bytes, changes: Sequence[bytes]) -> "Document":
        """The document of a snapshot (or b"") and the updates stored after it.

        Updates that were early when they were stored are early again, if what they wait
        for is still missing.
        """
        for attempt in (cls._load_whole, cls._load_parts):
            document = cls(name)
            try:
                if attempt(document, snapshot, changes):
                    return document
            except DocumentBroken:
                if not changes:
                    raise
        document = cls(name)
        document._load_each(snapshot, changes)
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
        doubtful, new = False, True
        for index, (update, facts) in enumerate(batch):
            taken = self._take(update, facts)
            if taken is None:
                kept = guarded(self.name, self._early.add, update)
                (early if kept else overflow).append(index)
            elif taken:
                ready.append(self._spare_pairs(taken, ready))
                advanced.update([span.client for span in facts.spans])
                doubtful |= len(facts.spans) > 1 or taken is not update
                new &= taken is update and bool(facts.spans) and not facts.deletes
        delta = self._integrate(ready, doubtful=doubtful, new=new) if ready else b""
        if self._early:
            admitted = self._admit(advanced, blamed=bool(early))
            delta = merge([delta, admitted]) if delta and admitted else delta or admitted
        still = tuple(index for index in early if batch[index][0] in self._early)
        return Applied(delta, still, tuple(overflow))

    def state_vector(self) -> bytes:
        """The encoded state vector."""
        return state_vector(self.clocks)

    def diff(self, known: bytes) -> bytes:
        """What a replica with this state vector lacks, deletions always included."""
        return self._replica.diff(known)

    def fingerprint(self) -> bytes:
        """The fingerprint of docs/protocol.md section 6; computed once per change."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._replica.canonical())
        return self._fingerprint

    def snapshot(self) -> bytes:
        """The whole state as one update, without what is early; proven to load again."""
        whole = self._replica.diff()
        if fingerprint(Replica(self.name, whole).canonical()) != self.fingerprint():
            raise DocumentBroken(self.name, "its snapshot does not load to the same state")
        return whole

    def edited(self, client: int, changes: Changes) -> bytes:
        """The update by which ``client`` would make these changes; b"" if there are none.

        All that this client wrote before must have been applied. Raises ``GatewayError``.
        """
        return edited(self.name, self._replica.diff(), client, changes)

    def project(self) -> dict[str, Any]:
        """The content as JSON, as ``gateway.core.projection`` describes it."""
        return project(read_update(self._replica.diff()))

    def plain_fields(self, names: Collection[str]) -> Mapping[str, Any] | None:
        """These of the fields that ``selector.fields_of`` finds in the projection.

        None if one is more than a plain value; ``all_fields`` takes ten times as long.
        """
        if not names:
            return {}
        if any(name.startswith("$") for name in names):
            return None
        return self._replica.scalars(names)

    def all_fields(self) -> Mapping[str, Any]:
        """All fields, by the projection."""
        return fields_of(self.project())

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
        return trimmed(self.name, mended(update, set(known.items())), known)

    def _admit(self, advanced: Iterable[int], *, blamed: bool) -> bytes:
        """Integrate what is early no more; the delta.

        If that breaks the document and the batch is not to be ``blamed``, one that waited
        is at fault: what was let in is forgotten, or whoever brought what it waited for
        would be refused for it. Our state vector does not claim it, so a sound part of it
        comes again with the next exchange.
        """
        before = dict(self.clocks)
        released = self._early.release(self.clocks, advanced)
        if not released:
            return b""
        whole = self._replica.diff()
        try:
            return self._integrate([self._spare_pairs(released, [])], doubtful=True)
        except DocumentBroken:
            if blamed:
                raise
            self._replica = Replica(self.name, whole)
            self.clocks = before
            return b""

    def _spare_pairs(self, update: bytes, ready: list[bytes]) -> bytes:
        """An update that cuts no character in two; ``ready`` is what is applied before it."""
        if not self._pairs and not may_hold_pairs(update):
            return update
        parsed = guarded(self.name, read_update, update)
        self._pairs.note(parsed)
        cut = self._pairs.cut_by(parsed)
        if not cut:
            return update
        ready[:] = [mended(earlier, cut) for earlier in ready]
        self._replica = Replica(self.name, mended(self._replica.diff(), cut))
        return mended(update, cut)

    def _integrate(self, updates: list[bytes], *, doubtful: bool, new: bool = False) -> bytes:
        """Show the updates to the library; the delta.

        ``doubtful``: see that it took all of them. ``new``: nothing in them is known, so they
        are the delta.
        """
        self._fingerprint = None
        self.version += 1
        update = merge(updates)
        if new:
            self._replica.add(update)
            # Nobody is passed the peer's own encoding.
            delta = reencoded(update)
        else:
            delta = self._replica.apply(update)
        if doubtful and self._replica.clocks() != self.clocks:
            raise DocumentBroken(self.name, "an update hides structs that need each other")
        return delta

    def _load_whole(self, snapshot: bytes, changes: Sequence[bytes]) -> bool:
        """Apply everything at once; False if something in it needs more care."""
        if changes and any(map(may_hold_pairs, (snapshot, *changes))):
            return False
        tail = merge(changes) if changes else b""
        for update in (snapshot, tail):
            if update:
                self._replica.add(self._spare_pairs(update, []))
        self.clocks = self._replica.clocks()
        return not tail or self._covers(tail)

    def _load_parts(self, snapshot: bytes, changes: Sequence[bytes]) -> bool:
        """Apply what is ready of all changes, and wait with the rest."""
        self._load_whole(snapshot, ())
        for change in changes:
            guarded(self.name, partial(self._early.add, bounded=False), change)
        self._admit((), blamed=True)
        return True

    def _load_each(self, snapshot: bytes, changes: Sequence[bytes]) -> None:
        """Apply one change after the other, as they came; forget what breaks the document."""
        self._load_whole(snapshot, ())
        waiting = self._early
        for change in changes:
            before = dict(self.clocks)
            self._early = Early(partial(trimmed, self.name))
            guarded(self.name, partial(self._early.add, bounded=False), change)
            self._admit((), blamed=False)
            if self._early:
                waiting.add(change, bounded=False)
            self._early = waiting
            advanced = [c for c, clock in self.clocks.items() if clock != before.get(c)]
            self._admit(advanced, blamed=False)
        self.forgotten = tuple(
            change
            for change in changes
            if change not in waiting and trimmed(self.name, change, self.clocks)[0]
        )

    def _covers(self, update: bytes) -> bool:
        """Whether all structs and deletions of an update are integrated."""
        lacking = trimmed(self.name, update, self.clocks)
        if lacking[0]:
            return False
        shown = self._replica.deletes()
        wanted = read_delete_set(lacking, 1)[0]
        return all(
            merged([*shown.get(client, ()), *ranges]) == shown.get(client)
            for client, ranges in wanted.items()
        )

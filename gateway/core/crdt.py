"""The CRDT library (pycrdt, with yrs below it): no other module imports it.

Its panics are BaseExceptions, and after any failure its objects are not to be touched
again; both become ``DocumentBroken`` here. Every byte that comes here was inspected by
the guard or written by this device. What must never be shown to it: updates whose causes
are missing (it hides them), edits that cut a character in two (it loses text).
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import pycrdt

from gateway.core.edit import REMOVED, Changes
from gateway.core.errors import GatewayError
from gateway.core.fingerprint import (
    Ranges,
    canonical,
    merged,
    read_delete_set,
    read_state_vector,
    write_varints,
)
from gateway.core.selector import same

# The library's merge takes time in the square of the number of updates: 20,000 at once
# 1.1 s, in groups 14 ms; 32 measured fastest.
MERGED_AT_ONCE = 32
# Beyond so many keys a map is asked which it has.
MANY_KEYS = 64
_MISSING = object()
_SHARED = (
    pycrdt.Array, pycrdt.Map, pycrdt.Text, pycrdt.XmlElement, pycrdt.XmlFragment, pycrdt.XmlText,
)  # fmt: skip
EX_DATA = 65


class DocumentBroken(GatewayError):
    """The library failed on a document: what it holds in memory is not to be used again.

    Load the document from the store. If that was in ``apply``, apply the updates of the
    batch one by one; the one that raises this again, alone, is the offender.
    """

    def __init__(self, name: str, cause: BaseException | str) -> None:
        super().__init__("document-broken", "A document had to be loaded again.")
        self.name = name
        self.cause = cause


def merge(updates: Sequence[bytes]) -> bytes:
    """One update that does what these do, in any order; they must be accepted ones.

    Raises ``DocumentBroken`` (without a name) if the library cannot.
    """
    while len(updates) > 1:
        groups = range(0, len(updates), MERGED_AT_ONCE)
        updates = [_merge_few(updates[start : start + MERGED_AT_ONCE]) for start in groups]
    return updates[0]


def reencoded(update: bytes) -> bytes:
    """The same update as the library writes it. Raises ``DocumentBroken`` (without a name)."""
    return _merge_few([update])


def trimmed(name: str, update: bytes, known: Mapping[int, int]) -> bytes:
    """An update without the structs that a state vector knows, and with all its deletions."""
    cut: bytes = guarded(name, pycrdt.get_update, update, state_vector(known))
    return cut


def state_vector(clocks: Mapping[int, int]) -> bytes:
    """The encoded state vector."""
    numbers = [len(clocks)]
    for item in clocks.items():
        numbers += item
    return write_varints(numbers)


def edited(name: str, whole: bytes, client: int, changes: Changes) -> bytes:
    """The update by which ``client`` makes these changes to root maps; b"" if there are none.

    ``whole``: the document, with all this client wrote before. Raises ``GatewayError``
    ``shared-type`` for an entry that is more than a plain value.
    """
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
    guarded(name, doc.apply_update, whole)
    events: list[Any] = []
    subscription = doc.observe(events.append)
    try:
        with doc.transaction():
            for root, entries in changes.items():
                _edit(name, guarded(name, partial(doc.get, root, type=pycrdt.Map)), entries)
    finally:
        doc.unobserve(subscription)
    return merge([event.update for event in events]) if events else b""


def _edit(name: str, root: pycrdt.Map[Any], entries: Mapping[str, Any]) -> None:
    for key, value in entries.items():
        old = guarded(name, root.get, key, _MISSING)
        if isinstance(old, _SHARED):
            if value is not REMOVED and old.to_py() == value:
                continue
            sentence = f"{name}: a field is shared text or the like; change it in an app"
            raise GatewayError("shared-type", sentence, EX_DATA)
        if value is REMOVED:
            if old is not _MISSING:
                guarded(name, root.__delitem__, key)
        elif old is _MISSING or not same(old, value):
            guarded(name, root.__setitem__, key, value)


class Replica:
    """One Doc of the library. Use it from one thread; every method may raise DocumentBroken."""

    def __init__(self, name: str, whole: bytes = b"") -> None:
        self._name = name
        self._doc: pycrdt.Doc[Any] = pycrdt.Doc()
        if whole:
            self.add(whole)

    def add(self, update: bytes) -> None:
        """Integrate an update."""
        guarded(self._name, self._doc.apply_update, update)

    def apply(self, update: bytes) -> bytes:
        """Integrate an update; the delta, b"" if nothing changed.

        Takes longer than ``add``: at the end of a run of a million characters three times.
        """
        events: list[Any] = []
        subscription = self._doc.observe(events.append)
        try:
            self.add(update)
        finally:
            # It would keep the Doc alive.
            guarded(self._name, self._doc.unobserve, subscription)
        return merge([event.update for event in events]) if events else b""

    def clocks(self) -> dict[int, int]:
        """The state vector as the library sees it."""
        return read_state_vector(guarded(self._name, self._doc.get_state))[0]

    def diff(self, known: bytes = b"\x00") -> bytes:
        """What a replica with this encoded state vector lacks; all deletions are in it."""
        lacking: bytes = guarded(self._name, self._doc.get_update, known)
        return lacking

    def scalars(self, keys: Collection[str]) -> dict[str, str | bool | int | float] | None:
        """The entries of the root maps under these keys, where each is a plain value.

        Of several roots the first by name counts. None if that is not all there is to say:
        a key names a root, or a value is null, a shared type or something JSON cannot hold.
        """
        keys = frozenset(keys)
        roots = sorted(guarded(self._name, self._doc.keys))
        if any(key in keys for key in roots):
            return None
        found: dict[str, str | bool | int | float] = {}
        for root in roots:
            # Asking for a root gives it this type, which changes nothing that is encoded.
            entries = guarded(self._name, partial(self._doc.get, root, type=pycrdt.Map))
            wanted = keys
            if len(keys) > MANY_KEYS:
                wanted = keys & set(guarded(self._name, entries.keys))
            for key in wanted:
                value = guarded(self._name, entries.get, key, _MISSING)
                if value is _MISSING or key in found:
                    continue
                if not _is_plain(value):
                    return None
                found[key] = value
        return found

    def canonical(self) -> bytes:
        """The canonical bytes of ``gateway.core.fingerprint``."""
        encoded = self._snapshot()
        deletes, position = read_delete_set(encoded)
        return canonical(read_state_vector(encoded, position)[0], deletes)

    def deletes(self) -> dict[int, Ranges]:
        """What is deleted, merged."""
        deletes = read_delete_set(self._snapshot())[0]
        return {client: merged(ranges) for client, ranges in deletes.items()}

    def _snapshot(self) -> bytes:
        """Delete set and state vector, encoded."""
        encoded: bytes = guarded(self._name, lambda: pycrdt.Snapshot.from_doc(self._doc).encode())
        return encoded


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | bool)


def guarded(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call into the library, or read what it would be given; any failure breaks the document."""
    try:
        return function(*arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise DocumentBroken(name, error) from error


def _merge_few(updates: Sequence[bytes]) -> bytes:
    one: bytes = guarded("", pycrdt.merge_updates, *updates)
    return one

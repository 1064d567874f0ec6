"""Range-based set reconciliation: which documents differ, in few bytes and few turns.

Two peers each hold a set of (document name, fingerprint), in the order of the UTF-8 bytes of
the names. They take turns with *payloads*, the ranges of a RECONCILE record
(docs/protocol.md, "SUBSCRIBE, RECONCILE, PEERS"): a range whose digests agree is done, one
whose digests differ is split or, when small, listed, and who gets a list says which names
differ. Nothing is kept between the turns, so a catalogue may change meanwhile. The method is
that of Aljoscha Meyer, "Range-Based Set Reconciliation" (2023); names stay in their own order
because what changed lately has neighbouring names, which a few ranges cover.

**The digest is a hash of hashes, not a sum.** A sum or xor of hashes is easier to keep up to
date, but whoever may write documents can search for two sets with equal sums (Gaussian
elimination for xor, the generalised birthday for sums modulo 2^128: about 2^25 items) and
so hide the documents of others. Here equal digests of different sets are a collision of the
first 16 bytes of SHA-256. So that a change does not cost a hash of everything, the names
themselves cut the order into *blocks*: a name opens a block when the SHA-256 of the name
begins with a zero byte. A range is cut by the names in it alone, so both peers cut alike, and
the digests of whole blocks are kept. Names chosen to open no block, or one each, cost time
in proportion to the documents, nothing more.

**What a peer can do.** A payload is read in one pass with every count checked. All ranges of a
payload are disjoint, so an answer costs at most two passes over the catalogue. An answer ends
at ``max_bytes`` and ``MAX_TEXTS``; what did not fit becomes one digest of the rest, so that it
is asked again. That ends: the lowest range not yet decided always fits, each turn splits it
into smaller ones, lists it, or decides it, and what is decided below it stays decided. A peer
that does not play along is stopped by the caller, who counts ``MAX_TURNS``.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

from gateway.core.errors import Code, PeerError
from gateway.core.fingerprint import FINGERPRINT_BYTES
from gateway.core.limits import Limits
from gateway.core.names import MAX_NAME_BYTES, check_name
from gateway.core.varint import read_bytes, read_varint, write_string, write_varint

SKIP, DIGEST, LIST, DIFFER = range(4)

DIGEST_BYTES = 16
# Of a fingerprint in a list. Who finds two states of a document that agree in these can hide
# a difference of this one document, which is theirs to write, until its next change.
SHORT_BYTES = 8

# Parts of a range: bytes are (parts x differing ranges), so one range is cut finer than many.
PARTS_OF_ONE = 16
PARTS = 8
# Splitting in 8 and listing one part costs what listing 16 to 24 documents does, and a turn.
LIST_DOCUMENTS = 24
# How far a cut may move from the middle, in documents, for a bound of fewer bytes.
CUT_SLACK = 8

# Bounds and names in one payload: about 3 us each to read and compare.
MAX_TEXTS = 16_384
# A link message less the head of the batch and of the record.
MAX_PAYLOAD_BYTES = Limits().message_bytes - 32
# Room for the largest list and for what every answer may have to add at its end.
MIN_PAYLOAD_BYTES = 8_192
# Payloads received in one exchange before the caller gives up. Two sets of 20,000 documents
# without a name in common take fewer, whatever the names.
MAX_TURNS = 128


class Catalogue:
    """Document names and their fingerprints, in order, with digests of ranges.

    Changing a fingerprint costs about a microsecond, a new name of 100,000 ten; a digest
    costs the blocks it spans (256 documents each, on average), not the documents.
    """

    def __init__(self, documents: Iterable[tuple[str, bytes]] = ()) -> None:
        self._entries = dict(_entry(name, value) for name, value in documents)
        self._names = sorted(self._entries)
        self._starts = [name for name in self._names if _opens_block(name)]
        self._blocks: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._names)

    def set(self, name: str, fingerprint: bytes) -> None:
        """Add a document or change its fingerprint (16 bytes); the name has been checked."""
        key, entry = _entry(name, fingerprint)
        if key not in self._entries:
            insort(self._names, key)
            if _opens_block(key):
                insort(self._starts, key)
        self._entries[key] = entry
        self._forget_blocks(key)

    def remove(self, name: str) -> None:
        """Take a document out, if it is there."""
        key = name.encode()
        if self._entries.pop(key, None) is not None:
            del self._names[bisect_left(self._names, key)]
            if _opens_block(key):
                self._blocks.pop(key, None)
                del self._starts[bisect_left(self._starts, key)]
            self._forget_blocks(key)

    def place(self, bound: bytes, start: int = 0) -> int:
        """How many names are below ``bound``; the empty bound is the end."""
        return bisect_left(self._names, bound, start) if bound else len(self._names)

    def names(self, start: int, end: int) -> list[bytes]:
        """The names at these places."""
        return self._names[start:end]

    def short(self, name: bytes) -> bytes | None:
        """What a list says of a document's fingerprint, None without the document."""
        entry = self._entries.get(name)
        return None if entry is None else entry[-FINGERPRINT_BYTES:][:SHORT_BYTES]

    def digest(self, start: int, end: int) -> bytes:
        """The digest of the documents at these places: docs/protocol.md says of what."""
        if start == end:
            return sha256().digest()[:DIGEST_BYTES]
        names, starts = self._names, self._starts
        first = bisect_right(starts, names[start])
        cuts = starts[first : bisect_right(starts, names[end - 1], first)]
        if not cuts:
            return sha256(self._hash(start, end)).digest()[:DIGEST_BYTES]
        hashes = [self._hash(start, self.place(cuts[0]))]
        for opening_name, following in pairwise(cuts):
            hashes.append(self._blocks.get(opening_name) or self._block(opening_name, following))
        hashes.append(self._hash(self.place(cuts[-1]), end))
        return sha256(b"".join(hashes)).digest()[:DIGEST_BYTES]

    def bound(self, place: int) -> bytes:
        """The shortest bound between the names before and at ``place``, which is not 0."""
        before, at = self._names[place - 1], self._names[place]
        return at[: _common(before, at) + 1]

    def _hash(self, start: int, end: int) -> bytes:
        return sha256(b"".join(map(self._entries.__getitem__, self._names[start:end]))).digest()

    def _block(self, start: bytes, end: bytes) -> bytes:
        value = self._blocks[start] = self._hash(self.place(start), self.place(end))
        return value

    def _forget_blocks(self, name: bytes) -> None:
        # The block that holds the name, and the one before it: the name may have opened its own.
        end = bisect_right(self._starts, name)
        for start in self._starts[max(end - 2, 0) : end]:
            self._blocks.pop(start, None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one payload leads to.

    ``reply`` is the payload to send, empty when all that was asked agrees; None when nothing
    was asked, so nothing is to be sent. ``differing`` are names that differ, in order; the
    same name may come again in a later turn. ``finished``: nothing will come back.
    """

    reply: bytes | None
    differing: tuple[str, ...]
    finished: bool


def opening(catalogue: Catalogue) -> bytes:
    """The first payload: one digest of everything, 18 to 22 bytes."""
    writer = _Writer(MAX_PAYLOAD_BYTES)
    writer.add_digest(catalogue, 0, len(catalogue), b"", b"")
    return bytes(writer.payload)


def answer(catalogue: Catalogue, payload: bytes, max_bytes: int = MAX_PAYLOAD_BYTES) -> Answer:
    """Compare a payload with the catalogue. Raises ``PeerError`` with ``Code.MALFORMED``.

    ``max_bytes``: what the reply may take, not below ``MIN_PAYLOAD_BYTES``; the least of what
    the link, the peer's HELLO and ``MAX_PAYLOAD_BYTES`` allow.
    """
    if not MIN_PAYLOAD_BYTES <= max_bytes <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"{max_bytes} is not {MIN_PAYLOAD_BYTES} to {MAX_PAYLOAD_BYTES}")
    ranges = _read(payload)
    differing: set[bytes] = set()
    open_ranges = _compare(catalogue, ranges, differing)
    writer = _Writer(max_bytes)
    parts = PARTS_OF_ONE if len(open_ranges) == 1 else PARTS
    for found in open_ranges:
        if not _write_range(writer, catalogue, found, parts):
            lower = writer.reached
            end = catalogue.place(ranges[-1].upper)
            start = catalogue.place(lower) if lower else 0
            writer.add_digest(catalogue, start, end, lower, ranges[-1].upper, last=True)
            break
    asked = any(entry.mode in (DIGEST, LIST) for entry in ranges)
    names = tuple(name.decode() for name in sorted(differing) if _is_document(catalogue, name))
    return Answer(bytes(writer.payload) if asked else None, names, not writer.asks)

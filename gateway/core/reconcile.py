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
so hide the documents of others. Here a digest is a SHA-256 of SHA-256s. So that a change
does not cost a hash of everything, the names themselves cut the order into *blocks*: a name
opens a block when the SHA-256 of the name begins with a zero byte. A range is cut by the names
in it alone, so both peers cut alike, and the hashes of whole blocks are kept. Names chosen to
open no block, or one each, cost time in proportion to the documents, nothing more.

On the wire 8 bytes of it are enough, because the last hash begins with a *salt* that the first
peer draws for each exchange: nobody can search for sets whose short digests will agree
without knowing it, and by chance two agree once in 2^64. A difference that was missed would
be found by the next exchange, under another salt.

**What a peer can do.** A payload is read in one pass with every count checked. All ranges of a
payload are disjoint, so an answer costs at most two passes over the catalogue. An answer ends
at ``max_bytes`` and ``MAX_TEXTS``; what did not fit becomes one digest of the rest, so that it
is asked again. That ends: the lowest range not yet decided always fits, each turn splits it
into smaller ones, lists it, or decides it, and what is decided below it stays decided. A peer
that does not play along is stopped by the caller, who counts the turns (``most_turns``).
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, pairwise

from gateway.core.errors import Code, PeerError
from gateway.core.fingerprint import FINGERPRINT_BYTES
from gateway.core.limits import Limits
from gateway.core.names import MAX_NAME_BYTES, check_name
from gateway.core.varint import read_bytes, read_varint, write_varint

SKIP, DIGEST, LIST, DIFFER = range(4)

SALT_BYTES = 8
# Of the salted hash of a range, or of one document in a list.
DIGEST_BYTES = 8

# Parts of a range: bytes are (parts x differing ranges), so one range is cut finer than many.
PARTS_OF_ONE = 32
PARTS = 8
# Splitting in 8 and listing one part costs about what listing 16 documents does, and a turn.
LIST_DOCUMENTS = 16
# How far a cut may move, in documents, for a shorter bound: of ten numbers one is round.
CUT_SLACK = 5

# Bounds and names in one payload: about 3 us each to read and compare.
MAX_TEXTS = 8_192
# A link message less the head of the batch and of the record.
MAX_PAYLOAD_BYTES = Limits().message_bytes - 32
# Room for the largest list and for what every answer may have to add at its end.
MIN_PAYLOAD_BYTES = 8_192
# Two sets of 20,000 documents with long names, none of them in both, take 16 MB.
MAX_EXCHANGE_BYTES = 2**25


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
            self._forget_blocks(key)
            del self._names[bisect_left(self._names, key)]
            if _opens_block(key):
                del self._starts[bisect_left(self._starts, key)]

    def part(self, names: Iterable[str]) -> "Catalogue":
        """A catalogue of those of these documents that are here."""
        part = Catalogue()
        keys = [name.encode() for name in names]
        part._entries = {key: self._entries[key] for key in keys if key in self._entries}
        part._names = sorted(part._entries)
        part._starts = [key for key in part._names if _opens_block(key)]
        return part

    def places(self, lower: bytes, upper: bytes) -> tuple[int, int]:
        """Where a range begins and ends; no lower or upper bound is none at all."""
        start = bisect_left(self._names, lower)
        return start, bisect_left(self._names, upper, start) if upper else len(self._names)

    def names(self, start: int, end: int) -> list[bytes]:
        """The names at these places."""
        return self._names[start:end]

    def holds(self, name: bytes) -> bool:
        """Whether the document is there."""
        return name in self._entries

    def short(self, name: bytes, salt: bytes) -> bytes:
        """What a list says of a document that is there, beside its name."""
        return sha256(salt + self._entries[name]).digest()[:DIGEST_BYTES]

    def digest(self, start: int, end: int, salt: bytes) -> bytes:
        """The digest of the documents at these places, at least one (docs/protocol.md)."""
        names, starts = self._names, self._starts
        first = bisect_right(starts, names[start])
        cuts = starts[first : bisect_right(starts, names[end - 1], first)]
        edges = [start, self._place(cuts[0]), self._place(cuts[-1]), end] if cuts else [start, end]
        hashes = [salt, self._hash(*edges[:2])]
        for block, following in pairwise(cuts):
            hashes.append(self._blocks.get(block) or self._block(block, following))
        if cuts:
            hashes.append(self._hash(*edges[2:]))
        return sha256(b"".join(hashes)).digest()[:DIGEST_BYTES]

    def bound(self, place: int) -> bytes:
        """The shortest bound between the names before and at ``place``, which is not 0."""
        before, at = self._names[place - 1], self._names[place]
        return at[: _common(before, at) + 1]

    def _hash(self, start: int, end: int) -> bytes:
        return sha256(b"".join(map(self._entries.__getitem__, self._names[start:end]))).digest()

    def _place(self, name: bytes) -> int:
        return bisect_left(self._names, name)

    def _block(self, start: bytes, end: bytes) -> bytes:
        value = self._blocks[start] = self._hash(*self.places(start, end))
        return value

    def _forget_blocks(self, name: bytes) -> None:
        # The block that holds the name, and the one before it: the name may have opened its own.
        end = bisect_right(self._starts, name)
        for start in self._starts[max(end - 2, 0) : end]:
            self._blocks.pop(start, None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one payload leads to.

    ``reply`` is the payload to send, without ranges when all that was asked agrees; None when
    nothing was asked, so nothing is to be sent. ``differing`` are names that differ, in order; the
    same name may come again in a later turn. ``finished``: nothing will come back.
    """

    reply: bytes | None
    differing: tuple[str, ...]
    finished: bool


def opening(catalogue: Catalogue, salt: bytes, collections: Iterable[str] | None = None) -> bytes:
    """The first payload: one digest of everything, or one of each of some collections.

    ``salt``: 8 random bytes, new for each exchange and not to be guessed before it. Of a few
    hundred collections; what is not in them does not take part, whatever the other side holds.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt is {SALT_BYTES} bytes")
    writer = _Writer(salt, MAX_PAYLOAD_BYTES)
    for lower, upper in _bounds(collections):
        writer.add(_digest(catalogue, lower, upper, salt))
    return bytes(writer.payload)


def _bounds(collections: Iterable[str] | None) -> list[tuple[bytes, bytes]]:
    """The ranges of collections, in order; None: everything."""
    if collections is None:
        return [(b"", b"")]
    # No name is between the last of "orders/" and "orders0", which follows the stroke.
    return sorted((f"{name}/".encode(), f"{name}0".encode()) for name in set(collections))


def answer(catalogue: Catalogue, payload: bytes, max_bytes: int = MAX_PAYLOAD_BYTES) -> Answer:
    """Compare a payload with the catalogue. Raises ``PeerError`` with ``Code.MALFORMED``.

    ``max_bytes`` bounds the reply, from ``MIN_PAYLOAD_BYTES`` to ``MAX_PAYLOAD_BYTES``: the
    caller knows what the link and the peer take.
    """
    if not MIN_PAYLOAD_BYTES <= max_bytes <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"{max_bytes} is not {MIN_PAYLOAD_BYTES} to {MAX_PAYLOAD_BYTES}")
    salt, ranges = _read(payload)
    differing = {name for peers in ranges if peers.mode == DIFFER for name in peers.names}
    unequal = [peers for peers in ranges if _is_unequal(catalogue, peers, salt)]
    parts = PARTS_OF_ONE if len(unequal) == 1 else PARTS
    writer = _Writer(salt, max_bytes)
    for piece in chain.from_iterable(_pieces(catalogue, peers, parts, salt) for peers in unequal):
        if not writer.add(piece):
            writer.add_last(_digest(catalogue, piece.lower, ranges[-1].upper, salt))
            break
        if piece.mode == DIFFER:
            differing.update(piece.names)
    asked = any(peers.mode in _ASKING for peers in ranges)
    names = tuple(name.decode() for name in sorted(differing) if _is_document(catalogue, name))
    return Answer(bytes(writer.payload) if asked else None, names, not writer.asks)


def most_turns(max_bytes: int = MAX_PAYLOAD_BYTES) -> int:
    """How many payloads of one exchange to answer before giving the peer up."""
    return MAX_EXCHANGE_BYTES // max_bytes


@dataclass(slots=True)
class _Range:
    """A range of a payload, ``lower`` being the upper bound of the one before it.

    ``digest`` belongs to DIGEST, ``names`` to LIST and DIFFER, ``shorts`` (a digest of each
    of these documents) to LIST.
    """

    lower: bytes
    upper: bytes
    mode: int
    digest: bytes = b""
    names: list[bytes] = field(default_factory=list)
    shorts: list[bytes] = field(default_factory=list)


def _is_unequal(catalogue: Catalogue, peers: _Range, salt: bytes) -> bool:
    """Whether a range asks for an answer: a list, or a digest that is not ours."""
    if peers.mode != DIGEST:
        return peers.mode == LIST
    start, end = catalogue.places(peers.lower, peers.upper)
    return start == end or peers.digest != catalogue.digest(start, end, salt)


def _pieces(catalogue: Catalogue, peers: _Range, parts: int, salt: bytes) -> Iterator[_Range]:
    """What an unequal range is answered with, in ranges of which any fits a payload."""
    start, end = catalogue.places(peers.lower, peers.upper)
    if peers.mode == LIST:
        names = _differing(catalogue, peers, salt)
        cuts = range(0, len(names), LIST_DOCUMENTS)
        bounds = [peers.lower, *(names[cut] for cut in cuts[1:]), peers.upper]
        for cut, (lower, upper) in zip(cuts, pairwise(bounds), strict=False):
            yield _Range(lower, upper, DIFFER, names=names[cut : cut + LIST_DOCUMENTS])
    elif end - start <= LIST_DOCUMENTS:
        names = catalogue.names(start, end)
        shorts = [catalogue.short(name, salt) for name in names]
        yield _Range(peers.lower, peers.upper, LIST, names=names, shorts=shorts)
    else:
        bounds = [peers.lower, *_cuts(catalogue, start, end, parts), peers.upper]
        for lower, upper in pairwise(bounds):
            yield _digest(catalogue, lower, upper, salt)


def _differing(catalogue: Catalogue, peers: _Range, salt: bytes) -> list[bytes]:
    """The names that differ between a list and the catalogue, or more than a payload holds."""
    theirs = dict(zip(peers.names, peers.shorts, strict=True))
    start, end = catalogue.places(peers.lower, peers.upper)
    # Beyond that the answer is full, so what comes later is not looked at.
    own = catalogue.names(start, min(end, start + len(theirs) + MAX_TEXTS))
    equal = {name for name in own if name in theirs and theirs[name] == catalogue.short(name, salt)}
    return sorted((theirs.keys() | own) - equal)


def _cuts(catalogue: Catalogue, start: int, end: int, parts: int) -> Iterator[bytes]:
    """Bounds that cut these places in parts of about the same size."""
    parts = min(parts, (end - start) // 2)
    slack = min(CUT_SLACK, (end - start) // (4 * parts))
    for number in range(1, parts):
        middle = start + (end - start) * number // parts
        places = range(middle - slack, middle + slack + 1)
        yield min(map(catalogue.bound, places), key=len)


def _digest(catalogue: Catalogue, lower: bytes, upper: bytes, salt: bytes) -> _Range:
    """The digest of a range. To list nothing asks for everything: the other side is told."""
    start, end = catalogue.places(lower, upper)
    if start == end:
        return _Range(lower, upper, LIST)
    return _Range(lower, upper, DIGEST, catalogue.digest(start, end, salt))


def _is_document(catalogue: Catalogue, name: bytes) -> bool:
    # A newer peer may know characters that are no part of a name here; nobody is to blame.
    if not catalogue.holds(name):
        try:
            check_name(name.decode())
        except PeerError:
            return False
    return True


class _Writer:
    """A payload in the making, within its limits."""

    def __init__(self, salt: bytes, max_bytes: int) -> None:
        self.payload = bytearray(salt)
        self.asks = False
        self._max_bytes = max_bytes - _LAST_BYTES
        self._texts_left = MAX_TEXTS - _LAST_TEXTS
        self._reached = b""
        self._previous = b""

    def add(self, piece: _Range) -> bool:
        """Write a range above all others, unless it does not fit."""
        skipped = [piece.lower] if piece.lower != self._reached else []
        texts = [*skipped, piece.upper, *piece.names]
        if len(texts) > self._texts_left:
            return False
        coded = iter([_front_coded(a, b) for a, b in pairwise([self._previous, *texts])])
        out = [part for _ in skipped for part in (next(coded), _BYTE[SKIP])]
        out += (next(coded), _BYTE[piece.mode])
        if piece.mode == DIGEST:
            out.append(piece.digest)
        else:
            out.append(write_varint(len(piece.names)))
            out += map(bytes.__add__, coded, piece.shorts) if piece.mode == LIST else coded
        written = b"".join(out)
        if len(self.payload) + len(written) > self._max_bytes:
            return False
        self.payload += written
        self.asks |= piece.mode in _ASKING
        self._texts_left -= len(texts)
        self._previous, self._reached = texts[-1], piece.upper
        return True

    def add_last(self, piece: _Range) -> None:
        """Write the digest of what did not fit; room was left for it."""
        self._max_bytes += _LAST_BYTES
        self._texts_left += _LAST_TEXTS
        self.add(piece)


def _read(payload: bytes) -> tuple[bytes, list[_Range]]:
    """The salt and the ranges of a payload. Raises ``PeerError``."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise PeerError(Code.MALFORMED, f"ranges of more than {MAX_PAYLOAD_BYTES} bytes")
    reader = _Reader(payload)
    salt = reader.fixed(SALT_BYTES)
    ranges: list[_Range] = []
    lower = b""
    while reader.position < len(payload):
        if ranges and not lower:
            raise PeerError(Code.MALFORMED, "a range after the last")
        upper = reader.text()
        if upper and upper <= lower:
            raise PeerError(Code.MALFORMED, "ranges are not in order")
        ranges.append(reader.content(lower, upper))
        lower = upper
    return salt, ranges


class _Reader:
    """Goes through a payload once."""

    def __init__(self, payload: bytes) -> None:
        self.position = 0
        self._payload = payload
        self._previous = b""
        self._texts_left = MAX_TEXTS

    def text(self) -> bytes:
        """A bound or name, of which the beginning may be that of the text before it."""
        self._texts_left -= 1
        if self._texts_left < 0:
            raise PeerError(Code.MALFORMED, f"ranges with more than {MAX_TEXTS} names")
        rest, self.position = read_bytes(self._payload, self.position)
        if not rest:
            self._previous = b""
            return b""
        kept = self._number()
        if kept > len(self._previous) or kept + len(rest) > MAX_NAME_BYTES:
            raise PeerError(Code.MALFORMED, "a name or bound is too long")
        self._previous = self._previous[:kept] + rest
        return self._previous

    def fixed(self, size: int) -> bytes:
        """This many bytes."""
        start, self.position = self.position, self.position + size
        if self.position > len(self._payload):
            raise PeerError(Code.MALFORMED, "a range is cut off")
        return self._payload[start : self.position]

    def content(self, lower: bytes, upper: bytes) -> _Range:
        """Mode and payload of the range with these bounds."""
        found = _Range(lower, upper, self._number())
        if found.mode > DIFFER:
            raise PeerError(Code.MALFORMED, "a range of an unknown mode")
        if found.mode == SKIP:
            return found
        if found.mode == DIGEST:
            found.digest = self.fixed(DIGEST_BYTES)
            return found
        for _ in range(self._number()):
            found.names.append(self._name(lower, upper))
            if found.mode == LIST:
                found.shorts.append(self.fixed(DIGEST_BYTES))
            lower = found.names[-1] + b"\0"
        return found

    def _name(self, lower: bytes, upper: bytes) -> bytes:
        name = self.text()
        if not name or name < lower or (upper and name >= upper):
            raise PeerError(Code.MALFORMED, "names are not in order or not in their range")
        try:
            name.decode()
        except UnicodeDecodeError:
            raise PeerError(Code.MALFORMED, "a name is not UTF-8") from None
        return name

    def _number(self) -> int:
        value, self.position = read_varint(self._payload, self.position)
        return value


def _front_coded(previous: bytes, text: bytes) -> bytes:
    """A text: its new part, then how many bytes of the previous text it begins with."""
    if not text:
        return _BYTE[0]
    kept = min(_common(previous, text), len(text) - 1)
    rest = text[kept:]
    return write_varint(len(rest)) + rest + write_varint(kept)


def _common(one: bytes, other: bytes) -> int:
    """How many bytes two texts have in common at their beginning."""
    size = min(len(one), len(other))
    unequal = int.from_bytes(one[:size], "big") ^ int.from_bytes(other[:size], "big")
    return size - (unequal.bit_length() + 7) // 8


def _entry(name: str, fingerprint: bytes) -> tuple[bytes, bytes]:
    """A name in the order of the catalogue, and what its document adds to a digest."""
    if len(fingerprint) != FINGERPRINT_BYTES:
        raise ValueError(f"a fingerprint is {FINGERPRINT_BYTES} bytes")
    key = name.encode()
    return key, write_varint(len(key)) + key + fingerprint


def _opens_block(name: bytes) -> bool:
    return sha256(name).digest()[0] == 0


_ASKING = (DIGEST, LIST)
_BYTE = [write_varint(number) for number in range(4)]
# The digest of the rest: a range to skip before it, two bounds of the longest kind.
_LAST_TEXTS = 2
_LAST_BYTES = 2 * (MAX_NAME_BYTES + 5) + 8 + DIGEST_BYTES

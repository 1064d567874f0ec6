"""Who is linked to whom in the whole store, as far as peers tell each other: PEERS.

docs/protocol.md, "PEERS". Each peer announces its own links under a number that grows; others
keep the newest of each origin and pass it on once, so nothing goes round in circles. It is for
people to look at: nothing is decided by it, as whoever is let in may say anything.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.core import messages as m

Entries = tuple[m.PeerEntry, ...]

# An origin says the same again after this long, and is forgotten when it is silent for three.
RENEW_SECONDS = 60.0
LIFETIME_SECONDS = 180
# A shop has a few gateways and relaying peers; those directly linked always have room.
MAX_ORIGINS = 64
MAX_LINKS = 250
MAX_ANNOUNCEMENT_BYTES = 32_768
# All announcements together could name 16,000; listing them is done every few seconds.
MAX_REACHED = 1_000
# From one link: all that its peer knows at once, then a few a second.
BURST = 2 * MAX_ORIGINS
PER_SECOND = 4.0
# An hour; a longer round trip is a mistake.
MAX_ROUND_TRIP_MS = 3_600_000
MAX_SEQUENCE = 1 << 48
SEQUENCE, AGE, SINCE, WANTS = "seq", "age", "since", "wants"
# What of a peer's own words is passed on, and how much of each.
KEPT_KEYS = ("app", "app-version", "schema", "name", "software")
MAX_VALUE_CHARACTERS = 48
MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Reached:
    """A peer of the store, and over whom it is reached: "" is this device, ``hops`` is 1 then."""

    peer: str
    via: str
    hops: int
    large: bool
    round_trip_ms: int
    since_seconds: int
    about: Mapping[str, str]
    wants: tuple[str, ...]
    # To whom it says it is linked; of a peer that announces nothing, nobody.
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Announcement:
    entries: Entries
    sequence: int
    # When it was made, on our clock.
    made: float


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float


@dataclass(slots=True)
class PeerGraph:
    """``own`` is this device's own entry, without a number."""

    own: m.PeerEntry
    _known: dict[bytes, _Announcement] = field(default_factory=dict)
    _allowed: dict[Hashable, _Allowance] = field(default_factory=dict)
    _sequence: int = 0
    _said: Entries = ()
    _said_at: float = 0.0
    # What of it makes it another one.
    _lasting: Sequence[object] = ()

    def hear(
        self,
        source: Hashable,
        sender: bytes,
        entries: Entries,
        direct: Collection[bytes],
        now: float,
    ) -> Entries | None:
        """What a link's peer told; what is to be passed on to all others, or None.

        ``direct`` are the peers that tell us about themselves. What is not right is dropped.
        """
        if not self._allows(source, now):
            return None
        heard = _read(entries, now)
        if heard is None:
            return None
        origin = entries[0].peer
        if origin == self.own.peer:
            self._remember(heard.sequence)
            return None
        if (origin in direct and origin != sender) or not self._is_news(origin, heard, direct):
            return None
        self._known[origin] = heard
        return _aged(heard, now)

    def announce(self, links: Iterable[m.PeerEntry], now: float) -> Entries | None:
        """What to tell all about our own links, if they changed or it is time again."""
        unique = list({entry.peer: entry for entry in links}.values())[:MAX_LINKS]
        lasting = _lasting(unique)
        is_fresh = bool(self._said) and now - self._said_at < RENEW_SECONDS
        if is_fresh and lasting == self._lasting:
            return None
        self._sequence += 1
        self._said, self._said_at, self._lasting = _fitting(self.own, unique), now, lasting
        return self._ours(now)

    def everything(self, now: float) -> Iterator[Entries]:
        """What to tell a peer that is new here."""
        if self._said:
            yield self._ours(now)
        for known in self._known.values():
            yield _aged(known, now)

    def expire(self, now: float) -> None:
        """Forget origins that say nothing any more."""
        for origin, known in list(self._known.items()):
            if now - known.made >= LIFETIME_SECONDS:
                del self._known[origin]

    def left(self, source: Hashable) -> None:
        """A link ended."""
        self._allowed.pop(source, None)

    def reached(self, links: Iterable[m.PeerEntry], now: float) -> list[Reached]:
        """Everybody there is a way to from our own links, the nearest first.

        An origin that no way leads to is left out at once, though it is not yet forgotten. No
        more than ``MAX_REACHED``.
        """
        found: dict[bytes, Reached] = {}
        edge = [(self.own.peer, entry, 0.0) for entry in links]
        hops = 0
        while edge:
            hops += 1
            fresh: dict[bytes, None] = {}
            for via, entry, made in edge:
                if len(found) == MAX_REACHED:
                    return list(found.values())
                if entry.peer != self.own.peer and entry.peer not in found:
                    age = int(now - made) if hops > 1 else 0
                    found[entry.peer] = self._row(entry, via, hops, age)
                    fresh[entry.peer] = None
            edge = [
                (peer, entry, self._known[peer].made)
                for peer in fresh
                if peer in self._known
                for entry in self._known[peer].entries[1:]
            ]
        return list(found.values())

    def _row(self, entry: m.PeerEntry, via: bytes, hops: int, age: int) -> Reached:
        about = dict(entry.about)
        known = self._known.get(entry.peer)
        return Reached(
            entry.peer.hex(),
            via.hex() if hops > 1 else "",
            hops,
            entry.role > 0,
            entry.round_trip_ms,
            (_number(about.get(SINCE, "")) or 0) + age,
            {key: about[key] for key in KEPT_KEYS if key in about},
            tuple(filter(None, about.get(WANTS, "").split(","))),
            tuple(link.peer.hex() for link in known.entries[1:]) if known else (),
        )

    def _remember(self, sequence: int) -> None:
        """A number of ours that is on its way: from before this device started anew, or forged."""
        if self._sequence < sequence < MAX_SEQUENCE // 2:
            self._sequence, self._said = sequence, ()

    def _ours(self, now: float) -> Entries:
        return _aged(_Announcement(self._said, self._sequence, self._said_at), now)

    def _is_news(self, origin: bytes, heard: _Announcement, direct: Collection[bytes]) -> bool:
        known = self._known.get(origin)
        if known is not None:
            return heard.sequence > known.sequence
        if len(self._known) < MAX_ORIGINS:
            return True
        far = next((other for other in self._known if other not in direct), None)
        if origin not in direct or far is None:
            return False
        del self._known[far]
        return True

    def _allows(self, source: Hashable, now: float) -> bool:
        allowance = self._allowed.setdefault(source, _Allowance(BURST, now))
        allowance.left = min(BURST, allowance.left + (now - allowance.at) * PER_SECOND)
        allowance.at = now
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True


def link_entry(
    peer: bytes, via: bytes, *, large: bool, round_trip_ms: float | None,
    about: Mapping[str, str], since_seconds: float, wants: Sequence[str],
) -> m.PeerEntry:  # fmt: skip
    """One of our own links, as it is told to others."""
    pairs = [(key, about[key][:MAX_VALUE_CHARACTERS]) for key in KEPT_KEYS if about.get(key)]
    pairs.append((SINCE, str(int(since_seconds))))
    if wants:
        pairs.append((WANTS, _listed(wants)))
    trip = min(int(round_trip_ms or 0), MAX_ROUND_TRIP_MS)
    return m.PeerEntry(peer, int(large), via, 1, trip, tuple(pairs))


def _listed(wants: Sequence[str]) -> str:
    """Names of collections with commas between, as many as a value may hold."""
    text = ""
    for name in dict.fromkeys(wants):
        longer = f"{text},{name}" if text else name
        if len(longer.encode()) <= m.MAX_PAIR_VALUE_BYTES:
            text = longer
    return text


def _fitting(own: m.PeerEntry, links: Iterable[m.PeerEntry]) -> Entries:
    """Our announcement without a number, with as many links as it may hold."""
    entries, size = [own], m.MAX_PAIR_VALUE_BYTES + _size(own)
    for entry in links:
        size += _size(entry)
        if size > MAX_ANNOUNCEMENT_BYTES:
            break
        entries.append(entry)
    return tuple(entries)


def _size(entry: m.PeerEntry) -> int:
    return len(m.encode(m.Peers((entry,))))


def _lasting(entries: Iterable[m.PeerEntry]) -> Sequence[object]:
    """What of links makes them others: not how fast or how old one is."""
    return [
        (entry.peer, entry.role, [pair for pair in entry.about if pair[0] != SINCE])
        for entry in entries
    ]


def _aged(announcement: _Announcement, now: float) -> Entries:
    """As it is sent now: with its number, and how long ago its origin made it."""
    own, *links = announcement.entries
    rest = tuple(pair for pair in own.about if pair[0] not in (SEQUENCE, AGE))
    age = (AGE, str(int(now - announcement.made)))
    about = ((SEQUENCE, str(announcement.sequence)), age, *rest)
    return replace(own, about=about), *links


def _read(entries: Entries, now: float) -> _Announcement | None:
    """What was heard, if all of it is right."""
    if not 0 < len(entries) <= MAX_LINKS + 1:
        return None
    own, *links = entries
    about = dict(own.about)
    sequence, age = _number(about.get(SEQUENCE, "")), _number(about.get(AGE, ""))
    if sequence is None or age is None or sequence >= MAX_SEQUENCE or age >= LIFETIME_SECONDS:
        return None
    peers = {entry.peer for entry in entries}
    is_right = len(peers) == len(entries) and not own.via
    is_right = is_right and all(entry.via == own.peer for entry in links)
    is_right = is_right and all(entry.round_trip_ms <= MAX_ROUND_TRIP_MS for entry in entries)
    if not is_right or len(m.encode(m.Peers(entries))) > MAX_ANNOUNCEMENT_BYTES:
        return None
    return _Announcement(entries, sequence, now - age)


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    return int(text) if is_number else None

"""Who is here: awareness states of one document, with limits and expiry.

Follows y-protocols awareness: the highest clock of a client wins, ``null`` means gone.
Nothing here is stored. Ages are in seconds of the clock handed in.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from gateway.core.guard import AwarenessEntry
from gateway.core.y_messages import awareness_payload

# y-protocols renews every 15 s and forgets after 30 s.
EXPIRY_SECONDS = 30.0
MAX_CLIENTS_PER_OWNER = 64
GONE = "null"


@dataclass(slots=True)
class _Entry:
    clock: int
    state: str
    owner: Hashable
    identity: str
    renewed: float


class Presence:
    """Awareness of one document.

    Owners are the sessions that brought the entries; an identity (a peer id or address)
    outlives the session, so that a peer that reconnects keeps its own entries.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def update(
        self, owner: Hashable, identity: str, entries: Iterable[AwarenessEntry], now: float
    ) -> bytes | None:
        """Take what is news and return it as a payload to pass on, or None.

        A client that another identity keeps alive cannot be changed by this one, and an
        owner's clients beyond ``MAX_CLIENTS_PER_OWNER`` are ignored.
        """
        news = [entry for entry in entries if self._take(owner, identity, entry, now)]
        return _payload((entry.client, entry.clock, entry.state_json) for entry in news)

    def leave(self, owner: Hashable, now: float) -> bytes | None:
        """Mark what the owner brought as gone; the payload says so to the others."""
        gone = [c for c, e in self._entries.items() if e.owner == owner and e.state != GONE]
        return self._remove(gone, now)

    def expire(self, now: float) -> bytes | None:
        """Mark what was not renewed in time as gone, and forget the long gone."""
        old = [c for c, e in self._entries.items() if now - e.renewed >= EXPIRY_SECONDS]
        for client in [c for c in old if self._entries[c].state == GONE]:
            del self._entries[client]
        return self._remove([c for c in old if c in self._entries], now)

    def payload(self) -> bytes | None:
        """Everybody who is here, for a newcomer, or None."""
        return _payload((c, e.clock, e.state) for c, e in self._entries.items() if e.state != GONE)

    def _take(self, owner: Hashable, identity: str, entry: AwarenessEntry, now: float) -> bool:
        known = self._entries.get(entry.client)
        if known is None:
            if self._owned(owner) >= MAX_CLIENTS_PER_OWNER:
                return False
        elif (
            (known.identity != identity and known.state != GONE)
            or entry.clock < known.clock
            or (entry.clock == known.clock and (entry.state_json != GONE or known.state == GONE))
        ):
            return False
        self._entries[entry.client] = _Entry(entry.clock, entry.state_json, owner, identity, now)
        return True

    def _owned(self, owner: Hashable) -> int:
        return sum(1 for entry in self._entries.values() if entry.owner == owner)

    def _remove(self, clients: list[int], now: float) -> bytes | None:
        for client in clients:
            entry = self._entries[client]
            self._entries[client] = _Entry(entry.clock + 1, GONE, None, "", now)
        return _payload((c, self._entries[c].clock, GONE) for c in clients)


def _payload(entries: Iterable[tuple[int, int, str]]) -> bytes | None:
    found = list(entries)
    return awareness_payload(found) if found else None

"""Who is here: awareness states of one document, with limits and expiry.

Follows y-protocols awareness: the highest clock of a client wins, ``null`` means gone.
Nothing here is stored. Ages are in seconds of the clock handed in. Every call costs what
it changes, not what is here.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from gateway.core.guard import AwarenessEntry
from gateway.core.y_messages import awareness_payload

# y-protocols renews every 15 s and forgets after 30 s.
EXPIRY_SECONDS = 30.0
MAX_CLIENTS_PER_OWNER = 64
MAX_CLIENTS = 2_048
# Of those who went, the clocks; it only guards against states that come late.
MAX_GONE = 1_024
# One payload stays well below a message; a state is 2 kB at most.
PAYLOAD_CLIENTS = 64
GONE = "null"


@dataclass(slots=True)
class _Entry:
    clock: int
    state: str
    owner: Hashable
    identity: str
    renewed: float


@dataclass(slots=True)
class _Gone:
    clock: int
    since: float


class Presence:
    """Awareness of one document.

    Owners are the sessions that brought the entries; an identity (a peer id or address)
    outlives the session, so that a peer that reconnects keeps its own entries. What
    changed is returned as client ids; ``payloads`` encodes them.
    """

    def __init__(self) -> None:
        # Both in the order of their times, the oldest first.
        self._here: dict[int, _Entry] = {}
        self._gone: dict[int, _Gone] = {}
        self._owned: dict[Hashable, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._here or self._gone)

    def update(
        self, owner: Hashable, identity: str, entries: Iterable[AwarenessEntry], now: float
    ) -> list[int]:
        """Take what is news; the clients it is about.

        A client that another identity keeps alive cannot be changed by this one. An owner's
        clients beyond ``MAX_CLIENTS_PER_OWNER`` are ignored, and so are new ones in a
        document with ``MAX_CLIENTS``.
        """
        return [e.client for e in entries if self._take(owner, identity, e, now)]

    def leave(self, owner: Hashable, now: float) -> list[int]:
        """What the owner brought is gone; the clients."""
        clients = sorted(self._owned.get(owner, ()))
        for client in clients:
            self._remove(client, now)
        return clients

    def expire(self, now: float) -> list[int]:
        """What was not renewed in time is gone; the clients. The long gone are forgotten."""
        while self._gone:
            client, gone = next(iter(self._gone.items()))
            if now - gone.since < EXPIRY_SECONDS:
                break
            del self._gone[client]
        expired = []
        while self._here:
            client, entry = next(iter(self._here.items()))
            if now - entry.renewed < EXPIRY_SECONDS:
                break
            self._remove(client, now)
            expired.append(client)
        return expired

    def payloads(self, clients: Iterable[int] | None = None) -> list[bytes]:
        """The newest known of these clients, or everybody who is here; often one payload."""
        if clients is None:
            clients = list(self._here)
        found = [shown for client in clients if (shown := self._shown(client)) is not None]
        return [
            awareness_payload(found[first : first + PAYLOAD_CLIENTS])
            for first in range(0, len(found), PAYLOAD_CLIENTS)
        ]

    def _shown(self, client: int) -> tuple[int, int, str] | None:
        entry = self._here.get(client)
        if entry is not None:
            return client, entry.clock, entry.state
        gone = self._gone.get(client)
        return None if gone is None else (client, gone.clock, GONE)

    def _take(self, owner: Hashable, identity: str, entry: AwarenessEntry, now: float) -> bool:
        client, leaves = entry.client, entry.state_json == GONE
        known = self._here.get(client)
        if known is None:
            gone = self._gone.get(client)
            if gone is not None and entry.clock <= gone.clock:
                return False
            if not leaves and not self._has_room(owner):
                return False
        elif (
            known.identity != identity
            or entry.clock < known.clock
            or (entry.clock == known.clock and not leaves)
        ):
            return False
        self._forget(client)
        if leaves:
            self._bury(client, entry.clock, now)
        else:
            self._here[client] = _Entry(entry.clock, entry.state_json, owner, identity, now)
            self._owned.setdefault(owner, set()).add(client)
        return True

    def _has_room(self, owner: Hashable) -> bool:
        owned = self._owned.get(owner, ())
        return len(owned) < MAX_CLIENTS_PER_OWNER and len(self._here) < MAX_CLIENTS

    def _remove(self, client: int, now: float) -> None:
        clock = self._here[client].clock
        self._forget(client)
        self._bury(client, clock + 1, now)

    def _forget(self, client: int) -> None:
        self._gone.pop(client, None)
        entry = self._here.pop(client, None)
        if entry is not None:
            owned = self._owned[entry.owner]
            owned.discard(client)
            if not owned:
                del self._owned[entry.owner]

    def _bury(self, client: int, clock: int, now: float) -> None:
        self._gone[client] = _Gone(clock, now)
        if len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]

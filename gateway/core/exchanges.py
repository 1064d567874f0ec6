"""Exchanges of fingerprints under way on all links: when they begin, wait, answer and end.

An exchange compares what a subscription selects on both sides (``gateway.core.reconcile``).
Who subscribed begins it; the other side brings what differs. Number 0 stands for everything
readable: between two large peers the caller begins it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.errors import Code, PeerError
from gateway.core.reconcile import SALT_BYTES, Catalogue, answer, most_turns, opening
from gateway.core.session import Session

# The session, the subscription's number, and whether the subscription is ours.
Key = tuple[Session, int, bool]
# Sessions that have something to send, and what differs between them and us.
Differing = list[tuple[Session, tuple[str, ...]]]

# A peer that begins again sooner gets 4429.
PAUSE_SECONDS = 10.0
# An exchange may have to wait until a collection was looked through: only its opening is kept.
MAX_OPENING_BYTES = 4_096


@dataclass(slots=True)
class _Exchange:
    salt: bytes
    catalogue: Catalogue
    began: float
    turns: int = 0


class Exchanges:
    """``catalogue(key)`` gives what one is about, or None while that cannot be said yet;
    ``draw(count)`` gives random bytes."""

    def __init__(
        self, catalogue: Callable[[Key], Catalogue | None], draw: Callable[[int], bytes]
    ) -> None:
        self._catalogue = catalogue
        self._draw = draw
        self._running: dict[Key, _Exchange] = {}
        # What came before the catalogue could be had; b"" where we are to begin.
        self._waiting: dict[Key, bytes] = {}

    def begin(self, session: Session, number: int, now: float) -> Differing:
        """Compare what our subscription selects, as soon as that is known."""
        self._waiting[session, number, True] = b""
        return self.resume(now)

    def receive(self, key: Key, payload: bytes, now: float) -> Differing:
        """Answer a payload. Raises ``PeerError``."""
        running = self._running.get(key)
        if running is not None and running.salt == payload[:SALT_BYTES]:
            return [(key[0], self._turn(key, running, payload))]
        if key[2]:
            # It belongs to an exchange that we began anew meanwhile.
            return []
        if running is not None and now - running.began < PAUSE_SECONDS:
            raise PeerError(Code.TOO_MANY, "exchanges follow each other too fast")
        if len(payload) > MAX_OPENING_BYTES:
            raise PeerError(Code.TOO_BIG, "an exchange begins with a small message")
        self._waiting[key] = payload
        return self.resume(now)

    def resume(self, now: float) -> Differing:
        """Go on with what waited, where that is possible now."""
        differing = []
        for key, payload in list(self._waiting.items()):
            catalogue = self._catalogue(key)
            if catalogue is not None:
                del self._waiting[key]
                differing.append((key[0], self._start(key, catalogue, payload, now)))
        return differing

    def compared(self, session: Session, number: int) -> bool:
        """Whether a peer's exchange about a subscription of its own came to its end."""
        running = self._running.get((session, number, False))
        return running is not None and not running.salt

    def forget(self, session: Session, number: int) -> None:
        """A subscription of a peer began, changed or ended: what was compared is void."""
        self._waiting.pop((session, number, False), None)
        self._running.pop((session, number, False), None)

    def leave(self, session: Session) -> None:
        """A link is gone."""
        self._waiting = {key: one for key, one in self._waiting.items() if key[0] is not session}
        self._running = {key: one for key, one in self._running.items() if key[0] is not session}

    def _start(self, key: Key, catalogue: Catalogue, payload: bytes, now: float) -> tuple[str, ...]:
        session, number, ours = key
        salt = self._draw(SALT_BYTES) if ours else payload[:SALT_BYTES]
        running = self._running[key] = _Exchange(salt, catalogue, now)
        if ours:
            session.reconcile(number, ours=True, payload=opening(catalogue, salt))
            return ()
        try:
            return self._turn(key, running, payload)
        except PeerError as error:
            session.close(error.code, error.reason)
            return ()

    def _turn(self, key: Key, running: _Exchange, payload: bytes) -> tuple[str, ...]:
        session, number, ours = key
        running.turns += 1
        if running.turns > most_turns(session.payload_bytes):
            raise PeerError(Code.TOO_MANY, "an exchange that does not end")
        found = answer(running.catalogue, payload, session.payload_bytes)
        if found.reply is not None:
            session.reconcile(number, ours=ours, payload=found.reply)
        if found.finished:
            running.salt, running.catalogue = b"", Catalogue()
        # Both sides learn of every difference; who was asked brings it.
        return () if ours else found.differing

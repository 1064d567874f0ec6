"""What is in doubt in all documents: authors are asked, and what they do not confirm is refused."""

from typing import Protocol

from gateway.core.authors import FORGED, Doubt
from gateway.core.errors import Code, PeerError
from gateway.core.events import Effect, Incoming, UpdateReceived, Wake
from gateway.core.remainder import remainder
from gateway.core.room import Room, cost
from gateway.core.selections import Selections
from gateway.core.session import Session


class Court(Protocol):
    """What doubts need of the hub."""

    rooms: dict[str, Room]
    sessions: dict[Session, set[str]]
    selections: Selections

    def hold(self, session: Session, size: int) -> None:
        """Count bytes held of a session; less if negative, and nothing once it is gone.

        Raises ``PeerError`` TOO_BIG.
        """

    def queue(self, room: Room, updates: list[Incoming], *, alone: bool) -> None:
        """Have updates applied with the next turn. See ``Room.receive``."""

    def refused(
        self, session: Session, event: UpdateReceived, error: PeerError, *, decided: bool = True
    ) -> list[Effect]:
        """Tell the author of an update, and keep the update."""


class Doubts:
    """``forged``: how often an author did not confirm, since the start."""

    def __init__(self, hub: Court) -> None:
        self.forged = 0
        self._hub = hub
        # Documents in which something is in doubt.
        self._names: set[str] = set()

    def raised(self, room: Room) -> None:
        """Something is in doubt in a document."""
        self._names.add(room.name)

    def settle(self, room: Room) -> list[Effect]:
        """Ask the authors of what is in doubt, and decide on what they answered."""
        if room.name not in self._names:
            return []
        effects: list[Effect] = [Wake(author) for author in room.ask_authors()]
        for doubt in room.authors.settled():
            session = doubt.batch[0].session
            self._hub.hold(session, -cost(doubt.batch))
            if doubt.forged:
                effects += self._refuse(room, doubt)
            else:
                self._hub.queue(room, doubt.batch, alone=doubt.alone)
                effects.append(Wake(session))
        if not room.authors.doubts:
            self._names.discard(room.name)
        return effects

    def tick(self, now: float) -> list[Effect]:
        """Let time pass."""
        effects: list[Effect] = []
        for room in [self._hub.rooms[name] for name in self._names]:
            room.authors.expire(now)
            effects += self.settle(room)
        return effects

    def _refuse(self, room: Room, doubt: Doubt) -> list[Effect]:
        """Refuse what is forged; the rest, of somebody who was deceived too, is taken."""
        effects: list[Effect] = []
        self.forged += 1
        known = room.authors.known(doubt.beyond)
        for item in doubt.batch:
            rest = remainder(item, known)
            if rest is not item:
                event = UpdateReceived(room.name, item.update, item.number, item.answer, more=False)
                error = PeerError(Code.REFUSED, FORGED)
                effects += self._hub.refused(item.session, event, error, decided=rest is None)
            if rest is not None:
                self._hub.queue(room, [rest], alone=doubt.alone)
        last = doubt.batch[-1]
        if last.answer and rest is None:
            effects += self._hub.selections.answered(last.session, room.name)
        return effects

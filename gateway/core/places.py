"""Which phones may be connected, and which go when others come (docs/bluetooth.md, "Places").

A controller takes a handful of connections, and anybody may connect. Pure; time is given.
"""

from dataclasses import dataclass
from enum import Enum, auto

from gateway.core.opening import PLACES

# With fewer free, somebody who does not need a place has to go: the next may be one of the store.
RESERVE = 2
# Who has not authenticated by then goes.
STRANGER_SECONDS = 10.0
# Who is busy authenticating says more within this.
GRACE_SECONDS = 2.0
# A member that exchanged nothing for so long comes back when it has to say something.
IDLE_SECONDS = 60.0
# Who is refused stays so long, to be told.
REFUSED_SECONDS = 2.0


class _State(Enum):
    HELD = auto()
    REFUSED = auto()
    ENDING = auto()


@dataclass(slots=True)
class _Place:
    """``since``: connected, or not authenticated any more. ``heard``: when it last got further.

    ``number``: by which it is notified, once it asked; 0 before.
    """

    since: float
    heard: float
    enrolled: bool = False
    number: int = 0
    state: _State = _State.HELD


class Places:
    """Each connected phone by its name. What is returned is to be ended; it goes by ``left``."""

    def __init__(self, most: int = PLACES) -> None:
        self.most = most
        self._places: dict[str, _Place] = {}

    @property
    def free(self) -> int:
        """How many more may come."""
        return max(0, self._left_over)

    def joined(self, phone: str, now: float) -> list[str]:
        """A phone connected. Who is to be ended for the next ones."""
        place = self._places[phone] = _Place(now, now)
        ended = self._make_room(now) if self._left_over < RESERVE else []
        if self._left_over < 0:
            place.state = _State.REFUSED
        return ended

    def left(self, phone: str) -> None:
        """A connection is gone."""
        self._places.pop(phone, None)

    def number(self, phone: str, now: float) -> int:
        """The number of a connected phone's place; 0: it has none and may open no link."""
        place = self._places[phone]
        if place.state is _State.REFUSED and self.free:
            place.state, place.since = _State.HELD, now
        if place.state is not _State.HELD:
            return 0
        if not place.number:
            taken = {other.number for other in self._places.values()}
            place.number = next((one for one in range(1, PLACES + 1) if one not in taken), 0)
        return place.number

    def heard(self, phone: str, now: float) -> None:
        """A phone opened its first link, or exchanged a message that is no mere sign of life."""
        if place := self._places.get(phone):
            place.heard = now

    def enrolled(self, phone: str, now: float) -> None:
        """A phone authenticated."""
        if place := self._places.get(phone):
            place.enrolled, place.heard = True, now

    def unlinked(self, phone: str, now: float) -> None:
        """The link of a phone is over. Who was known may open another one in its time."""
        place = self._places.get(phone)
        if place and place.enrolled:
            place.enrolled, place.since, place.heard = False, now, now

    def due(self, now: float) -> list[str]:
        """Who is to be ended by now, again and again until it left."""
        for place in self._places.values():
            age = now - place.since
            stranger = not place.enrolled and age >= STRANGER_SECONDS
            if stranger or (place.state is _State.REFUSED and age >= REFUSED_SECONDS):
                place.state = _State.ENDING
        return [phone for phone, place in self._places.items() if place.state is _State.ENDING]

    @property
    def _left_over(self) -> int:
        held = sum(place.state is _State.HELD for place in self._places.values())
        return self.most - held

    def _make_room(self, now: float) -> list[str]:
        """The stranger that is silent for longest goes, else such a member."""
        for enrolled, seconds in ((False, GRACE_SECONDS), (True, IDLE_SECONDS)):
            silent = [
                (place.heard, phone)
                for phone, place in self._places.items()
                if place.state is _State.HELD and place.enrolled is enrolled
                and now - place.heard >= seconds
            ]  # fmt: skip
            if silent:
                _, phone = min(silent)
                self._places[phone].state = _State.ENDING
                return [phone]
        return []

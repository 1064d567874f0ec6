"""Who in the network is to be called, and which of two links to the same peer goes.

Rules, numbered as in docs/design.md: (1) never ourselves, another store or a peer without a common
version; (2) never a peer that an open link leads to; (3) a small peer calls everybody, a
large one calls the large ones, the small ones call it; (4) of two that would call each
other the one with the smaller id calls at once, the other after a while, for it may not be seen;
(5) at most ``MAX_CALLS`` at once.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum

from gateway.core.announcement import Neighbour

# A table for people; a shop has a few dozen devices.
MAX_NEIGHBOURS = 256
# Links made by discovery: everything reaches everybody over a few, and each costs both sides.
MAX_CALLS = 32
# The other may not see us (multicast goes one way at times); then it will not call.
PATIENCE_SECONDS = 5.0
# Two calls this close crossed each other. A later one says that its caller lost the link there was.
CROSSING_SECONDS = 10.0
PROBLEM_CHARACTERS = 160
RING = 1 << 128


class State(Enum):
    """What a neighbour is to us; the value is for scripts."""

    LINKED = "linked"
    CALLED = "called"
    WAITS = "waits"
    CALLS_US = "calls-us"
    OTHER_STORE = "other-store"
    VERSION = "version"
    ENOUGH = "enough"
    NO_ADDRESS = "no-address"


_SENTENCES = {
    State.LINKED: "linked",
    State.CALLED: "being called",
    State.WAITS: "it is to call; it will be called if it does not",
    State.CALLS_US: "a small peer; it calls this device",
    State.OTHER_STORE: "belongs to another store",
    State.VERSION: "speaks no version of the protocol that this device speaks",
    State.ENOUGH: f"not needed: {MAX_CALLS} others are linked already",
    State.NO_ADDRESS: "names no address that can be called from here",
}


@dataclass(frozen=True, slots=True)
class Own:
    """What the rules need of this device. ``announced``: others can see it."""

    peer: str
    lowest: int
    highest: int
    store: str
    large: bool
    announced: bool


@dataclass(slots=True)
class _Known:
    neighbour: Neighbour
    since: float
    announced: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _OpenLink:
    calling: bool
    # The address that was called because a neighbour announced it, or "".
    announced_ip: str
    opened: float


@dataclass(slots=True)
class Neighbours:
    """Everybody who is seen, and the open mesh links; links are told apart by a key."""

    own: Own
    _known: dict[str, _Known] = field(default_factory=dict)
    _links: dict[str, dict[Hashable, _OpenLink]] = field(default_factory=dict)

    def seen(self, neighbour: Neighbour, now: float) -> list[Hashable]:
        """It announces itself. Returns links to an address that it has no more."""
        peer = neighbour.peer
        known = self._known.get(peer)
        if peer == self.own.peer or (known is None and not self._has_room()):
            return []
        if known is None:
            self._known[peer] = _Known(neighbour, now)
        elif known.neighbour != neighbour or not known.announced:
            self._known[peer] = _Known(neighbour, known.since)
        return [
            key
            for key, link in self._links.get(peer, {}).items()
            if link.announced_ip and link.announced_ip not in neighbour.addresses
        ]

    def gone(self, peer: str) -> None:
        """It announces itself no more. A link to it goes on."""
        if peer in self._known:
            self._known[peer].announced = False
            self._forget_unless_linked(peer)

    def all_gone(self) -> None:
        """Nobody is seen any more: the network is another one, or has to be looked at anew."""
        for peer in list(self._known):
            self.gone(peer)

    def failed(self, peer: str, problem: str) -> None:
        """A call did not end in an open link; ``problem`` is a sentence."""
        if peer in self._known:
            self._known[peer].problem = problem[:PROBLEM_CHARACTERS]

    def opened(
        self, key: Hashable, peer: str, *, calling: bool, announced_ip: str, now: float
    ) -> Hashable | None:
        """A mesh link is open. Returns the link that has to go because there are two now.

        Both sides of two crossing calls find the same: the call of the larger id goes.
        """
        link = _OpenLink(calling, announced_ip, now)
        links = self._links.setdefault(peer, {})
        other = next((key for key, there in links.items() if _doubles(link, there)), None)
        links[key] = link
        if peer in self._known:
            self._known[peer].problem = ""
        if other is None:
            return None
        if links[other].calling == calling:
            return key if announced_ip else other
        if now - links[other].opened > CROSSING_SECONDS:
            return other
        return key if calling == (self.own.peer > peer) else other

    def closed(self, key: Hashable, peer: str, now: float) -> None:
        """A link ended; of one that was never open nothing is known."""
        links = self._links.get(peer, {})
        if links.pop(key, None) is None or links:
            return
        del self._links[peer]
        if peer in self._known:
            self._known[peer].since = now
            self._forget_unless_linked(peer)

    def linked(self, peer: str) -> bool:
        """Whether an open link leads to a peer."""
        return peer in self._links

    def neighbour(self, peer: str) -> Neighbour | None:
        """What is known of a peer."""
        known = self._known.get(peer)
        return known.neighbour if known else None

    def calls(self, now: float) -> set[str]:
        """Who is to be called now, at most as many as there may be links."""
        return {peer for peer, state in self._states(now).items() if state is State.CALLED}

    def listed(self, now: float) -> list[dict[str, object]]:
        """Everybody who is seen, for a table."""
        states = self._states(now)
        return [_row(known, states[peer]) for peer, known in sorted(self._known.items())]

    def _states(self, now: float) -> dict[str, State]:
        """One decision for all, since there is a bound on all together (5)."""
        states = {peer: self._state(known, now) for peer, known in self._known.items()}
        wanted = [peer for peer, state in states.items() if state is State.CALLED]
        links = [link for links in self._links.values() for link in links.values()]
        free = MAX_CALLS - sum(bool(link.announced_ip) for link in links)
        for peer in sorted(wanted, key=self._order)[max(free, 0) :]:
            states[peer] = State.ENOUGH
        return states

    def _state(self, known: _Known, now: float) -> State:
        own, it = self.own, known.neighbour
        if self.linked(it.peer):
            return State.LINKED  # (2)
        if it.store != own.store:
            return State.OTHER_STORE  # (1)
        if min(it.highest, own.highest) < max(it.lowest, own.lowest):
            return State.VERSION  # (1)
        if own.large and not it.large:
            return State.CALLS_US  # (3)
        if not it.addresses:
            return State.NO_ADDRESS
        is_mutual = own.announced and own.large == it.large
        if is_mutual and own.peer > it.peer and now - known.since < PATIENCE_SECONDS:
            return State.WAITS  # (4)
        return State.CALLED

    def _order(self, peer: str) -> tuple[bool, bool, int]:
        """Who is called first if not all can be: who answers, the large ones, our next in a ring.

        In a ring all stay connected, and nobody is called by everybody.
        """
        known = self._known[peer]
        distance = (int(peer, 16) - int(self.own.peer, 16)) % RING
        return bool(known.problem), not known.neighbour.large, distance

    def _has_room(self) -> bool:
        """Whether one more can be remembered; who is of no use makes room."""
        if len(self._known) < MAX_NEIGHBOURS:
            return True
        useless = next((peer for peer, known in self._known.items() if self._useless(known)), None)
        if useless is None:
            return False
        del self._known[useless]
        return True

    def _useless(self, known: _Known) -> bool:
        state = self._state(known, known.since)
        no_use = state in (State.OTHER_STORE, State.VERSION, State.NO_ADDRESS)
        return no_use or (bool(known.problem) and state is not State.LINKED)

    def _forget_unless_linked(self, peer: str) -> None:
        if not self._known[peer].announced and not self.linked(peer):
            del self._known[peer]


def _doubles(link: _OpenLink, other: _OpenLink) -> bool:
    """Whether one of two links to a peer is too many: both sides called, or discovery called
    whom we were told to call. A peer that calls us twice has its reasons."""
    found = link.announced_ip or other.announced_ip
    return link.calling != other.calling or (link.calling and bool(found))


def _row(known: _Known, state: State) -> dict[str, object]:
    it = known.neighbour
    return {
        "peer": it.peer,
        "addresses": list(it.addresses),
        "port": it.port,
        "large": it.large,
        "versions": f"{it.lowest}-{it.highest}",
        "announced": known.announced,
        "state": state.value,
        "store": it.store,
        "problem": known.problem,
        "sentence": known.problem or _SENTENCES[state],
    }

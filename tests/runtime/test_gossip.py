"""Announcements over sessions: who is told what, and when."""

from typing import Any, cast

import pytest

from gateway.core import messages as m
from gateway.core.events import LinkOpened, PeersHeard
from gateway.core.framing import records
from gateway.core.handshake import LocalPeer
from gateway.core.hub import Hub, Quotas
from gateway.core.mesh_session import MeshSession
from gateway.core.peer_graph import RENEW_SECONDS
from gateway.runtime.gossip import Gossip
from tests.core.sessions import Given, RecordingSession

FEATURES = m.FEATURE_PEERS | m.FEATURE_LARGE


class Place:
    """A device, without links: it stands for the performer of its gossip."""

    def __init__(self, number: int) -> None:
        self.now = 0.0
        self.peer = bytes([number]) * 16
        self.hub = Hub(Quotas(1 << 20, 1 << 20, 1 << 20), {}, frozenset())
        self.gossip = Gossip(m.PeerEntry(self.peer, 1, b"", 0, 0, ()), self)
        self.gossip.attach(cast(Any, self))
        self.woken: list[Any] = []

    def monotonic(self) -> float:
        return self.now

    def wake(self, session: Any) -> None:
        self.woken.append(session)

    def round_trip(self, session: Any) -> float | None:
        return 3.0


class Wire:
    """A link between two places."""

    def __init__(self, one: Place, two: Place, *, features: int = FEATURES) -> None:
        about = (("app", "kiosk"), ("schema", "2"))
        calling = MeshSession(LocalPeer(one.peer, FEATURES, about), (0, b""), "a", 0.0)
        called = MeshSession(LocalPeer(two.peer, features, about), lambda *_: (("*", 3),), "b", 0.0)
        self.ends = [(one, calling, called), (two, called, calling)]
        for place, session, _ in self.ends:
            place.hub.join(session)
        self.heard: list[m.Peers] = []
        self.run()

    def run(self) -> int:
        """Bring everything over; how many announcements there were."""
        before = len(self.heard)
        moved = True
        while moved:
            moved = False
            for (_, _, target), (place, _, _) in zip(self.ends, reversed(self.ends), strict=True):
                (source,) = (one for _, one, other in self.ends if other is target)
                for message in source.data_to_send(Given(None)):
                    moved = True
                    self._take(place, target, message)
        return len(self.heard) - before

    def cut(self) -> None:
        for place, session, _ in self.ends:
            place.hub.leave(session)
            place.gossip.closed(session)

    def _take(self, place: Place, session: MeshSession, message: bytes) -> None:
        self.heard += [
            one for record in records(message) if isinstance(one := m.decode(record), m.Peers)
        ]
        for event in session.receive(message):
            if isinstance(event, LinkOpened):
                place.gossip.opened(session)
            elif isinstance(event, PeersHeard):
                place.gossip.told(session, event)


def hops(place: Place) -> dict[int, int]:
    return {int(one.peer[:2], 16): one.hops for one in place.gossip.reached()}


def test_three_in_a_line_know_each_other_and_then_are_quiet() -> None:
    one, two, three = Place(1), Place(2), Place(3)
    wires = [Wire(one, two), Wire(two, three)]

    def talk() -> int:
        return sum(wire.run() for wire in wires * 3)

    for place in (one, two, three):
        place.gossip.look()
    assert talk() > 0
    assert hops(one) == {2: 1, 3: 2} and hops(two) == {1: 1, 3: 1} and hops(three) == {2: 1, 1: 2}
    for place in (one, two, three):
        place.gossip.look()
    assert talk() == 0
    # The versions of the far one count too, once.
    (app,) = one.gossip.apps()
    assert app["app"] == "kiosk" and app["peers"] == 2

    wires.pop().cut()
    two.gossip.look()
    talk()
    assert hops(one) == {2: 1}
    one.now = 10.0
    assert one.gossip.apps()[0]["peers"] == 1

    # Whoever links later is told what is known.
    four = Place(4)
    four.gossip.look()
    wires.append(Wire(four, two))
    two.gossip.look()
    four.gossip.look()
    talk()
    assert hops(four) == {2: 1, 1: 2} and hops(one) == {2: 1, 4: 2}
    one.now = RENEW_SECONDS
    one.gossip.look()
    assert talk() > 0


def test_who_does_not_tell_is_listed_and_told_nothing() -> None:
    one, old = Place(1), Place(2)
    one.hub.join(RecordingSession("plain"))
    wire = Wire(one, old, features=0)
    one.gossip.look()
    assert wire.run() == 0 and hops(one) == {2: 1}
    one.gossip.opened(RecordingSession("plain"))
    assert one.woken == []


def test_an_announcement_is_encoded_once_for_all_links(monkeypatch: pytest.MonkeyPatch) -> None:
    middle, encoded = Place(100), []
    wires = [Wire(middle, Place(number)) for number in range(1, 31)]

    def encode(record: m.Record) -> bytes:
        if isinstance(record, m.Peers) and len(record.entries) > 1:
            encoded.append(record)
        return encode_one(record)

    encode_one = m.encode
    monkeypatch.setattr(m, "encode", encode)
    middle.gossip.look()
    assert len(encoded) == 1
    assert all(wire.run() for wire in wires)

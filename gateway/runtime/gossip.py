"""Tells peers who is linked to whom, and knows what they told: ``core.peer_graph`` over links."""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import chain, islice

from gateway.core.events import PeersHeard
from gateway.core.hub import Hub
from gateway.core.mesh_session import MeshSession
from gateway.core.messages import PeerEntry
from gateway.core.peer_graph import MAX_LINKS, Entries, PeerGraph, Reached, link_entry
from gateway.core.sending import framed_peers
from gateway.core.session import Session, State
from gateway.core.versions import Versions
from gateway.ports import Clock
from gateway.runtime.perform import Performer, Watcher

# What changed is told within this; many changes at once cost one announcement.
LOOK_SECONDS = 2.0
# How exactly it is known when a version was there last.
NOTE_SECONDS = 10.0


class Gossip(Watcher):
    """``own`` is this device's own entry."""

    def __init__(self, own: PeerEntry, clock: Clock) -> None:
        self._graph = PeerGraph(own)
        self._versions = Versions()
        self._own = own.peer
        self._now = clock.monotonic
        self._noted_at = self._now()
        self._performer: Performer | None = None
        # Those that tell us, and are told.
        self._tellers: dict[Session, MeshSession] = {}

    def attach(self, performer: Performer) -> None:
        """Whose sessions these are; before anything below is called."""
        self._performer = performer

    def opened(self, session: Session) -> None:
        """See ``Watcher``. Who is new here is told everything."""
        if isinstance(session, MeshSession) and session.tells_peers:
            self._tellers[session] = session
            for entries in self._graph.everything(self._now()):
                session.tell(framed_peers(entries))
            self._attached.wake(session)

    def closed(self, session: Session) -> None:
        """See ``Watcher``."""
        self._tellers.pop(session, None)
        self._graph.left(session)

    def told(self, session: Session, event: PeersHeard) -> None:
        """See ``Watcher``. What is new goes to all others."""
        sender = bytes.fromhex(session.identity)
        direct = {bytes.fromhex(one.identity) for one in self._tellers}
        entries = self._graph.hear(session, sender, event.entries, direct, self._now())
        if entries is not None:
            self._tell(entries, session)

    async def keep_telling(self) -> None:
        """Tell of our own links when they change, and again from time to time, for ever."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Note what changed, tell of it, and forget who is silent."""
        now = self._now()
        self._graph.expire(now)
        if self._tellers:
            entries = self._graph.announce(self._links(), now)
            if entries is not None:
                self._tell(entries, None)
        if now - self._noted_at >= NOTE_SECONDS:
            self._noted_at = now
            self._note(self.reached())

    def reached(self) -> list[Reached]:
        """Everybody in the store, as far as is known."""
        return self._graph.reached(self._links(), self._now())

    def apps(self) -> list[dict[str, object]]:
        """Which versions of apps live in the store."""
        self._note(self.reached())
        return self._versions.listed(self._now())

    def _note(self, reached: list[Reached]) -> None:
        abouts: list[Mapping[str, str]] = [session.about for session in self._hub.sessions]
        abouts += [peer.about for peer in reached if peer.hops > 1]
        self._versions.note(abouts, self._now())

    def _links(self) -> list[PeerEntry]:
        listed = self._hub.selections.subscriptions.listed
        # Over those that tell others are reached: none of them is left out.
        sessions: Iterator[MeshSession] = (
            session
            for session in chain(self._tellers.values(), self._hub.sessions)
            if isinstance(session, MeshSession) and session.state is State.OPEN
        )
        return [
            link_entry(
                bytes.fromhex(session.identity),
                self._own,
                large=session.large,
                round_trip_ms=self._attached.round_trip(session),
                about=session.about,
                since_seconds=self._hub.now - session.started,
                wants=[collection for collection, _ in listed(session)],
            )
            for session in islice(dict.fromkeys(sessions), MAX_LINKS)
        ]

    def _tell(self, entries: Entries, source: Session | None) -> None:
        others = [session for session in self._tellers.values() if session is not source]
        # Once for all: there may be many links, and each may say a lot.
        framed = framed_peers(entries) if others else b""
        for session in others:
            session.tell(framed)
            self._attached.wake(session)

    @property
    def _hub(self) -> Hub:
        return self._attached.hub

    @property
    def _attached(self) -> Performer:
        assert self._performer is not None
        return self._performer

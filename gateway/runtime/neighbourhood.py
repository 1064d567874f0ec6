"""Calls who is seen in the network, as ``core.neighbours`` decides, and ends what is too much.

Holds no rules of its own: it brings sightings, sessions and changes of the network to the
core, and keeps one task for each peer that is to be called.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from gateway.core.announcement import Address, Announcement, Neighbour, announced, reachable
from gateway.core.errors import Code, GatewayError
from gateway.core.neighbours import Neighbours
from gateway.core.session import Session
from gateway.ports import Clock, Discovery, Link, Network
from gateway.runtime.caller import keep_calling
from gateway.runtime.perform import Watcher

# A neighbour is one hop away; an address that is silent for this long is not the right one.
CONNECT_SECONDS = 3.0
# Decided anew this often, and whenever something happens.
DECIDE_SECONDS = 1.0
# After this discovery is tried again where it failed.
RETRY_SECONDS = 10.0
EX_UNAVAILABLE = 69
DOUBLE = "there is another link to this peer"
MOVED = "the peer has another address now"
LEFT = "this device has another address now"
OTHER = "another peer answers at this address"
NOT_OPENED = "it answered, but no link was opened"
NOBODY = "Nobody announces itself here; multicast may be blocked: name an address with --connect."
ALONE = "This device is in no network in which others could be found."
OFF = "This device looks for nobody in the network: {}."

log = logging.getLogger("gateway.neighbours")


@dataclass(frozen=True, slots=True)
class Calls:
    """How somebody is called.

    ``connect(url)`` gives a link or raises ``GatewayError``; ``session(url)`` asks to be let in
    there; ``serve`` runs it over the link until it ends; ``end`` closes it and tells its peer why.
    """

    connect: Callable[[str], Awaitable[Link]]
    session: Callable[[str], Session]
    serve: Callable[[Link, Session], Awaitable[None]]
    end: Callable[[Session, Code, str], None]


Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]


class Neighbourhood(Watcher):
    """Satisfies ``Sightings``. ``off``: why nobody is looked for, or ""."""

    def __init__(
        self,
        neighbours: Neighbours,
        calls: Calls,
        clock: Clock,
        chance: Callable[[], float],
        off: str,
    ) -> None:
        self._neighbours = neighbours
        self._calls = calls
        self._clock = clock
        self._chance = chance
        self._off = off
        self._trouble = OFF.format(off) if off else ""
        self._addresses: Sequence[Address] = ()
        self._news = asyncio.Event()
        self._other_store = asyncio.Event()
        self._wanted: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # To whom a call is under way, or a link we called: the URL.
        self._busy: dict[str, str] = {}
        self._expected: dict[Session, str] = {}
        # Who answered at an address we were told to call.
        self._identities: dict[str, str] = {}
        self._local: dict[Session, str] = {}

    def seen(self, neighbour: Neighbour) -> None:
        """See ``Sightings``."""
        worth = replace(neighbour, addresses=reachable(neighbour.addresses, self._addresses))
        before = self._neighbours.neighbour(neighbour.peer)
        moved = self._neighbours.seen(worth, self._clock.monotonic())
        for session in cast(list[Session], moved):
            self._calls.end(session, Code.GOING_AWAY, MOVED)
        if before is not None and before.addresses != worth.addresses:
            self._call_at_once(neighbour.peer)
        self._news.set()

    def gone(self, peer: str) -> None:
        """See ``Sightings``."""
        self._neighbours.gone(peer)
        self._news.set()

    def joined(self, session: Session, local: str) -> None:
        """A session begins over a link that ends at an address of ours."""
        self._local[session] = local

    def opened(self, session: Session) -> None:
        """See ``Watcher``."""
        peer, expected = session.identity, self._expected.get(session)
        if expected is not None and expected != peer:
            self._neighbours.failed(expected, OTHER)
            self._calls.end(session, Code.GOING_AWAY, OTHER)
            return
        if session.calling and expected is None:
            self._identities[session.address] = peer
        surplus = self._neighbours.opened(
            session,
            peer,
            calling=session.calling,
            announced_ip=_host(session.address) if expected else "",
            now=self._clock.monotonic(),
        )
        if surplus is not None:
            self._calls.end(cast(Session, surplus), Code.TOO_MANY, DOUBLE)
        self._news.set()

    def closed(self, session: Session) -> None:
        """See ``Watcher``."""
        self._local.pop(session, None)
        self._neighbours.closed(session, session.identity, self._clock.monotonic())
        self._news.set()

    def may_call(self, url: str) -> bool:
        """Whether an address somebody named is to be called: not while its peer is linked."""
        peer = self._identities.get(url)
        return peer is None or not self._neighbours.linked(peer)

    def listed(self) -> Mapping[str, Any]:
        """Who is seen, and what is to be said about it."""
        rows = self._neighbours.listed(self._clock.monotonic())
        sentence = self._trouble or ("" if rows else NOBODY)
        return {"sentence": sentence, "off": self._off, "neighbours": rows}

    def of_store(self, hint: str) -> None:
        """We are of this store now, by its hint: announce it, and call nobody of another."""
        self._neighbours.own = replace(self._neighbours.own, store=hint)
        self._other_store.set()
        self._news.set()

    async def keep_calling(self, spawn: Spawn) -> None:
        """Call who is to be called, for ever."""
        while True:
            self._decide(spawn)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DECIDE_SECONDS):
                    await self._news.wait()
            self._news.clear()

    async def keep_looking(
        self,
        discovery: Discovery,
        network: Network,
        own: Announcement | None,
        host: str,
    ) -> None:
        """Look for others, and announce ``own`` under the addresses that ``host`` stands for, anew
        whenever the network changes, for ever."""
        try:
            while True:
                self._moved_to(network.addresses())
                under = announced(host, self._addresses) if own else ()
                store = self._neighbours.own.store
                now = replace(own, addresses=under, store=store) if own and under else None
                try:
                    await discovery.start(self._addresses, now, self)
                    self._trouble = "" if any(a.usable for a in self._addresses) else ALONE
                    await self._changed(network)
                except GatewayError as error:
                    self._trouble = error.sentence
                    log.info("%s", error.sentence)
                    await asyncio.sleep(RETRY_SECONDS)
                await discovery.stop(goodbye=False)
                self._neighbours.all_gone()
        finally:
            await discovery.stop(goodbye=True)
            network.close()

    async def _changed(self, network: Network) -> None:
        """Return when the network changed, or we are of another store."""
        self._other_store.clear()
        waiting = [
            asyncio.ensure_future(network.changed()),
            asyncio.ensure_future(self._other_store.wait()),
        ]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        for task in done:
            task.result()

    def _moved_to(self, addresses: Sequence[Address]) -> None:
        """End the sessions over addresses that are ours no more: nothing comes there again."""
        lost = {address.ip for address in self._addresses} - {address.ip for address in addresses}
        self._addresses = addresses
        for session, local in list(self._local.items()):
            if local.partition("%")[0] in lost:
                self._calls.end(session, Code.GOING_AWAY, LEFT)

    def _decide(self, spawn: Spawn) -> None:
        self._wanted = self._neighbours.calls(self._clock.monotonic())
        for peer in self._tasks.keys() - self._wanted - self._busy.keys():
            self._tasks.pop(peer).cancel()
        for peer in self._wanted - self._tasks.keys():
            self._tasks[peer] = spawn(self._call(peer))

    def _call_at_once(self, peer: str) -> None:
        """It may be reached now: do not wait until the pause is over."""
        if peer not in self._busy and (task := self._tasks.pop(peer, None)) is not None:
            task.cancel()

    async def _call(self, peer: str) -> None:
        await keep_calling(
            partial(self._connect, peer),
            partial(self._serve, peer),
            lambda error: self._neighbours.failed(peer, error.sentence),
            self._clock,
            self._chance,
            lambda: peer in self._wanted,
        )

    async def _connect(self, peer: str) -> Link:
        """A link to the first address that answers."""
        error = GatewayError("unreachable", "it is not seen any more", EX_UNAVAILABLE)
        for url in self._urls(peer):
            self._busy[peer] = url
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._calls.connect(url)
            except TimeoutError:
                error = GatewayError("unreachable", f"{url} does not answer", EX_UNAVAILABLE)
            except GatewayError as cause:
                error = cause
        self._busy.pop(peer, None)
        raise error

    def _urls(self, peer: str) -> list[str]:
        it = self._neighbours.neighbour(peer)
        return [f"ws://{_shown(ip)}:{it.port}/mesh" for ip in it.addresses] if it else []

    async def _serve(self, peer: str, link: Link) -> None:
        session = self._calls.session(self._busy[peer])
        self._expected[session] = peer
        self._neighbours.failed(peer, NOT_OPENED)
        try:
            await self._calls.serve(link, session)
        finally:
            del self._expected[session], self._busy[peer]
            self._news.set()


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _shown(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip

"""The composition root: builds everything, owns the one TaskGroup, starts and stops in order.

Start: open the store, check it, then open listeners. Stop: stop accepting, say goodbye,
drain the store, close it (docs/design.md).
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway import __version__
from gateway.adapters.console import Console
from gateway.adapters.crash_note import CrashNote
from gateway.adapters.identity_file import IdentityFolder
from gateway.adapters.loop import new_event_loop
from gateway.adapters.pages import Pages
from gateway.adapters.process_figures import process_figures
from gateway.adapters.rtnetlink import own_addresses
from gateway.adapters.sqlite_recovery import BACKUP
from gateway.adapters.sqlite_store import SqliteStore
from gateway.adapters.websocket import WebSocketCaller, WebSocketLink, WebSocketServer
from gateway.config import ALL, Config, peer_url
from gateway.control.server import ControlServer
from gateway.core import messages
from gateway.core.allowance import Allowance, Terms
from gateway.core.announcement import Announcement, announced
from gateway.core.entrance import PairingSecret
from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.framing import MESSAGE_BYTES
from gateway.core.handshake import LocalPeer
from gateway.core.hub import Hub, Quotas
from gateway.core.interests import interest_of
from gateway.core.neighbours import Neighbours, Own
from gateway.core.noise_transport import sealed_bytes
from gateway.core.selections import Interest
from gateway.core.session import Session
from gateway.core.status import Identity
from gateway.ports import Clock, Link, RelayingStore
from gateway.runtime.backups import keep_backup
from gateway.runtime.budget import Budget
from gateway.runtime.caller import keep_calling
from gateway.runtime.eviction import Eviction
from gateway.runtime.gossip import Gossip
from gateway.runtime.identity import Identity as KeptIdentity
from gateway.runtime.local import Local
from gateway.runtime.member_verbs import MemberVerbs
from gateway.runtime.members import Members
from gateway.runtime.neighbourhood import Calls, Neighbourhood
from gateway.runtime.peer import keep_time, serve
from gateway.runtime.perform import MISTAKE, Performer, Watcher
from gateway.runtime.sessions import Sessions
from gateway.runtime.store_state import StoreState
from gateway.runtime.suspects import suspects
from gateway.runtime.tasks import Tasks
from gateway.runtime.threads import Helper
from gateway.runtime.verbs import Verbs
from gateway.runtime.watchers import Watchers
from gateway.script import Script

if TYPE_CHECKING:
    from gateway.bluetooth import Bluetooth
    from gateway.cloud import Cloud

# Together below the 5 s a service manager or script waits for us.
GOODBYE_SECONDS = 1.0
CONTROL_SOCKET = "control.sock"
STDIN, STDOUT = 0, 1
IDENTITY = "identity"
# Where what listens everywhere is reached on this machine.
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
LINK_MESSAGE_BYTES = sealed_bytes(MESSAGE_BYTES)

log = logging.getLogger("gateway")


class MonotonicClock:
    """Satisfies ``Clock``."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Time:
    """The time a gateway lives in: its clock, and loops whose timers go by the same."""

    clock: Clock = field(default_factory=MonotonicClock)
    loop: Callable[[], asyncio.AbstractEventLoop] = new_event_loop


REAL_TIME = Time()
Ready = Callable[[Mapping[str, Any]], None]


def run(
    config: Config,
    draw: Callable[[int], bytes],
    ready: Ready | None,
    pairing: PairingSecret | None = None,
    once: float | None = None,
    lives_in: Time = REAL_TIME,
) -> None:
    """Run the gateway until it is told to stop. Raises ``GatewayError`` for our faults.

    ``draw(count)`` gives random bytes; ``ready`` is called once everything listens. Without it
    the device is in the hands of a script, on standard input and output (``gateway.script``).
    ``pairing`` is what it was given to become a member of a store. ``once``: see ``Script``.
    The store thread, whose pauses are of a disk, lives in real time whatever ``lives_in`` says.
    """
    folder = Path(config.store.folder)
    interests, addresses = mesh_of(config)
    store = SqliteStore.open(folder)
    try:
        peer = _peer_id(folder, draw(16))
        kept = KeptIdentity(IdentityFolder(folder / IDENTITY), draw)
        members = Members(peer, kept, lives_in.clock, draw, config.name, pairing)
        note = CrashNote(folder)
        try:
            gateway = Gateway(
                config, peer, store, note, interests, addresses, draw, members, lives_in.clock
            )
            with asyncio.Runner(loop_factory=lives_in.loop) as runner:
                runner.run(gateway.run(ready, once))
        finally:
            note.close()
    finally:
        store.close()


class Gateway:
    """One running gateway."""

    def __init__(
        self,
        config: Config,
        peer: bytes,
        store: RelayingStore,
        note: CrashNote,
        interests: Sequence[Interest],
        addresses: Sequence[str],
        draw: Callable[[int], bytes],
        members: Members,
        clock: Clock,
    ) -> None:
        self._config = config
        self._members = members
        self._addresses_to_call = addresses
        self._draw = draw
        self._chance = lambda: int.from_bytes(draw(2), "big") / 65_536
        self._store = store
        self._note = note
        self._clock = clock
        self._stop = asyncio.Event()
        self._failure: GatewayError | None = None
        suspected = suspects(note, store)
        figures = store.status()
        quotas = Quotas(
            config.store.max_bytes,
            config.store.max_collection_bytes,
            config.store.max_peer_daily_bytes,
        )
        self._hub = Hub(
            quotas,
            figures.usage,
            store.quarantined(),
            suspected,
            interests=interests,
            draw=draw,
        )
        client = 1 + int.from_bytes(draw(4), "big")
        self._local = Local(peer.hex(), client)
        self._large = not interests
        budget = config.budget
        allowance = Allowance(budget.bytes_per_second, budget.documents, budget.storage)
        own = LocalPeer(
            peer,
            messages.FEATURE_SAVES
            | messages.FEATURE_RECONCILE
            | messages.FEATURE_SUBSCRIPTIONS
            | messages.FEATURE_RELAYS
            | messages.FEATURE_PEERS
            | messages.FEATURE_DEFLATE
            | messages.FEATURE_STATE
            | (messages.FEATURE_LARGE if self._large else 0),
            (
                ("name", config.name),
                ("software", f"store-gateway {__version__}"),
                ("client", str(client)),
                *allowance.told(),
            ),
        )
        terms = Terms(config.priorities, config.bytes_per_second, allowance)
        self._peer = peer.hex()
        self._sessions = Sessions(
            own, members, lambda: self._hub.now, open_=config.access.open, terms=terms
        )
        entry = messages.PeerEntry(peer, int(self._large), b"", 0, 0, own.about[:2])
        self._gossip = Gossip(entry, self._clock)
        self._addresses_shown: dict[str, str] = {}
        # Where links are accepted.
        self._port = 0
        # What goes on until the end, and what serves a link.
        self._owned, self._links = Tasks(), Tasks()

    async def run(self, ready: Ready | None, once: float | None = None) -> None:
        """Start, serve until told to stop, stop in order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._helper = Helper("guard")
        self._budget = Budget(self._clock)
        console = None if ready else Console(STDIN, STDOUT)
        script: Script | None = None
        if console is not None:
            script = Script(console, self._ask, self._local, self._stop.set, once)
        self._caller = WebSocketCaller(LINK_MESSAGE_BYTES)
        self._neighbourhood = self._neighbours()
        self._bluetooth = self._phones() if self._config.bluetooth.enabled else None
        self._cloud = self._bridge() if self._config.mqtt.enabled else None
        watchers: list[Watcher] = [self._neighbourhood, self._gossip]
        watchers += [script] if script else []
        watchers += [self._bluetooth.phones] if self._bluetooth else []
        watchers += [self._cloud.bridge] if self._cloud else []
        self._performer = Performer(
            self._hub,
            self._store,
            self._note,
            self._helper,
            self._fail,
            Watchers(watchers),
            self._members.heard,
        )
        self._members.attach(self._performer, self._gained)
        self._local.attach(self._performer)
        self._verbs = Verbs(
            self._performer,
            self._store,
            self._local,
            MemberVerbs(self._members, self._reached_at),
            self._neighbourhood,
            self._gossip,
            self._clock,
            self._identity,
            self._bluetooth.status if self._bluetooth else None,
            self._cloud.status if self._cloud else None,
            process=process_figures,
        )
        self._gossip.attach(self._performer)
        if self._cloud is not None:
            self._cloud.attach(self._performer, self._store)
        self._store_state = StoreState(
            bytes.fromhex(self._peer), self._members, self._performer, self._draw
        )
        self._performer.writer.start()
        self._performer.perform(self._hub.selections.begin())
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(tasks, ready, script)
        except* GatewayError as group:
            raise group.exceptions[0] from None
        finally:
            if console is not None:
                await asyncio.to_thread(console.close)
            await asyncio.to_thread(self._performer.close)
            self._helper.close()
        if self._failure is not None:
            raise self._failure

    async def _serve(
        self, tasks: asyncio.TaskGroup, ready: Ready | None, script: Script | None
    ) -> None:
        config = self._config
        folder = Path(config.store.folder)
        self._owned.group = self._links.group = tasks
        spawn = self._owned.spawn
        server = WebSocketServer(
            self._serve_link,
            self._links.spawn,
            message_bytes=LINK_MESSAGE_BYTES,
            max_links=config.listen.max_links,
            hosts=frozenset(config.listen.hosts),
        )
        control = ControlServer(folder / CONTROL_SOCKET, self._verbs.answer)
        pages: Pages | None = None
        try:
            addresses: dict[str, str] = {}
            if config.listen.enabled:
                self._port = await server.start(config.listen.host, config.listen.port)
                addresses = self._addresses(self._port)
            await control.start()
            if config.pages.enabled and config.listen.enabled:
                pages = Pages(
                    folder / CONTROL_SOCKET, config.listen.host, config.pages.port, self._port
                )
                addresses["pages"] = f"http://{_shown(config.listen.host)}:{await pages.start()}/"
                spawn(pages.keep())
            self._addresses_shown = addresses
            spawn(keep_time(self._performer, self._clock))
            spawn(self._gossip.keep_telling())
            spawn(self._store_state.keep_telling())
            spawn(keep_backup(self._store, self._performer.writer, folder / BACKUP))
            facts = {
                **addresses,
                "data": str(folder),
                "open": self._sessions.is_open,
                "claimed": not self._members.is_open,
                "bluetooth": self._bluetooth is not None,
            }
            if ready is not None:
                ready(facts)
            if script is not None:
                await script.ready(peer=self._peer, **facts)
                spawn(script.listen())
                for work in (script.tell_news(), script.tell_changes(), script.serve()):
                    spawn(work)
            budget = config.budget
            if budget.storage or budget.evict:
                client, always = self._local.client, budget.evict
                spawn(
                    Eviction(
                        self._performer, self._store, client, budget.storage, always=always
                    ).keep()
                )
            if self._bluetooth is not None:
                self._bluetooth.start(
                    spawn, self._members, self._store_state, self._places, self._draw
                )
            if self._cloud is not None:
                spawn(self._cloud.keep())
            for url in self._addresses_to_call:
                spawn(self._keep_calling(url, script))
            if not config.why_not_discover:
                spawn(self._keep_looking(self._port, pages.port if pages else 0))
                spawn(self._neighbourhood.keep_calling(spawn))
            await self._stop.wait()
        finally:
            await self._shut_down(server, control, pages)
            self._caller.close()
            # What still waits, for a document or a slow helper, waits for nothing now.
            self._links.cancel()

    async def _shut_down(
        self,
        server: WebSocketServer,
        control: ControlServer,
        pages: Pages | None,
    ) -> None:
        server.stop_accepting()
        self._performer.say_goodbye(Code.GOING_AWAY, "the gateway stops")
        if self._bluetooth is not None:
            # While its tasks run: they bring the goodbye to the phones.
            await self._bluetooth.drained(GOODBYE_SECONDS)
        if self._cloud is not None:
            await self._cloud.bridge.close(GOODBYE_SECONDS)
        self._owned.cancel()
        if pages is not None:
            await pages.stop()
        await control.close()
        await server.drained(GOODBYE_SECONDS)

    def _neighbours(self) -> Neighbourhood:
        config, peer = self._config, self._peer
        is_announced = config.listen.enabled and not config.why_not_discover
        own = Own(
            peer,
            messages.VERSION,
            messages.VERSION,
            self._members.store_hint,
            self._large,
            is_announced,
        )

        calls = Calls(self._caller.connect, self._sessions.calling, self._serve_session, self._end)
        off = config.why_not_discover
        return Neighbourhood(Neighbours(own), calls, self._clock, self._chance, off)

    def _gained(self, store: str) -> None:
        self._neighbourhood.of_store(store)
        if self._bluetooth is not None:
            self._bluetooth.claimed()

    def _end(self, session: Session, code: Code, reason: str) -> None:
        session.close(code, reason)
        self._performer.wake(session)

    def _phones(self) -> "Bluetooth":
        # Who has no phones does without its libraries.
        from gateway.bluetooth import Bluetooth

        return Bluetooth(
            bytes.fromhex(self._peer),
            self._config.bluetooth.adapter,
            self._config.bluetooth.phones,
            self._sessions.phone,
            self._serve_session,
            self._end,
            self._links.spawn,
            self._clock,
        )

    def _bridge(self) -> "Cloud":
        # Who has no cloud does without its library.
        from gateway.adapters.mqtt_pipe import Settings
        from gateway.cloud import Cloud
        from gateway.runtime.bridge_hub import HubTerms

        of = self._config.mqtt
        (host, port), *more = of.nodes
        settings = Settings(
            host, port, of.tls, f"store-gateway-{self._peer}", of.ca, of.certificate,
            of.key, of.user, of.password_file, more=tuple(more),
        )  # fmt: skip
        up = None if ALL in of.up else of.up
        terms = HubTerms(bytes.fromhex(of.hub), up, of.down, of.outbox_bytes) if of.hub else None
        return Cloud(
            settings, of.root, of.json, of.commands, self._config.name, __version__,
            home_assistant=of.home_assistant, terms=terms, members=self._members, local=self._local,
            helper=self._helper, ask=self._ask, draw=self._draw, clock=self._clock,
            chance=self._chance,
        )  # fmt: skip

    async def _keep_looking(self, port: int, pages: int) -> None:
        # Who looks for nobody does without 4.5 MB of it.
        from gateway.adapters.mdns import MulticastDns
        from gateway.adapters.rtnetlink import Network

        config, version = self._config, messages.VERSION
        own = Announcement(
            self._peer,
            version,
            version,
            self._members.store_hint,
            self._large,
            port,
            config.name,
            pages,
        )
        await self._neighbourhood.keep_looking(
            MulticastDns(), Network(), own if port else None, config.listen.host
        )

    async def _keep_calling(self, url: str, script: Script | None) -> None:
        def unreachable(error: GatewayError) -> None:
            log.info("%s", error.sentence)
            if script is not None:
                script.unreachable(url, error.sentence)

        async def serve_called(link: Link) -> None:
            await self._serve_session(link, self._sessions.calling(url))

        connect = partial(self._caller.connect, url)
        is_wanted = partial(self._neighbourhood.may_call, url)
        await keep_calling(connect, serve_called, unreachable, self._clock, self._chance, is_wanted)

    async def _serve_link(self, link: WebSocketLink, path: str) -> None:
        try:
            session = self._sessions.called(link.address, path)
        except PeerError as error:
            link.close(error.code, error.reason)
            return
        await self._serve_session(link, session)

    async def _serve_session(self, link: Link, session: Session) -> None:
        self._neighbourhood.joined(session, link.local)
        try:
            await serve(link, session, self._performer, self._helper, self._budget)
        except GatewayError as error:
            self._fail(error)
        except Exception:
            # A fault of ours met one peer; the others must not feel it.
            log.exception("a link failed")
            link.close(Code.RESET, MISTAKE)

    async def _ask(self, verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._verbs.answer(verb, arguments)

    def _identity(self) -> Identity:
        membership = self._members.membership
        return Identity(
            __version__,
            self._peer,
            self._sessions.is_open,
            self._addresses_shown,
            membership.store.hex() if membership else "",
            self._config.name,
        )

    def _reached_at(self) -> Sequence[str]:
        """Where others reach this gateway."""
        if not self._config.listen.enabled:
            return []
        # Listening on a name or on loopback only, or in no network.
        host = LOOPBACK.get(self._config.listen.host, self._config.listen.host)
        places = self._places() or [(host, self._port)]
        return [f"{_shown(host)}:{port}" for host, port in places]

    def _places(self) -> list[tuple[str, int]]:
        """Where others in the network reach this gateway."""
        if not self._config.listen.enabled:
            return []
        found = announced(self._config.listen.host, own_addresses())
        return [(host, self._port) for host in found]

    def _addresses(self, port: int) -> dict[str, str]:
        base = f"ws://{_shown(self._config.listen.host)}:{port}"
        return {"sync": f"{base}/sync/", "mesh": f"{base}/mesh"}

    def _fail(self, error: GatewayError) -> None:
        if self._failure is None:
            self._failure = error
        self._stop.set()


def mesh_of(config: Config) -> tuple[Sequence[Interest], Sequence[str]]:
    """What is subscribed to, and the URLs to call. Raises ``GatewayError``."""
    return tuple(map(interest_of, config.mesh.subscribe)), tuple(map(peer_url, config.mesh.connect))


def _peer_id(folder: Path, fresh: bytes) -> bytes:
    path = folder / "peer-id"
    try:
        if not path.exists():
            path.write_text(fresh.hex())
        return bytes.fromhex(path.read_text())
    except OSError as error:
        raise GatewayError("store-folder", f"{path}: {error.strerror}", 74) from error
    except ValueError as error:
        sentence = f"{path} is damaged; delete it, and this gateway gets a new id"
        raise GatewayError("peer-id-damaged", sentence, 65) from error


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host

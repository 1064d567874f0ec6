"""The composition root: builds everything, owns the one TaskGroup, starts and stops in order.

Start: open the store, check it, then open listeners. Stop: stop accepting, say goodbye,
drain the store, close it (docs/design.md).
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from gateway import __version__
from gateway.adapters.crash_note import CrashNote
from gateway.adapters.loop import new_event_loop
from gateway.adapters.pages import Pages
from gateway.adapters.sqlite_recovery import BACKUP
from gateway.adapters.sqlite_store import SqliteStore
from gateway.adapters.websocket import WebSocketLink, WebSocketServer
from gateway.config import Config
from gateway.control.server import ControlServer
from gateway.core import messages
from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.framing import MESSAGE_BYTES
from gateway.core.hub import Hub, Quotas
from gateway.core.mesh_session import LocalPeer, MeshSession
from gateway.core.names import name_from_path
from gateway.core.records import Refusal, StoreStatus
from gateway.core.session import Session
from gateway.core.status import Identity, Moment, status
from gateway.core.y_session import YSession
from gateway.ports import Store
from gateway.runtime.peer import keep_time, serve
from gateway.runtime.perform import MISTAKE, Performer
from gateway.runtime.threads import Helper

# Together below the 5 s a service manager or script waits for us.
GOODBYE_SECONDS = 1.0
CONTROL_SOCKET = "control.sock"
CRASHED = "the gateway died while it applied this"
# A good copy is kept beside the store and made anew this often if something changed.
BACKUP_SECONDS = 6 * 3600.0
FIRST_BACKUP_SECONDS = 600.0

log = logging.getLogger("gateway")


class MonotonicClock:
    """Satisfies ``Clock``."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


def run(config: Config, fresh_id: bytes, ready: Callable[[Mapping[str, Any]], None]) -> None:
    """Run the gateway until it is told to stop. Raises ``GatewayError`` for our faults.

    ``fresh_id`` becomes our peer id if this installation has none yet (16 random bytes);
    ``ready`` is called once everything listens.
    """
    folder = Path(config.store.folder)
    store = SqliteStore.open(folder)
    try:
        peer = _peer_id(folder, fresh_id)
        note = CrashNote(folder)
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(Gateway(config, peer, store, note).run(ready))
        finally:
            note.close()
    finally:
        store.close()


class Gateway:
    """One running gateway."""

    def __init__(self, config: Config, peer: bytes, store: Store, note: CrashNote) -> None:
        self._config = config
        self._store = store
        self._note = note
        self._clock = MonotonicClock()
        self._started = self._clock.monotonic()
        self._stop = asyncio.Event()
        self._failure: GatewayError | None = None
        suspected = self._judge_crash()
        figures = store.status()
        quotas = Quotas(
            config.store.max_bytes,
            config.store.max_collection_bytes,
            config.store.max_peer_daily_bytes,
        )
        self._hub = Hub(quotas, figures.usage, store.quarantined(), suspected, draw=os.urandom)
        self._local = LocalPeer(
            peer,
            messages.FEATURE_SAVES
            | messages.FEATURE_RECONCILE
            | messages.FEATURE_SUBSCRIPTIONS
            | messages.FEATURE_LARGE,
            (("name", config.name), ("software", f"store-gateway {__version__}")),
        )
        self._identity = Identity(__version__, peer.hex(), config.access.open, {})

    async def run(self, ready: Callable[[Mapping[str, Any]], None]) -> None:
        """Start, serve until told to stop, stop in order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        self._helper = Helper("guard")
        self._performer = Performer(self._hub, self._store, self._note, self._helper, self._fail)
        self._performer.writer.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(tasks, ready)
        except* GatewayError as group:
            raise group.exceptions[0] from None
        finally:
            await asyncio.to_thread(self._performer.close)
            self._helper.close()
        if self._failure is not None:
            raise self._failure

    async def _serve(
        self, tasks: asyncio.TaskGroup, ready: Callable[[Mapping[str, Any]], None]
    ) -> None:
        config = self._config
        folder = Path(config.store.folder)
        owned: list[asyncio.Task[None]] = []
        links: set[asyncio.Task[None]] = set()

        def spawn(work: Coroutine[None, None, None]) -> None:
            task = tasks.create_task(work)
            owned.append(task)

        def spawn_link(work: Coroutine[None, None, None]) -> None:
            task = tasks.create_task(work)
            links.add(task)
            task.add_done_callback(links.discard)

        server = WebSocketServer(
            self._serve_link,
            spawn_link,
            message_bytes=MESSAGE_BYTES,
            max_links=config.listen.max_links,
            hosts=frozenset(config.listen.hosts),
        )
        control = ControlServer(folder / CONTROL_SOCKET, self._answer)
        pages: Pages | None = None
        try:
            port = await server.start(config.listen.host, config.listen.port)
            await control.start()
            addresses = self._addresses(port)
            if config.pages.enabled:
                pages = Pages(folder / CONTROL_SOCKET, config.listen.host, config.pages.port, port)
                addresses["pages"] = f"http://{_shown(config.listen.host)}:{await pages.start()}/"
                spawn(pages.keep())
            self._identity = Identity(
                __version__, self._identity.peer, config.access.open, addresses
            )
            spawn(keep_time(self._performer, self._clock))
            spawn(self._keep_backup(folder))
            ready({**addresses, "data": str(folder), "open": config.access.open})
            await self._stop.wait()
        finally:
            await self._shut_down(server, control, pages, owned)
            # What still waits, for a document or a slow helper, waits for nothing now.
            for task in links:
                task.cancel()

    async def _shut_down(
        self,
        server: WebSocketServer,
        control: ControlServer,
        pages: Pages | None,
        owned: list[asyncio.Task[None]],
    ) -> None:
        server.stop_accepting()
        self._performer.say_goodbye(Code.GOING_AWAY, "the gateway stops")
        for task in owned:
            task.cancel()
        if pages is not None:
            await pages.stop()
        await control.close()
        await server.drained(GOODBYE_SECONDS)

    async def _serve_link(self, link: WebSocketLink, path: str) -> None:
        try:
            session = self._session(link, path)
        except PeerError as error:
            link.close(error.code, error.reason)
            return
        try:
            await serve(link, session, self._performer, self._helper)
        except GatewayError as error:
            self._fail(error)
        except Exception:
            # A fault of ours met one peer; the others must not feel it.
            log.exception("a link failed")
            link.close(Code.RESET, MISTAKE)

    def _session(self, link: WebSocketLink, path: str) -> Session:
        now = self._hub.now
        if path.startswith("/sync/"):
            if not self._config.access.open:
                raise PeerError(Code.UNAUTHORISED, "this gateway needs a token")
            return YSession(name_from_path(path.removeprefix("/sync/")), link.address, now)
        return MeshSession(self._local, self._admit, link.address, now)

    def _admit(self, method: int, credential: bytes) -> messages.Grants:
        if method == messages.AUTH_NONE and self._config.access.open:
            return (("*", messages.RIGHT_READ | messages.RIGHT_WRITE),)
        raise PeerError(Code.UNAUTHORISED, "this gateway does not know you; pair first")

    def _judge_crash(self) -> frozenset[bytes]:
        """If one update ended the last process put it aside; of several, suspect each."""
        found = self._note.found()
        self._note.after()
        if len(found) == 1:
            name, author, update = found[0]
            log.warning("the gateway died while it applied an update; it is in quarantine now")
            self._store.append([Refusal(name, update, author, Code.REFUSED, CRASHED)])
            return frozenset()
        return frozenset(blake2b(update, digest_size=16).digest() for _, _, update in found)

    async def _answer(self, verb: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if verb == "status":
            return await self._status()
        if verb == "backup":
            name = str(arguments.get("file", ""))
            if not name or "\0" in name:
                raise GatewayError("usage", "name the file that the backup is to be", 64)
            target = Path(name)
            await self._performer.writer.call(partial(self._store.backup, target))
            return {"file": str(target)}
        raise GatewayError("unknown-verb", f"there is no verb {verb[:40]!r}", 64)

    async def _status(self) -> Mapping[str, Any]:
        figures = await self._performer.writer.call(self._store.status)
        assert isinstance(figures, StoreStatus)
        moment = Moment(
            self._clock.monotonic() - self._started,
            self._performer.waiting_changes,
            self._performer.waiting_bytes,
            self._performer.trouble,
        )
        return status(self._identity, moment, self._hub, figures)

    async def _keep_backup(self, folder: Path) -> None:
        target = folder / BACKUP
        copied = -1
        wait = BACKUP_SECONDS if target.exists() else FIRST_BACKUP_SECONDS
        while True:
            await asyncio.sleep(wait)
            wait = BACKUP_SECONDS
            figures = await self._performer.writer.call(self._store.status)
            assert isinstance(figures, StoreStatus)
            if figures.last_sequence == copied:
                continue
            try:
                await self._performer.writer.call(partial(self._store.backup, target))
                copied = figures.last_sequence
            except GatewayError as error:
                log.warning("no copy of the store was made: %s", error.sentence)

    def _addresses(self, port: int) -> dict[str, str]:
        base = f"ws://{_shown(self._config.listen.host)}:{port}"
        return {"sync": f"{base}/sync/", "mesh": f"{base}/mesh"}

    def _fail(self, error: GatewayError) -> None:
        if self._failure is None:
            self._failure = error
        self._stop.set()


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

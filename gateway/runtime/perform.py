"""Performs the hub's effects in order, one hub turn and one write per peer a loop turn.

Relaying does not wait for the disk; every ack does (invariant 2).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import cast

from gateway.core.document import DocumentBroken
from gateway.core.errors import Code, GatewayError
from gateway.core.events import (
    Answered,
    Bring,
    Compact,
    Declined,
    Delivered,
    Effect,
    Event,
    LinkEvent,
    LinkOpened,
    Load,
    MemberEvent,
    Notice,
    Offer,
    PeersHeard,
    Persist,
    Receipt,
    Scan,
    Survey,
    Wake,
    WakeAll,
    Walk,
)
from gateway.core.guard import UpdateFacts
from gateway.core.hub import Hub
from gateway.core.selections import Selections
from gateway.core.session import Session, State
from gateway.ports import Link, Note, Store
from gateway.runtime.answers import Answers
from gateway.runtime.scans import Scans
from gateway.runtime.threads import Door, Helper
from gateway.runtime.writer import Writer

# Changes waiting for a disk that takes none; beyond it peers must keep them themselves.
MAX_WAITING_BYTES = 8_388_608
# Made before it is sent, for all peers together.
MADE_BYTES = 1_048_576
# Between two documents for a peer that does not answer those before: it may not want them.
UNANSWERED_SECONDS = 0.05
MISTAKE = "the gateway made a mistake; connect again"

log = logging.getLogger("gateway")


class Watcher:
    """Is told what happens; this one does nothing with it."""

    def noticed(self, notice: Notice) -> None:
        """A document of this device's own subscriptions is new, changed or left them."""

    def opened(self, session: Session) -> None:
        """A mesh link is open."""

    def closed(self, session: Session) -> None:
        """A link ended, open or not."""

    def answered(self, session: Session, answer: Answered) -> None:
        """A peer has what we sent, or did not take it."""

    def told(self, session: Session, event: PeersHeard) -> None:
        """A peer tells who is linked to whom."""

    def stored(self, documents: Collection[str]) -> None:
        """Changes of these documents, or what was refused of them, are on the disk."""


class Performer:
    """The loop's side of the hub: sessions and their links, the writer, the turn.

    ``on_failed`` is called once when the store is lost; the process must end then.
    ``watcher`` is called in the loop, and must not wait; so is ``on_member``, for what members of
    the store say of it.
    """

    def __init__(
        self,
        hub: Hub,
        store: Store,
        note: Note,
        helper: Helper,
        on_failed: Callable[[GatewayError], None],
        watcher: Watcher | None = None,
        on_member: Callable[[Session, MemberEvent], None] | None = None,
    ) -> None:
        self.hub = hub
        self._note = note
        self._on_failed = on_failed
        self._watcher = watcher or Watcher()
        self._on_member = on_member
        self._answers = Answers(hub, helper, self._begin_load, self._wake_owed, self._fault)
        self._loop = asyncio.get_running_loop()
        self._door = Door(self._loop)
        self.writer = Writer(store, self._door, self._stored, self._troubled, self._lost)
        self._links: dict[Session, Link] = {}
        self._awake: dict[Session, None] = {}
        self._stored_names = store.names
        self._scans = Scans(self._names, self._visit, self._visited, self._fault)
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._scheduled = False
        # The documents of what is being written.
        self._writing: deque[str] = deque()
        self._ticked = asyncio.Event()
        self._slack = asyncio.Event()
        self._slack.set()
        # The sentence of a disk that takes nothing at the moment, or "".
        self.trouble = ""
        self.waiting_bytes = 0
        self.waiting_changes = 0
        # How often changes were written since the start.
        self.commits = 0

    def join(self, session: Session, link: Link) -> None:
        """A link was made."""
        self._links[session] = link
        self.hub.join(session)
        link.on_writable(lambda: self.wake(session))
        self.wake(session)

    def leave(self, session: Session) -> None:
        """A session ended: say why if it was ours to say, and let go of the link."""
        if session.farewell is not None:
            self._drain(session)
        self.perform(self.hub.leave(session))
        self._awake.pop(session, None)
        self._links.pop(session).close(Code.GOING_AWAY, "the session ended")
        self._watcher.closed(session)

    async def take(self, session: Session, event: Event, facts: UpdateFacts | None = None) -> None:
        """Let the hub decide on an event, its document loaded first."""
        if isinstance(event, LinkEvent):
            self.link(session, event)
            return
        if isinstance(event, Delivered | Declined):
            self._watcher.answered(session, event)
            return
        if isinstance(event, PeersHeard):
            self._watcher.told(session, event)
            return
        if isinstance(event, MemberEvent):
            if self._on_member is not None:
                self._on_member(session, event)
            return
        while self.hub.needs(event.document):
            try:
                await self.load(event.document)
            except DocumentBroken:
                self.perform(self.hub.unreadable(session, event))
                return
        if not self._slack.is_set():
            await self._slack.wait()
        self.perform(self.hub.handle(session, event, facts))
        if self.hub.due:
            self._schedule()

    def link(self, session: Session, event: LinkEvent) -> None:
        """Let the hub decide on an event that is about no single document."""
        try:
            self.perform(self.hub.link(session, event))
        except Exception as error:  # noqa: BLE001
            self._fault(error)
        if isinstance(event, LinkOpened):
            self._watcher.opened(session)

    def perform(self, effects: Iterable[Effect]) -> None:
        """Perform effects in their order."""
        for effect in effects:
            match effect:
                case Wake():
                    self.wake(effect.session)
                case WakeAll():
                    self._awake.update(dict.fromkeys(effect.sessions))
                    self._schedule()
                case Persist():
                    self._persist(effect)
                case Load():
                    self._begin_load(effect.document)
                case Compact():
                    self.writer.submit(effect)
                case Scan() | Survey() | Bring() | Offer():
                    self._scans.begin(effect)
                case Notice():
                    self._watcher.noticed(effect)

    async def load(self, document: str) -> None:
        """Have a document loaded; several callers share one read."""
        await asyncio.shield(self._begin_load(document))

    def tick(self, now: float) -> None:
        """Let time pass for the hub."""
        self.perform(self.hub.tick(now))
        self._ticked.set()
        self._ticked.clear()

    def settled(self, session: Session) -> bool:
        """Whether a peer was sent, or is owed in its outbox, all that it wants."""
        return self.hub.selections.settled(session) and not self._scans.busy(session)

    def round_trips(self) -> dict[Session, float | None]:
        """Of each session's link, in milliseconds."""
        return {session: self.round_trip(session) for session in self._links}

    def round_trip(self, session: Session) -> float | None:
        """Of one session's link, in milliseconds."""
        return self._links[session].round_trip_ms()

    def say_goodbye(self, code: Code, reason: str) -> None:
        """Tell every peer that the gateway goes, and close its link."""
        for session in list(self._links):
            session.close(code, reason)
            self._drain(session)

    def close(self) -> None:
        """Write what was accepted and end the store thread. Blocks; the last thing to do."""
        self.writer.close()
        self._door.close()

    def wake(self, session: Session) -> None:
        """A session may have something to send; it goes out with this loop turn."""
        self._awake[session] = None
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        try:
            self._work()
        except Exception as error:  # noqa: BLE001
            # What is in memory may be half done: end, and begin anew from what is on the disk.
            self._scheduled = True
            self._fault(error)

    def _fault(self, error: BaseException) -> None:
        if isinstance(error, GatewayError):
            self._on_failed(error)
            return
        log.error("an error of this program", exc_info=error)
        self._on_failed(GatewayError("internal", f"an error of this program: {error!r}"))

    def _work(self) -> None:
        effects: list[Effect] = []
        if self.hub.due:
            self._note.before(self.hub.applying())
            effects = self.hub.turn()
            self._note.after()
        awake, self._awake = self._awake, {}
        writes = []
        for effect in effects:
            match effect:
                case Wake():
                    awake[effect.session] = None
                case WakeAll():
                    awake.update(dict.fromkeys(effect.sessions))
                case _:
                    writes.append(effect)
        self._drain_all(awake)
        # Only now: the store thread would take turns with this one while peers wait.
        self.perform(writes)
        if self.hub.due:
            self._schedule()

    def _drain_all(self, awake: Iterable[Session]) -> None:
        """Make what all have to be sent, then send it: peers that wake up between two sends
        cost each of them time."""
        made: list[tuple[Link, bytes]] = []
        unfinished: list[Session] = []
        size = 0
        for session in awake:
            link = self._links.get(session)
            if link is None:
                continue
            if not link.congested or session.state is State.CLOSED:
                messages = self._output(session)
                for message in messages:
                    made.append((link, message))
                    size += len(message)
            if session.outbox or session.farewell is not None:
                unfinished.append(session)
            if size > MADE_BYTES:
                _send(made)
                made, size = [], 0
        _send(made)
        for session in unfinished:
            self._drain(session)

    def _drain(self, session: Session) -> None:
        link = self._links.get(session)
        if link is None:
            return
        while not link.congested or session.state is State.CLOSED:
            messages = self._output(session)
            for message in messages:
                link.send(message)
            if not (messages and session.outbox):
                break
        if session.farewell is not None:
            link.close(session.farewell.code, session.farewell.reason)

    def _output(self, session: Session) -> list[bytes]:
        """What a session sends now. One that fails ends, and its peer begins anew."""
        try:
            return session.data_to_send(self._answers)
        except DocumentBroken as error:
            log.error("%s: %s", error.name, error.cause)
            session.close(Code.RESET, error.sentence)
            self.perform(self.hub.broken(error.name))
        except Exception:
            # Only this session's output is lost, so only it has to begin anew.
            log.exception("a session failed")
            session.close(Code.RESET, MISTAKE)
        return self._farewell(session)

    def _farewell(self, session: Session) -> list[bytes]:
        """The goodbye of a session that was closed for its output."""
        try:
            return session.data_to_send(self._answers)
        except Exception:
            log.exception("a session failed once more")
            return []

    def _persist(self, effect: Persist) -> None:
        self.waiting_changes += len(effect.records)
        self.waiting_bytes += sum(len(record.update) for record in effect.records)
        self._writing.extend(record.document for record in effect.records)
        self.writer.submit(effect)
        self._weigh()

    def _stored(self, receipts: Sequence[Receipt], changes: int, size: int) -> None:
        self.waiting_changes -= changes
        self.waiting_bytes -= size
        self.commits += bool(changes)
        self._weigh()
        # The writer has one order.
        documents = {self._writing.popleft() for _ in range(changes)}
        self.perform(self.hub.stored(receipts))
        if documents:
            self._watcher.stored(documents)

    def _lost(self, error: GatewayError) -> None:
        """The store is lost: nobody is to wait for it any more."""
        self._slack.set()
        self._on_failed(error)

    def _wake_owed(self, document: str) -> None:
        """Who is owed an answer may have left the document."""
        for session in self._links:
            if session.outbox.owes(document):
                self.wake(session)

    def _troubled(self, sentence: str) -> None:
        self.trouble = sentence
        self._weigh()

    def _weigh(self) -> None:
        """A slow disk holds readers back; one that takes nothing makes the hub decline."""
        full = self.waiting_bytes > MAX_WAITING_BYTES
        self.hub.store_trouble = self.trouble if full else ""
        if full and not self.trouble:
            self._slack.clear()
        else:
            self._slack.set()

    async def _names(self, walk: Walk) -> Sequence[str]:
        if isinstance(walk, Bring):
            return walk.documents
        collection = walk.collection if isinstance(walk, Scan) else ""
        call = self.writer.call(partial(self._stored_names, collection))
        stored = cast(Sequence[str], await call)
        held = self.hub.held(collection) if collection else self.hub.rooms
        return list(dict.fromkeys(chain(stored, held)))

    async def _visit(self, walk: Walk, document: str) -> bool:
        session = _session(walk)
        if session is not None and session not in self._links:
            return False
        if isinstance(walk, Scan):
            while not self.hub.selections.affords(walk.owner):
                await self._ticked.wait()
        if self.hub.needs(document) and _needless(self.hub.selections, walk, document):
            return True
        if session is not None and not await self._can_take(session):
            return False
        try:
            while self.hub.needs(document):
                await self.load(document)
        except DocumentBroken:
            return True
        if session is None or session in self._links:
            self.perform(_step(self.hub.selections, walk, document))
        return True

    async def _can_take(self, session: Session) -> bool:
        """Whether the session is still there, once its link is not congested."""
        if not self.hub.selections.answers(session):
            await asyncio.sleep(UNANSWERED_SECONDS)
        while (link := self._links.get(session)) is not None and link.congested:
            await link.writable()
        return link is not None

    def _visited(self, walk: Walk) -> None:
        selections, now = self.hub.selections, self.hub.now
        if isinstance(walk, Scan) and (walk.owner is None or walk.owner in self._links):
            self.perform(selections.scanned(walk.owner, walk.collection, now))
        elif isinstance(walk, Survey):
            self.perform(selections.surveyed(now))

    def _begin_load(self, document: str) -> asyncio.Task[None]:
        task = self._loading.get(document)
        if task is None:
            task = self._loading[document] = self._loop.create_task(self._load(document))
            task.add_done_callback(self._load_ended)
        return task

    def _load_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, GatewayError) and not isinstance(error, DocumentBroken):
            self._on_failed(error)

    async def _load(self, document: str) -> None:
        try:
            stored = await self.writer.load(document)
            self.perform(self.hub.loaded(document, stored))
            self._wake_owed(document)
        except DocumentBroken as error:
            log.error("%s cannot be read: %s", document, error.cause)
            self.perform(self.hub.lost(document))
            raise
        finally:
            del self._loading[document]
        if self.hub.due:
            self._schedule()


def _send(made: Iterable[tuple[Link, bytes]]) -> None:
    for link, message in made:
        link.send(message)


def _session(walk: Walk) -> Session | None:
    """Whom a walk is for; None: ourselves."""
    match walk:
        case Scan():
            return walk.owner
        case Survey():
            return None
        case _:
            return walk.session


def _needless(selections: Selections, walk: Walk, document: str) -> bool:
    """Whether a document that is not in memory need not be read for a walk."""
    if isinstance(walk, Scan):
        return selections.glance(document, walk.owner)
    return isinstance(walk, Survey) and selections.noted(document)


def _step(selections: Selections, walk: Walk, document: str) -> list[Effect]:
    """What a walk does with a document, which is in memory."""
    match walk:
        case Scan():
            return selections.look(document, walk.owner)
        case Survey():
            selections.note(document)
            return []
        case Bring():
            return selections.bring(walk.session, document)
        case Offer():
            return selections.offer(walk.session, document)

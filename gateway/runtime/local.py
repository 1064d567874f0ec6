"""This device's own app: reads, puts and patches documents, and follows what it subscribed to."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.document import DocumentBroken
from gateway.core.edit import Changes, patch, put
from gateway.core.errors import Code, GatewayError
from gateway.core.events import Bring, Notice, UpdateReceived
from gateway.core.local_session import LocalSession
from gateway.core.names import own_name
from gateway.core.room import Room
from gateway.core.session import Session, Standing, State
from gateway.core.values import Json
from gateway.runtime.perform import Performer

EX_DATA = 65
# The state vector of who knows nothing.
NOTHING_KNOWN = b"\x00"
EX_TEMPFAIL = 75


@dataclass(frozen=True, slots=True)
class Seen:
    """A document of our own subscriptions; ``matches`` no more when it left them."""

    document: str
    matches: bool
    content: Mapping[str, Json]


class Local:
    """``client`` is the Yjs client id of this process: fresh, never used before (invariant 8)."""

    def __init__(self, identity: str, client: int) -> None:
        self._session = LocalSession(identity, self._decided)
        self.client = client
        self._number = 0
        self._waiting: dict[int, tuple[str, asyncio.Future[None]]] = {}
        # One change at a time: each is made of the document as the one before left it.
        self._turn = asyncio.Lock()
        self._performer: Performer | None = None
        self._notices: dict[str, bool] = {}
        self._noticed = asyncio.Event()
        # Written by us, and as far as we know on the disk of nobody else; kept when asked for.
        self._undelivered: set[str] = set()
        self._expects = False
        self._delivery = asyncio.Event()

    def attach(self, performer: Performer) -> None:
        """Whose documents these are; before anything else is called."""
        self._performer = performer

    async def read(self, document: str) -> Mapping[str, Json] | None:
        """The content of a document as JSON; None if nobody ever wrote it, as far as is known
        here. Raises ``GatewayError``."""
        room = await self._room(document)
        assert room.document is not None
        return room.document.project() if room.document.clocks else None

    async def whole(self, document: str) -> bytes:
        """All of a document as one update; empty if nobody ever wrote it. Raises as ``read``."""
        room = await self._room(document)
        assert room.document is not None
        return room.document.diff(NOTHING_KNOWN) if room.document.clocks else b""

    async def put(self, document: str, content: Mapping[str, Json], root: str = "") -> None:
        """Make these the fields of a document; on the disk on return. See ``edit.put``."""
        async with self._turn:
            decided = await self._write(
                document, put(await self.read(document) or {}, content, root)
            )
        await decided

    async def patch(self, document: str, changes: Mapping[str, Json], root: str = "") -> None:
        """Change some fields of a document; on the disk on return. See ``edit.patch``."""
        async with self._turn:
            decided = await self._write(
                document, patch(await self.read(document) or {}, changes, root)
            )
        await decided

    def expect_deliveries(self) -> None:
        """From now on remember what was written, also what was there already."""
        self._expects = True

    @property
    def undelivered(self) -> int:
        """How many documents were written that no peer is known to have on its disk."""
        return len(self._undelivered)

    def look(self, document: str = "") -> None:
        """A link is new, or a peer says that it has, or does not take, a document."""
        if document and any(self._has(session, document) for session in self._peers()):
            self._undelivered.discard(document)
        self._delivery.set()

    def decline(self, document: str) -> None:
        """Nobody is expected to take a document any more."""
        self._undelivered.discard(document)
        self._delivery.set()

    async def all_delivered(self) -> None:
        """Return once peers have all that was written; nothing more may be written meanwhile."""
        assert self._performer is not None
        offered: set[Session] = set()
        for document in tuple(self._undelivered):
            self.look(document)
        while self._undelivered:
            self._delivery.clear()
            # What a peer had before is not told: it is opened to it, and then answered.
            for session in self._peers() - offered:
                offered.add(session)
                wants = self._performer.hub.selections.wants
                wanted = tuple(name for name in self._undelivered if wants(session, name))
                self._performer.perform([Bring(session, wanted)] if wanted else [])
            await self._delivery.wait()

    def _peers(self) -> set[Session]:
        assert self._performer is not None
        sessions = self._performer.hub.sessions
        return {one for one in sessions if one.kind == "mesh" and one.state is State.OPEN}

    def _has(self, session: Session, document: str) -> bool:
        assert self._performer is not None
        room = self._performer.hub.rooms.get(document)
        answered = room is not None and room.members.get(session)
        return bool(answered) and session.progress(document).standing is Standing.HAS

    def notice(self, notice: Notice) -> None:
        """A document of our subscriptions changed."""
        self._notices[notice.document] = notice.matches
        self._noticed.set()

    async def seen(self) -> Seen:
        """The next document of our subscriptions that is new, changed or left them.

        Of several changes in between only the last one is seen.
        """
        while True:
            while not self._notices:
                self._noticed.clear()
                await self._noticed.wait()
            document = next(iter(self._notices))
            matches = self._notices.pop(document)
            try:
                return Seen(document, matches, await self.read(document) or {})
            except DocumentBroken:
                continue

    async def _write(self, document: str, changes: Changes) -> asyncio.Future[None]:
        assert self._performer is not None
        room = await self._room(document)
        assert room.document is not None
        decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        update = room.document.edited(self.client, changes)
        if self._expects:
            self._undelivered.add(document)
        if not update:
            decided.set_result(None)
            return decided
        self._number += 1
        self._waiting[self._number] = document, decided
        event = UpdateReceived(document, update, self._number, answer=False, more=False)
        await self._performer.take(self._session, event)
        await self._room(document)
        # It is handed to the links by now: only what is delivered from here on counts.
        if self._expects:
            self._undelivered.add(document)
        return decided

    async def _room(self, document: str) -> Room:
        """A document in memory to which all that came was applied."""
        assert self._performer is not None
        own_name(document)
        hub = self._performer.hub
        while hub.needs(document):
            await self._performer.load(document)
        room = hub.rooms[document]
        if room.due:
            await asyncio.sleep(0)
            return await self._room(document)
        return room

    def _decided(self, number: int, code: Code | None, reason: str) -> None:
        document, decided = self._waiting.pop(number)
        if code is not None:
            self.decline(document)
        if decided.done():
            return
        if code is None:
            decided.set_result(None)
        else:
            decided.set_exception(GatewayError(code.word, f"this was not taken: {reason}", EX_DATA))

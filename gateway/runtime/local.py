"""This device's own app: reads, puts and patches documents, and follows what it subscribed to."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.document import DocumentBroken
from gateway.core.edit import Changes, patch, put
from gateway.core.errors import Code, GatewayError
from gateway.core.events import Notice, UpdateReceived
from gateway.core.local_session import LocalSession
from gateway.core.names import own_name
from gateway.core.room import Room
from gateway.core.values import Json
from gateway.runtime.perform import Performer

EX_DATA = 65
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
        self._client = client
        self._number = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        # One change at a time: each is made of the document as the one before left it.
        self._turn = asyncio.Lock()
        self._performer: Performer | None = None
        self._notices: dict[str, bool] = {}
        self._noticed = asyncio.Event()

    def attach(self, performer: Performer) -> None:
        """Whose documents these are; before anything else is called."""
        self._performer = performer

    async def read(self, document: str) -> Mapping[str, Json] | None:
        """The content of a document as JSON; None if nobody ever wrote it, as far as is known
        here. Raises ``GatewayError``."""
        room = await self._room(document)
        assert room.document is not None
        return room.document.project() if room.document.clocks else None

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
        update = room.document.edited(self._client, changes)
        if not update:
            decided.set_result(None)
            return decided
        self._number += 1
        self._waiting[self._number] = decided
        event = UpdateReceived(document, update, self._number, answer=False, more=False)
        await self._performer.take(self._session, event)
        await self._room(document)
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
        decided = self._waiting.pop(number)
        if decided.done():
            return
        if code is None:
            decided.set_result(None)
        else:
            decided.set_exception(GatewayError(code.word, f"this was not taken: {reason}", EX_DATA))

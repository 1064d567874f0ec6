"""A device in the hands of a script: events and answers as JSON lines, requests the same way."""

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.adapters.console import Console
from gateway.control.lines import Handler, Lines
from gateway.core.events import Notice
from gateway.core.session import Session
from gateway.runtime.local import Local
from gateway.runtime.perform import Watcher


class Script(Watcher):
    """Tells of links and of the documents this device subscribed to.

    ``on_deaf`` is called when nobody reads what is told.
    """

    def __init__(
        self, console: Console, handler: Handler, local: Local, on_deaf: Callable[[], None]
    ) -> None:
        self._lines = Lines(console, handler)
        self._local = local
        self._on_deaf = on_deaf
        self._links: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._opened: set[Session] = set()

    def noticed(self, notice: Notice) -> None:
        """See ``Watcher``."""
        self._local.notice(notice)

    def opened(self, session: Session) -> None:
        """See ``Watcher``."""
        self._opened.add(session)
        self._links.put_nowait({**_peer(session), "state": "open"})

    def closed(self, session: Session) -> None:
        """See ``Watcher``."""
        if session in self._opened:
            self._opened.discard(session)
            reason = session.farewell.reason if session.farewell else "the connection was lost"
            self._links.put_nowait({**_peer(session), "state": "closed", "reason": reason})

    def unreachable(self, address: str, sentence: str) -> None:
        """A peer cannot be called."""
        self._links.put_nowait({"address": address, "state": "unreachable", "reason": sentence})

    async def serve(self) -> None:
        """Answer requests until the input ends."""
        if not await self._lines.serve():
            self._on_deaf()

    async def tell_links(self) -> None:
        """Tell of links, for ever."""
        while True:
            await self._tell("link", **await self._links.get())

    async def tell_changes(self) -> None:
        """Tell of documents, for ever."""
        while True:
            seen = await self._local.seen()
            event = "change" if seen.matches else "left"
            await self._tell(event, document=seen.document, content=seen.content)

    async def ready(self, **facts: Any) -> None:
        """The first line."""
        await self._tell("ready", **facts)

    async def _tell(self, event: str, **facts: Any) -> None:
        if not await self._lines.tell(event, **facts):
            self._on_deaf()


def _peer(session: Session) -> dict[str, Any]:
    return {
        "address": session.address,
        "peer": session.identity,
        "name": session.about.get("name", ""),
    }

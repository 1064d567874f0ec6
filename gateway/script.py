"""A device in the hands of a script: events and answers as JSON lines, requests the same way."""

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.adapters.console import Console
from gateway.control.lines import Handler, Lines
from gateway.core.errors import Code
from gateway.core.events import Answered, Delivered, Notice
from gateway.core.session import Session
from gateway.core.text import shown
from gateway.runtime.local import Local
from gateway.runtime.perform import Watcher

# Characters of what a peer says when it closes.
REASON = 200


class Script(Watcher):
    """Tells of links, of the documents this device subscribed to, and of what others took.

    Who reads slowly is told the last of several alike. ``on_deaf`` is called when nobody
    reads any more.
    """

    def __init__(
        self, console: Console, handler: Handler, local: Local, on_deaf: Callable[[], None]
    ) -> None:
        self._lines = Lines(console, handler)
        self._local = local
        self._on_deaf = on_deaf
        # What is to be told, by event and what it is about.
        self._news: dict[tuple[str, str], dict[str, Any]] = {}
        self._is_news = asyncio.Event()
        self._opened: set[Session] = set()
        # Why there is no link to an address that is called, as it was told last.
        self._trouble: dict[str, dict[str, Any]] = {}

    def noticed(self, notice: Notice) -> None:
        """See ``Watcher``."""
        self._local.notice(notice)

    def opened(self, session: Session) -> None:
        """See ``Watcher``."""
        self._opened.add(session)
        self._trouble.pop(session.address, None)
        self._put("link", session.address, state="open", **_peer(session))

    def closed(self, session: Session) -> None:
        """See ``Watcher``."""
        if session in self._opened:
            self._opened.discard(session)
            reason = session.farewell.reason if session.farewell else "the connection was lost"
            facts = {"reason": reason, **(_refusal(session) or {}), **_peer(session)}
            self._put("link", session.address, state="closed", **facts)
        elif session.calling:
            why = _refusal(session) or {"code": "lost", "reason": "the connection was lost"}
            self._no_link(session.address, state="refused", **why)

    def unreachable(self, address: str, sentence: str) -> None:
        """A peer cannot be called."""
        self._no_link(address, state="unreachable", reason=sentence)

    def _no_link(self, address: str, **facts: Any) -> None:
        """It is called again every few seconds; what is told is what is new."""
        if self._trouble.get(address) != facts:
            self._trouble[address] = facts
            self._put("link", address, address=address, **facts)

    def answered(self, session: Session, answer: Answered) -> None:
        """See ``Watcher``."""
        if isinstance(answer, Delivered):
            for name in answer.documents:
                self._put("delivered", name, document=name, peer=session.identity)
        else:
            self._put(
                "refused",
                answer.document,
                document=answer.document,
                peer=session.identity,
                code=_word(answer.code),
                reason=answer.reason,
            )

    async def ready(self, **facts: Any) -> None:
        """The first line."""
        await self._tell("ready", facts)

    async def serve(self) -> None:
        """Answer requests until the input ends."""
        if not await self._lines.serve():
            self._on_deaf()

    async def tell_news(self) -> None:
        """Tell of links and of what others took, for ever."""
        while True:
            while not self._news:
                self._is_news.clear()
                await self._is_news.wait()
            event, about = next(iter(self._news))
            await self._tell(event, self._news.pop((event, about)))

    async def tell_changes(self) -> None:
        """Tell of documents, for ever."""
        while True:
            seen = await self._local.seen()
            event = "change" if seen.matches else "left"
            await self._tell(event, {"document": seen.document, "content": seen.content})

    def _put(self, event: str, about: str, **facts: Any) -> None:
        self._news.pop((event, about), None)
        self._news[event, about] = facts
        self._is_news.set()

    async def _tell(self, event: str, facts: dict[str, Any]) -> None:
        if not await self._lines.tell(event, **facts):
            self._on_deaf()


def _peer(session: Session) -> dict[str, Any]:
    return {
        "address": session.address,
        "peer": session.identity,
        "name": session.about.get("name", ""),
    }


def _refusal(session: Session) -> dict[str, Any] | None:
    """Why a link was not opened, by us or by the peer; None if it only went away."""
    if session.told is not None:
        code, reason = session.told
        return {"code": _word(code), "reason": shown(reason, REASON), "by": "peer"}
    if session.farewell is None or session.farewell.code is Code.GOING_AWAY:
        return None
    return {"code": session.farewell.code.word, "reason": session.farewell.reason, "by": "us"}


def _word(code: int) -> str:
    try:
        return Code(code).word
    except ValueError:
        return str(code)

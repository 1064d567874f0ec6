"""A device in the hands of a script: events and answers as JSON lines, requests the same way."""

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.adapters.console import Console
from gateway.control.answers import Handler
from gateway.control.lines import Lines
from gateway.core.errors import Code, GatewayError
from gateway.core.events import Answered, Delivered, Notice
from gateway.core.session import Session
from gateway.core.text import shown
from gateway.runtime.local import Local
from gateway.runtime.perform import Watcher

EX_DATA = 65
EX_TEMPFAIL = 75
# Characters of what a peer says when it closes.
REASON = 200


class Script(Watcher):
    """Tells of links, of the documents this device subscribed to, and of what others took.

    Who reads slowly is told the last of several alike. ``on_end`` is called when nobody
    reads any more; and, with ``once``, when the input ended and a peer has all that was changed by
    it. That may take ``once`` seconds.
    """

    def __init__(
        self,
        console: Console,
        handler: Handler,
        local: Local,
        on_end: Callable[[], None],
        once: float | None = None,
    ) -> None:
        self._console = console
        self._lines = Lines(console, handler)
        self._local = local
        self._on_end = on_end
        self._once = once
        self._declined = False
        if once is not None:
            local.expect_deliveries()
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
        self._local.look()
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
                self._local.look(name)
        else:
            self._declined = True
            self._local.decline(answer.document)
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
        """Answer requests until the input ends. Raises ``GatewayError`` as ``_finish`` does."""
        if not await self._lines.serve():
            self._on_end()
        elif self._once is not None:
            await self._finish(self._once)

    async def listen(self) -> None:
        """End when nobody reads any more, also while there is nothing to tell."""
        await self._console.deaf()
        self._on_end()

    async def tell_news(self) -> None:
        """Tell of links and of what others took, for ever."""
        while True:
            while not self._news:
                self._is_news.clear()
                await self._is_news.wait()
            await self._tell_waiting()

    async def tell_changes(self) -> None:
        """Tell of documents, for ever."""
        while True:
            seen = await self._local.seen()
            event = "change" if seen.matches else "left"
            await self._tell(event, {"document": seen.document, "content": seen.content})

    async def _tell_waiting(self) -> None:
        while self._news:
            event, about = next(iter(self._news))
            await self._tell(event, self._news.pop((event, about)))

    async def _finish(self, seconds: float) -> None:
        """End well, or raise ``GatewayError``: ``not-delivered`` or ``not-taken``."""
        try:
            async with asyncio.timeout(seconds):
                await self._local.all_delivered()
        except TimeoutError:
            count = self._local.undelivered
            what = f"{count} document{'s are' if count > 1 else ' is'}"
            sentence = (
                f"{what} on no other device after {seconds:g} s; it is kept here: run this again,"
                " or the peer without --once"
            )
            raise GatewayError("not-delivered", sentence, EX_TEMPFAIL) from None
        await self._tell_waiting()
        # Lines are written in their order: once this is out, all before it are.
        await self._tell("done", {})
        if self._declined or self._lines.failures:
            sentence = "some of it was not taken; see the lines with an error and those refused"
            raise GatewayError("not-taken", sentence, EX_DATA)
        self._on_end()

    def _put(self, event: str, about: str, **facts: Any) -> None:
        self._news.pop((event, about), None)
        self._news[event, about] = facts
        self._is_news.set()

    async def _tell(self, event: str, facts: dict[str, Any]) -> None:
        if not await self._lines.tell(event, **facts):
            self._on_end()


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

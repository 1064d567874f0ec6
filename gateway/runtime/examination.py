"""Greets a peer over a link like a caller does, and says how that went."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable

from gateway.core.diagnosis import Greeting
from gateway.core.errors import Code
from gateway.core.mesh_session import MeshSession
from gateway.core.session import State
from gateway.ports import Link

# A peer answers each message at once; this is for one that says nothing.
GREETING_SECONDS = 5.0
LEAVES = "the examination is over"


class NoDocuments:
    """Satisfies ``Documents``: nothing is opened."""

    def answer(self, document: str, state_vector: bytes, limit: int) -> None:
        """See ``Documents``."""

    def presence(self, document: str, clients: Iterable[int] | None) -> list[bytes]:
        """See ``Documents``."""
        return []


async def greet(link: Link, session: MeshSession, linked: Collection[str]) -> Greeting | None:
    """How a session goes until it is open; None if the other end does not speak the protocol.

    It ends before it shows who we are to one of ``linked``: a second link between the same two
    peers might cost the one there is.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GREETING_SECONDS):
            await _meet(link, session, linked)
    greeting = _greeting(session)
    session.close(Code.GOING_AWAY, LEAVES)
    _send(link, session)
    link.close(Code.GOING_AWAY, LEAVES)
    return greeting


async def _meet(link: Link, session: MeshSession, linked: Collection[str]) -> None:
    _send(link, session)
    while session.state not in (State.OPEN, State.CLOSED):
        messages = await link.recv()
        for message in messages:
            session.receive(message)
        if not messages or session.identity in linked:
            return
        _send(link, session)


def _send(link: Link, session: MeshSession) -> None:
    for message in session.data_to_send(NoDocuments()):
        link.send(message)


def _greeting(session: MeshSession) -> Greeting | None:
    if session.told is not None:
        code, reason = session.told
        return Greeting(session.identity, code, reason, told=True)
    if session.farewell is not None:
        return Greeting(session.identity, session.farewell.code, session.farewell.reason)
    return Greeting(session.identity) if session.identity else None

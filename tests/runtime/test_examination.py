"""Greetings, over a link in memory."""

import asyncio

import pytest

from gateway.core import messages as m
from gateway.core.diagnosis import Greeting
from gateway.core.errors import Code, PeerError
from gateway.core.framing import frame
from gateway.core.handshake import LocalPeer
from gateway.core.mesh_session import MeshSession
from gateway.core.session import State
from gateway.runtime import examination
from gateway.runtime.examination import NoDocuments, greet
from tests.runtime.memory import NoLink

US, THEM = b"u" * 16, b"t" * 16


def admit(method: int, credential: bytes) -> m.Grants:
    return (("*", 3),)


def turn_away(method: int, credential: bytes) -> m.Grants:
    raise PeerError(Code.UNAUTHORISED, "pair first")


class Memory(NoLink):
    """A link whose other end is a session that accepts, or that says only ``instead``."""

    def __init__(self, them: MeshSession, instead: list[bytes] | None = None) -> None:
        self.them = them
        self.closed = False
        self._instead = instead

    def send(self, data: bytes) -> None:
        self.them.receive(data)

    async def recv(self) -> list[bytes]:
        if self._instead is not None:
            said, self._instead = self._instead, []
            return said
        return self.them.data_to_send(NoDocuments())

    def close(self, code: int, reason: str) -> None:
        self.closed = True


def met(link: NoLink, linked: tuple[str, ...] = ()) -> Greeting | None:
    us = MeshSession(LocalPeer(US, 0, ()), (0, b""), "there", 0.0)
    greeting = asyncio.run(greet(link, us, linked))
    assert us.state is State.CLOSED
    return greeting


def accepting(admission: object = admit, peer: bytes = THEM) -> MeshSession:
    return MeshSession(LocalPeer(peer, 0, ()), admission, "here", 0.0)  # type: ignore[arg-type]


def test_who_lets_us_in() -> None:
    link = Memory(accepting())
    assert met(link) == Greeting(THEM.hex())
    assert link.closed and link.them.told == (Code.GOING_AWAY, examination.LEAVES)


def test_who_does_not() -> None:
    greeting = met(Memory(accepting(turn_away)))
    assert greeting == Greeting(THEM.hex(), Code.UNAUTHORISED, "pair first", told=True)
    # Our own side ends it.
    itself = met(Memory(accepting(peer=US)))
    assert itself is not None and itself.code == Code.TOO_MANY


def test_who_is_linked_already_is_shown_nothing() -> None:
    shown: list[int] = []

    def note(method: int, credential: bytes) -> m.Grants:
        shown.append(method)
        return admit(method, credential)

    link = Memory(accepting(note))
    assert met(link, (THEM.hex(),)) == Greeting(THEM.hex())
    assert shown == [] and link.them.state is State.CLOSED


def test_what_speaks_something_else() -> None:
    assert met(Memory(accepting(), [])) is None
    greeting = met(Memory(accepting(), [b"HTTP/1.1"]))
    assert greeting is not None and greeting.code == Code.MALFORMED
    hello = frame(m.encode(m.Hello(7, 9, THEM, 0, 262_144)))
    greeting = met(Memory(accepting(), [hello]))
    assert greeting is not None and greeting.code == Code.VERSION and not greeting.told


def test_what_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(NoLink):
        async def recv(self) -> list[bytes]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(examination, "GREETING_SECONDS", 0.01)
    assert met(Silent()) is None
    assert NoDocuments().presence("a/b", None) == []

"""Two sides of a handshake, for tests."""

from typing import Any

from gateway.core import noise as n
from gateway.core.noise_transport import Transport
from gateway.core.primitives import KeyPair
from tests.vectors import make_noise as made


def case(pattern: n.Pattern, **changes: Any) -> made.Json:
    """A handshake as noise.json describes it."""
    psk = made.PSK if pattern in made.SECRET else None
    prologue = n.prologue(pattern).hex()
    return {"pattern": pattern, "prologue": prologue, "psk": psk, **made.KEYS, **changes}


def sides(pattern: n.Pattern, **changes: Any) -> tuple[n.Handshake, n.Handshake]:
    """The initiator and the responder; ``changes`` are those of the responder."""
    return (
        made.side(case(pattern), initiator=True),
        made.side(case(pattern, **changes), initiator=False),
    )


def run(initiator: n.Handshake, responder: n.Handshake, until: int | None = None) -> list[bytes]:
    """Let them talk, to the end or until so many messages were read; all messages."""
    messages: list[bytes] = []
    ends = (initiator, responder)
    while not responder.done and len(messages) != until:
        turn = len(messages) % 2
        messages.append(ends[turn].write())
        ends[1 - turn].read(messages[-1])
    return messages


def transports(pattern: n.Pattern = n.Pattern.IK) -> tuple[Transport, Transport]:
    """Both ends of a protected link."""
    initiator, responder = sides(pattern)
    run(initiator, responder)
    return initiator.split(), responder.split()


def static_of(role: str) -> bytes:
    """The public static key of a role."""
    return KeyPair(bytes.fromhex(made.KEYS[role]["static"])).public

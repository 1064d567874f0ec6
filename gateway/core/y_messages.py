"""The plain y-websocket messages (y-protocols sync and awareness, v1).

Strict where the stock decoders are lenient: a known message must be used up exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.errors import Code, PeerError
from gateway.core.varint import read_bytes, read_varint, write_bytes, write_string, write_varint

SYNC, AWARENESS, AUTH, QUERY_AWARENESS = range(4)
STEP_1, STEP_2, UPDATE = range(3)


@dataclass(frozen=True, slots=True)
class Step1:
    """A state vector: send me what I lack."""

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """A sync step 2 (``answer``) or a live update."""

    update: bytes
    answer: bool


@dataclass(frozen=True, slots=True)
class Presence:
    """An awareness update."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class PresenceQuery:
    """Asks for the awareness known."""


Message = Step1 | Change | Presence | PresenceQuery


def decode(data: bytes) -> Message | None:
    """The message in one WebSocket frame; None for types to skip.

    Raises ``PeerError(MALFORMED)`` for an empty frame, a truncated field or bytes left over.
    """
    if data[:2] == b"\x00\x02":
        return Change(_last_bytes(data, 2), answer=False)
    kind, position = read_varint(data, 0)
    if kind == AWARENESS:
        return Presence(_last_bytes(data, position))
    if kind == QUERY_AWARENESS:
        return PresenceQuery()
    if kind != SYNC:
        return None
    step, position = read_varint(data, position)
    if step == STEP_1:
        return Step1(_last_bytes(data, position))
    if step == STEP_2:
        return Change(_last_bytes(data, position), answer=True)
    return None


def step_1(state_vector: bytes) -> bytes:
    """Sync step 1."""
    return b"\x00\x00" + write_bytes(state_vector)


def step_2(update: bytes) -> bytes:
    """Sync step 2."""
    return b"\x00\x01" + write_bytes(update)


def update(update: bytes) -> bytes:
    """A live update."""
    return b"\x00\x02" + write_bytes(update)


def presence(payload: bytes) -> bytes:
    """An awareness update."""
    return b"\x01" + write_bytes(payload)


def awareness_payload(entries: Iterable[tuple[int, int, str]]) -> bytes:
    """Encode (client, clock, state as JSON text) triples as y-protocols awareness does."""
    parts = [
        write_varint(client) + write_varint(clock) + write_string(state)
        for client, clock, state in entries
    ]
    return write_varint(len(parts)) + b"".join(parts)


def _last_bytes(data: bytes, position: int) -> bytes:
    payload, end = read_bytes(data, position)
    if end != len(data):
        raise PeerError(Code.MALFORMED, "bytes left over after a message")
    return payload

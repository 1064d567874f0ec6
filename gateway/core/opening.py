"""How a phone opens a link by GATT (docs/bluetooth.md, "Service" and "Opening a link"). Pure."""

from dataclasses import dataclass

from gateway.core.errors import Code, PeerError
from gateway.core.messages import PEER_ID_BYTES

_UUID = "9412d8{:02x}-8fbe-4a58-90d7-c5fd0d0b6838"
SERVICE, INFO, RX = map(_UUID.format, (0xC8, 0xC9, 0xCA))
# Of place 1 and so on: each phone has its own.
PLACES = 8
TX = tuple(_UUID.format(0xD0 + place) for place in range(1, PLACES + 1))

# Of docs/bluetooth.md, not of the mesh protocol.
VERSION = 1
INFO_BYTES = 22
NONCE_BYTES = 4
OPENER_BYTES = 8
ANSWER_BYTES = 8
# No segment begins like an opener.
OPENER = 0x80
REFUSAL = 0x00


@dataclass(frozen=True, slots=True)
class Info:
    """What a phone reads before it opens a link.

    ``psm``: 0 where L2CAP is not taken; ``place``: of the phone that reads, 0 if there is none.
    """

    peer: bytes
    psm: int
    free: int
    place: int

    def encoded(self) -> bytes:
        """The value of INFO."""
        numbers = self.psm.to_bytes(2, "little") + bytes([self.free, self.place])
        return bytes([VERSION, VERSION]) + self.peer + numbers


@dataclass(frozen=True, slots=True)
class Opener:
    """A phone wants a link. ``takes``: bytes of a notification, 0 if it cannot know."""

    version: int
    nonce: bytes
    takes: int

    def encoded(self) -> bytes:
        """As it is written to RX."""
        return bytes([OPENER, self.version]) + self.nonce + self.takes.to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class Answer:
    """A link is open, ``number`` are bytes of a write; or ``refused``, for the code ``number``."""

    nonce: bytes
    number: int
    refused: bool = False

    def encoded(self) -> bytes:
        """As it is notified by TX."""
        head = bytes([REFUSAL if self.refused else OPENER, VERSION])
        return head + self.nonce + self.number.to_bytes(2, "little")


def read_info(value: bytes) -> Info:
    """What INFO says. Raises ``PeerError``: MALFORMED, VERSION if ours is not spoken."""
    if len(value) < INFO_BYTES:
        raise PeerError(Code.MALFORMED, "INFO is too short")
    if not value[0] <= VERSION <= value[1]:
        raise PeerError(Code.VERSION, f"the gateway speaks Bluetooth version {value[0]}")
    peer, rest = value[2 : 2 + PEER_ID_BYTES], value[2 + PEER_ID_BYTES :]
    return Info(peer, int.from_bytes(rest[:2], "little"), rest[2], rest[3])


def read_opener(value: bytes) -> Opener | None:
    """The opener that was written; None if this is none."""
    if len(value) != OPENER_BYTES or value[0] != OPENER:
        return None
    return Opener(value[1], value[2:6], int.from_bytes(value[6:8], "little"))


def read_answer(value: bytes) -> Answer | None:
    """The answer that was notified; None if this is none."""
    if len(value) != ANSWER_BYTES or value[0] not in (OPENER, REFUSAL):
        return None
    number = int.from_bytes(value[6:8], "little")
    return Answer(value[2:6], number, refused=value[0] == REFUSAL)

"""How a phone opens a link by GATT (docs/bluetooth.md, "Service" and "Opening a link"). Pure."""

from dataclasses import dataclass

from gateway.core.errors import Code, PeerError
from gateway.core.messages import PEER_ID_BYTES

SERVICE = "9412d8c8-8fbe-4a58-90d7-c5fd0d0b6838"
RX = "9412d8c9-8fbe-4a58-90d7-c5fd0d0b6838"
TX = "9412d8ca-8fbe-4a58-90d7-c5fd0d0b6838"
INFO = "9412d8cb-8fbe-4a58-90d7-c5fd0d0b6838"

# Of docs/bluetooth.md, not of the mesh protocol.
VERSION = 1
INFO_BYTES = 22
NONCE_BYTES = 4
OPENER_BYTES = 8
ANSWER_BYTES = 8
# No segment begins like an opener, no channel is that of answers.
OPENER = 0x80
ANSWERS = 0x00
MAX_CHANNEL = 255


@dataclass(frozen=True, slots=True)
class Info:
    """What a phone reads before it opens a link. ``psm``: 0 where L2CAP is not taken."""

    peer: bytes
    psm: int
    phones: int
    free: int

    def encoded(self) -> bytes:
        """The value of INFO."""
        numbers = self.psm.to_bytes(2, "little") + bytes([self.phones, self.free])
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
    """A link is open (``number``: bytes of a write) or, on channel 0, refused (a code)."""

    nonce: bytes
    channel: int
    number: int

    def encoded(self) -> bytes:
        """As it is notified by TX."""
        head = bytes([ANSWERS]) + self.nonce + bytes([self.channel])
        return head + self.number.to_bytes(2, "little")


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
    if len(value) != ANSWER_BYTES or value[0] != ANSWERS:
        return None
    return Answer(value[1:5], value[5], int.from_bytes(value[6:8], "little"))

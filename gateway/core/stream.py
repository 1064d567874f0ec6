"""Messages over bytes that come in order, cut anywhere (docs/bluetooth.md, "L2CAP"). Pure."""

from gateway.core.errors import Code, PeerError
from gateway.core.noise_transport import SEALED_BYTES
from gateway.core.segments import PATIENCE_SECONDS
from gateway.core.varint import read_varint, write_varint

# A length above this many octets is beyond every message.
MAX_HEAD_BYTES = 3


def framed(message: bytes) -> bytes:
    """A message as it is sent; one that is empty or too large is our fault."""
    assert 0 < len(message) <= SEALED_BYTES
    return write_varint(len(message)) + message


class Stream:
    """What the peer sends. Its mistakes raise ``PeerError``: close the link; time is given.

    ``limit_bytes``: the largest message taken; less before the peer is known.
    """

    def __init__(self, limit_bytes: int = SEALED_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._head = bytearray()
        self._message = bytearray()
        self._missing = 0
        self._heard = 0.0

    def receive(self, data: bytes, now: float) -> list[bytes]:
        """Take what came; the messages that are whole now. Raises ``PeerError``, see ``Segments``.

        Messages before the mistake are lost with it.
        """
        self._heard = now
        messages: list[bytes] = []
        position = 0
        while position < len(data):
            if not self._missing:
                self._begin(data[position])
                position += 1
                continue
            part = data[position : position + self._missing]
            position += len(part)
            self._message += part
            self._missing -= len(part)
            if not self._missing:
                messages.append(bytes(self._message))
                self._message.clear()
        return messages

    def check(self, now: float) -> None:
        """Raises ``PeerError`` TIMEOUT when a message goes no further."""
        if (self._head or self._missing) and now - self._heard >= PATIENCE_SECONDS:
            raise PeerError(Code.TIMEOUT, "a message that goes no further")

    def _begin(self, octet: int) -> None:
        """One more octet of a length."""
        self._head.append(octet)
        if octet >= 0x80 and len(self._head) < MAX_HEAD_BYTES:
            return
        if octet >= 0x80:
            raise PeerError(Code.TOO_BIG, "a message is too large")
        total, _ = read_varint(bytes(self._head), 0)
        self._head.clear()
        if total == 0:
            raise PeerError(Code.MALFORMED, "a message without anything in it")
        if total > self.limit_bytes:
            raise PeerError(Code.TOO_BIG, "a message is too large")
        self._missing = total

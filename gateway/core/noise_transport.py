"""The protection of a link after its handshake: a batch becomes a link message and back.

A Noise message is at most 65,535 bytes (revision 34, section 3), a batch may be longer: it is
cut, and the link message is its pieces one after the other (docs/protocol.md, "Secure
layer").
"""

from gateway.core.errors import Code, PeerError
from gateway.core.framing import MESSAGE_BYTES
from gateway.core.noise_state import CipherState
from gateway.core.primitives import TAG_BYTES

MAX_NOISE_BYTES = 65_535
# The plaintext of one piece.
PIECE_BYTES = MAX_NOISE_BYTES - TAG_BYTES


def sealed_bytes(batch_bytes: int) -> int:
    """How long the link message of a batch is."""
    return batch_bytes + TAG_BYTES * -(-batch_bytes // PIECE_BYTES)


# The longest link message.
SEALED_BYTES = sealed_bytes(MESSAGE_BYTES)


class Transport:
    """Both directions of a protected link, messages in order, none lost.

    Any error ends it: nothing is sealed or opened any more (``RuntimeError``).
    """

    def __init__(self, sending: CipherState, receiving: CipherState) -> None:
        self._sending = sending
        self._receiving = receiving
        self._over = False

    def seal(self, batch: bytes) -> bytes:
        """The link message of a batch, which is not empty.

        Raises ``PeerError`` with 4205 when no nonces are left.
        """
        if not batch:
            raise ValueError("a batch holds a record")
        self._begin()
        encrypt = self._sending.encrypt
        message = b"".join([encrypt(b"", piece) for piece in _pieces(batch, PIECE_BYTES)])
        self._over = False
        return message

    def open(self, message: bytes) -> bytes:
        """The batch of a link message. Raises ``PeerError``: 4400, 4401, or 4205 as above."""
        self._begin()
        # No piece is empty, so there is one way to cut a batch.
        if not message or 0 < len(message) % MAX_NOISE_BYTES <= TAG_BYTES:
            raise PeerError(Code.MALFORMED, "a message that is cut off")
        decrypt = self._receiving.decrypt
        batch = b"".join([decrypt(b"", piece) for piece in _pieces(message, MAX_NOISE_BYTES)])
        self._over = False
        return batch

    def _begin(self) -> None:
        # Over, unless what begins here comes to its end.
        if self._over:
            raise RuntimeError("this link is over")
        self._over = True


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]

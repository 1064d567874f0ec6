"""Reading signed claims: a map that holds exactly the keys it should, each of the right form.

Claim 0 is the version of the form, 1. A claim nobody knows may take a right away, so it is
refused instead of skipped; whoever adds one raises the version.
"""

from collections.abc import Collection, Sequence
from typing import Final

from gateway.core.cbor import Value
from gateway.core.errors import Code, PeerError

FORM_VERSION: Final = 1
# 0 is the first; one more each time somebody's earlier rights end.
MAX_EPOCH: Final = 2**32 - 1
ID_BYTES: Final = 16
SERIAL_BYTES: Final = 8

_VERSION: Final = 0


class Claims:
    """The claims of one signed thing; all methods raise ``PeerError`` MALFORMED."""

    def __init__(self, value: Value, keys: Collection[int]) -> None:
        """``keys``: what has to be there beside the version.

        Raises ``PeerError``: VERSION for another version of the form, else MALFORMED.
        """
        if not isinstance(value, dict) or not isinstance(value.get(_VERSION), int):
            raise malformed("claims are a map with a version")
        if value[_VERSION] != FORM_VERSION:
            raise PeerError(
                Code.VERSION,
                "made by another version of the Store Gateway: update this device and the gateway",
            )
        if value.keys() != {_VERSION, *keys}:
            raise malformed("a claim is missing, or not known")
        self._values = value

    def octets(self, key: int, *lengths: int) -> bytes:
        """A byte string of one of these lengths."""
        value = self._values[key]
        if not isinstance(value, bytes) or len(value) not in lengths:
            raise malformed("a claim has the wrong length")
        return value

    def number(self, key: int, most: int) -> int:
        """A number from 0 to ``most``."""
        value = self._values[key]
        if not isinstance(value, int) or not 0 <= value <= most:
            raise malformed("a claim is not a number, or out of range")
        return value

    def text(self, key: int, most_bytes: int) -> str:
        """Printable text of 1 to ``most_bytes`` bytes."""
        value = self._values[key]
        if not isinstance(value, str) or not is_short_text(value, most_bytes):
            raise malformed("a claim is not a short text")
        return value

    def array(self, key: int, most: int) -> Sequence[Value]:
        """A list of at most ``most`` values."""
        value = self._values[key]
        if not isinstance(value, list) or len(value) > most:
            raise malformed("a claim is not a list, or too long a list")
        return value


def is_short_text(text: str, most_bytes: int) -> bool:
    """Whether a text is printable and 1 to ``most_bytes`` bytes long."""
    # Half a character is not printable, so it never gets to the encoder, which would raise.
    return text.isprintable() and 0 < len(text.encode()) <= most_bytes


def malformed(reason: str) -> PeerError:
    """What to raise for bytes that are not what they should be."""
    return PeerError(Code.MALFORMED, reason)

"""What the QR code of a pairing holds: ``store-gateway://pair?…`` (docs/protocol.md)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit

from gateway.core.claims import ID_BYTES
from gateway.core.errors import GatewayError
from gateway.core.primitives import KEY_BYTES

SCHEME = "store-gateway"
VERSION = "1"
# Longer ones are not looked at; with eight addresses it has less than 400.
MAX_TEXT = 1_024
MAX_ADDRESSES = 8
EX_DATA = 65

_SENTENCE = "that is not the text of a pairing QR code of this version"


@dataclass(frozen=True, slots=True)
class Invitation:
    """Where the gateway is, its static key, and the secret of one use."""

    static: bytes
    secret: bytes = field(repr=False)
    store: bytes
    addresses: tuple[str, ...]

    def uri(self) -> str:
        """As text."""
        query = {
            "v": VERSION,
            "k": _text(self.static),
            "s": _text(self.secret),
            "i": _text(self.store),
            "a": ",".join(self.addresses),
        }
        return f"{SCHEME}://pair?{urlencode(query, safe=':,[]')}"


def is_uri(text: str) -> bool:
    """Whether somebody gave the text of a QR code, and not a typed code."""
    return text.strip().lower().startswith(f"{SCHEME}:")


def read_invitation(text: str) -> Invitation:
    """The invitation in a text; parts that are not known are skipped.

    Raises ``GatewayError`` ``pairing-code``.
    """
    try:
        parts = urlsplit(text.strip() if len(text) <= MAX_TEXT else "")
        found = dict(parse_qsl(parts.query, strict_parsing=True))
        addresses = tuple(found["a"].split(","))
        right = (parts.scheme, parts.netloc, found["v"]) == (SCHEME, "pair", VERSION)
        if right and len(addresses) <= MAX_ADDRESSES and all(addresses):
            static, secret = _octets(found["k"], KEY_BYTES), _octets(found["s"], KEY_BYTES)
            return Invitation(static, secret, _octets(found["i"], ID_BYTES), addresses)
    except (ValueError, KeyError):
        pass
    raise GatewayError("pairing-code", _SENTENCE, EX_DATA)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _octets(text: str, length: int) -> bytes:
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(data) != length:
        raise ValueError(f"not {length} bytes")
    return data

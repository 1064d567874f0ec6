"""What a gateway says of itself to every phone around (docs/bluetooth.md, "Advertising"). Pure.

Only members of a store know the public key of its root, so the keys are made of it.
"""

import hmac
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from gateway.core.errors import Code, PeerError

# Bytes drawn for each token, and bytes of their mark.
NONCE_BYTES = 3
_MARK_BYTES = 5
TOKEN_BYTES = NONCE_BYTES + _MARK_BYTES
DIGEST_BYTES = 4
NAME_BYTES = TOKEN_BYTES + DIGEST_BYTES + 1
# IPv4 and port.
_ADDRESS_BYTES = 6
# The company for use without a company (Assigned Numbers, 7.1).
COMPANY = 0xFFFF

PAIRING = 1
FULL = 2

_TOKEN_LABEL = b"store-gateway/1 token"
_STATE_LABEL = b"store-gateway/1 state"


@dataclass(frozen=True, slots=True)
class Beacon:
    """One advertisement. ``address`` and ``port`` in the LAN: "" and 0 for nowhere."""

    token: bytes
    digest: bytes
    state: int = 0
    address: str = ""
    port: int = 0

    def name_bytes(self) -> bytes:
        """The 13 bytes that are shown as a name."""
        return self.token + self.digest + bytes([self.state])

    def manufacturer_data(self) -> bytes:
        """Under ``COMPANY``: 6 bytes."""
        if not self.address or not self.port:
            return bytes(_ADDRESS_BYTES)
        return IPv4Address(self.address).packed + self.port.to_bytes(2, "big")


def read_beacon(name_bytes: bytes, manufacturer_data: bytes) -> Beacon:
    """What was advertised; bytes that follow are skipped. Raises ``PeerError`` MALFORMED."""
    if len(name_bytes) < NAME_BYTES or len(manufacturer_data) < _ADDRESS_BYTES:
        raise PeerError(Code.MALFORMED, "this is no beacon")
    token, rest = name_bytes[:TOKEN_BYTES], name_bytes[TOKEN_BYTES:]
    address, port = manufacturer_data[:4], int.from_bytes(manufacturer_data[4:6], "big")
    shown = str(IPv4Address(address)) if any(address) and port else ""
    return Beacon(token, rest[:DIGEST_BYTES], rest[DIGEST_BYTES], shown, port if shown else 0)


def token(root_public: bytes, nonce: bytes) -> bytes:
    """What members of the store of this root know their gateways by; ``nonce``: 3 random bytes."""
    assert len(nonce) == NONCE_BYTES
    return nonce + _mac(root_public, _TOKEN_LABEL, nonce)[:_MARK_BYTES]


def is_of_store(root_public: bytes, shown: bytes) -> bool:
    """Whether a token is of the store of this root."""
    if len(shown) != TOKEN_BYTES:
        return False
    return hmac.compare_digest(token(root_public, shown[:NONCE_BYTES]), shown)


def state_digest(root_public: bytes, peer: bytes, state: bytes) -> bytes:
    """Four bytes that differ, but for chance, when the state of a gateway's store differs."""
    return _mac(root_public, _STATE_LABEL, peer + state)[:DIGEST_BYTES]


def is_ipv4(address: str) -> bool:
    """Whether an address can be told in a beacon."""
    try:
        IPv4Address(address)
    except AddressValueError:
        return False
    return True


def _mac(root_public: bytes, label: bytes, message: bytes) -> bytes:
    key = hmac.digest(root_public, label, "sha256")
    return hmac.digest(key, message, "sha256")

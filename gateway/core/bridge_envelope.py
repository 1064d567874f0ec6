"""What is around a batch between a gateway and a hub: who made it, for whom.

docs/protocol.md section 12. The broker between them sees it, and can change nothing. Pure.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.core import cbor
from gateway.core.certificates import Certificate, check_store, store_id, verify_certificate
from gateway.core.cose import MAX_BYTES, sign_bytes, verified_bytes
from gateway.core.errors import Code, PeerError
from gateway.core.primitives import KEY_BYTES

# Of a whole message; the gateway's connection takes as much (docs/mqtt.md).
MAX_MESSAGE_BYTES: Final = 262_144

# A gateway shows the same one with each message; verifying it takes as long as all the rest.
MAX_CERTIFICATES: Final = 4_096

_UP: Final = b"store-gateway up"
_DOWN: Final = b"store-gateway down"


@dataclass(frozen=True, slots=True)
class Opened:
    """A message of a gateway: its batch, and by whom; ``root``: the public key of its store.

    Whether the certificate was revoked is not asked.
    """

    batch: bytes
    certificate: Certificate
    root: bytes


def seal_up(signing: bytes, certificate: bytes, root: bytes, peer: bytes, batch: bytes) -> bytes:
    """The message of a gateway with this certificate; ``root``: the public key of its store."""
    context = _UP + store_id(root) + peer
    return cbor.encode([root, certificate, sign_bytes(signing, context, batch)])


def open_up(message: bytes, store: bytes, peer: bytes) -> Opened:
    """A message that came to the topic of this gateway of this store.

    Raises ``PeerError``: MALFORMED, TOO_BIG, VERSION, OTHER_STORE, UNAUTHORISED.
    """
    _check_size(message)
    match cbor.decode(message):
        case [bytes(root), bytes(data), bytes(signed)] if len(root) == KEY_BYTES:
            check_store(store_id(root), store)
            certificate = _verified(data[: MAX_BYTES + 1], root)
            if certificate.peer != peer:
                raise PeerError(Code.UNAUTHORISED, "the certificate is another gateway's")
            context = _UP + store + peer
            return Opened(
                verified_bytes(certificate.signing_key, context, signed), certificate, root
            )
    raise PeerError(Code.MALFORMED, "not a message of a gateway")


def seal_down(signing: bytes, store: bytes, peer: bytes, batch: bytes) -> bytes:
    """The hub's message for a gateway of a store."""
    return sign_bytes(signing, _DOWN + store + peer, batch)


def open_down(message: bytes, hub: bytes, store: bytes, peer: bytes) -> bytes:
    """The batch in a message of the hub with this public key, for this gateway.

    Raises ``PeerError``: MALFORMED, TOO_BIG, UNAUTHORISED.
    """
    _check_size(message)
    return verified_bytes(hub, _DOWN + store + peer, message)


@lru_cache(MAX_CERTIFICATES)
def _verified(data: bytes, root: bytes) -> Certificate:
    return verify_certificate(data, root)


def _check_size(message: bytes) -> None:
    if len(message) > MAX_MESSAGE_BYTES:
        raise PeerError(Code.TOO_BIG, f"a message of more than {MAX_MESSAGE_BYTES} bytes")

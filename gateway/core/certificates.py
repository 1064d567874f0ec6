"""Who is who in a store: its id, and the certificates that name its gateways.

A store is one Ed25519 key, the root. It signs one certificate for each gateway, which may
then let peers in (``tickets``) and shut them out (``revocations``) without the root. There
are no expiry dates, because a gateway has no clock it could trust; rights end by revocation.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.core.cbor import Value
from gateway.core.claims import FORM_VERSION, ID_BYTES, MAX_EPOCH, SERIAL_BYTES, Claims
from gateway.core.cose import read_signed, sign_claims
from gateway.core.errors import Code, PeerError
from gateway.core.primitives import KEY_BYTES

# Half a chance that two of 77,000 stores look alike: enough to choose whom to try first.
HINT_BYTES: Final = 4

_STORE_LABEL: Final = b"store-gateway store"
_HINT_LABEL: Final = b"store-gateway hint"
_CONTEXT: Final = b"store-gateway certificate"
_STORE, _PEER, _SIGNING_KEY, _NOISE_KEY, _SERIAL, _EPOCH = range(1, 7)
_KEYS: Final = frozenset(range(1, 7))


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the root says about a gateway: its peer id, its keys, and since which epoch."""

    store: bytes
    peer: bytes
    signing_key: bytes
    noise_key: bytes
    serial: bytes
    epoch: int


def store_id(root_public: bytes) -> bytes:
    """The 16 bytes that name a store."""
    return sha256(_STORE_LABEL + root_public).digest()[:ID_BYTES]


def store_hint(store: bytes) -> bytes:
    """The 4 bytes that a gateway announces on the LAN: who knows the store recognises it."""
    return sha256(_HINT_LABEL + store).digest()[:HINT_BYTES]


def certify(root_private: bytes, certificate: Certificate) -> bytes:
    """The certificate, signed by the root; the serial is random and the caller's."""
    claims: dict[int, Value] = {
        0: FORM_VERSION,
        _STORE: certificate.store,
        _PEER: certificate.peer,
        _SIGNING_KEY: certificate.signing_key,
        _NOISE_KEY: certificate.noise_key,
        _SERIAL: certificate.serial,
        _EPOCH: certificate.epoch,
    }
    return sign_claims(root_private, _CONTEXT, claims)


def verify_certificate(data: bytes, root_public: bytes) -> Certificate:
    """The certificate in ``data``, if the root of this store signed it.

    Whether it was revoked is not asked. Raises ``PeerError``: MALFORMED, VERSION,
    OTHER_STORE, UNAUTHORISED.
    """
    signed = read_signed(data, _CONTEXT)
    claims = Claims(signed.claims, _KEYS)
    certificate = Certificate(
        store=claims.octets(_STORE, ID_BYTES),
        peer=claims.octets(_PEER, ID_BYTES),
        signing_key=claims.octets(_SIGNING_KEY, KEY_BYTES),
        noise_key=claims.octets(_NOISE_KEY, KEY_BYTES),
        serial=claims.octets(_SERIAL, SERIAL_BYTES),
        epoch=claims.number(_EPOCH, MAX_EPOCH),
    )
    check_store(certificate.store, store_id(root_public))
    if not signed.by(root_public):
        raise PeerError(Code.UNAUTHORISED, "the certificate is not of this store: pair again")
    return certificate


def check_store(named: bytes, ours: bytes) -> None:
    """Raises ``PeerError`` OTHER_STORE unless both are the same store."""
    if named != ours:
        raise PeerError(
            Code.OTHER_STORE,
            "this is for another store: choose that store's gateway, or pair with this one",
        )

"""COSE_Sign1 (RFC 9052 section 4.2) with EdDSA, in one form: what the store signs.

Untagged, one protected header (the algorithm), no other. What the bytes were signed *as* is
``external_aad`` (section 4.3) and is not sent: a certificate can never be read as a ticket.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core import cbor
from gateway.core.errors import Code, PeerError
from gateway.core.primitives import SIGNATURE_BYTES, sign, verify

# Header label 1 is the algorithm, -8 is EdDSA (RFC 9053 section 2.2).
_PROTECTED: Final = cbor.encode({1: -8})
# The largest ticket has 2.4 kB: 32 grants of 64 bytes.
MAX_BYTES = 3_072
# With a certificate; it has to fit into the 4 kB that a peer may send before it is let in.
MAX_PAIR_BYTES = 3_584


@dataclass(frozen=True, slots=True)
class Signed:
    """Claims and who may have signed them; nothing is known until ``by`` says so."""

    claims: cbor.Value
    signature: bytes
    _message: bytes

    def by(self, public: bytes) -> bool:
        """Whether this key signed the claims in the context they were read for."""
        return verify(public, self._message, self.signature)


def sign_claims(private: bytes, context: bytes, claims: Mapping[int, cbor.Value]) -> bytes:
    """The claims, signed in a context (``b"store-gateway ticket"``)."""
    return sign_bytes(private, context, cbor.encode(claims))


def sign_bytes(private: bytes, context: bytes, payload: bytes) -> bytes:
    """Any bytes, signed in a context."""
    signature = sign(private, _to_be_signed(context, payload))
    return cbor.encode([_PROTECTED, {}, payload, signature])


def read_signed(data: bytes, context: bytes) -> Signed:
    """The claims in a COSE_Sign1, not verified. Raises ``PeerError`` MALFORMED."""
    if len(data) > MAX_BYTES:
        raise PeerError(Code.MALFORMED, f"more than {MAX_BYTES} signed bytes")
    payload, signature = _parts(data)
    return Signed(cbor.decode(payload), signature, _to_be_signed(context, payload))


def verified_bytes(public: bytes, context: bytes, data: bytes) -> bytes:
    """What this key signed in this context, of any size; the caller bounds ``data``.

    Raises ``PeerError``: MALFORMED, UNAUTHORISED.
    """
    payload, signature = _parts(data)
    if not verify(public, _to_be_signed(context, payload), signature):
        raise PeerError(Code.UNAUTHORISED, "signed by somebody else, or as something else")
    return payload


def _parts(data: bytes) -> tuple[bytes, bytes]:
    match cbor.decode(data):
        case [protected, {**unprotected}, bytes(payload), bytes(signature)] if (
            protected == _PROTECTED and not unprotected and len(signature) == SIGNATURE_BYTES
        ):
            return payload, signature
    raise PeerError(Code.MALFORMED, "not a COSE_Sign1 with EdDSA and nothing else")


def pair(signed: bytes, certificate: bytes) -> bytes:
    """Something signed, and the certificate of who signed it (empty: the store root)."""
    return cbor.encode([signed, certificate])


def read_pair(data: bytes) -> tuple[bytes, bytes]:
    """The two parts of a ``pair``. Raises ``PeerError`` MALFORMED."""
    if len(data) > MAX_PAIR_BYTES:
        raise PeerError(Code.MALFORMED, f"a credential of more than {MAX_PAIR_BYTES} bytes")
    match cbor.decode(data):
        case [bytes(signed), bytes(certificate)]:
            return signed, certificate
    raise PeerError(Code.MALFORMED, "not a pair of byte strings")


def _to_be_signed(context: bytes, payload: bytes) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4."""
    return cbor.encode(["Signature1", _PROTECTED, context, payload])

"""Tickets: what a peer shows to be let in, and what it may then do.

A gateway signs them for one peer, bound to the X25519 key that the peer proves in the Noise
handshake, so a copied ticket is of no use. ``docs/protocol.md`` (AUTH) has the form.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway.core.cbor import Value
from gateway.core.certificates import Certificate, check_store, verify_certificate
from gateway.core.claims import (
    FORM_VERSION,
    ID_BYTES,
    MAX_EPOCH,
    SERIAL_BYTES,
    Claims,
    malformed,
)
from gateway.core.cose import pair, read_pair, read_signed, sign_claims
from gateway.core.errors import Code, PeerError
from gateway.core.names import check_name
from gateway.core.primitives import KEY_BYTES

READ: Final = 1
WRITE: Final = 2
EVERYTHING: Final = "*"

MAX_ROLE_BYTES: Final = 32
# All are looked through for each document, and have to fit into a GRANT.
MAX_GRANTS: Final = 32

_CONTEXT: Final = b"store-gateway ticket"
_STORE, _NOISE_KEY, _PEER, _ROLE, _GRANTS, _EPOCH, _ID, _ISSUER = range(1, 9)
_KEYS: Final = frozenset(range(1, 9))

# A collection or ``*``, and READ, WRITE or both.
Grant = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ticket:
    """Who may do what. ``issuer`` is the serial of the gateway's certificate.

    ``noise_key`` is ``None`` where no Noise session is: in a token (``tokens``).
    """

    store: bytes
    noise_key: bytes | None
    peer: bytes
    role: str
    grants: tuple[Grant, ...]
    epoch: int
    id: bytes
    issuer: bytes

    def rights(self, collection: str) -> int:
        """READ, WRITE, both or 0 for the documents of a collection."""
        found = 0
        for pattern, rights in self.grants:
            if pattern in (EVERYTHING, collection):
                found |= rights
        return found


# Whether one of the two was revoked: ``Revocations.revoked``.
Revoked = Callable[[Ticket, Certificate], bool]


def issue(private: bytes, ticket: Ticket) -> bytes:
    """The ticket, signed by a gateway; its id is random and the caller's."""
    assert ticket.noise_key is not None
    claims: dict[int, Value] = {
        0: FORM_VERSION,
        _STORE: ticket.store,
        _NOISE_KEY: ticket.noise_key,
        _PEER: ticket.peer,
        _ROLE: ticket.role,
        _GRANTS: ticket.grants,
        _EPOCH: ticket.epoch,
        _ID: ticket.id,
        _ISSUER: ticket.issuer,
    }
    return sign_claims(private, _CONTEXT, claims)


def credential(ticket: bytes, certificate: bytes) -> bytes:
    """What AUTH carries: a ticket and the certificate of the gateway that issued it."""
    return pair(ticket, certificate)


def verify(data: bytes, root_public: bytes, noise_static: bytes, revoked: Revoked) -> Ticket:
    """The ticket in a credential, if it lets the peer of this session in.

    ``noise_static`` is the key that the peer proved in the handshake. Raises ``PeerError``:
    MALFORMED, VERSION, OTHER_STORE, UNAUTHORISED, REVOKED.
    """
    ticket, certificate = verify_issued(data, root_public, noise_static)
    check_revoked(ticket, certificate, revoked)
    return ticket


def verify_issued(
    data: bytes, root_public: bytes, noise_static: bytes
) -> tuple[Ticket, Certificate]:
    """The ticket in a credential and the certificate of its issuer, revoked or not.

    Raises ``PeerError`` as ``verify`` does, but for REVOKED.
    """
    ticket_data, certificate_data = read_pair(data)
    certificate = verify_certificate(certificate_data, root_public)
    signed = read_signed(ticket_data, _CONTEXT)
    ticket = _ticket(Claims(signed.claims, _KEYS))
    check_store(ticket.store, certificate.store)
    if ticket.issuer != certificate.serial or not signed.by(certificate.signing_key):
        raise PeerError(Code.UNAUTHORISED, "the ticket was not signed by this store: pair again")
    if ticket.noise_key != noise_static:
        raise PeerError(Code.UNAUTHORISED, "the ticket belongs to another device: pair this one")
    return ticket, certificate


def check_revoked(ticket: Ticket, certificate: Certificate, revoked: Revoked) -> None:
    """Raises ``PeerError`` REVOKED."""
    if revoked(ticket, certificate):
        raise PeerError(Code.REVOKED, "this device was shut out: ask the store to pair it again")


def check_grants(grants: Iterable[object]) -> tuple[Grant, ...]:
    """Pairs of pattern and rights, as they came. Raises ``PeerError`` MALFORMED."""
    return tuple(map(_grant, grants))


def _ticket(claims: Claims) -> Ticket:
    return Ticket(
        store=claims.octets(_STORE, ID_BYTES),
        noise_key=claims.octets(_NOISE_KEY, KEY_BYTES),
        peer=claims.octets(_PEER, ID_BYTES),
        role=claims.text(_ROLE, MAX_ROLE_BYTES),
        grants=check_grants(claims.array(_GRANTS, MAX_GRANTS)),
        epoch=claims.number(_EPOCH, MAX_EPOCH),
        id=claims.octets(_ID, ID_BYTES),
        issuer=claims.octets(_ISSUER, SERIAL_BYTES),
    )


def _grant(value: object) -> Grant:
    match value:
        case [str(pattern), int(rights)] if type(rights) is int and READ <= rights <= READ | WRITE:
            return _pattern(pattern), rights
    raise malformed("a grant is a collection, or *, and rights from 1 to 3")


def _pattern(pattern: str) -> str:
    if pattern != EVERYTHING:
        try:
            check_name(f"{pattern}/x")
        except PeerError:
            raise malformed("a grant names no collection") from None
        if "/" in pattern:
            raise malformed("a grant names a document, not a collection")
    return pattern

"""Revocations: who is shut out, as signed entries that every gateway and peer passes on.

An entry carries the certificate of the gateway that signed it, so it stands for itself. Sets
of entries merge by union: of two about the same subject the newer epoch stays, whatever came
first, so all who heard of the same entries agree. Nothing here is ever taken back: a device
that was shut out by mistake, or by a gateway that was stolen, gets a new ticket.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from gateway.core.cbor import Value
from gateway.core.certificates import Certificate, check_store, store_id, verify_certificate
from gateway.core.claims import FORM_VERSION, ID_BYTES, MAX_EPOCH, SERIAL_BYTES, Claims, malformed
from gateway.core.cose import pair, read_pair, read_signed, sign_claims
from gateway.core.errors import Code, PeerError
from gateway.core.tickets import Ticket

# Of one signer: somebody with a stolen gateway must not use up the room of the others. An
# entry holds about 450 bytes.
MAX_ENTRIES: Final = 1_024
DIGEST_BYTES: Final = 16

_CONTEXT: Final = b"store-gateway revocation"
_STORE, _KIND, _SUBJECT, _EPOCH, _ISSUER = range(1, 6)
_KEYS: Final = frozenset(range(1, 6))


class Kind(IntEnum):
    """What a subject names."""

    # This ticket, or everything under this certificate, whatever their epoch.
    TICKET = 1
    CERTIFICATE = 2
    # All tickets and certificates of this peer with an epoch below the entry's.
    PEER = 3


_SUBJECT_BYTES: Final = {Kind.TICKET: ID_BYTES, Kind.CERTIFICATE: SERIAL_BYTES, Kind.PEER: ID_BYTES}
_Key = tuple[Kind, bytes]


@dataclass(frozen=True, slots=True)
class Revocation:
    """One entry. ``issuer`` is the serial of the revoking gateway, empty for the root."""

    store: bytes
    kind: Kind
    subject: bytes
    epoch: int
    issuer: bytes


def revoke(private: bytes, revocation: Revocation, certificate: bytes) -> bytes:
    """The entry, signed; ``certificate`` is the revoking gateway's, empty for the root."""
    claims: dict[int, Value] = {
        0: FORM_VERSION,
        _STORE: revocation.store,
        _KIND: int(revocation.kind),
        _SUBJECT: revocation.subject,
        _EPOCH: revocation.epoch,
        _ISSUER: revocation.issuer,
    }
    return pair(sign_claims(private, _CONTEXT, claims), certificate)


def verify_revocation(entry: bytes, root_public: bytes) -> Revocation:
    """The revocation in an entry of this store.

    Raises ``PeerError``: MALFORMED, VERSION, OTHER_STORE, UNAUTHORISED.
    """
    data, certificate_data = read_pair(entry)
    signer, serial = root_public, b""
    if certificate_data:
        certificate = verify_certificate(certificate_data, root_public)
        signer, serial = certificate.signing_key, certificate.serial
    signed = read_signed(data, _CONTEXT)
    revocation = _revocation(Claims(signed.claims, _KEYS))
    check_store(revocation.store, store_id(root_public))
    if revocation.issuer != serial or not signed.by(signer):
        raise PeerError(Code.UNAUTHORISED, "the revocation was not signed by this store")
    return revocation


class Revocations:
    """All that was revoked in one store, as far as it is known here."""

    def __init__(self, root_public: bytes) -> None:
        self._root = root_public
        self._entries: dict[_Key, tuple[int, bytes]] = {}
        self._issuers: dict[_Key, bytes] = {}
        self._counts: Counter[bytes] = Counter()
        # What comes again costs no signature.
        self._known: set[bytes] = set()

    def add(self, entry: bytes) -> bool:
        """Whether the entry was new, and is to be kept and passed on.

        Raises ``PeerError``: as ``verify_revocation``, and QUOTA when its signer has
        ``MAX_ENTRIES`` already.
        """
        if entry in self._known:
            return False
        revocation = verify_revocation(entry, self._root)
        key = (revocation.kind, revocation.subject)
        # Of two that say the same the bytes decide, so that all keep the same one.
        offered = (revocation.epoch, entry)
        if key in self._entries and offered <= self._entries[key]:
            return False
        self._count(key, revocation.issuer)
        if key in self._entries:
            self._known.discard(self._entries[key][1])
        self._entries[key] = offered
        self._known.add(entry)
        return True

    def revoked(self, ticket: Ticket, certificate: Certificate) -> bool:
        """Whether the ticket, the certificate it was issued under, or the peer of either was."""
        return (
            (Kind.TICKET, ticket.id) in self._entries
            or ticket.epoch < self.lowest_epoch(ticket.peer)
            or self.certificate_revoked(certificate)
        )

    def certificate_revoked(self, certificate: Certificate) -> bool:
        """Whether a gateway's certificate, or the gateway, was revoked."""
        named = (Kind.CERTIFICATE, certificate.serial) in self._entries
        return named or certificate.epoch < self.lowest_epoch(certificate.peer)

    def lowest_epoch(self, peer: bytes) -> int:
        """The lowest epoch of a peer's tickets and certificates that is valid."""
        return self._entries.get((Kind.PEER, peer), (0, b""))[0]

    def entries(self) -> Iterator[bytes]:
        """All that are kept, in an order that depends only on what they are."""
        return (self._entries[key][1] for key in sorted(self._entries))

    def digest(self) -> bytes:
        """The same 16 bytes for the same entries, and for no others."""
        whole = sha256()
        for entry in self.entries():
            whole.update(sha256(entry).digest())
        return whole.digest()[:DIGEST_BYTES]

    def _count(self, key: _Key, issuer: bytes) -> None:
        if self._counts[issuer] >= MAX_ENTRIES and self._issuers.get(key) != issuer:
            raise PeerError(
                Code.QUOTA, f"one gateway revoked {MAX_ENTRIES} subjects: revoke by another one"
            )
        if key in self._issuers:
            self._counts[self._issuers[key]] -= 1
        self._issuers[key] = issuer
        self._counts[issuer] += 1


def _revocation(claims: Claims) -> Revocation:
    number = claims.number(_KIND, max(Kind))
    if number not in _SUBJECT_BYTES:
        raise malformed("a kind of subject that is not known")
    kind = Kind(number)
    return Revocation(
        store=claims.octets(_STORE, ID_BYTES),
        kind=kind,
        subject=claims.octets(_SUBJECT, _SUBJECT_BYTES[kind]),
        epoch=claims.number(_EPOCH, MAX_EPOCH),
        issuer=claims.octets(_ISSUER, 0, SERIAL_BYTES),
    )

"""What this device is in its store: its keys, what it shows of itself, who was shut out.

A gateway has a certificate of the store's root, any other device a ticket of a gateway.
docs/protocol.md section 10. Pure: whatever is random, ids too, is the caller's.
"""

from dataclasses import dataclass

from gateway.core import messages as m
from gateway.core import tickets
from gateway.core.certificates import Certificate, certify, store_id, verify_certificate
from gateway.core.errors import Code, PeerError
from gateway.core.names import collection_of
from gateway.core.primitives import KeyPair, public_of
from gateway.core.revocations import Kind, Revocation, Revocations, revoke
from gateway.core.tickets import EVERYTHING, READ, WRITE, Ticket
from gateway.core.tokens import issue_token, verify_token

# A gateway is there to hold and pass on everything.
ALL: m.Grants = ((EVERYTHING, READ | WRITE),)
GATEWAY = "gateway"


class Keys:
    """A device's own key pairs, made of two times 32 random bytes that nobody else has."""

    def __init__(self, noise_private: bytes, signing_private: bytes) -> None:
        self.noise = KeyPair(noise_private)
        self.signing_private = signing_private
        self.signing_public = public_of(signing_private)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A member of the store that proved who it is, and what it may do.

    ``ticket`` is None for a gateway, whose ``certificate`` is its own.
    """

    peer: bytes
    role: str
    grants: m.Grants
    certificate: Certificate
    ticket: Ticket | None


def allows(grants: m.Grants, document: str, right: int) -> bool:
    """Whether one of the grants gives this right to a document."""
    collection = collection_of(document)
    return any(rights & right and pattern in (EVERYTHING, collection) for pattern, rights in grants)


def found(root_private: bytes, peer: bytes, keys: Keys, serial: bytes, epoch: int = 0) -> bytes:
    """A certificate that makes a device a gateway of the store of this root key."""
    store = store_id(public_of(root_private))
    certificate = Certificate(
        store, peer, keys.signing_public, keys.noise.public, serial, epoch
    )  # fmt: skip
    return certify(root_private, certificate)


class Membership:
    """``credential`` is this device's certificate (AUTH_CERTIFICATE) or ticket (AUTH_TICKET)."""

    def __init__(
        self,
        peer: bytes,
        keys: Keys,
        root_public: bytes,
        method: int,
        credential: bytes,
        revocations: Revocations,
    ) -> None:
        """Raises ``PeerError`` if the credential is not this device's and this store's."""
        self.peer = peer
        self.keys = keys
        self.root_public = root_public
        self.store = store_id(root_public)
        self.shown = (method, credential)
        self.revocations = revocations
        self.own = self._verified(method, credential, keys.noise.public, peer)

    @property
    def is_gateway(self) -> bool:
        """Whether this device may let others in and shut them out."""
        return self.own.ticket is None

    def admit(self, method: int, credential: bytes, noise_static: bytes, peer: bytes) -> Admitted:
        """Who shows this credential, and what it may do.

        ``noise_static`` is what it proved in the handshake, ``peer`` what its HELLO said. Raises
        ``PeerError``: MALFORMED, VERSION, OTHER_STORE, UNAUTHORISED, REVOKED.
        """
        admitted = self._verified(method, credential, noise_static, peer)
        if self.shut_out(admitted):
            raise PeerError(
                Code.REVOKED, "this device was shut out: ask the store to pair it again"
            )
        return admitted

    def admit_token(self, token: str) -> Admitted:
        """The same for a token of the plain endpoint, which this gateway issued."""
        certificate = self.own.certificate
        ticket = verify_token(token, certificate, self.revocations.revoked)
        return Admitted(ticket.peer, ticket.role, ticket.grants, certificate, ticket)

    def shut_out(self, admitted: Admitted) -> bool:
        """Whether somebody who was let in is revoked now."""
        if admitted.ticket is None:
            return self.revocations.certificate_revoked(admitted.certificate)
        return self.revocations.revoked(admitted.ticket, admitted.certificate)

    def issue(
        self, noise_key: bytes, peer: bytes, role: str, grants: m.Grants, identity: bytes
    ) -> bytes:
        """The credential of a new ticket; ``identity`` is random. Only a gateway issues."""
        ticket = self._ticket(noise_key, peer, role, grants, identity)
        signed = tickets.issue(self.keys.signing_private, ticket)
        return tickets.credential(signed, self.shown[1])

    def token(self, peer: bytes, role: str, grants: m.Grants, identity: bytes) -> str:
        """A new token. Only a gateway issues."""
        ticket = self._ticket(None, peer, role, grants, identity)
        return issue_token(self.keys.signing_private, ticket)

    def revocation(self, peer: bytes) -> bytes:
        """An entry that ends all rights a peer has so far. Only a gateway revokes."""
        epoch = self.revocations.lowest_epoch(peer) + 1
        entry = Revocation(self.store, Kind.PEER, peer, epoch, self.own.certificate.serial)
        return revoke(self.keys.signing_private, entry, self.shown[1])

    def _ticket(
        self, noise_key: bytes | None, peer: bytes, role: str, grants: m.Grants, identity: bytes
    ) -> Ticket:
        epoch = self.revocations.lowest_epoch(peer)
        serial = self.own.certificate.serial
        return Ticket(self.store, noise_key, peer, role, grants, epoch, identity, serial)

    def _verified(
        self, method: int, credential: bytes, noise_static: bytes, peer: bytes
    ) -> Admitted:
        if method == m.AUTH_CERTIFICATE:
            certificate = verify_certificate(credential, self.root_public)
            if certificate.noise_key != noise_static:
                raise _unauthorised("the certificate belongs to another gateway")
            admitted = Admitted(certificate.peer, GATEWAY, ALL, certificate, None)
        elif method == m.AUTH_TICKET:
            ticket, issuer = tickets.verify_issued(credential, self.root_public, noise_static)
            admitted = Admitted(ticket.peer, ticket.role, ticket.grants, issuer, ticket)
        else:
            raise _unauthorised("this store does not know you: pair first")
        if admitted.peer != peer:
            raise _unauthorised("the credential belongs to another device: pair this one")
        return admitted


def _unauthorised(reason: str) -> PeerError:
    return PeerError(Code.UNAUTHORISED, reason)

"""Who was revoked, of the stores that a worker of the hub hears. Pure.

Entries are verified here, whoever kept them: those of the database too, once each.
"""

from collections import OrderedDict
from collections.abc import Iterable

from gateway.core.certificates import Certificate
from gateway.core.errors import Code, PeerError
from gateway.core.revocations import Kind, Revocations, verify_revocation

# Stores whose entries are remembered; about 1 kB each, with few entries.
MAX_STORES = 1_000
# Of a store: what sixteen gateways may revoke (``core.revocations``).
MAX_OF_STORE = 16_384
# A store of which nothing was learned.
NEVER = float("-inf")


class _Known:
    """Entries of one store, with all that came, also those that newer ones replaced.

    ``learned_at``: when they were read from the database last.
    """

    def __init__(self, root: bytes) -> None:
        self.revocations = Revocations(root)
        self.seen: set[bytes] = set()
        self.learned_at = NEVER


class CloudRevocations:
    """Of several stores, by the public keys of their roots."""

    def __init__(self) -> None:
        self._stores: OrderedDict[bytes, _Known] = OrderedDict()

    def learned_at(self, root: bytes) -> float:
        """When the database was asked about a store last; ``NEVER`` once that is forgotten."""
        known = self._stores.get(root)
        return NEVER if known is None else known.learned_at

    def learn(self, root: bytes, kept: Iterable[bytes], now: float) -> None:
        """What the database keeps of a store; what does not verify is passed over."""
        known = self._known(root)
        known.learned_at = now
        for entry in kept:
            if entry not in known.seen:
                known.seen.add(entry)
                try:
                    known.revocations.add(entry)
                except PeerError:
                    continue

    def is_revoked(self, root: bytes, certificate: Certificate) -> bool:
        """Whether a gateway, or its certificate, was shut out."""
        return self._known(root).revocations.certificate_revoked(certificate)

    def is_new(self, root: bytes, entry: bytes) -> bool:
        """Whether an entry of a gateway is to be kept. Raises ``PeerError`` as
        ``Revocations.add`` does, and QUOTA for a store with too many."""
        known = self._known(root)
        if entry in known.seen:
            return False
        if len(known.seen) >= MAX_OF_STORE:
            raise PeerError(Code.QUOTA, f"a store has {MAX_OF_STORE} revocations at most")
        if not known.revocations.add(entry):
            return False
        known.seen.add(entry)
        return True

    def replaced(self, root: bytes) -> set[bytes]:
        """Entries of a store that newer ones replaced, each told once: they need not be kept."""
        known = self._known(root)
        gone = known.seen.difference(known.revocations.entries())
        known.seen -= gone
        return gone

    def _known(self, root: bytes) -> _Known:
        known = self._stores.get(root)
        if known is None:
            known = self._stores[root] = _Known(root)
        self._stores.move_to_end(root)
        if len(self._stores) > MAX_STORES:
            self._stores.popitem(last=False)
        return known


def shut_out(entry: bytes, root: bytes) -> bytes | None:
    """The peer that an entry shuts out; None when it names a ticket or a certificate."""
    revocation = verify_revocation(entry, root)
    return revocation.subject if revocation.kind is Kind.PEER else None

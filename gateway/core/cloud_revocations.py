"""Who was revoked, of the stores that a worker of the hub hears. Pure.

Entries are verified here, whoever kept them: those of the database too, once each.
"""

from collections import OrderedDict
from collections.abc import Iterable

from gateway.core.certificates import Certificate
from gateway.core.errors import PeerError
from gateway.core.revocations import Kind, Revocations, verify_revocation

# Stores whose entries are remembered; about 1 kB each, with few entries.
MAX_STORES = 1_000


class _Known:
    """Entries of one store, with all that came, also those that newer ones replaced."""

    def __init__(self, root: bytes) -> None:
        self.revocations = Revocations(root)
        self.seen: set[bytes] = set()


class CloudRevocations:
    """Of several stores, by the public keys of their roots."""

    def __init__(self) -> None:
        self._stores: OrderedDict[bytes, _Known] = OrderedDict()

    def knows(self, root: bytes) -> bool:
        """Whether what was learned of a store is still remembered."""
        return root in self._stores

    def learn(self, root: bytes, kept: Iterable[bytes]) -> None:
        """What the database keeps of a store; what does not verify is passed over."""
        known = self._known(root)
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
        ``Revocations.add`` does."""
        known = self._known(root)
        if entry in known.seen or not known.revocations.add(entry):
            return False
        known.seen.add(entry)
        return True

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

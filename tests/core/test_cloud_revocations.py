"""Who was revoked, as a worker of a hub knows it."""

import pytest

from gateway.core import cloud_revocations
from gateway.core.certificates import verify_certificate
from gateway.core.cloud_revocations import CloudRevocations, shut_out
from gateway.core.errors import PeerError
from gateway.core.primitives import public_of
from gateway.core.revocations import Kind, Revocation, revoke
from tests.support.cloud import HandGateway

ROOT = b"r" * 32
GATEWAY, OTHER = HandGateway(1), HandGateway(2)
PUBLIC = GATEWAY.root_public
CERTIFICATE = verify_certificate(GATEWAY.certificate, PUBLIC)


def entry(kind: Kind = Kind.PEER, epoch: int = 1, subject: bytes = GATEWAY.peer) -> bytes:
    return revoke(ROOT, Revocation(GATEWAY.store, kind, subject, epoch, b""), b"")


def test_what_the_database_keeps_counts() -> None:
    known = CloudRevocations()
    assert not known.is_revoked(PUBLIC, CERTIFICATE)
    known.learn(PUBLIC, [b"junk", entry()])
    known.learn(PUBLIC, [b"junk", entry()])
    assert known.is_revoked(PUBLIC, CERTIFICATE)
    assert not known.is_new(PUBLIC, entry())


def test_what_a_gateway_says_is_kept_once() -> None:
    known = CloudRevocations()
    assert known.is_new(PUBLIC, entry(epoch=2)) and not known.is_new(PUBLIC, entry(epoch=2))
    # An older one about the same.
    assert not known.is_new(PUBLIC, entry(epoch=1))
    assert known.is_revoked(PUBLIC, CERTIFICATE)
    with pytest.raises(PeerError):
        known.is_new(PUBLIC, b"junk")


def test_stores_are_apart_and_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_revocations, "MAX_STORES", 2)
    known = CloudRevocations()
    assert known.is_new(PUBLIC, entry())
    for other in (b"1" * 32, b"2" * 32):
        assert not known.is_revoked(public_of(other), CERTIFICATE)
    assert not known.knows(PUBLIC) and known.knows(public_of(b"2" * 32))
    assert not known.is_revoked(PUBLIC, CERTIFICATE)


def test_whom_an_entry_shuts_out() -> None:
    assert shut_out(entry(), PUBLIC) == GATEWAY.peer
    assert shut_out(entry(Kind.CERTIFICATE, subject=b"serial00"), PUBLIC) is None

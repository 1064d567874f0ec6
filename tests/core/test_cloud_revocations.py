"""Who was revoked, as a worker of a hub knows it."""

import pytest

from gateway.core import cloud_revocations
from gateway.core.certificates import verify_certificate
from gateway.core.cloud_revocations import NEVER, CloudRevocations, shut_out
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
    assert known.learned_at(PUBLIC) == NEVER
    known.learn(PUBLIC, [b"junk", entry()], 1.0)
    known.learn(PUBLIC, [b"junk", entry()], 2.0)
    assert known.learned_at(PUBLIC) == 2.0
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
    known.learn(PUBLIC, [entry()], 1.0)
    for other in (b"1" * 32, b"2" * 32):
        assert not known.is_revoked(public_of(other), CERTIFICATE)
    # What is forgotten has to be learned again.
    assert known.learned_at(PUBLIC) == NEVER


def test_what_a_newer_entry_replaces_need_not_be_kept() -> None:
    known = CloudRevocations()
    known.learn(PUBLIC, [entry(epoch=1)], 1.0)
    assert known.replaced(PUBLIC) == set()
    assert known.is_new(PUBLIC, entry(epoch=2))
    assert known.replaced(PUBLIC) == {entry(epoch=1)} and known.replaced(PUBLIC) == set()
    assert not known.is_new(PUBLIC, entry(epoch=1)) and known.is_revoked(PUBLIC, CERTIFICATE)


def test_a_store_revokes_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_revocations, "MAX_OF_STORE", 1)
    known = CloudRevocations()
    assert known.is_new(PUBLIC, entry())
    with pytest.raises(PeerError, match="1 revocations at most"):
        known.is_new(PUBLIC, entry(subject=OTHER.peer))


def test_whom_an_entry_shuts_out() -> None:
    assert shut_out(entry(), PUBLIC) == GATEWAY.peer
    assert shut_out(entry(Kind.CERTIFICATE, subject=b"serial00"), PUBLIC) is None

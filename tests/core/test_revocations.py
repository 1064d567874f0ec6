"""Revocations: who may sign them, what they shut out, and that sets of them merge."""

import itertools
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import revocations as r
from gateway.core.certificates import certify, store_id
from gateway.core.claims import MAX_EPOCH
from gateway.core.cose import pair, read_pair, sign_claims
from gateway.core.errors import Code, PeerError
from gateway.core.primitives import public_of
from gateway.core.revocations import Kind, Revocation, Revocations, revoke
from tests.vectors import make_tickets as made

STORED = json.loads(made.VECTORS.read_text())
CONTEXT = b"store-gateway revocation"
TICKET, CERTIFICATE = made.TICKET, made.CERTIFICATE
OTHER = replace(CERTIFICATE, signing_key=public_of(made.OTHER_GATEWAY), serial=b"another1")
SIGNED_OTHER = certify(made.ROOT, OTHER)


def entry(kind: Kind, subject: bytes, epoch: int, signer: int = 1) -> bytes:
    """An entry of the root (0), the gateway (1) or another gateway (2)."""
    private, certificate, issuer = [
        (made.ROOT, b"", b""),
        (made.GATEWAY, made.SIGNED_CERTIFICATE, CERTIFICATE.serial),
        (made.OTHER_GATEWAY, SIGNED_OTHER, OTHER.serial),
    ][signer]
    return revoke(private, Revocation(made.STORE, kind, subject, epoch, issuer), certificate)


def known(*entries: bytes) -> Revocations:
    found = Revocations(made.ROOT_PUBLIC)
    for one in entries:
        found.add(one)
    return found


def refused(data: bytes) -> Code:
    with pytest.raises(PeerError) as caught:
        known(data)
    return caught.value.code


@pytest.mark.parametrize("vector", STORED["revocations"], ids=lambda v: v["name"])
def test_vector_is_read(vector: dict) -> None:
    data = bytes.fromhex(vector["hex"])
    assert made.plain(r.verify_revocation(data, made.ROOT_PUBLIC)) == vector["claims"]
    assert known(data).revoked(TICKET, CERTIFICATE)
    assert not known().revoked(TICKET, CERTIFICATE)


def test_a_ticket_is_revoked_whatever_its_epoch() -> None:
    found = known(entry(Kind.TICKET, TICKET.id, 0))
    assert found.revoked(replace(TICKET, epoch=MAX_EPOCH), CERTIFICATE)
    assert not found.revoked(replace(TICKET, id=bytes(16)), CERTIFICATE)


def test_a_certificate_takes_its_tickets_with_it() -> None:
    found = known(entry(Kind.CERTIFICATE, CERTIFICATE.serial, 0))
    assert found.revoked(TICKET, CERTIFICATE)
    assert not found.revoked(TICKET, OTHER)


def test_a_peer_is_revoked_below_an_epoch() -> None:
    found = known(entry(Kind.PEER, TICKET.peer, 7))
    assert not found.revoked(TICKET, CERTIFICATE)
    assert found.revoked(replace(TICKET, epoch=6), CERTIFICATE)
    assert found.add(entry(Kind.PEER, TICKET.peer, 8))
    assert found.revoked(TICKET, CERTIFICATE)
    assert not found.revoked(replace(TICKET, epoch=8), CERTIFICATE)


def test_a_gateway_is_a_peer_too() -> None:
    found = known(entry(Kind.PEER, CERTIFICATE.peer, 2))
    assert found.revoked(TICKET, CERTIFICATE)
    assert not found.revoked(TICKET, replace(CERTIFICATE, epoch=2))


def test_an_older_entry_is_not_new() -> None:
    found = known(entry(Kind.PEER, TICKET.peer, 8))
    assert not found.add(entry(Kind.PEER, TICKET.peer, 8))
    assert not found.add(entry(Kind.PEER, TICKET.peer, 7))
    assert list(found.entries()) == [entry(Kind.PEER, TICKET.peer, 8)]


def test_entries_of_a_gateway_that_was_revoked_count_on() -> None:
    stolen = entry(Kind.CERTIFICATE, CERTIFICATE.serial, 1, signer=2)
    for order in itertools.permutations([stolen, entry(Kind.TICKET, TICKET.id, 1)]):
        assert known(*order).revoked(TICKET, OTHER)


def test_every_flipped_bit_and_every_cut_is_refused() -> None:
    for data in (entry(Kind.PEER, TICKET.peer, 8), entry(Kind.TICKET, TICKET.id, 8, signer=0)):
        for bit in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            refused(bytes(flipped))
        for end in range(len(data)):
            assert refused(data[:end]) is Code.MALFORMED


def test_only_the_store_may_revoke() -> None:
    mine, certificate = read_pair(entry(Kind.TICKET, TICKET.id, 1))
    roots, _ = read_pair(entry(Kind.TICKET, TICKET.id, 1, signer=0))
    assert refused(pair(mine, b"")) is Code.UNAUTHORISED
    assert refused(pair(mine, SIGNED_OTHER)) is Code.UNAUTHORISED
    assert refused(pair(roots, certificate)) is Code.UNAUTHORISED
    assert refused(pair(mine, certify(made.OTHER_ROOT, CERTIFICATE))) is Code.UNAUTHORISED
    # The gateway's key under the root's name.
    named = Revocation(made.STORE, Kind.TICKET, TICKET.id, 1, b"")
    assert refused(revoke(made.GATEWAY, named, b"")) is Code.UNAUTHORISED
    assert refused(revoke(made.GATEWAY, named, certificate)) is Code.UNAUTHORISED


def test_other_stores_and_other_things_are_told() -> None:
    other = store_id(public_of(made.OTHER_ROOT))
    foreign = Revocation(other, Kind.TICKET, TICKET.id, 1, b"")
    assert refused(revoke(made.OTHER_ROOT, foreign, b"")) is Code.OTHER_STORE
    assert refused(made.CREDENTIAL) is Code.MALFORMED
    assert refused(pair(made.SIGNED_CERTIFICATE, b"")) is Code.MALFORMED


def signed(**changes: Any) -> bytes:
    names = ("version", "store", "kind", "subject", "epoch", "issuer")
    values = [1, made.STORE, 1, TICKET.id, 1, b""]
    claims = {**dict(zip(names, values, strict=True)), **changes}
    data = sign_claims(made.ROOT, CONTEXT, dict(enumerate(claims.values())))
    return pair(data, b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"store": b""},
        {"kind": 0},
        {"kind": 4},
        {"kind": "1"},
        {"kind": 2},
        {"subject": CERTIFICATE.serial},
        {"subject": b""},
        {"epoch": -1},
        {"epoch": 2**32},
        {"issuer": b"1234567"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_claim_of_the_wrong_form_is_refused(changes: dict) -> None:
    assert known(signed()).revoked(TICKET, CERTIFICATE)
    assert refused(signed(**changes)) is Code.MALFORMED


def test_another_version_is_told() -> None:
    assert refused(signed(version=2)) is Code.VERSION


def test_one_signer_cannot_use_up_the_room_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(r, "MAX_ENTRIES", 3)
    subjects = [bytes([number]) * 16 for number in range(4)]
    found = known(*(entry(Kind.TICKET, subject, 1) for subject in subjects[:3]))
    with pytest.raises(PeerError) as caught:
        found.add(entry(Kind.TICKET, subjects[3], 1))
    assert caught.value.code is Code.QUOTA
    assert len(list(found.entries())) == 3
    # What it has it may renew; the others are not concerned.
    assert found.add(entry(Kind.TICKET, subjects[0], 2))
    assert found.add(entry(Kind.TICKET, subjects[3], 1, signer=2))
    assert found.add(entry(Kind.CERTIFICATE, CERTIFICATE.serial, 1, signer=0))
    # Whose entry was replaced has room again.
    assert found.add(entry(Kind.TICKET, subjects[1], 5, signer=2))
    assert found.add(entry(Kind.PEER, subjects[0], 1))
    with pytest.raises(PeerError):
        found.add(entry(Kind.PEER, subjects[1], 1))


# Few subjects, epochs and signers, so that most of them are about the same.
POOL = [
    entry(kind, bytes([number]) * (8 if kind is Kind.CERTIFICATE else 16), epoch, signer)
    for kind in Kind
    for number in range(2)
    for epoch in range(3)
    for signer in range(3)
]
sets = st.lists(st.sampled_from(POOL), max_size=12)


def union(*parts: Iterable[bytes]) -> list[bytes]:
    return list(known(*itertools.chain(*parts)).entries())


@settings(max_examples=50, deadline=None)
@given(sets, sets, sets)
def test_sets_merge_by_union(one: list[bytes], two: list[bytes], three: list[bytes]) -> None:
    assert union(one, two) == union(two, one)
    assert union(union(one, two), three) == union(one, union(two, three))
    assert union(one, one) == union(one) == union(union(one))


@settings(max_examples=50, deadline=None)
@given(sets, st.randoms(use_true_random=False))
def test_order_decides_nothing(entries: list[bytes], source: Any) -> None:
    mixed = list(entries)
    source.shuffle(mixed)
    assert union(entries) == union(mixed)


@settings(max_examples=50, deadline=None)
@given(sets)
def test_new_is_what_changes_the_set(entries: list[bytes]) -> None:
    found = known()
    for one in entries:
        before = list(found.entries())
        assert found.add(one) is (list(found.entries()) != before)
        assert not found.add(one)


def test_equal_sets_have_equal_digests() -> None:
    one, two = (entry(Kind.TICKET, bytes([number]) * 16, 0) for number in (1, 2))
    assert known(one, two).digest() == known(two, one).digest()
    digests = {known().digest(), known(one).digest(), known(one, two).digest()}
    assert len(digests) == 3 and {len(digest) for digest in digests} == {r.DIGEST_BYTES}


def test_what_comes_again_is_not_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    older, newer = (entry(Kind.PEER, TICKET.peer, epoch) for epoch in (8, 9))
    found = known(older)
    assert found.add(newer)
    monkeypatch.setattr(r, "verify_revocation", None)
    assert not found.add(newer)
    monkeypatch.undo()
    assert not found.add(older) and found.lowest_epoch(TICKET.peer) == 9

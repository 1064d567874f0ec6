"""Certificates and stores: the shared vectors, every damaged byte, every wrong signer."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.certificates import Certificate, certify, store_hint, store_id, verify_certificate
from gateway.core.claims import MAX_EPOCH
from gateway.core.cose import MAX_BYTES, sign_claims
from gateway.core.errors import Code, PeerError
from tests.vectors import make_tickets as made

STORED = json.loads(made.VECTORS.read_text())
SIGNED = made.SIGNED_CERTIFICATE


def refused(data: bytes, root: bytes = made.ROOT_PUBLIC) -> Code:
    with pytest.raises(PeerError) as caught:
        verify_certificate(data, root)
    return caught.value.code


def test_vectors_and_page_are_current() -> None:
    assert json.loads(json.dumps(made.vectors())) == STORED
    assert made.BEGIN + made.page_section() + made.END in made.PAGE.read_text()


def test_a_store_is_its_root_key() -> None:
    store = STORED["store"]
    assert store_id(bytes.fromhex(store["root_public"])).hex() == store["store"]
    assert store_hint(bytes.fromhex(store["store"])).hex() == store["hint"]
    assert store["hint"] not in store["store"]


def test_vector_is_read() -> None:
    found = verify_certificate(bytes.fromhex(STORED["certificate"]["hex"]), made.ROOT_PUBLIC)
    assert made.plain(found) == STORED["certificate"]["claims"]


@pytest.mark.parametrize("entry", STORED["refused_certificates"], ids=lambda e: e["name"])
def test_vector_is_refused(entry: dict) -> None:
    assert refused(bytes.fromhex(entry["hex"])).word == entry["code"]


@pytest.mark.parametrize("root", STORED["refused_roots"])
def test_a_weak_root_signs_nothing(root: str) -> None:
    weak = bytes.fromhex(root)
    certificate = replace(made.CERTIFICATE, store=store_id(weak))
    signed = certify(made.ROOT, certificate)
    for nothing in (bytes(64), b"\x01" + bytes(63)):
        assert refused(signed[:-64] + nothing, weak) is Code.UNAUTHORISED


def test_every_flipped_bit_and_every_cut_is_refused() -> None:
    for bit in range(8 * len(SIGNED)):
        flipped = bytearray(SIGNED)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(bytes(flipped))
    for end in range(len(SIGNED)):
        assert refused(SIGNED[:end]) is Code.MALFORMED


def test_a_large_one_is_not_looked_at() -> None:
    assert refused(bytes(MAX_BYTES + 1)) is Code.MALFORMED


@pytest.mark.parametrize("claims", [{}, {1: 1}, {0: b"\x01"}, {0: "1"}])
def test_claims_without_a_version_are_refused(claims: dict) -> None:
    assert refused(sign_claims(made.ROOT, b"store-gateway certificate", claims)) is Code.MALFORMED


ids = st.binary(min_size=16, max_size=16)
keys = st.binary(min_size=32, max_size=32)


@given(ids, keys, keys, st.binary(min_size=8, max_size=8), st.integers(0, MAX_EPOCH))
def test_certificates_come_back(
    peer: bytes, signing: bytes, noise: bytes, serial: bytes, epoch: int
) -> None:
    certificate = Certificate(made.STORE, peer, signing, noise, serial, epoch)
    assert verify_certificate(certify(made.ROOT, certificate), made.ROOT_PUBLIC) == certificate

"""Tickets: who is let in, who is told what, and what a ticket allows."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import cbor, tickets
from gateway.core.certificates import Certificate, certify, store_id
from gateway.core.claims import MAX_EPOCH
from gateway.core.cose import MAX_BYTES, MAX_PAIR_BYTES, pair, read_signed, sign_claims
from gateway.core.errors import Code, PeerError
from gateway.core.primitives import public_of
from gateway.core.tickets import Ticket, credential, issue, verify
from tests.vectors import make_tickets as made

STORED = json.loads(made.VECTORS.read_text())
CONTEXT = b"store-gateway ticket"
TICKET, CERTIFICATE = made.TICKET, made.SIGNED_CERTIFICATE


def nobody(ticket: Ticket, certificate: Certificate) -> bool:
    return False


def let_in(data: bytes, noise: bytes = made.TABLET) -> Ticket:
    return verify(data, made.ROOT_PUBLIC, noise, nobody)


def refused(data: bytes, noise: bytes = made.TABLET) -> Code:
    with pytest.raises(PeerError) as caught:
        let_in(data, noise)
    return caught.value.code


def claims(**changes: Any) -> dict[int, Any]:
    names = ("version", "store", "noise_key", "peer", "role", "grants", "epoch", "id", "issuer")
    values = {"version": 1, **made.plain(TICKET), **changes}
    for name in ("store", "noise_key", "peer", "id", "issuer"):
        if isinstance(values[name], str):
            values[name] = bytes.fromhex(values[name])
    return {number: values[name] for number, name in enumerate(names)}


def signed(**changes: Any) -> bytes:
    return credential(sign_claims(made.GATEWAY, CONTEXT, claims(**changes)), CERTIFICATE)


def test_vector_is_read() -> None:
    assert let_in(bytes.fromhex(STORED["credential"]["hex"])) == TICKET
    assert json.loads(json.dumps(made.plain(TICKET))) == STORED["ticket"]["claims"]
    assert signed() == made.CREDENTIAL


def test_a_usual_ticket_is_below_300_bytes() -> None:
    assert len(TICKET.grants) == 4
    assert len(made.SIGNED_TICKET) < 300
    long = replace(TICKET, role="r" * 16, grants=(("c" * 16, 3),) * 4, epoch=MAX_EPOCH)
    assert len(issue(made.GATEWAY, long)) < 300


def test_the_largest_ticket_fits() -> None:
    grants = tuple((f"{number:064d}", 3) for number in range(tickets.MAX_GRANTS))
    largest = replace(TICKET, role="r" * 32, grants=grants, epoch=MAX_EPOCH)
    ticket = issue(made.GATEWAY, largest)
    assert len(ticket) <= MAX_BYTES
    assert let_in(credential(ticket, CERTIFICATE)) == largest


def test_every_flipped_bit_and_every_cut_is_refused() -> None:
    data = made.CREDENTIAL
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        refused(bytes(flipped))
    for end in range(len(data)):
        assert refused(data[:end]) is Code.MALFORMED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        cbor.encode([made.SIGNED_TICKET]),
        cbor.encode([made.SIGNED_TICKET, CERTIFICATE, b""]),
        cbor.encode([made.SIGNED_TICKET, 1]),
        cbor.encode({1: made.SIGNED_TICKET, 2: CERTIFICATE}),
        pair(made.SIGNED_TICKET, b""),
        pair(b"", CERTIFICATE),
        pair(bytes(MAX_PAIR_BYTES), b""),
    ],
)
def test_what_is_no_pair_is_refused(data: bytes) -> None:
    assert refused(data) is Code.MALFORMED


def test_swapped_parts_are_refused() -> None:
    ticket = made.SIGNED_TICKET
    assert refused(pair(CERTIFICATE, ticket)) is Code.MALFORMED
    assert refused(pair(ticket, ticket)) is Code.MALFORMED
    assert refused(pair(CERTIFICATE, CERTIFICATE)) is Code.MALFORMED
    assert refused(pair(issue(made.ROOT, TICKET), CERTIFICATE)) is Code.UNAUTHORISED
    assert refused(pair(issue(made.OTHER_GATEWAY, TICKET), CERTIFICATE)) is Code.UNAUTHORISED


@pytest.mark.parametrize(
    "context",
    [b"", b"store-gateway certificate", b"store-gateway revocation", b"store-gateway tic"],
)
def test_claims_signed_as_something_else_are_no_ticket(context: bytes) -> None:
    data = sign_claims(made.GATEWAY, context, claims())
    assert refused(credential(data, CERTIFICATE)) is Code.UNAUTHORISED
    assert read_signed(data, context).by(public_of(made.GATEWAY))


def test_a_ticket_of_another_gateway_of_the_store_needs_its_certificate() -> None:
    other = replace(made.CERTIFICATE, signing_key=public_of(made.OTHER_GATEWAY), serial=b"another1")
    ticket = replace(TICKET, issuer=other.serial)
    data = issue(made.OTHER_GATEWAY, ticket)
    assert let_in(credential(data, certify(made.ROOT, other))) == ticket
    assert refused(credential(data, CERTIFICATE)) is Code.UNAUTHORISED
    # The right key under a serial it does not have.
    assert refused(credential(issue(made.GATEWAY, ticket), CERTIFICATE)) is Code.UNAUTHORISED


def test_another_store() -> None:
    root = public_of(made.OTHER_ROOT)
    with pytest.raises(PeerError) as caught:
        verify(made.CREDENTIAL, root, made.TABLET, nobody)
    assert caught.value.code is Code.OTHER_STORE
    assert refused(signed(store=store_id(root))) is Code.OTHER_STORE


@pytest.mark.parametrize("key", [made.NOISE, bytes(32), b"", made.TABLET[:31]])
def test_a_copied_ticket_is_of_no_use(key: bytes) -> None:
    assert refused(made.CREDENTIAL, key) is Code.UNAUTHORISED


def test_a_gateway_without_a_good_key_signs_nothing() -> None:
    for weak in (bytes(32), b"\x01" + bytes(31)):
        certificate = certify(made.ROOT, replace(made.CERTIFICATE, signing_key=weak))
        for nothing in (bytes(64), b"\x01" + bytes(63)):
            ticket = made.SIGNED_TICKET[:-64] + nothing
            assert refused(credential(ticket, certificate)) is Code.UNAUTHORISED


def test_who_was_revoked_is_told() -> None:
    asked: list[tuple[Ticket, Certificate]] = []

    def everybody(ticket: Ticket, certificate: Certificate) -> bool:
        asked.append((ticket, certificate))
        return True

    with pytest.raises(PeerError) as caught:
        verify(made.CREDENTIAL, made.ROOT_PUBLIC, made.TABLET, everybody)
    assert caught.value.code is Code.REVOKED
    assert asked == [(TICKET, made.CERTIFICATE)]


@pytest.mark.parametrize(
    "changes",
    [
        {"store": bytes(15)},
        {"noise_key": bytes(33)},
        {"peer": "00"},
        {"peer": 5},
        {"role": ""},
        {"role": "r" * 33},
        {"role": "a\nb"},
        {"role": b"kiosk"},
        {"grants": 1},
        {"grants": [["menu", 1]] * 33},
        {"grants": [["menu"]]},
        {"grants": [["menu", 0]]},
        {"grants": [["menu", 4]]},
        {"grants": [["menu", -1]]},
        {"grants": [["menu", "1"]]},
        {"grants": [[1, 1]]},
        {"grants": ["menu"]},
        {"grants": [["", 1]]},
        {"grants": [["..", 1]]},
        {"grants": [["menu/today", 1]]},
        {"grants": [["m" * 65, 1]]},
        {"grants": [["a\\b", 1]]},
        {"epoch": -1},
        {"epoch": 2**32},
        {"epoch": "7"},
        {"id": bytes(17)},
        {"issuer": b""},
    ],
    ids=str,
)
def test_a_claim_of_the_wrong_form_is_refused(changes: dict) -> None:
    assert refused(signed(**changes)) is Code.MALFORMED


def test_another_version_is_told() -> None:
    assert refused(signed(version=2)) is Code.VERSION


def test_rights_of_a_collection() -> None:
    def rights(*grants: tickets.Grant) -> int:
        return replace(TICKET, grants=grants).rights("menu")

    assert rights() == 0
    assert rights(("orders", 3)) == 0
    assert rights(("menu", 1)) == tickets.READ
    assert rights(("*", 1), ("menu", 2)) == tickets.READ | tickets.WRITE
    assert rights(("*", 2)) == tickets.WRITE


ids = st.binary(min_size=16, max_size=16)
grants = st.lists(
    st.tuples(st.just("*") | st.from_regex(r"[a-z0-9]{1,64}", fullmatch=True), st.integers(1, 3)),
    max_size=tickets.MAX_GRANTS,
)


@given(ids, ids, st.text("abc é水", min_size=1, max_size=10), grants, st.integers(0, MAX_EPOCH))
def test_tickets_come_back(
    peer: bytes, number: bytes, role: str, given_: list[tickets.Grant], epoch: int
) -> None:
    ticket = replace(TICKET, peer=peer, id=number, role=role, grants=tuple(given_), epoch=epoch)
    assert let_in(credential(issue(made.GATEWAY, ticket), CERTIFICATE)) == ticket


@given(st.binary(max_size=200))
def test_any_bytes_raise_only_what_a_peer_is_told(data: bytes) -> None:
    refused(data)
    refused(pair(data, CERTIFICATE))
    refused(pair(made.SIGNED_TICKET, data))


@given(
    st.dictionaries(
        st.integers(0, 9),
        st.integers().filter(lambda n: abs(n) < 2**53)
        | st.binary(max_size=40)
        | st.text(max_size=9),
        max_size=10,
    )
)
def test_any_claims_raise_only_what_a_peer_is_told(found: dict) -> None:
    refused(credential(sign_claims(made.GATEWAY, CONTEXT, found), CERTIFICATE))

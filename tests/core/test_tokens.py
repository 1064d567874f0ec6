"""Tokens: one algorithm, one key, one header, known claims, no times."""

import base64
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.certificates import Certificate
from gateway.core.errors import Code, PeerError
from gateway.core.primitives import public_of, sign
from gateway.core.tickets import Ticket
from gateway.core.tokens import MAX_BYTES, issue_token, token_of, verify_token
from tests.vectors import make_tickets as made

STORED = json.loads(made.VECTORS.read_text())
TICKET = replace(made.TICKET, noise_key=None)
HEADER = {"alg": "EdDSA", "typ": "JWT"}
CLAIMS: dict[str, Any] = {
    "aud": TICKET.store.hex(),
    "sub": TICKET.peer.hex(),
    "role": "kiosk",
    "grants": [list(grant) for grant in TICKET.grants],
    "epoch": 7,
    "jti": TICKET.id.hex(),
}


def nobody(ticket: Ticket, certificate: Certificate) -> bool:
    return False


def let_in(token: str) -> Ticket:
    return verify_token(token, made.CERTIFICATE, nobody)


def refused(token: str) -> Code:
    with pytest.raises(PeerError) as caught:
        let_in(token)
    return caught.value.code


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signed(header: bytes, payload: bytes, private: bytes = made.GATEWAY) -> str:
    message = f"{packed(header)}.{packed(payload)}"
    return f"{message}.{packed(sign(private, message.encode()))}"


def token(claims: Any, header: Any = HEADER) -> str:
    return signed(json.dumps(header).encode(), json.dumps(claims).encode())


def test_vector_is_read() -> None:
    assert let_in(STORED["token"]) == TICKET
    assert issue_token(made.GATEWAY, TICKET) == STORED["token"]


def test_what_other_libraries_write_is_read() -> None:
    assert let_in(token(CLAIMS)) == TICKET
    assert let_in(token(CLAIMS, {"alg": "EdDSA"})) == TICKET
    assert let_in(token({"iat": 1_700_000_000, **CLAIMS})) == TICKET


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": "none"},
        {"alg": "None", "typ": "JWT"},
        {"alg": "eddsa"},
        {"alg": "HS256"},
        {"alg": "Ed25519"},
        {"alg": ["EdDSA"]},
        {"typ": "JWT"},
        {"alg": "EdDSA", "typ": "JWS"},
        {"alg": "EdDSA", "kid": "1"},
        {"alg": "EdDSA", "kid": "../../etc/passwd"},
        {"alg": "EdDSA", "crit": []},
        {"alg": "EdDSA", "b64": False},
        {"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": packed(bytes(32))}},
        {"alg": "EdDSA", "jku": "http://127.0.0.1/"},
        {"alg": "EdDSA", "x5u": "http://127.0.0.1/"},
    ],
    ids=str,
)
def test_any_other_header_is_refused(header: dict) -> None:
    assert refused(token(CLAIMS, header)) in (Code.UNAUTHORISED, Code.MALFORMED)


def test_unsigned_and_keyed_tokens_are_refused() -> None:
    header, payload, _ = STORED["token"].split(".")
    assert refused(f"{header}.{payload}.") is Code.MALFORMED
    none = packed(json.dumps({"alg": "none"}).encode())
    assert refused(f"{none}.{payload}.") is Code.MALFORMED
    assert refused(f"{none}.{payload}.{packed(bytes(64))}") is Code.UNAUTHORISED
    # The public key as the secret of an HMAC.
    keyed = f"{packed(json.dumps({'alg': 'HS256'}).encode())}.{payload}"
    digest = hmac.digest(public_of(made.GATEWAY), keyed.encode(), "sha256")
    assert refused(f"{keyed}.{packed(digest)}") is Code.UNAUTHORISED


def test_another_key_is_refused() -> None:
    for private in (made.ROOT, made.OTHER_GATEWAY):
        assert refused(issue_token(private, TICKET)) is Code.UNAUTHORISED


def test_another_store_and_the_revoked_are_told() -> None:
    assert refused(token({**CLAIMS, "aud": "00" * 16})) is Code.OTHER_STORE
    with pytest.raises(PeerError) as caught:
        verify_token(STORED["token"], made.CERTIFICATE, lambda ticket, certificate: True)
    assert caught.value.code is Code.REVOKED


def test_every_changed_character_and_every_cut_is_refused() -> None:
    good = STORED["token"]
    for place, was in enumerate(good):
        for other in "A-_.=+/ \n\u00e9":
            if other != was:
                refused(good[:place] + other + good[place + 1 :])
        refused(good[:place])


def test_the_bits_that_base64_leaves_over_are_zero() -> None:
    good = STORED["token"]
    # 64 bytes leave four bits of the last character.
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(good[-1])
    for more in range(1, 16):
        assert refused(good[:-1] + letters[last + more]) is Code.MALFORMED


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b", "a.b.c.d", " a.b.c", "a.b.c\n", "a=.b.c", "a.b.c" * 900, "\u0661.b.c"],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_compact_jwt_is_refused(text: str) -> None:
    assert refused(text) is Code.MALFORMED


def test_size_is_capped() -> None:
    large = {**CLAIMS, "role": "r" * MAX_BYTES}
    assert refused(token(large)) is Code.MALFORMED


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"{" * 2_000,
        b"[" * 2_900,
        b'{"epoch":1e999}',
        b'{"epoch":NaN}',
        b'{"a":1,"a":1}',
        b'{"epoch":' + b"9" * 2_500 + b"}",
        json.dumps(CLAIMS).encode()[:-1] + b', "epoch": 8}',
        json.dumps(CLAIMS).encode() + b" x",
        b"\xef\xbb\xbf" + json.dumps(CLAIMS).encode(),
        json.dumps(CLAIMS).encode("utf-16"),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_a_payload_that_is_not_one_plain_object_is_refused(payload: bytes) -> None:
    assert refused(signed(json.dumps(HEADER).encode(), payload)) is Code.MALFORMED
    assert refused(signed(payload, payload)) is Code.MALFORMED


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 4_000_000_000},
        {"nbf": 0},
        {"iss": "somebody"},
        {"aud": [TICKET.store.hex()]},
        {"aud": TICKET.store.hex().upper()},
        {"sub": ""},
        {"sub": "0" * 31 + " "},
        {"sub": "0" * 31 + "\u0661"},
        {"jti": 7},
        {"jti": None},
        {"role": ""},
        {"role": 5},
        {"role": "\ud800"},
        {"role": "r" * 33},
        {"grants": {}},
        {"grants": [["menu", 1]] * 33},
        {"grants": [["menu", 1, 2]]},
        {"grants": [["menu", True]]},
        {"grants": [["menu", 1.0]]},
        {"grants": [["\ud800", 1]]},
        {"epoch": True},
        {"epoch": 7.0},
        {"epoch": "7"},
        {"epoch": -1},
        {"epoch": 2**32},
    ],
    ids=ascii,
)
def test_a_claim_of_the_wrong_form_is_refused(changes: dict) -> None:
    assert refused(token({**CLAIMS, **changes})) is Code.MALFORMED


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_that_is_missing_is_refused(name: str) -> None:
    assert refused(token({key: one for key, one in CLAIMS.items() if key != name})) is (
        Code.MALFORMED
    )


@given(st.text(max_size=100), st.binary(max_size=100))
def test_anything_raises_only_what_a_peer_is_told(text: str, data: bytes) -> None:
    refused(text)
    refused(signed(data, data))
    refused(signed(json.dumps(HEADER).encode(), data))


@given(st.text("abc é水", min_size=1, max_size=10), st.integers(0, 2**32 - 1))
def test_tokens_come_back(role: str, epoch: int) -> None:
    ticket = replace(TICKET, role=role, epoch=epoch)
    assert let_in(issue_token(made.GATEWAY, ticket)) == ticket


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/sync/orders/1", ""),
        ("/sync/orders/1?", ""),
        ("/sync/orders/1?token=a.b.c", "a.b.c"),
        ("/sync/orders/1?x=1&token=a.b.c&token=d", "a.b.c"),
        ("/sync/orders/1?mytoken=a.b.c", ""),
        ("/sync/orders/1?" + "x" * 9_000 + "&token=a.b.c", ""),
    ],
)
def test_the_token_in_a_path(path: str, token: str) -> None:
    assert token_of(path) == token

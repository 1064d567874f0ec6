"""The text of a pairing QR code."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import GatewayError
from gateway.core.pairing_uri import MAX_ADDRESSES, Invitation, is_uri, read_invitation
from tests.vectors import make_pairing as made

GOOD = Invitation(bytes(range(32)), bytes(range(32, 64)), bytes(range(16)), ("10.0.0.7:8787",))


def test_the_vectors_and_the_page_are_current() -> None:
    stored = json.loads(made.VECTORS.read_text())
    assert json.loads(json.dumps(made.vectors())) == stored
    assert made.BEGIN + made.page_section() + made.END in made.PAGE.read_text()
    for entry in stored["invitations"]:
        read = read_invitation(entry["uri"])
        assert read.static.hex() == entry["static"] and read.secret.hex() == entry["secret"]
        assert read.store.hex() == entry["store"] and list(read.addresses) == entry["addresses"]


@given(
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.lists(st.sampled_from(["10.0.0.7:8787", "[fe80::1]:80", "shop.local:8787"]), min_size=1),
)
def test_there_and_back(key: bytes, store: bytes, addresses: list[str]) -> None:
    invitation = Invitation(key, key[::-1], store, tuple(addresses[:MAX_ADDRESSES]))
    assert read_invitation(f" {invitation.uri()}\n") == invitation
    assert is_uri(invitation.uri()) and len(invitation.uri()) < 400


def test_parts_that_are_not_known_are_skipped() -> None:
    assert read_invitation(GOOD.uri() + "&x=1") == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01234-56789-ABCDE-FGHJK",
        GOOD.uri().replace("pair?", "pare?"),
        GOOD.uri().replace("v=1", "v=2"),
        GOOD.uri().replace("v=1&", ""),
        GOOD.uri().replace("store-gateway:", "http:"),
        GOOD.uri().replace("a=10.0.0.7:8787", "a="),
        GOOD.uri().replace("a=10.0.0.7:8787", "a=1,,2"),
        GOOD.uri().replace("a=10.0.0.7:8787", "a=" + ",".join("1" * 9)),
        GOOD.uri().replace("k=", "k=A"),
        GOOD.uri().replace("i=", "i=AAAA"),
        GOOD.uri().replace("s=", "s=\u20ac"),
        GOOD.uri() + "&z=" + "1" * 1_024,
        "store-gateway://[pair?v=1",
    ],
)
def test_what_is_no_invitation(text: str) -> None:
    with pytest.raises(GatewayError) as raised:
        read_invitation(text)
    assert raised.value.code == "pairing-code"


def test_the_secret_is_not_printed() -> None:
    assert GOOD.secret.hex() not in repr(GOOD) and repr(GOOD.secret) not in repr(GOOD)

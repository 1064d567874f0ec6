"""Codes that people type: what is shown can be read, however it was typed."""

import contextlib
import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import pairing_code as p
from gateway.core.errors import GatewayError
from tests.vectors import make_noise as made

CODES = json.loads(made.VECTORS.read_text())["codes"]


def test_the_codes_of_the_vectors() -> None:
    for entry in CODES["made"]:
        assert p.pairing_code(bytes.fromhex(entry["random"])) == entry["code"]
    for entry in CODES["read"]:
        assert p.normalised(entry["text"]) == entry["code"]
        assert p.pairing_psk(entry["text"]).hex() == entry["psk"]


@pytest.mark.parametrize("text", CODES["refused"])
def test_what_is_no_code(text: str) -> None:
    for read in (p.normalised, p.pairing_psk):
        with pytest.raises(GatewayError) as raised:
            read(text)
        assert raised.value.code == "pairing-code"
        assert raised.value.exit_code == 65
        assert "20 letters and digits" in raised.value.sentence


@given(random=st.binary(min_size=20, max_size=20), data=st.data())
def test_every_code_is_read_as_it_may_be_typed(random: bytes, data: st.DataObject) -> None:
    code = p.pairing_code(random)
    assert len(code) == 23
    plain = code.replace("-", "")
    assert p.normalised(code) == plain
    looks_alike = {"0": "0oO", "1": "1iIlL"}
    typed = "".join(
        data.draw(st.sampled_from(looks_alike.get(letter, letter + letter.lower())))
        + data.draw(st.sampled_from(["", "", "-", " "]))
        for letter in plain
    )
    assert p.normalised(typed) == plain


@given(st.text(max_size=80))
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with contextlib.suppress(GatewayError):
        assert len(p.normalised(text)) == 20


def test_all_bits_count() -> None:
    """32 characters at each place: 100 bits."""
    for place in range(20):
        codes = {p.pairing_code(bytes(place) + bytes([n]) + bytes(19 - place)) for n in range(32)}
        assert len(codes) == 32
    with pytest.raises(ValueError):
        p.pairing_code(bytes(19))


def test_the_key_is_that_of_the_documentation() -> None:
    psk = sha256(b"store-gateway/1 pairing code 0123456789ABCDEFGHJK").digest()
    assert p.pairing_psk("01234-56789-abcde-fghjk") == psk

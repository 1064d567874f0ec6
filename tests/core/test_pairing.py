"""The pairing window: what ends it, and that guessing does not get in."""

from hashlib import sha256

import pytest

from gateway.core import cbor
from gateway.core.errors import Code, PeerError
from gateway.core.noise import Pattern
from gateway.core.pairing import TRIES, PairRequest, WindowState, read_request
from gateway.core.pairing_code import pairing_psk
from tests.core.stores import CODE, SECRET, window

GUESSES = 1_000_000


def test_both_secrets_until_it_ends() -> None:
    opened = window(until=600.0)
    assert opened.psk(Pattern.IKPSK2, 0.0) == SECRET
    assert opened.psk(Pattern.XXPSK0, 599.9) == pairing_psk(CODE)
    assert opened.state(600.0) is WindowState.EXPIRED
    for verb in (lambda: opened.psk(Pattern.IKPSK2, 0.0), lambda: opened.use(0.0)):
        with pytest.raises(PeerError) as raised:
            verb()
        assert raised.value.code is Code.UNAUTHORISED


def test_the_first_success_is_the_last() -> None:
    opened = window()
    opened.use(1.0)
    assert opened.state(1.0) is WindowState.PAIRED
    with pytest.raises(PeerError):
        opened.use(1.0)
    opened.close()
    assert opened.state(1.0) is WindowState.PAIRED


def test_closed_by_hand() -> None:
    opened = window()
    opened.close()
    assert opened.state(0.0) is WindowState.CLOSED
    with pytest.raises(PeerError):
        opened.psk(Pattern.XXPSK0, 0.0)


def test_a_million_guesses_and_none_succeeds() -> None:
    """Each window is opened anew as soon as it closes, which no person would do."""
    succeeded = windows = 0
    opened = window()
    for number in range(GUESSES):
        if opened.state(0.0) is not WindowState.OPEN:
            windows += 1
            opened = window()
        guess = sha256(number.to_bytes(8, "big")).digest()
        pattern = Pattern.IKPSK2 if number % 2 else Pattern.XXPSK0
        if guess == opened.psk(pattern, 0.0):
            succeeded += 1
        opened.failed()
    assert succeeded == 0
    assert windows == (GUESSES - 1) // TRIES


def test_what_a_device_says_of_itself() -> None:
    request = PairRequest("Till 3", "kiosk", bytes(32))
    assert read_request(request.encode()) == request


@pytest.mark.parametrize(
    "value",
    [
        {0: 1, 1: "a", 2: "b"},
        {0: 1, 1: "", 2: "b", 3: bytes(32)},
        {0: 1, 1: "a" * 65, 2: "b", 3: bytes(32)},
        {0: 1, 1: "a", 2: "b" * 33, 3: bytes(32)},
        {0: 1, 1: "a", 2: "b", 3: bytes(31)},
        {0: 1, 1: "a", 2: "b", 3: bytes(32), 4: 1},
        [],
    ],
)
def test_what_is_no_request(value: cbor.Value) -> None:
    with pytest.raises(PeerError) as raised:
        read_request(cbor.encode(value))
    assert raised.value.code is Code.MALFORMED


def test_a_request_of_a_later_form() -> None:
    with pytest.raises(PeerError) as raised:
        read_request(cbor.encode({0: 2}))
    assert raised.value.code is Code.VERSION

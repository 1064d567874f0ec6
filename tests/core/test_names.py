"""What a document may be called."""

import pytest

from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.names import check_name, collection_of, name_from_path, own_name

GOOD = ["orders/today", "menu/main", "a/b/c", "menu/café", "notes/👩‍⚕️", "o/" + "x" * 198]
BAD = [
    "", "orders", "/x", "x/", "a//b", "a/./b", "a/../b", "../x", "a/b\x00", "a/b\n", "a\\/b",
    "a/\u202eb", "a/\ud800", "o/" + "x" * 199, "c" * 65 + "/x", "a/\u2028",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_good_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_bad_names(name: str) -> None:
    with pytest.raises(PeerError) as caught:
        check_name(name)
    assert caught.value.code is Code.BAD_NAME


def test_a_path_is_decoded_once() -> None:
    assert name_from_path("menu/caf%C3%A9?token=x/y") == "menu/café"
    assert name_from_path("menu/100%2525") == "menu/100%25"


@pytest.mark.parametrize(
    "path", ["a/%2e%2e/b", "a/%00", "a/%ff", "a/%c3%28", "a/\udcff"], ids=ascii
)
def test_bad_paths(path: str) -> None:
    with pytest.raises(PeerError) as caught:
        name_from_path(path)
    assert caught.value.code is Code.BAD_NAME


def test_collection() -> None:
    assert collection_of("orders/today/1") == "orders"


def test_who_is_at_this_device_is_told_in_other_words() -> None:
    assert own_name("orders/1") == "orders/1"
    with pytest.raises(GatewayError) as caught:
        own_name("orders")
    assert caught.value.code == "bad-name" and "'orders'" in caught.value.sentence

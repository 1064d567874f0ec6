"""Which space a document is in, who may write there, who hears of it."""

import pytest

from gateway.core.cloud_shares import EVERY, Share, Shares, overlap

NORTH, SOUTH, HEAD = "a" * 32, "b" * 32, "c" * 32
MENU = Share("menu", ("menu", "prices"), (EVERY,), (HEAD,))
STAFF = Share("staff", ("staff",), (NORTH, SOUTH), (EVERY,))
SHARES = Shares([MENU, STAFF])


@pytest.mark.parametrize(
    ("store", "document", "space", "writes"),
    [
        (NORTH, "orders/1", NORTH, True),
        (NORTH, "menu/1", "share:menu", False),
        (HEAD, "prices/1", "share:menu", True),
        (SOUTH, "staff/1", "share:staff", True),
        (HEAD, "staff/1", HEAD, True),
    ],
)
def test_where_a_document_is_and_who_writes_it(
    store: str, document: str, space: str, writes: bool
) -> None:
    assert SHARES.space(store, document) == space
    assert SHARES.may_write(store, document) is writes
    assert SHARES.is_in(space, document)


def test_what_a_store_takes_part_in() -> None:
    assert SHARES.spaces(NORTH) == {"share:menu": ("menu", "prices"), "share:staff": ("staff",)}
    assert SHARES.spaces(HEAD) == {"share:menu": ("menu", "prices")}


def test_of_which_stores_a_space_is() -> None:
    assert SHARES.stores(NORTH) == (NORTH,)
    assert SHARES.stores("share:menu") is None
    assert SHARES.stores("share:staff") == (NORTH, SOUTH)
    assert SHARES.stores("share:gone") == ()


@pytest.mark.parametrize(
    ("space", "document"),
    [
        ("share:gone", "menu/1"), ("share:menu", "orders/1"), (NORTH, "menu/1"),
        (SOUTH, "staff/1"),
    ],
)  # fmt: skip
def test_a_document_that_is_not_there(space: str, document: str) -> None:
    assert not SHARES.is_in(space, document)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Share("more", ("menu",), (NORTH,), ()), "menu is shared twice"),
        (Share("staff", ("x",), (), ()), "two shares are called staff"),
        (Share("more", ("staff",), (SOUTH,), ()), "staff is shared twice"),
        (Share("more", ("staff",), (HEAD,), ()), ""),
    ],
)
def test_shares_that_overlap(other: Share, said: str) -> None:
    found = overlap([MENU, STAFF, other])
    assert found.startswith(said) and bool(found) is bool(said)

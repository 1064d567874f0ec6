"""What is said of us in the network, and what of others' words is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.announcement import (
    MAX_ADDRESSES,
    Address,
    Announcement,
    Neighbour,
    announced,
    is_this_machine,
    reachable,
    read,
)

PEER = "0123456789abcdef" * 2
TXT: dict[bytes, bytes | None] = {b"v": b"1-3", b"id": PEER.encode(), b"s": b"", b"l": b"1"}
OWN = [
    Address("127.0.0.1", 8, 1, usable=False),
    Address("192.168.1.5", 24, 2, usable=True),
    Address("8.8.4.4", 24, 2, usable=True),
    Address("fe80::5", 64, 2, usable=True),
    Address("2001:db8:1::5", 64, 2, usable=True),
    Address("10.9.0.5", 24, 3, usable=False),
]


def own(*, large: bool) -> Announcement:
    return Announcement(PEER, 1, 3, "", large, 8787, "Shop", 0, ())


@pytest.mark.parametrize("large", [True, False])
def test_what_is_said_is_understood(large: bool) -> None:
    txt = {key.encode(): value.encode() for key, value in own(large=large).txt().items()}
    assert read(PEER, txt, 8787, ["10.0.0.1"]) == Neighbour(
        PEER, 1, 3, "", large, 8787, ("10.0.0.1",)
    )
    assert len(b"".join(key + value for key, value in txt.items())) < 60


def test_a_record_holds_only_what_is_written_down() -> None:
    assert own(large=False).txt() == {"v": "1-3", "id": PEER, "s": ""}
    assert own(large=True).txt()["l"] == "1"


@pytest.mark.parametrize(
    "broken",
    [
        {b"id": None},
        {b"id": b""},
        {b"id": PEER[:-1].encode()},
        {b"id": PEER.upper().encode()},
        {b"id": PEER.encode() + b"\n"},
        {b"id": b"f" * 32},
        {b"v": None},
        {b"v": b"1"},
        {b"v": b"0-1"},
        {b"v": b"3-2"},
        {b"v": b"1-10000"},
        {b"v": b"1-1 "},
        {b"v": "1-²".encode()},
        {b"s": b"f" * 33},
        {b"s": b"Shop"},
        {b"s": b"\x1b[2J"},
    ],
)
def test_what_is_not_exactly_right_is_no_neighbour(broken: dict[bytes, bytes | None]) -> None:
    assert read(PEER, TXT, 1, []) is not None
    assert read(PEER, TXT | broken, 1, []) is None


def test_missing_keys_ports_and_other_labels_are_no_neighbour() -> None:
    assert read(PEER, {}, 1, []) is None
    for port in (None, 0, -1, 65_536):
        assert read(PEER, TXT, port, []) is None
    assert read(PEER.upper(), TXT, 1, []) is not None
    assert read("f" * 32, TXT, 1, []) is None


def test_unknown_keys_are_ignored_and_addresses_are_named_once() -> None:
    found = read(PEER, TXT | {b"x": b"\xff" * 99, b"l": b"yes"}, 1, ["10.0.0.1", "10.0.0.1"])
    assert found is not None and found.addresses == ("10.0.0.1",) and not found.large


@given(
    st.text(max_size=40),
    st.dictionaries(
        st.sampled_from([b"v", b"id", b"s", b"l", b"?"]), st.none() | st.binary(max_size=40)
    ),
    st.none() | st.integers(),
    st.lists(st.text(max_size=20), max_size=4),
)
def test_anything_may_be_said(
    label: str, txt: dict[bytes, bytes | None], port: int | None, addresses: list[str]
) -> None:
    found = read(label, txt, port, addresses)
    assert found is None or found.peer == label.lower()
    reachable(addresses, OWN)


def test_near_addresses_come_first_then_other_private_ones() -> None:
    heard = ["172.16.0.1", "fd00::1", "fe80::7%2", "2001:db8:1::7", "10.9.0.7", "192.168.1.7"]
    assert reachable(heard, OWN) == (
        "10.9.0.7",
        "192.168.1.7",
        "fe80::7%2",
        "2001:db8:1::7",
        "172.16.0.1",
        "fd00::1",
    )


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",  # the internet
        "2001:4860:4860::8888",
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "::",
        "224.0.0.251",
        "ff02::fb%2",
        "255.255.255.255",
        "192.168.1.255",
        "240.0.0.1",
        "192.168.1.5",  # ours
        "fe80::5%2",
        "fe80::7",  # on no interface
        "::ffff:192.168.1.7",
        "shop.example",
        "",
    ],
)
def test_what_a_neighbour_cannot_have_is_not_called(address: str) -> None:
    assert reachable([address], OWN) == ()


def test_an_address_in_the_internet_is_called_in_a_network_of_ours() -> None:
    assert reachable(["8.8.4.5"], OWN) == ("8.8.4.5",)


def test_a_few_addresses_are_enough() -> None:
    heard = [f"192.168.1.{number}" for number in range(20, 60)]
    assert len(reachable(heard, OWN)) == MAX_ADDRESSES


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("0.0.0.0", ("192.168.1.5", "8.8.4.4")),
        ("::", ("fe80::5", "2001:db8:1::5")),
        ("192.168.1.5", ("192.168.1.5",)),
        ("10.9.0.5", ()),
        ("127.0.0.1", ()),
        ("shop.example", ()),
    ],
)
def test_only_addresses_that_are_listened_on_are_announced(
    host: str, addresses: tuple[str, ...]
) -> None:
    assert announced(host, OWN) == addresses


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("shop.example", False),
    ],
)
def test_listening_on_this_machine_only(host: str, alone: bool) -> None:
    assert is_this_machine(host) is alone

"""The advertisement of a gateway, and who recognises it."""

import json

import pytest

from gateway.core.beacon import (
    FULL,
    PAIRING,
    Beacon,
    is_ipv4,
    is_of_store,
    read_beacon,
    state_digest,
    token,
)
from gateway.core.errors import Code, PeerError
from tests.vectors.make_beacon import VECTORS

ROOT = bytes(range(32))
OTHER = bytes(32)


def test_members_recognise_their_store_and_nobody_else_does() -> None:
    shown = token(ROOT, b"abc")
    assert len(shown) == 8 and shown.startswith(b"abc")
    assert is_of_store(ROOT, shown)
    assert not is_of_store(OTHER, shown)
    assert not is_of_store(ROOT, shown[:-1])
    assert not is_of_store(ROOT, b"")
    assert token(ROOT, b"abd")[3:] != shown[3:]


def test_the_digest_tells_states_gateways_and_stores_apart() -> None:
    peer = bytes(16)
    digests = {
        state_digest(ROOT, peer, b"1"),
        state_digest(ROOT, peer, b"2"),
        state_digest(ROOT, bytes([1]) * 16, b"1"),
        state_digest(OTHER, peer, b"1"),
    }
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {4}


@pytest.mark.parametrize(
    "beacon",
    [
        Beacon(token(ROOT, b"abc"), b"1234"),
        Beacon(token(ROOT, b"abc"), b"1234", PAIRING | FULL, "192.168.1.20", 8787),
    ],
)
def test_a_beacon_is_read_as_it_was_advertised(beacon: Beacon) -> None:
    assert len(beacon.name_bytes()) == 13 and len(beacon.manufacturer_data()) == 6
    later = b"what a later version adds"
    assert read_beacon(beacon.name_bytes(), beacon.manufacturer_data()) == beacon
    assert read_beacon(beacon.name_bytes() + later, beacon.manufacturer_data() + later) == beacon


def test_the_shared_vectors_are_read() -> None:
    vectors = json.loads(VECTORS.read_text())
    root, peer = bytes.fromhex(vectors["root"]), bytes.fromhex(vectors["peer"])
    for case in vectors["cases"]:
        service, manufacturer = case["service_data"], case["manufacturer_data"]
        beacon = read_beacon(bytes.fromhex(service), bytes.fromhex(manufacturer))
        assert (beacon.token.hex(), beacon.digest.hex()) == (case["token"], case["digest"])
        assert (beacon.state, beacon.address, beacon.port) == (
            case["state"], case["address"], case["port"],
        )  # fmt: skip
        assert is_of_store(root, beacon.token) == case["ours"]
        if case["ours"]:
            assert beacon.digest == state_digest(root, peer, bytes.fromhex(vectors["state"]))


def test_an_address_without_a_port_is_none() -> None:
    beacon = Beacon(token(ROOT, b"abc"), b"1234", 0, "192.168.1.20", 0)
    assert beacon.manufacturer_data() == bytes(6)
    address = bytes([192, 168, 1, 20, 0, 0])
    assert read_beacon(beacon.name_bytes(), address).address == ""


@pytest.mark.parametrize(("service", "manufacturer"), [(12, 6), (13, 5), (0, 0)])
def test_what_is_too_short_is_no_beacon(service: int, manufacturer: int) -> None:
    with pytest.raises(PeerError) as caught:
        read_beacon(bytes(service), bytes(manufacturer))
    assert caught.value.code is Code.MALFORMED


def test_which_addresses_fit() -> None:
    assert is_ipv4("10.0.0.1")
    assert not is_ipv4("fe80::1")
    assert not is_ipv4("")

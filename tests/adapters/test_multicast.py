"""Questions by multicast: on a network of our own, and what is taken for an answer."""

import pytest

from gateway.adapters.multicast import IS_ANSWER, QUESTION, SERVICE, _answered, ask_everywhere
from gateway.adapters.rtnetlink import own_addresses
from gateway.core.announcement import Address
from tests.support.gateway import eventually
from tests.support.lan import Lan, need_namespaces

PEER = "ab" * 16
HEADER = bytes([0, 0, IS_ANSWER, 0]) + bytes(8)


def test_what_is_an_answer() -> None:
    answer = HEADER + SERVICE + bytes(10) + b"\x20" + PEER.encode() + b"\xc0\x0c"
    assert _answered(answer) == {PEER}
    # A question, another service, something cut off, no peer id.
    for other in (
        QUESTION + b"\x20" + PEER.encode(),
        HEADER + b"\x05_http\x20" + PEER.encode(),
        answer[:8],
        b"",
        HEADER + SERVICE + b"\x20" + b"Z" * 32,
    ):
        assert _answered(other) == set()


def test_without_an_interface_nothing_is_asked() -> None:
    assert ask_everywhere([Address("127.0.0.1", 8, 1, False)], 0.0) == []
    # One that is not there any more hears nothing.
    (asked,) = ask_everywhere([Address("192.0.2.7", 24, 9_999, True)], 0.0)
    assert not asked.echoed and asked.peers == frozenset()


@pytest.mark.integration
@pytest.mark.parametrize("family", ["4", "6"])
def test_it_hears_its_own_question(family: str) -> None:
    need_namespaces()
    with Lan() as lan:
        device = lan.device(1)
        if family == "6":
            lan.ip(device, "-4", "address", "flush", "dev", "eth0")
        with lan.inside(device):
            # An IPv6 address is ours once nobody else claims it.
            eventually(lambda: any(own.usable for own in own_addresses()))
            (asked,) = ask_everywhere(list(own_addresses()), 0.5)
    assert asked.echoed and not asked.peers and (":" in asked.ip) == (family == "6")

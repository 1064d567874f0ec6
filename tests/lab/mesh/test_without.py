"""Two devices of a store whose gateway is gone, and what the gateway is sent when it is back."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import eventually
from tests.support.lan import Lan, need_namespaces
from tests.support.peer import PeerProcess
from tests.support.shop import Shop

pytestmark = pytest.mark.integration

PORT = "8790"
# After the gateway is gone both have each other's changes within this.
DIRECT_SECONDS = 3.0
BEFORE, MEANWHILE = 40, 20
CONTENT = {"note": "x" * 200}
# Of what the gateway lacks, with names, fingerprints and two handshakes.
CHANGES_BYTES = 2 * MEANWHILE * 2 * len(CONTENT["note"])
# Who is linked to whom, told anew by each side at each change of its links. All that the gateway
# had before would be three times this.
PEERS_BYTES = 4_000
# The time in which what is sent twice would come.
QUIET_SECONDS = 1.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    need_namespaces()
    with Lan() as lan, ExitStack() as stack:
        yield Shop(lan, tmp_path, stack)


def test_without_the_gateway_peers_go_on_and_it_is_then_sent_what_it_lacks(
    shop: Shop, record_property: Any
) -> None:
    device = shop.device()
    gateway = shop.gateway(device)
    shop.claim(device)
    wanted = {shop.device(): device for _ in range(2)}
    given = ("--subscribe", "orders", "--listen", f"0.0.0.0:{PORT}")
    peers = shop.paired(wanted, *given)
    (one, two), (first, second) = wanted, peers.values()
    shop.put({(one, name): CONTENT for name in orders("before", BEFORE)})
    has(second, orders("before", BEFORE))
    for name in wanted:
        eventually(partial(linked, shop, name))
    for document in orders("before", BEFORE):
        eventually(shop.has(device, document, CONTENT))

    gateway.kill()
    began = time.monotonic()
    meanwhile = {(one, name): CONTENT for name in orders("one", MEANWHILE)}
    meanwhile |= {(two, name): CONTENT for name in orders("two", MEANWHILE)}
    shop.put(meanwhile)
    has(second, orders("one", MEANWHILE))
    has(first, orders("two", MEANWHILE))
    direct = time.monotonic() - began
    record_property("direct_seconds", round(direct, 2))
    print(f"\ngateway killed: both have {2 * MEANWHILE} changes of the other {direct:.2f} s later")
    assert direct <= DIRECT_SECONDS

    # Two that are back at the same moment may each bring what the gateway lacks when it asks:
    # here one comes after the other.
    second.stop()
    with shop.lan.inside(device):
        gateway.start()
    for _, document in meanwhile:
        eventually(shop.has(device, document, CONTENT))
    with shop.lan.inside(two):
        second.start()
    eventually(partial(linked, shop, device))
    quiet(shop, device)
    status = shop.ask(device, "status")
    received = {one["peer"][:6]: one["received_bytes"] for one in status["sessions"]}
    print(f"gateway back: {status['counters']['updates']} updates, bytes by link: {received}")
    # Each change once, from one of the two; nothing of what it had before.
    assert status["counters"]["updates"] == len(meanwhile)
    assert sum(received.values()) <= CHANGES_BYTES + PEERS_BYTES


def orders(word: str, count: int) -> list[str]:
    return [f"orders/{word}-{number}" for number in range(count)]


def links(shop: Shop, device: str) -> list[dict[str, Any]]:
    return [one for one in shop.ask(device, "status")["sessions"] if one["state"] == "open"]


def linked(shop: Shop, device: str) -> bool:
    """With both others."""
    return len(links(shop, device)) == 2


def has(peer: PeerProcess, names: list[str]) -> None:
    peer.until(lambda documents: set(names) <= documents.keys())


def quiet(shop: Shop, device: str) -> None:
    """Until nothing was said on any link of a device for a while."""
    before: object = None
    since = time.monotonic()

    def still() -> bool:
        nonlocal before, since
        now = [(s["peer"], s["sent_bytes"], s["received_bytes"]) for s in links(shop, device)]
        if now != before:
            before, since = now, time.monotonic()
        return time.monotonic() - since >= QUIET_SECONDS

    eventually(still)

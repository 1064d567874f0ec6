"""Real gateways and peers on a network of their own: they find each other and stay linked."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gateway import ROOT, GatewayProcess, eventually
from tests.support.lan import Lan, need_namespaces
from tests.support.shop import Shop, fields

pytestmark = pytest.mark.integration

# Two ends of a lost connection notice it after 40 s; who has moved must be back long before.
BACK_SECONDS = 15.0
PEERS_ALONE_SECONDS = 3.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    need_namespaces()
    with Lan() as lan, ExitStack() as stack:
        yield Shop(lan, tmp_path, stack)


def test_gateways_and_a_small_peer_find_each_other(shop: Shop) -> None:
    one, two, small = shop.device(), shop.device(), shop.device()
    gateways = [shop.gateway(one), shop.gateway(two)]
    peer = shop.peer(small, "--subscribe", "orders")
    eventually(shop.linked(one, 1))
    eventually(shop.linked(two, 1))
    eventually(shop.linked(small, 2))
    # Each pair has one link, though both gateways could call.
    assert [shop.mesh_links(device) for device in (one, two, small)] == [2, 2, 2]
    shop.ask(one, "put", document="orders/1", content={"table": 7})
    eventually(shop.has(two, "orders/1", {"table": 7}))
    peer.until(lambda documents: fields(documents.get("orders/1")) == {"table": 7})
    peer.ask("put", "orders/2", {"table": 8})
    eventually(shop.has(one, "orders/2", {"table": 8}))
    eventually(shop.has(two, "orders/2", {"table": 8}))
    assert [shop.mesh_links(device) for device in (one, two, small)] == [2, 2, 2]
    assert [gateway.stop() for gateway in gateways] == [0, 0] and peer.stop() == 0


def test_links_are_back_after_another_address_and_an_interface_that_was_down(shop: Shop) -> None:
    one, two, small = shop.device(), shop.device(), shop.device()
    shop.gateway(one)
    shop.gateway(two)
    shop.peer(small)
    eventually(shop.linked(small, 2))
    eventually(shop.linked(one, 1))

    shop.lan.ip(two, "address", "del", "10.77.0.2/24", "dev", "eth0")
    shop.lan.ip(two, "address", "add", "10.77.0.22/24", "dev", "eth0")

    def moved() -> bool:
        rows = [
            row for device in (one, small) for row in shop.ask(device, "neighbours")["neighbours"]
        ]
        there = [row for row in rows if "10.77.0.22" in row["addresses"]]
        return len(there) == 2 and all(row["state"] == "linked" for row in there)

    eventually(moved, BACK_SECONDS)
    shop.ask(two, "put", document="orders/1", content={"n": 1})
    eventually(shop.has(one, "orders/1", {"n": 1}), BACK_SECONDS)
    eventually(shop.has(small, "orders/1", {"n": 1}), BACK_SECONDS)

    shop.lan.ip(two, "link", "set", "eth0", "down")
    shop.ask(two, "put", document="orders/2", content={"n": 2})
    eventually(lambda: "no network" in shop.ask(two, "neighbours")["sentence"])
    shop.lan.ip(two, "link", "set", "eth0", "up")
    eventually(shop.has(one, "orders/2", {"n": 2}), BACK_SECONDS)
    eventually(shop.has(small, "orders/2", {"n": 2}), BACK_SECONDS)
    eventually(shop.linked(two, 1), BACK_SECONDS)


def test_without_multicast_nobody_is_seen_and_a_named_address_works(shop: Shop) -> None:
    one, two, small = [shop.device(multicast=False) for _ in range(3)]
    shop.gateway(one)
    shop.gateway(two, "--connect", "10.77.0.1:1")
    peer = shop.peer(small, "--connect", f"10.77.0.1:{shop_port(shop, one)}")
    peer.ask("put", "orders/1", {"n": 1})
    eventually(shop.has(one, "orders/1", {"n": 1}))
    said = shop.ask(two, "neighbours")
    assert said["neighbours"] == [] and "name an address with --connect" in said["sentence"]
    assert "multicast may be blocked" in neighbours(shop, two).stdout


def test_small_peers_work_without_any_gateway(shop: Shop) -> None:
    hub, one, two = shop.device(), shop.device(), shop.device()
    gateway = shop.gateway(hub)
    how = ("--listen", "0.0.0.0:9000", "--subscribe", "orders")
    peers = [shop.peer(one, *how), shop.peer(two, *how)]
    eventually(shop.linked(one, 2))
    eventually(shop.linked(two, 2))
    gateway.kill()
    began = time.monotonic()
    peers[0].ask("put", "orders/1", {"n": 1})
    peers[1].until(lambda documents: fields(documents.get("orders/1")) == {"n": 1})
    peers[1].ask("patch", "orders/1", {"n": 2})
    peers[0].until(lambda documents: fields(documents.get("orders/1")) == {"n": 2})
    assert time.monotonic() - began < PEERS_ALONE_SECONDS


def test_crossing_calls_leave_one_link(shop: Shop) -> None:
    # Each is told to call the other, and both find each other too.
    one, two = shop.device(), shop.device()
    port = "8790"
    for device, other in ((one, 2), (two, 1)):
        shop.gateway(device, "--connect", f"10.77.0.{other}:{port}", "--port", port)
    eventually(lambda: shop.mesh_links(one) == shop.mesh_links(two) == 1)
    shop.ask(one, "put", document="orders/1", content={"n": 1})
    eventually(shop.has(two, "orders/1", {"n": 1}))
    # The address that was named is looked at every three seconds at most.
    deadline = time.monotonic() + 6.0
    while time.monotonic() < deadline:
        assert shop.mesh_links(one) <= 1 and shop.mesh_links(two) <= 1
        time.sleep(0.2)
    assert shop.mesh_links(one) == shop.mesh_links(two) == 1


def test_who_listens_on_this_machine_only_says_nothing_in_the_network(shop: Shop) -> None:
    one, two = shop.device(), shop.device()
    with shop.lan.inside(one):
        quiet = GatewayProcess(shop.folder / one)
        quiet.start()
    try:
        shop.gateway(two, "--no-discovery")
        assert "(--lan)" in shop.ask(one, "neighbours")["sentence"]
        assert "mesh.discover is off" in neighbours(shop, two).stdout
        with shop.lan.inside(one):
            sockets = Path("/proc/net/udp").read_text() + Path("/proc/net/udp6").read_text()
        assert ":14E9 " not in sockets, "somebody listens on 5353"
    finally:
        quiet.stop()


def test_the_table_is_for_people_and_for_scripts(shop: Shop) -> None:
    one, two = shop.device(), shop.device()
    shop.gateway(one)
    shop.gateway(two)
    eventually(shop.linked(one, 1))
    table = neighbours(shop, one).stdout
    assert "10.77.0.2:" in table and "large" in table and "linked" in table
    row = json.loads(neighbours(shop, one, "--json").stdout)["neighbours"][0]
    assert row["addresses"] == ["10.77.0.2"] and row["state"] == "linked" and row["large"]


def test_ipv6_is_found_and_called_with_its_interface(shop: Shop, tmp_path: Path) -> None:
    one, two = shop.device(), shop.device()
    for device in (one, two):
        shop.lan.ip(device, "-4", "address", "flush", "dev", "eth0")
    settings = tmp_path / "six.toml"
    settings.write_text('[listen]\nhost = "::"\n')
    for device in (one, two):
        with shop.lan.inside(device):
            shop._stack.enter_context(
                GatewayProcess(shop.folder / device, "--config", str(settings))
            )
    eventually(shop.linked(one, 1))
    row = shop.ask(one, "neighbours")["neighbours"][0]
    assert row["addresses"][0].startswith("fe80::") and "%" in row["addresses"][0]


def shop_port(shop: Shop, device: str) -> int:
    address: str = shop.ask(device, "status")["addresses"]["mesh"]
    return int(address.rsplit(":", 1)[1].split("/", maxsplit=1)[0])


def neighbours(shop: Shop, device: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "neighbours", "--data", str(shop.folder / device)]
    done = subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done

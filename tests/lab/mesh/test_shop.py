"""A whole shop on a network of its own: three gateways, twenty peers, two subnets, one store.

Nobody is told of anybody but the third gateway, which is behind a router where multicast does not
get through.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.lan import Lan, need_namespaces
from tests.support.peer import PeerProcess
from tests.support.shop import Shop, fields

pytestmark = pytest.mark.integration

PEERS = 20
# Every third peer is in the other subnet.
AWAY = 3
FLAPS = 4
SECONDS = 60.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    need_namespaces()
    with Lan() as lan, ExitStack() as stack:
        lan.route(open_=True)
        yield Shop(lan, tmp_path, stack)


def test_a_shop_of_three_gateways_and_twenty_peers(shop: Shop) -> None:
    one, two, far = shop.device(), shop.device(), shop.device(subnet=1)
    first = shop.gateway(one)
    shop.gateway(two)
    shop.gateway(far, "--connect", f"10.77.0.1:{first.port}")
    shop.claim(one, two, far)
    wanted: dict[str, str] = {}
    for number in range(PEERS):
        is_away = number % AWAY == 0
        device = shop.device(subnet=int(is_away))
        wanted[device] = far if is_away else (one, two)[number % 2]
    peers = shop.paired(wanted, "--subscribe", "orders")
    near = [peer for number, peer in enumerate(peers.values()) if number % AWAY]
    away = [peer for number, peer in enumerate(peers.values()) if not number % AWAY]
    eventually(lambda: all(shop.states(device) for device in peers), SECONDS)

    orders: dict[str, dict[str, object]] = {}

    def write(writers: list[PeerProcess], word: str) -> None:
        written: dict[tuple[str, str], dict[str, object]] = {
            (writer.folder.name, f"orders/{word}-{number}"): {"station": word}
            for number, writer in enumerate(writers)
        }
        orders.update({document: content for (_, document), content in written.items()})
        shop.put(written)

    def everybody_has(readers: list[PeerProcess], words: str) -> None:
        wanted = {name for name, content in orders.items() if content["station"] in words.split()}
        for reader in readers:
            reader.until(lambda documents: wanted <= documents.keys())

    write([*near, *away], "all")
    everybody_has([*near, *away], "all")

    # The router fails: each side goes on alone, then both agree.
    shop.lan.route(open_=False)
    write(near, "near")
    write(away, "away")
    everybody_has(near, "all near")
    everybody_has(away, "all away")
    shop.lan.route(open_=True)
    everybody_has([*near, *away], "all near away")

    # An interface that flaps, while its device works.
    flapping = list(peers)[1]
    for number in range(FLAPS):
        shop.lan.ip(flapping, "link", "set", "eth0", "down")
        document = f"orders/flap-{number}"
        orders[document] = {"station": "flap"}
        peers[flapping].ask("put", document, {"station": "flap"})
        shop.lan.ip(flapping, "link", "set", "eth0", "up")
        # A link that is down loses its routes.
        shop.lan.ip(flapping, "route", "replace", "default", "via", "10.77.0.254")
    everybody_has([*near, *away], "flap")

    # One gateway dies with its disk and its keys, the one that the other subnet was told of.
    first.kill()
    write(near, "without")
    everybody_has(near, "without")
    shutil.rmtree(shop.folder / one)
    with shop.lan.inside(one):
        first.start()
    shop.join(one)
    write(away, "after")
    everybody_has([*near, *away], "without after")
    for device in (one, two, far):
        for document, content in orders.items():
            eventually(shop.has(device, document, content), SECONDS)
    assert {name: fields(content) for name, content in near[0].documents.items()} == orders


def test_a_gateway_that_was_replaced_is_filled_by_a_phone_alone(shop: Shop) -> None:
    device, phone = shop.device(), shop.device()
    gateway: GatewayProcess = shop.gateway(device)
    peer = shop.peer(phone, "--subscribe", "orders")
    for number in range(10):
        peer.ask("put", f"orders/{number}", {"n": number})
    eventually(shop.has(device, "orders/9", {"n": 9}), SECONDS)
    gateway.kill()
    shutil.rmtree(shop.folder / device)
    with shop.lan.inside(device):
        gateway.start()
    for number in range(10):
        eventually(shop.has(device, f"orders/{number}", {"n": number}), SECONDS)

"""The stock y-websocket client against a real gateway: both ways, cut, killed, restarted."""

from pathlib import Path

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.node import NodeClient
from tests.support.proxy import Proxy

pytestmark = pytest.mark.integration

DOCUMENTS = 1_000


def agree(*clients: NodeClient) -> bool:
    first, *others = [client.call("digests") for client in clients]
    return all(first == other for other in others) and not any(
        value.startswith("pending") for value in first.values()
    )


def test_a_thousand_documents_through_cut_and_kill(tmp_path: Path) -> None:
    names = [f"orders/{number}" for number in range(DOCUMENTS)]
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        Proxy(gateway.port) as proxy,
        NodeClient("stock.mjs", f"ws://127.0.0.1:{gateway.port}/sync") as kiosk,
        NodeClient("stock.mjs", f"ws://127.0.0.1:{proxy.port}/sync") as kitchen,
    ):
        for client in (kiosk, kitchen):
            client.call("open", names=names)
        for client in (kiosk, kitchen):
            client.call("synced")
        kiosk.call("edit", seed=1, count=3)
        kitchen.call("edit", seed=2, count=3)
        eventually(lambda: agree(kiosk, kitchen), 60)

        proxy.cut()
        kiosk.call("edit", seed=3, count=2)
        kitchen.call("edit", seed=4, count=2)
        assert not agree(kiosk, kitchen)
        proxy.mend()
        eventually(lambda: agree(kiosk, kitchen), 60)

        kiosk.call("edit", seed=5, count=1)
        gateway.kill()
        kitchen.call("edit", seed=6, count=1)
        gateway.start()
        eventually(lambda: agree(kiosk, kitchen), 60)

        with NodeClient("stock.mjs", f"ws://127.0.0.1:{gateway.port}/sync") as late:
            late.call("open", names=names)
            eventually(lambda: agree(kiosk, late), 60)


def test_everything_is_there_after_all_clients_left(tmp_path: Path) -> None:
    names = [f"notes/{number}" for number in range(20)]
    with GatewayProcess(tmp_path / "data") as gateway:
        address = f"ws://127.0.0.1:{gateway.port}/sync"
        with NodeClient("stock.mjs", address) as writer:
            writer.call("open", names=names)
            writer.call("synced")
            writer.call("edit", seed=7, count=40)
            with NodeClient("stock.mjs", address) as witness:
                witness.call("open", names=names)
                eventually(lambda: agree(writer, witness))
            before = writer.call("digests")
        assert gateway.stop() == 0
        gateway.start()
        with NodeClient("stock.mjs", address) as reader:
            reader.call("open", names=names)
            eventually(lambda: reader.call("digests") == before)


def test_awareness_comes_and_goes(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        address = f"ws://127.0.0.1:{gateway.port}/sync"
        with NodeClient("stock.mjs", address) as ada:
            ada.call("open", names=["notes/1"])
            ada.call("setState", state={"name": "Ada"})
            with NodeClient("stock.mjs", address) as bea:
                bea.call("open", names=["notes/1"])
                bea.call("setState", state={"name": "Bea"})
                eventually(lambda: ada.call("present") == [["Ada", "Bea"]])
                eventually(lambda: bea.call("present") == [["Ada", "Bea"]])
            eventually(lambda: ada.call("present") == [["Ada"]])


def test_a_bad_name_is_told_by_a_close_code(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        NodeClient("stock.mjs", f"ws://127.0.0.1:{gateway.port}/sync") as client,
    ):
        client.call("open", names=["nocollection"])
        codes = eventually(lambda: client.call("closes"))
        assert codes[0] == [4404, "a document name is collection/id"]

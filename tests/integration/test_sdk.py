"""The JavaScript SDK against a real gateway: one link, offline first, durable acks."""

from pathlib import Path

import pytest

from tests.integration.test_stock_clients import agree
from tests.support.gateway import GatewayProcess, eventually
from tests.support.node import NodeClient
from tests.support.proxy import Proxy

pytestmark = pytest.mark.integration

DOCUMENTS = 1_000


def test_a_thousand_documents_over_one_link_with_a_stock_client(tmp_path: Path) -> None:
    names = [f"orders/{number}" for number in range(DOCUMENTS)]
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}") as kiosk,
        NodeClient("stock.mjs", f"ws://127.0.0.1:{gateway.port}/sync") as kitchen,
    ):
        for client in (kiosk, kitchen):
            client.call("open", names=names)
            client.call("synced")
        kiosk.call("edit", seed=1, count=3)
        kitchen.call("edit", seed=2, count=3)
        eventually(lambda: agree(kiosk, kitchen), 60)
        kiosk.call("saved")
        before = kiosk.call("digests")
        gateway.kill()
        gateway.start()
        with NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}") as late:
            late.call("open", names=names)
            eventually(lambda: late.call("digests") == before, 60)
        assert kiosk.call("refusals") == []


def test_states_are_truthful_through_outage_and_restart_of_the_app(tmp_path: Path) -> None:
    names = ["notes/1", "notes/2"]
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        Proxy(gateway.port) as proxy,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{proxy.port}/mesh") as tablet,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as other,
    ):
        for client in (tablet, other):
            client.call("open", names=names)
            client.call("synced")
        tablet.call("edit", seed=1, count=5)
        tablet.call("saved")
        proxy.cut()
        eventually(lambda: tablet.call("link") != "online")
        tablet.call("restart")
        assert tablet.call("states") == ["saved", "saved"], "known as saved without any link"
        tablet.call("edit", seed=2, count=5)
        eventually(lambda: tablet.call("states") == ["local", "local"])
        tablet.call("restart")
        assert tablet.call("states") == ["local", "local"]
        assert not agree(tablet, other)
        proxy.mend()
        eventually(lambda: agree(tablet, other))
        tablet.call("saved")
        assert tablet.call("states") == ["saved", "saved"]


def test_who_waits_for_what_will_not_come_is_told_why(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        Proxy(gateway.port) as proxy,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{proxy.port}/mesh") as tablet,
    ):
        tablet.call("open", names=["notes/1", "notes/2"])
        tablet.call("edit", seed=1, count=3)
        assert tablet.call("unsaved", name="notes/1") is None
        proxy.cut()
        eventually(lambda: tablet.call("link") != "online")
        tablet.call("edit", seed=2, count=3)
        told = tablet.call("unsaved", name="notes/1", then="release")
        assert told == "Unreached: notes/1 was released"
        told = tablet.call("unsaved", name="notes/2", then="end")
        assert told == "Unreached: the store was ended"
        assert tablet.call("unsaved", name="notes/2") == "Unreached: the store was ended"


def test_what_is_refused_for_good_will_not_be_saved(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as tablet,
    ):
        tablet.call("open", names=["notes/1"])
        tablet.call("synced")
        tablet.call("paste", bytes=400_000)
        assert tablet.call("unsaved", name="notes/1").startswith("Unreached: notes/1 was refused: ")


def test_a_change_that_was_not_taken_is_never_called_saved_until_it_is(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text("[store]\nmax_collection_bytes = 65_536\n")
    with (
        GatewayProcess(tmp_path / "data", "--config", str(settings)) as gateway,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as tablet,
    ):
        tablet.call("open", names=["notes/1"])
        tablet.call("synced")
        tablet.call("paste", bytes=100_000)
        eventually(lambda: tablet.call("refusals"))
        assert tablet.call("refusals")[0]["code"] == 4507
        tablet.call("edit", seed=1, count=3)
        eventually(lambda: tablet.call("states") == ["local"])
        gateway.stop()
        settings.write_text("[store]\nmax_collection_bytes = 1_048_576\n")
        gateway.start()
        tablet.call("saved")
        assert tablet.call("states") == ["saved"]


def test_a_value_too_large_for_any_message_stops_only_itself(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as tablet,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as other,
    ):
        for client in (tablet, other):
            client.call("open", names=["notes/1"])
            client.call("synced")
        tablet.call("paste", bytes=300_000)
        eventually(lambda: tablet.call("refusals"))
        assert tablet.call("refusals")[0]["code"] == 1009
        tablet.call("put", name="notes/2", fields={"a": 1})
        eventually(lambda: tablet.call("states") == ["local"])
        assert tablet.call("link") == "online"
        tablet.call("paste", bytes=10)
        tablet.call("saved")
        eventually(lambda: agree(tablet, other))
        assert gateway.log() == ""


def test_a_full_gateway_is_tried_again_over_the_same_link(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text("[store]\nmax_collection_bytes = 65_536\n")
    with (
        GatewayProcess(tmp_path / "data", "--config", str(settings)) as gateway,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as tablet,
    ):
        tablet.call("open", names=["notes/1"])
        tablet.call("synced")
        tablet.call("paste", bytes=100_000)
        eventually(lambda: len(tablet.call("refusals")) >= 2)
        assert tablet.call("link") == "online"
        eventually(lambda: tablet.call("states") == ["local"])


def test_a_live_set_follows_its_selector_through_outage_and_restart(tmp_path: Path) -> None:
    def orders(*numbers: int) -> list[str]:
        return [f"orders/{number}" for number in numbers]

    grill = {"station": "grill", "status": {"$in": ["open", "cooking"]}}
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        Proxy(gateway.port) as proxy,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as till,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{proxy.port}/mesh") as screen,
    ):
        for number, station in enumerate(("grill", "bar", "grill", "bar")):
            fields = {"station": station, "status": "open"}
            till.call("put", name=f"orders/{number}", fields=fields)
        till.call("saved")
        screen.call("subscribe", collection="orders", selector=grill)
        eventually(lambda: screen.call("matching") == orders(0, 2))
        till.call("put", name="orders/4", fields={"station": "grill", "status": "open"})
        eventually(lambda: screen.call("matching") == orders(0, 2, 4))
        assert "store-gateway/orders/1" not in screen.call("copies"), "the bar's never came"

        for _ in range(3):
            till.call("put", name="orders/4", fields={"station": "bar"})
            eventually(lambda: screen.call("matching") == orders(0, 2))
            till.call("put", name="orders/4", fields={"station": "grill"})
            eventually(lambda: screen.call("matching") == orders(0, 2, 4))
        till.call("put", name="orders/5", fields={"station": "grill", "status": "open"})
        eventually(lambda: screen.call("matching") == orders(0, 2, 4, 5))
        for name in orders(0, 5):
            screen.call("change", name=name, fields={"status": "served"})
        eventually(lambda: screen.call("matching") == orders(2, 4))
        screen.call("saved")
        screen.call("put", name="orders/0", fields={"note": "back once more"})
        screen.call("saved")
        proxy.cut()
        eventually(lambda: screen.call("link") != "online")
        screen.call("change", name="orders/2", fields={"status": "served"})
        assert screen.call("matching") == orders(4)
        till.call("put", name="orders/4", fields={"note": "no onions"})
        screen.call("changes")

        screen.call("restart")
        screen.call("subscribe", collection="orders", selector=grill)
        assert screen.call("matching") == orders(4), "from this device, without any link"
        kept = {name.removeprefix("store-gateway/") for name in screen.call("copies")}
        # Asked for by name, unsaved, wanted; the one that was served and saved went.
        assert kept == {"orders/0", "orders/2", "orders/4"}

        proxy.mend()
        eventually(lambda: screen.call("link") == "online")
        eventually(lambda: any("orders/4" in c["changed"] for c in screen.call("changes")))
        screen.call("saved")
        with NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as late:
            late.call("subscribe", collection="orders", selector={"status": "served"})
            eventually(lambda: late.call("matching") == orders(0, 2, 5))
            late.call("select", selector={"station": "bar"})
            eventually(lambda: late.call("matching") == orders(1, 3))
            late.call("unsubscribe")
            assert late.call("matching") == []


def test_awareness_crosses_both_protocols(tmp_path: Path) -> None:
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        NodeClient("stock.mjs", f"ws://127.0.0.1:{gateway.port}/sync") as ada,
    ):
        ada.call("open", names=["notes/1"])
        ada.call("setState", state={"name": "Ada"})
        with NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}") as bea:
            bea.call("open", names=["notes/1"])
            bea.call("setState", state={"name": "Bea"})
            eventually(lambda: ada.call("present") == [["Ada", "Bea"]])
            eventually(lambda: bea.call("present") == [["Ada", "Bea"]])
        eventually(lambda: ada.call("present") == [["Ada"]])


def test_a_gateway_that_is_not_open_lets_nobody_in(tmp_path: Path) -> None:
    settings = tmp_path / "gateway.toml"
    settings.write_text("[access]\nopen = false\n")
    with (
        GatewayProcess(tmp_path / "data", "--config", str(settings)) as gateway,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}") as stranger,
        NodeClient("stock.mjs", f"ws://127.0.0.1:{gateway.port}/sync") as stock,
    ):
        stranger.call("open", names=["notes/1"])
        stock.call("open", names=["notes/1"])
        eventually(lambda: stranger.call("link") == "refused")
        assert eventually(lambda: stock.call("closes"))[0][0] == 4401

"""``store-gateway trace``: who brought a document, who has it."""

import json
from pathlib import Path

import pytest

from tests.integration.test_peer import command
from tests.support.gateway import GatewayProcess
from tests.support.peer import PeerProcess

pytestmark = pytest.mark.integration


def test_the_way_of_an_order(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        data = ("--data", str(gateway.folder))
        call = ("--connect", f"127.0.0.1:{gateway.port}")
        with (
            PeerProcess(tmp_path / "a", *call, "--name", "kiosk", "--subscribe", "orders") as kiosk,
            PeerProcess(tmp_path / "b", *call, "--name", "grill", "--subscribe", "orders") as grill,
            PeerProcess(tmp_path / "c", *call, "--name", "office", "--subscribe", "menu") as office,
        ):
            office.wait(lambda event: event.get("state") == "open")
            kiosk.ask("put", "orders/1", {"station": "grill"})
            grill.until(lambda documents: "orders/1" in documents)
            kiosk.wait(lambda event: event.get("event") == "delivered")
            told = json.loads(command("trace", "orders/1", "--json", *data).stdout)
            assert told["stored"]["newest"][-1]["name"] == "kiosk"
            states = {peer["name"]: peer["state"] for peer in told["peers"]}
            assert states.pop("grill") in ("has", "sent") and states.pop("kiosk") == "has"
            assert states == {"office": "not-wanted"}
            said = command("trace", "orders/1", *data).stdout
            assert "by kiosk" in said and "office: did not ask for it" in said
        missing = command("trace", "orders/9", *data)
        assert missing.returncode == 66 and "there is no document orders/9" in missing.stderr
        assert command("trace", "orders", *data).returncode == 64

"""Small peers in a row: one that reaches only the next still syncs with the gateway."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.test_peer import command
from tests.support.gateway import GatewayProcess
from tests.support.peer import PeerProcess

pytestmark = pytest.mark.integration

HOPS = 5


def test_five_hops_both_ways_and_across_a_gap_in_the_middle(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway, ExitStack() as stack:
        address = f"127.0.0.1:{gateway.port}"
        row: list[PeerProcess] = []
        for number in range(HOPS):
            peer = stack.enter_context(
                PeerProcess(
                    tmp_path / f"{number}", "--connect", address, "--listen", "0",
                    "--subscribe", "orders",
                )
            )  # fmt: skip
            address = str(peer.events[0]["mesh"])
            row.append(peer)
        far, middle = row[-1], row[HOPS // 2]
        far.ask("put", "orders/1", {"from": "far"})
        row[0].until(lambda documents: "orders/1" in documents)
        data = ("--data", str(gateway.folder))
        assert command("patch", "orders/1", '{"seen": true}', *data).returncode == 0
        far.until(lambda documents: documents["orders/1"]["fields"].get("seen") is True)

        port = str(middle.events[0]["mesh"]).rpartition(":")[2].partition("/")[0]
        middle.kill()
        far.ask("put", "orders/2", {"from": "far"})
        assert command("put", "orders/3", '{"from": "gateway"}', *data).returncode == 0
        middle._arguments = tuple(port if word == "0" else word for word in middle._arguments)
        middle.start()
        far.until(lambda documents: set(documents) == {"orders/1", "orders/2", "orders/3"})
        row[0].until(lambda documents: "orders/2" in documents)
        got = command("get", "orders/2", "--json", *data)
        assert json.loads(got.stdout) == {"from": "far"}

"""The API of a hub that really runs: beside a worker, a broker and a gateway; on PostgreSQL."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from gateway.adapters.postgres_cloud import PostgresCloud
from gateway.core.bridge_items import Ping, Wants
from tests.api.test_feed import Events
from tests.support.broker import MosquittoBroker
from tests.support.cloud import HandGateway
from tests.support.gateway import ROOT, eventually
from tests.support.hub import BrokerGateway, HubWorker, open_to_all
from tests.support.hub_api import SHOP, HubApi, code
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.integration


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MosquittoBroker]:
    with open_to_all(MosquittoBroker(tmp_path / "broker")) as running:
        yield running


def command(folder: Path, *arguments: str) -> Any:
    ended = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--json", "--data", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(ended.stdout)


class Asking:
    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._token = token

    def request(self, path: str, content: Any = None) -> Request:
        body = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        method = "GET" if body is None else "PUT"
        return Request(f"{self._address}{path}", body, headers, method=method)

    def __call__(self, path: str, content: Any = None) -> Any:
        with urlopen(self.request(path, content), timeout=30) as answer:
            return json.loads(answer.read())


def test_what_a_gateway_wrote_is_read_and_what_is_put_reaches_it(
    tmp_path: Path, broker: MosquittoBroker
) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    made = command(folder, "hub-token", "--name", "office", "--write")
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(made["lines"])
    settings = tmp_path / "hub.toml"
    settings.write_text(f'[api]\nenabled = true\nport = 0\ntokens_file = "{tokens}"\n')
    key = bytes.fromhex(command(folder, "hub-key")["key"])
    hand = HandGateway(1, b"r" * 32, hub=key)
    store = hand.store.hex()
    with HubWorker(folder, broker, "--config", str(settings)) as hub:
        ask = Asking(hub.facts["api"].rstrip("/"), made["token"])
        with BrokerGateway(broker, hand) as gateway:
            gateway.say(Ping(1), Wants(("orders",)))
            eventually(partial(gateway.ponged, 1))
            gateway.say(hand.put("orders/1", total=3))
            where = f"/api/v1/stores/{store}/documents/orders"
            eventually(lambda: ask(f"/api/v1/stores/{store}/changes")["changes"])
            assert ask(f"{where}/1") == {"fields": {"total": 3}}
            # A mistyped id makes no store.
            with pytest.raises(HTTPError) as refused:
                ask(f"/api/v1/stores/{'0' * 31}1/documents/orders/1", {"from": "office"})
            with refused.value as answer:
                assert (answer.code, json.load(answer)["code"]) == (404, "no-store")
            assert [row["store"] for row in ask("/api/v1/stores")["stores"]] == [store]
            place = ask(f"/api/v1/stores/{store}/changes?after=now")["next"]
            assert ask(f"{where}/2", {"from": "office"})["version"] == 1
            eventually(lambda: hand.content("orders/2") == {"fields": {"from": "office"}})
            changes = ask(f"/api/v1/stores/{store}/changes?after={place}&wait=30")["changes"]
            assert "orders/2" in [row["document"] for row in changes]
        with urlopen(ask.request("/metrics"), timeout=30) as answer:
            kinds = {
                one.labels["kind"]: one.value
                for family in parsed(answer.read().decode())
                for one in family.samples
                if family.name == "store_gateway_hub_work"
            }
        assert kinds["changes"] == kinds["edits"] == 1
        # Each is explained.
        page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
        assert [kind for kind in kinds if f"`{kind}`" not in page] == []
        assert ask("/readyz") == {"ok": True, "database": "", "broker": ""}
        broker.stop()
        eventually(lambda: not _ready(ask))
        assert ask(f"{where}/1") == {"fields": {"total": 3}}
        stream = ask.request(f"/api/v1/stores/{store}/changes")
        stream.add_header("Accept", "text/event-stream")
        with urlopen(stream, timeout=30) as events:
            assert events.readline() == b"retry: 3000\n"
            began = time.monotonic()
            assert hub.end(signal.SIGTERM) == 0
            # As long as a service manager waits.
            assert time.monotonic() - began < 5
            events.read()


def test_readers_go_on_when_their_database_was_away(tmp_path: Path) -> None:
    with PostgresServer(tmp_path / "postgres") as server:
        opened = partial(PostgresCloud.open, server.url)
        with HubApi(tmp_path / "api", other=opened) as api:
            api.hub.put(SHOP, "orders/1", number=1)
            with Events(api, "?after=now&content=true") as events:
                events.read()
                place = events.read()["id"]
                api.hub.put(SHOP, "orders/2", number=2)
                assert events.data()["content"] == {"fields": {"number": 2}}
                server.kill()
                assert code(api.get("/stores")) == (503, "hub-database-unreachable")
                server.start()
                # No object of the database that failed is asked any more.
                assert [api.get("/stores").status for _ in range(5)] == [200] * 5
                api.hub.put(SHOP, "orders/3", number=3)
                assert events.data()["content"] == {"fields": {"number": 3}}
            changes = api.get(f"/stores/{SHOP}/changes?after={place}").json["changes"]
            assert {"orders/2", "orders/3"} <= {row["document"] for row in changes}
            assert code(api.get(f"/stores/{SHOP}/changes?after=x")) == (400, "hub-bad-place")


def _ready(ask: Asking) -> bool:
    try:
        return bool(ask("/readyz")["ok"])
    except HTTPError as error:
        error.close()
        return False

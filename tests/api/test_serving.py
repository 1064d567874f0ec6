"""The API as a hub's process has it."""

from pathlib import Path
from urllib.request import urlopen

import pytest

from gateway.api.serving import Api, ApiSettings
from gateway.api.site import Surroundings
from gateway.core.errors import GatewayError
from gateway.core.metrics import Process, gauge
from tests.support.hub_api import SHOP, Hub

AROUND = Surroundings("1", str, lambda: Process(1, 2, 3), lambda: [gauge("more", "More.", 7)])


def test_it_listens_answers_and_ends(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    hub.put(SHOP, "orders/1", a=1)
    api = Api(ApiSettings("127.0.0.1", 0, None, readers=2), hub.open, hub.edit, AROUND)
    api.start()
    where = f"http://127.0.0.1:{api.port}"
    with urlopen(f"{where}/api/v1/stores/{SHOP}/documents/orders/1", timeout=20) as answer:
        assert answer.read() == b'{"fields":{"a":1}}'
    with urlopen(f"{where}/metrics", timeout=20) as answer:
        assert b"\nmore 7\n" in answer.read()
    with pytest.raises(GatewayError) as caught:
        Api(ApiSettings("127.0.0.1", api.port, None), hub.open, hub.edit, AROUND)
    assert caught.value.code == "hub-api-port"
    api.close()
    api.close()
    with pytest.raises(OSError):
        urlopen(where, timeout=5)


def test_an_end_before_the_beginning(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    api = Api(ApiSettings("127.0.0.1", 0, None), hub.open, hub.edit, AROUND)
    api.close()
    # The port is free again.
    Api(ApiSettings("127.0.0.1", api.port, None), hub.open, hub.edit, AROUND).close()

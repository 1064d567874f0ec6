"""The metrics of a gateway: made of its status, bounded, and the same as docs/metrics.md says."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families as parsed

from gateway.core import bridge, radio
from gateway.core.gateway_metrics import gateway_metrics
from gateway.core.hub import Hub, Quotas
from gateway.core.metrics import Process, exposition
from gateway.core.records import StoreStatus
from gateway.core.status import Identity, Moment, status
from tests.core.sessions import RecordingSession
from tests.support.metrics import documented

PROCESS = Process(1.25, 50_000_000, 20)
OUTBOX = {"bytes": 10, "documents": 2, "oldest_s": 3.5, "drain_s": None}


def said(**changes: Any) -> dict[str, Any]:
    figures = StoreStatus(5, 40, 3, 1, 4_096, 43, {"orders": 700, "menu": 55}, "")
    hub = Hub(Quotas(1 << 20, 1 << 20, 1 << 20), {}, frozenset())
    hub.join(RecordingSession("ada"))
    identity = Identity("1.2.3", "ab" * 16, True, {})
    whole = status(identity, Moment(12.3, 4, 500, ""), hub, figures)
    return {**whole, **changes}


def values(whole: dict[str, Any]) -> dict[str, float]:
    text = exposition(gateway_metrics(whole, 17, PROCESS))
    return {
        one.name + "".join(f"/{value}" for value in one.labels.values()): one.value
        for family in parsed(text)
        for one in family.samples
    }


def test_figures_of_the_status() -> None:
    found = values(said())
    assert found["store_gateway_info/1.2.3"] == 1
    assert found["store_gateway_healthy"] == 1
    assert found["store_gateway_documents"] == 5
    assert found["store_gateway_content_bytes"] == 755
    assert found["store_gateway_commits_total"] == 17
    assert found["store_gateway_waiting_bytes"] == 500
    assert found["store_gateway_sessions/y-websocket"] == 0
    assert sum(found[name] for name in found if "_sessions/" in name) == 1
    assert found["store_gateway_bluetooth_state/bluetooth-off"] == 1
    assert found["store_gateway_bluetooth_working"] == 0
    assert found["store_gateway_cloud_state/cloud-off"] == 1
    assert found["process_resident_memory_bytes"] == 50_000_000
    assert "store_gateway_outbox_bytes" not in found


def test_trouble_radio_and_cloud() -> None:
    cloud = {**bridge.section(bridge.OK, waiting=3), "outbox": OUTBOX}
    whole = said(
        state="trouble",
        session_kinds={"mesh": 2},
        bluetooth=radio.section(radio.OK, phones=4, repairs=1),
        cloud=cloud,
    )
    whole["counters"]["closed"] = {"too-big": 6}
    found = values(whole)
    assert found["store_gateway_healthy"] == 0
    assert (found["store_gateway_sessions/mesh"], found["store_gateway_sessions/y-websocket"]) == (
        2, 0,
    )  # fmt: skip
    assert found["store_gateway_links_closed_total/too-big"] == 6
    assert found["store_gateway_bluetooth_working"] == 1
    assert found["store_gateway_bluetooth_phones"] == 4
    assert found["store_gateway_cloud_connected"] == 1
    assert found["store_gateway_cloud_waiting_documents"] == 3
    assert found["store_gateway_outbox_bytes"] == 10
    assert found["store_gateway_outbox_oldest_seconds"] == 3.5
    # It is not known while nothing is sent.
    assert "store_gateway_outbox_drain_seconds" not in found


def test_nothing_that_names_a_document_or_a_device() -> None:
    whole = said(addresses={"mesh": "ws://192.0.2.1"})
    text = exposition(gateway_metrics(whole, 17, PROCESS))
    for canary in ("orders", "menu", "ab" * 4, "192.0.2.1"):
        assert canary not in text


def test_the_page_names_every_metric_and_no_other() -> None:
    whole = said(cloud={**bridge.section(bridge.OK), "outbox": {**OUTBOX, "drain_s": 1}})
    metrics = gateway_metrics(whole, 17, PROCESS)
    assert documented("gateway") == {metric.name: (metric.kind, metric.label) for metric in metrics}

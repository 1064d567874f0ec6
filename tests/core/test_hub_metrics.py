"""The metrics of a hub are those that docs/metrics.md names."""

from prometheus_client.parser import text_string_to_metric_families as parsed

from gateway.core.hub_metrics import HttpCounts, hub_metrics, worker_metrics
from gateway.core.metrics import Process, exposition
from tests.support.metrics import documented

PROCESS = Process(1.0, 2, 3)
TOTALS = {"spaces": 1, "documents": 2, "bytes": 3, "gateways": 4, "refusals": 5, "more": 6}


def test_the_page_names_every_metric_and_no_other() -> None:
    metrics = hub_metrics("1", TOTALS, HttpCounts(), PROCESS, broker=True)
    metrics += worker_metrics({"messages": 1})
    assert documented("hub") == {metric.name: (metric.kind, metric.label) for metric in metrics}


def test_what_is_not_known_is_left_out() -> None:
    text = exposition(hub_metrics("1", None, HttpCounts(), PROCESS, broker=False))
    found = {one.name: one.samples[0].value for one in parsed(text)}
    assert found["store_gateway_hub_database_working"] == 0
    assert found["store_gateway_hub_broker_connected"] == 0
    assert "store_gateway_hub_stores" not in found


def test_counts() -> None:
    counts = HttpCounts(readers=2, readers_refused=3, edits=4)
    counts.answers["5xx"] += 1
    metrics = hub_metrics("1", TOTALS, counts, PROCESS, broker=True)
    text = exposition([*metrics, *worker_metrics({"messages": 7, "changes": 8})])
    assert 'store_gateway_hub_work_total{kind="messages"} 7\n' in text
    assert 'store_gateway_hub_http_answers_total{status="5xx"} 1\n' in text
    assert "store_gateway_hub_http_readers 2\n" in text
    assert "store_gateway_hub_stores 1\n" in text

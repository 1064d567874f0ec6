"""The metrics of a hub (docs/metrics.md). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.metrics import COUNTER, Metric, Process, counter, gauge, one_of, process_metrics

STATUSES = ("2xx", "3xx", "4xx", "5xx")
_TOTALS = {
    "spaces": ("store_gateway_hub_stores", "Stores and shares that are held."),
    "documents": ("store_gateway_hub_documents", "Documents of all of them."),
    "bytes": ("store_gateway_hub_content_bytes", "Bytes of all documents."),
    "gateways": ("store_gateway_hub_gateways", "Gateways that were ever heard."),
    "refusals": ("store_gateway_hub_refusals", "Refused updates kept for inspection."),
}


@dataclass(slots=True)
class HttpCounts:
    """What the API of this process did; ``readers`` are there now."""

    answers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    readers: int = 0
    readers_refused: int = 0
    edits: int = 0


def worker_metrics(counts: Mapping[str, int]) -> list[Metric]:
    """What a worker counted of what it does, by what it is."""
    help_ = "What the worker did with what came by the broker."
    return [Metric("store_gateway_hub_work_total", COUNTER, help_, counts, "kind")]


def hub_metrics(
    version: str,
    totals: Mapping[str, int] | None,
    counts: HttpCounts,
    process: Process,
    *,
    broker: bool,
) -> list[Metric]:
    """``totals`` as ``CloudStore.totals`` gives them; None while the database cannot be used."""
    known = totals or {}
    return [
        one_of("store_gateway_hub_info", "The version that runs.", "version", version),
        gauge(
            "store_gateway_hub_database_working",
            "1 while the database answers, 0 else.",
            totals is not None,
        ),
        gauge(
            "store_gateway_hub_broker_connected", "1 while the broker is connected, 0 else.", broker
        ),
        *(gauge(*_TOTALS[key], known[key]) for key in _TOTALS if key in known),
        Metric(
            "store_gateway_hub_http_answers_total",
            COUNTER,
            "Answers of the API, by the class of their status.",
            counts.answers,
            "status",
        ),
        gauge(
            "store_gateway_hub_http_readers", "Readers that wait for changes now.", counts.readers
        ),
        counter(
            "store_gateway_hub_http_readers_refused_total",
            "Readers that were too many.",
            counts.readers_refused,
        ),
        counter(
            "store_gateway_hub_http_edits_total",
            "Documents put or patched by the API.",
            counts.edits,
        ),
        *process_metrics(process),
    ]

"""The metrics of a gateway, made of what its status says (docs/metrics.md). Pure.

No name of a document, of a device or of a person is in them, and no label takes more values than
there are kinds of links, codes and causes in this program.
"""

from collections.abc import Mapping
from typing import Any

from gateway.core import bridge, radio
from gateway.core.metrics import (
    COUNTER,
    GAUGE,
    Metric,
    Process,
    counter,
    gauge,
    one_of,
    process_metrics,
)

# Of links; so that a kind without any is 0 and not missing.
KINDS = ("mesh", "y-websocket")

Section = Mapping[str, Any]


def gateway_metrics(status: Section, commits: int, process: Process) -> list[Metric]:
    """``status`` as ``core.status`` gives it; ``commits``: transactions of the store so far."""
    return [
        one_of("store_gateway_info", "The version that runs.", "version", status["version"]),
        gauge(
            "store_gateway_healthy",
            "1 while the store works, 0 while status says what is wrong.",
            status["state"] == "ok",
        ),
        gauge("store_gateway_uptime_seconds", "Since the start.", status["uptime_s"]),
        *_links(status),
        *_store(status["store"], commits),
        gauge(
            "store_gateway_documents_in_memory",
            "Documents that are in use.",
            status["document_count"],
        ),
        *_updates(status["counters"]),
        *_bluetooth(status["bluetooth"]),
        *_cloud(status["cloud"]),
        *_outbox(status["cloud"].get("outbox")),
        *process_metrics(process),
    ]


def _links(status: Section) -> list[Metric]:
    return [
        Metric(
            "store_gateway_sessions",
            GAUGE,
            "Links that are open, by the protocol they speak.",
            {**dict.fromkeys(KINDS, 0), **status["session_kinds"]},
            "kind",
        ),
        gauge(
            "store_gateway_reached_peers",
            "Devices of the store that are linked, or behind one that is.",
            status["graph_count"],
        ),
        Metric(
            "store_gateway_links_closed_total",
            COUNTER,
            "Links that the gateway closed, by code.",
            status["counters"]["closed"],
            "code",
        ),
    ]


def _store(store: Section, commits: int) -> list[Metric]:
    return [
        gauge("store_gateway_documents", "Documents on the disk.", store["documents"]),
        gauge(
            "store_gateway_content_bytes",
            "Bytes of all documents on the disk.",
            store["used_bytes"],
        ),
        gauge("store_gateway_file_bytes", "Bytes of the database's file.", store["file_bytes"]),
        gauge("store_gateway_quarantined", "Updates kept for inspection.", store["quarantined"]),
        counter("store_gateway_commits_total", "Transactions written to the disk.", commits),
        gauge(
            "store_gateway_waiting_changes",
            "Changes that are not on the disk yet.",
            store["waiting"],
        ),
        gauge("store_gateway_waiting_bytes", "Bytes of those changes.", store["waiting_bytes"]),
    ]


def _updates(counters: Section) -> list[Metric]:
    return [
        counter("store_gateway_updates_total", "Updates that were accepted.", counters["updates"]),
        counter(
            "store_gateway_updates_refused_total",
            "Updates that were refused.",
            counters["refused"],
        ),
        counter(
            "store_gateway_updates_forged_total",
            "Of those, updates in the name of another device.",
            counters["forged"],
        ),
    ]


def _bluetooth(said: Section) -> list[Metric]:
    return [
        one_of(
            "store_gateway_bluetooth_state",
            "What Bluetooth does, as a cause of docs/bluetooth.md.",
            "state",
            said["state"],
        ),
        gauge(
            "store_gateway_bluetooth_working",
            "1 while phones find the gateway, 0 else.",
            said["state"] == radio.OK.code,
        ),
        gauge("store_gateway_bluetooth_phones", "Phones that are connected.", said["phones"]),
        counter(
            "store_gateway_bluetooth_repairs_total",
            "How often the radio was repaired.",
            said["repairs"],
        ),
    ]


def _cloud(said: Section) -> list[Metric]:
    return [
        one_of(
            "store_gateway_cloud_state",
            "What the cloud's connection does, as a cause of docs/mqtt.md.",
            "state",
            said["state"],
        ),
        gauge(
            "store_gateway_cloud_connected",
            "1 while the broker is connected, 0 else.",
            said["state"] == bridge.OK.code,
        ),
        gauge(
            "store_gateway_cloud_waiting_documents",
            "Documents not known to be at the broker as JSON.",
            said["waiting"],
        ),
    ]


def _outbox(said: Section | None) -> list[Metric]:
    """What waits for the hub; a gateway without a hub has none of it."""
    names = {
        "bytes": ("store_gateway_outbox_bytes", "Bytes that wait for the hub."),
        "documents": ("store_gateway_outbox_documents", "Documents with changes for the hub."),
        "oldest_s": (
            "store_gateway_outbox_oldest_seconds",
            "How long the oldest of it waits, at least.",
        ),
        "drain_s": ("store_gateway_outbox_drain_seconds", "How long it takes at this speed."),
    }
    known = said or {}
    return [
        gauge(name, help_, known[key])
        for key, (name, help_) in names.items()
        if known.get(key) is not None
    ]

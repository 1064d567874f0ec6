"""What the gateway says of itself, as plain data for the page, scripts and support.

Holds names and figures, never document content or secrets (invariant 10).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core import bridge
from gateway.core.hub import Hub
from gateway.core.peer_graph import Reached
from gateway.core.radio import OFF, Lamp, section
from gateway.core.records import StoreStatus
from gateway.core.room import Room
from gateway.core.session import Session
from gateway.core.text import shown

# The page stays readable and the answer small.
MAX_LISTED = 200
MAX_SUBSCRIPTIONS = 20
MAX_SELECTOR = 160

_LAMPS_OF_TROUBLE = (Lamp.SLOW.value, Lamp.FAST.value)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the gateway is; ``store`` is the id of its store, or empty; ``name`` is for people."""

    version: str
    peer: str
    open: bool
    addresses: Mapping[str, str]
    store: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """Figures of one moment that the hub does not know."""

    uptime_seconds: float
    waiting_changes: int
    waiting_bytes: int
    trouble: str
    # Of each link, in milliseconds; None if it is not known.
    round_trips: Mapping[Session, float | None] = field(default_factory=dict)
    # Everybody in the store, and the versions of apps there.
    reached: Sequence[Reached] = ()
    apps: Sequence[Mapping[str, Any]] = ()
    # What ``core.radio.section`` says; nothing where Bluetooth is turned off.
    bluetooth: Mapping[str, Any] = field(default_factory=lambda: section(OFF))
    # What ``core.bridge.section`` says.
    cloud: Mapping[str, Any] = field(default_factory=lambda: bridge.section(bridge.OFF))


def status(identity: Identity, moment: Moment, hub: Hub, store: StoreStatus) -> dict[str, Any]:
    """The whole status; keys are only ever added."""
    without = ["Bluetooth"] if moment.bluetooth["lamp"] in _LAMPS_OF_TROUBLE else []
    without += ["the cloud"] if moment.cloud["broken"] else []
    well = " ".join(["Everything", *(["but", " and ".join(without)] if without else []), "works."])
    sentence = moment.trouble or store.recovered or well
    return {
        "version": identity.version,
        "name": identity.name,
        "peer": identity.peer,
        "open": identity.open,
        "store_id": identity.store,
        "addresses": dict(identity.addresses),
        "uptime_s": round(moment.uptime_seconds, 1),
        "state": "trouble" if moment.trouble else "ok",
        "sentence": sentence,
        "store": _store(moment, store),
        "bluetooth": dict(moment.bluetooth),
        "cloud": dict(moment.cloud),
        "sessions": [_session(hub, s, moment) for s in list(hub.sessions)[:MAX_LISTED]],
        "session_count": len(hub.sessions),
        "session_kinds": dict(Counter(session.kind for session in hub.sessions)),
        "apps": list(moment.apps),
        "graph": [_reached(peer) for peer in moment.reached[:MAX_LISTED]],
        "graph_count": len(moment.reached),
        "documents": [_document(room) for room in list(hub.rooms.values())[:MAX_LISTED]],
        "document_count": len(hub.rooms),
        "counters": {
            "updates": hub.counts.updates,
            "refused": hub.counts.refused,
            "forged": hub.doubts.forged,
            "closed": dict(hub.counts.closed),
        },
        "limits": hub.limits.as_dict(),
    }


def _store(moment: Moment, store: StoreStatus) -> dict[str, Any]:
    return {
        "ok": not moment.trouble,
        "sentence": moment.trouble or store.recovered,
        "documents": store.documents,
        "changes": store.changes,
        "snapshots": store.snapshots,
        "quarantined": store.quarantined,
        "file_bytes": store.file_bytes,
        "last_sequence": store.last_sequence,
        "waiting": moment.waiting_changes,
        "waiting_bytes": moment.waiting_bytes,
        "recovered": store.recovered,
        "usage": dict(sorted(store.usage.items(), key=lambda item: -item[1])[:MAX_LISTED]),
        "used_bytes": sum(store.usage.values()),
        "collections": len(store.usage),
    }


def _reached(peer: Reached) -> dict[str, Any]:
    return {
        "peer": peer.peer,
        "via": peer.via,
        "hops": peer.hops,
        "large": peer.large,
        "round_trip_ms": peer.round_trip_ms,
        "since_s": peer.since_seconds,
        "about": {key: shown(value) for key, value in peer.about.items()},
        "wants": [shown(name) for name in peer.wants[:MAX_SUBSCRIPTIONS]],
        "links": list(peer.links),
    }


def _session(hub: Hub, session: Session, moment: Moment) -> dict[str, Any]:
    subscriptions = hub.selections.subscriptions.listed(session)
    return {
        "peer": session.identity,
        "kind": session.kind,
        "state": session.state.name.lower(),
        "large": session.large,
        "called": session.calling,
        "address": session.address,
        "round_trip_ms": moment.round_trips.get(session),
        "subscriptions": [
            {"collection": shown(collection), "selector": shown(selector, MAX_SELECTOR)}
            for collection, selector in subscriptions[:MAX_SUBSCRIPTIONS]
        ],
        "subscription_count": len(subscriptions),
        "about": {shown(key): shown(value) for key, value in session.about.items()},
        "since_s": round(hub.now - session.started, 1),
        "documents": len(hub.sessions[session]),
        "received_bytes": session.received_bytes,
        "sent_bytes": session.sent_bytes,
        "queued_bytes": session.outbox.queued_bytes,
        "unsaved": session.unsaved,
    }


def _document(room: Room) -> dict[str, Any]:
    return {
        "name": room.name,
        "peers": len(room.members),
        "bytes": room.stored_bytes,
        "early": len(room.document.early) if room.document else 0,
        "broken": bool(room.suspects),
    }

"""Where a document is: who brought its changes, and who of the linked peers has it or why not.

Names and figures only, never content (invariant 10).
"""

from collections.abc import Sequence
from typing import Any

from gateway.core.hub import Hub
from gateway.core.records import StoredRow
from gateway.core.room import Room
from gateway.core.session import Progress, Session, Standing, State
from gateway.core.text import shown

# The newest rows; a document has up to some thousands between two snapshots.
MAX_ROWS = 20
# A peer that acknowledges takes a moment; after this it is slow.
SLOW_SECONDS = 5.0

_SENTENCES = {
    Standing.HAS: "has it, on its disk",
    Standing.TOLD: "was sent it; this kind of link has no acknowledgements",
    Standing.DECLINED: "did not take a change; it says why where it runs",
}


def trace(hub: Hub, document: str, rows: Sequence[StoredRow]) -> dict[str, Any]:
    """For a table; keys are only ever added. ``rows`` are all the store has of the document."""
    room = hub.rooms.get(document)
    names = {session.identity: _name(session) for session in hub.sessions}
    newest = rows[-MAX_ROWS:]
    return {
        "document": document,
        "stored": {
            "bytes": sum(row.size for row in rows),
            "rows": len(rows),
            "newest": [
                {
                    "sequence": row.sequence, "peer": row.peer, "name": names.get(row.peer, ""),
                    "bytes": row.size, "snapshot": row.snapshot,
                }
                for row in newest
            ],
        },
        "early": len(room.document.early) if room and room.document else 0,
        "peers": [_peer(hub, room, session, document) for session in hub.sessions],
    }  # fmt: skip


def _peer(hub: Hub, room: Room | None, session: Session, document: str) -> dict[str, Any]:
    state, sentence = _standing(hub, room, session, document)
    return {
        "peer": session.identity,
        "name": _name(session),
        "kind": session.kind,
        "address": session.address,
        "in_sync": state in ("has", "equal"),
        "state": state,
        "sentence": sentence,
    }


def _standing(hub: Hub, room: Room | None, session: Session, document: str) -> tuple[str, str]:
    """One word for scripts, one sentence for people."""
    if session.state is not State.OPEN:
        return "no-link", "its link is not open yet"
    if not session.may_read(document):
        return "no-right", "has no right to read this collection"
    opened = room.members.get(session) if room else None
    if opened is None:
        return _outside(hub, session, document)
    if not opened:
        return "asked", "is in it and has not said yet what it has"
    progress = session.progress(document)
    return progress.standing.value, _SENTENCES.get(progress.standing) or _behind(hub, progress)


def _outside(hub: Hub, session: Session, document: str) -> tuple[str, str]:
    if not hub.selections.wants(session, document):
        return "not-wanted", "did not ask for it: no subscription of it matches"
    if session.reconciles:
        return "equal", "has the same; it was equal when it was compared"
    return "asked", "wants it, and has not taken it yet"


def _behind(hub: Hub, progress: Progress) -> str:
    seconds = hub.now - progress.since if progress.updates else 0.0
    count = f"{progress.updates} update{'s' if progress.updates != 1 else ''}"
    if progress.standing is Standing.WAITS:
        return "something waits for its link, which takes nothing at the moment"
    if seconds < SLOW_SECONDS:
        return f"{count} on the way, not acknowledged yet"
    return f"{count} not acknowledged for {seconds:.0f} s: the device is busy or its link is slow"


def _name(session: Session) -> str:
    return shown(session.about.get("name", ""))

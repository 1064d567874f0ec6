"""Answers where a document is: what the store has of it, and who of the linked peers."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

from gateway.core.errors import GatewayError
from gateway.core.names import own_name
from gateway.core.records import StoredRow
from gateway.core.trace import trace
from gateway.ports import Store
from gateway.runtime.perform import Performer

EX_USAGE = 64
EX_NOINPUT = 66


async def trace_of(
    performer: Performer, store: Store, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The control verb ``trace``. Raises ``GatewayError`` ``usage`` and ``no-document``."""
    document = arguments.get("document")
    if not isinstance(document, str):
        raise GatewayError("usage", "name a document: collection/id", EX_USAGE)
    own_name(document)
    history = partial(store.history, document)
    rows = cast(Sequence[StoredRow], await performer.writer.call(history))
    if not rows and document not in performer.hub.rooms:
        raise GatewayError("no-document", f"there is no document {document} here", EX_NOINPUT)
    return trace(performer.hub, document, rows)

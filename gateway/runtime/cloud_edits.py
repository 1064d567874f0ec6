"""Writes of the cloud itself into documents of a hub; for the thread of the store."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from gateway.core import edit
from gateway.core.cloud_records import SHARE, CloudChange
from gateway.core.cloud_shares import Shares
from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.guard import inspect_update
from gateway.core.names import own_name
from gateway.ports import CloudStore
from gateway.runtime.cloud_documents import CLOUD, CloudDocuments

EX_DATA = 65
EX_USAGE = 64
Verb = Literal["put", "patch"]


class CloudEdits:
    """``draw(count)`` gives random bytes: a Yjs client of its own for each process.

    Raises ``GatewayError``: ``bad-name``, ``usage``, ``too-big``, ``refused``, ``no-store``,
    ``hub-no-space``, ``document-broken``, and as ``CloudStore`` does.
    """

    def __init__(
        self,
        store: CloudStore,
        documents: CloudDocuments,
        shares: Shares,
        draw: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._documents = documents
        self._shares = shares
        self._draw = draw
        self._client = self._drawn()

    def edit(
        self, space: str, name: str, verb: Verb, content: Mapping[str, Any], root: str = ""
    ) -> CloudChange | None:
        """Put or patch a document (``core.edit``) and write it; None if it is so already."""
        own_name(name)
        self._check_known(space)
        if not self._shares.is_in(space, name):
            sentence = f"{name} is not in {space}: its collection is shared, or is not"
            raise GatewayError("hub-no-space", sentence, EX_USAGE)
        opened = self._documents.open(space, name)
        if opened is None:
            raise GatewayError("document-broken", f"{name} cannot be loaded", EX_DATA)
        make = edit.put if verb == "put" else edit.patch
        changes = make(opened.document.project(), content, root)
        update = opened.document.edited(self._client, changes)
        return self._written(CloudChange(space, name, update, CLOUD)) if update else None

    def _check_known(self, space: str) -> None:
        """A mistyped id makes no store: there is one once a gateway of it was heard."""
        if not space.startswith(SHARE) and not self._store.gateways([space]):
            sentence = "this hub knows no such store: it heard no gateway of it"
            raise GatewayError("no-store", sentence, EX_USAGE)

    def _written(self, change: CloudChange) -> CloudChange:
        try:
            inspect_update(change.update)
        except PeerError as error:
            code = "too-big" if error.code is Code.TOO_BIG else "refused"
            raise GatewayError(code, f"this cannot be stored: {error.reason}", EX_DATA) from error
        try:
            self._store.append([change])
        except GatewayError:
            # Whether it was written may not be known, and a clock must not be used twice.
            self._client = self._drawn()
            raise
        return change

    def _drawn(self) -> int:
        return 1 + int.from_bytes(self._draw(4), "big")

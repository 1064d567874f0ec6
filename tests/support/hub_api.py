"""The hub's API over a real database in a folder, on a real server."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from gateway.adapters.sqlite_cloud import SqliteCloud
from gateway.api.access import Access
from gateway.api.pool import Pool
from gateway.api.site import Site, Surroundings
from gateway.api.watch import Watch
from gateway.api.writing import Edit
from gateway.core import edit
from gateway.core.cloud_records import CloudChange, Held
from gateway.core.document import Document
from gateway.core.errors import GatewayError
from gateway.core.hub_tokens import lines, made
from gateway.core.metrics import Process
from gateway.core.names import own_name
from gateway.ports import CloudStore
from tests.support.serving import Got, Serving

SHOP, OTHER, SHARE = "a1" * 16, "b2" * 16, "share:menü"
GATEWAY = "0badcafe" * 4
READ_ALL, WRITE_SHOP, READ_OTHER = (made(bytes([number]) * 32) for number in (1, 2, 3))
# More than the requests that are asked at a time.
THREADS = 6
READERS = 3


class Hub:
    """What a hub is for its API: a database, and edits. ``fail`` makes the database fail."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.failure: GatewayError | None = None
        self.broker = ""

    def open(self) -> CloudStore:
        """An object for a thread."""
        if self.failure is not None:
            raise self.failure
        store = _Failing.open(self._folder)
        store.hub = self
        return store

    def edit(
        self, space: str, document: str, verb: str, content: Mapping[str, Any], root: str = ""
    ) -> None:
        """As a hub's worker does it."""
        own_name(document)
        with closing(self.open()) as store:
            stored = store.load(space, document)
            known = Document.load(document, stored.snapshot, stored.changes)
            make = edit.put if verb == "put" else edit.patch
            changes = make(known.project(), content, root)
            update = known.edited(1 + store.version(space, document), changes)
            if update:
                store.append([CloudChange(space, document, update, GATEWAY)])

    def put(self, space: str, document: str, **content: Any) -> None:
        """Put a document."""
        self.edit(space, document, "put", content)

    def break_(self, space: str, document: str, snapshot: bytes) -> None:
        """Put what is no document in its place."""
        with closing(self.open()) as store:
            assert store.compact(space, document, store.version(space, document), snapshot)


class _Failing(SqliteCloud):
    """Fails as long as its hub does."""

    hub: Hub

    def changed(self, space: str, after: str, most: int) -> tuple[Sequence[Held], str]:
        if self.hub.failure is not None:
            raise self.hub.failure
        return super().changed(space, after, most)


class HubApi:
    """``with HubApi(tmp_path) as api`` serves it; ``get`` and ``ask`` show the token for all."""

    def __init__(
        self,
        folder: Path,
        *,
        tokens: bool = True,
        heartbeat: float = 15.0,
        edit: Edit | None = None,
        slow_seconds: float = 30.0,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.tokens = folder / "tokens.toml"
        self.hub = Hub(folder / "hub")
        (folder / "hub").mkdir(exist_ok=True)
        self.write_tokens()
        self._watch = Watch(self.hub.open)
        self._pool = Pool(self.hub.open, THREADS)
        around = Surroundings("1.2.3", lambda: self.hub.broker, lambda: Process(1.0, 2, 3))
        access = Access(self.tokens if tokens else None)
        self.site = Site(
            self._pool, self._watch, access, edit or self.hub.edit, around, READERS, heartbeat
        )  # fmt: skip
        self.serving = Serving(self.site.wsgi, THREADS + READERS, slow_seconds=slow_seconds)
        self.token = READ_ALL if tokens else ""

    def write_tokens(self, *more: str) -> None:
        """The file as it is in the beginning, with more lines."""
        self.tokens.write_text(
            "\n".join([
                lines("all", READ_ALL, ["read"], ["*"]),
                lines("shop", WRITE_SHOP, ["read", "write"], [SHOP, SHARE]),
                lines("other", READ_OTHER, ["read"], [OTHER]),
                *more,
            ]),
            encoding="utf-8",
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._watch.start()
        self.serving.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()
        self.serving.__exit__(None, None, None)
        self._pool.close()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Got:
        """One request; ``path`` begins after /api/v1 unless it begins with two slashes."""
        where = path[1:] if path.startswith("//") else f"/api/v1{path}"
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.serving.ask(method, where, data, **headers)

    def get(self, path: str, **headers: str) -> Got:
        """See ``ask``."""
        return self.ask("GET", path, None, **headers)

    def put(self, path: str, content: Any, **headers: str) -> Got:
        """With the token that may write."""
        given = {"Authorization": f"Bearer {WRITE_SHOP}", "Content-Type": "application/json"}
        return self.ask("PUT", path, content, **{**given, **headers})

    def patch(self, path: str, content: Any, **headers: str) -> Got:
        """See ``put``."""
        kind = "application/merge-patch+json"
        given = {"Authorization": f"Bearer {WRITE_SHOP}", "Content-Type": kind}
        return self.ask("PATCH", path, content, **{**given, **headers})


def code(got: Got) -> tuple[int, str]:
    """Status and code of a refusal, which says no more than that and a sentence."""
    said = got.json
    assert said.keys() == {"code", "error"} and said["error"]
    return got.status, said["code"]

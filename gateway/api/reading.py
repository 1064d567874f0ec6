"""Stores, documents and their content, for whoever may read them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from gateway.api import asked
from gateway.api.access import Access
from gateway.api.contents import Contents
from gateway.api.pool import Pool
from gateway.api.problems import as_http
from gateway.core.cloud_records import CloudGateway, CloudSpace, Held
from gateway.core.hub_tokens import EVERY, READ, Token
from gateway.http.messages import Answer, HttpProblem, Request, as_json
from gateway.ports import CloudStore

# Spaces whose names are near that of one that is looked for are rarely more.
NEAR = 100


class Reading:
    """The handlers."""

    def __init__(self, access: Access, pool: Pool, contents: Contents) -> None:
        self._access = access
        self._pool = pool
        self._contents = contents

    def stores(self, request: Request) -> Answer:
        """The stores that the token reaches, a page of them."""
        token = self._access.admit(request, READ)
        after, limit = asked.after(request), asked.limit(request)
        with as_http(), self._pool.store() as store:
            found = _spaces(store, token, after, limit)
        rows = [_space(space) for space in found]
        return _page("stores", rows, limit, found[-1].space if found else "")

    def store(self, request: Request) -> Answer:
        """One store and its gateways."""
        name = request.parts["store"]
        self._access.admit(request, READ, name)
        with as_http(), self._pool.store() as store:
            space = _named(store, name)
            gateways = store.gateways([name])
        if space is None:
            raise no_store()
        rows = [_gateway(gateway) for gateway in gateways]
        return Answer(as_json({**_space(space), "gateways": rows}))

    def documents(self, request: Request) -> Answer:
        """The documents of a store, a page of them."""
        name = request.parts["store"]
        self._access.admit(request, READ, name)
        collection, limit = asked.collection(request), asked.limit(request)
        with as_http(), self._pool.store() as store:
            found = store.page(name, collection, asked.after(request), limit)
            if not found and _named(store, name) is None:
                raise no_store()
        rows = [held(row) for row in found]
        return _page("documents", rows, limit, found[-1].document if found else "")

    def document(self, request: Request) -> Answer:
        """The content of a document."""
        space = request.parts["store"]
        self._access.admit(request, READ, space)
        name, is_fields = asked.document(request), asked.is_true(request, "fields")
        with as_http(), self._pool.store() as store:
            current = tag(store.version(space, name))
            if tag_is_known(request, current):
                return Answer(status=304, headers={"ETag": current})
            content = self._contents.read(store, space, name)
        if content is None:
            raise HttpProblem(404, "no-document", "there is no such document in this store")
        body = content.fields if is_fields else content.whole
        return Answer(body, headers={"ETag": tag(content.version)})


def held(row: Held) -> dict[str, Any]:
    """A document without its content."""
    return {"document": row.document, "version": row.version, "bytes": row.size}


def tag(version: int) -> str:
    """The entity tag of a version; a weak one: content may be newer than its version says."""
    return f'W/"{version}"'


def tag_is_known(request: Request, current: str) -> bool:
    """Whether ``If-None-Match`` names this tag (RFC 9110 section 13.1.2)."""
    given = request.header("If-None-Match").split(",")
    return current != tag(0) and current.removeprefix("W/") in {
        one.strip().removeprefix("W/") for one in given
    }


def no_store() -> HttpProblem:
    """Nobody is known by this name."""
    return HttpProblem(404, "no-store", "this hub knows no such store")


def _named(store: CloudStore, name: str) -> CloudSpace | None:
    """A space by its name, which stands soon behind its own beginning."""
    after = name[:-1]
    while found := store.spaces(after, NEAR):
        for space in found:
            if space.space == name:
                return space
        after = found[-1].space
        if after > name:
            break
    return None


def _spaces(store: CloudStore, token: Token, after: str, limit: int) -> list[CloudSpace]:
    if EVERY in token.stores:
        return [*store.spaces(after, limit)]
    allowed = sorted(name for name in token.stores if name > after)
    found = filter(None, (_named(store, name) for name in allowed))
    return [space for _, space in zip(range(limit), found, strict=False)]


def _page(name: str, rows: Iterable[Any], limit: int, last: str) -> Answer:
    """``next`` is null on the last page."""
    listed = [*rows]
    return Answer(as_json({name: listed, "next": last if len(listed) == limit else None}))


def _space(space: CloudSpace) -> dict[str, Any]:
    return {
        "store": space.space,
        "documents": space.documents,
        "bytes": space.size,
        "gateway_count": space.gateways,
    }


def _gateway(gateway: CloudGateway) -> dict[str, Any]:
    seen = datetime.fromtimestamp(gateway.seen, UTC).isoformat()
    return {"gateway": gateway.peer, "wants": [*gateway.wants], "seen": seen}

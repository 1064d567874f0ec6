"""Documents are put and patched."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from gateway.api import asked
from gateway.api.access import Access
from gateway.api.pool import Pool
from gateway.api.problems import as_http
from gateway.api.reading import tag
from gateway.core.errors import PeerError
from gateway.core.hub_metrics import HttpCounts
from gateway.core.hub_tokens import WRITE
from gateway.core.json_text import check_json
from gateway.core.limits import Limits
from gateway.http.messages import JSON_TYPE, Answer, HttpProblem, Request, as_json

PATCH_TYPE = "application/merge-patch+json"
# As what the admin door takes.
BODY_BYTES = 262_144
MAX_NESTING = Limits().nesting + 1

# ``edit(space, document, verb, content, root)`` does a put or a patch (``core.edit``) and returns
# once it is in the database. Raises ``GatewayError``. Called from any thread.
Edit = Callable[[str, str, str, Mapping[str, Any], str], object]


class Writing:
    """The handlers."""

    def __init__(self, access: Access, pool: Pool, edit: Edit, counts: HttpCounts) -> None:
        self._access = access
        self._pool = pool
        self._edit = edit
        self._counts = counts

    def put(self, request: Request) -> Answer:
        """The body is to be the fields of a document."""
        return self._done(request, "put", (JSON_TYPE,))

    def patch(self, request: Request) -> Answer:
        """The body says which fields change (RFC 7396)."""
        return self._done(request, "patch", (PATCH_TYPE,))

    def _done(self, request: Request, verb: str, types: tuple[str, ...]) -> Answer:
        space = request.parts["store"]
        self._access.admit(request, WRITE, space)
        document = asked.document(request)
        content = _content(request, types)
        with as_http():
            self._edit(space, document, verb, content, request.query.get("root", ""))
            with self._pool.store() as store:
                version = store.version(space, document)
        self._counts.edits += 1
        body = as_json({"document": document, "version": version})
        return Answer(body, headers={"ETag": tag(version)})


def _content(request: Request, types: tuple[str, ...]) -> Mapping[str, Any]:
    if request.header("If-Match") or request.header("If-Unmodified-Since"):
        sentence = "changes are merged: there is no condition under which they are made"
        raise HttpProblem(400, "no-conditions", sentence)
    if request.header("Content-Encoding"):
        raise HttpProblem(415, "bad-type", "a body is sent as it is, without an encoding")
    if request.header("Content-Type").partition(";")[0].strip().lower() not in types:
        sentence = f"the body has to be {' or '.join(types)}, and Content-Type to say so"
        raise HttpProblem(415, "bad-type", sentence, {"Accept-Patch": PATCH_TYPE})
    try:
        text = request.read().decode()
        check_json(text, MAX_NESTING)
        content = json.loads(text)
    except (UnicodeError, PeerError) as error:
        raise HttpProblem(400, "bad-json", "the body is not JSON, or nested too deep") from error
    if not isinstance(content, dict):
        raise HttpProblem(400, "bad-json", "the body has to be a JSON object")
    return content

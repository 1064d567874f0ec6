"""What stands in a request to the hub's API: names and numbers, checked."""

import re

from gateway.core.errors import PeerError
from gateway.core.names import check_collection, check_name
from gateway.http.messages import HttpProblem, Request

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
MAX_WAIT_SECONDS = 60
# A place is what a database gave out before; a name has at most 200 bytes.
MAX_AFTER = 256

_WHOLE = re.compile("[0-9]{1,9}")


def document(request: Request) -> str:
    """The document of the path. The id may hold slashes, as they are or as %2F."""
    name = f"{request.parts['collection']}/{request.parts['id']}"
    try:
        return check_name(name)
    except PeerError as error:
        raise HttpProblem(400, "bad-name", error.reason) from error


def collection(request: Request) -> str:
    """The collection that is asked for, or ""."""
    name = request.query.get("collection", "")
    try:
        if name:
            check_collection(name)
    except PeerError as error:
        raise HttpProblem(400, "bad-name", error.reason) from error
    return name


def after(request: Request) -> str:
    """Where a page begins."""
    place = request.query.get("after", "")
    if len(place.encode()) > MAX_AFTER or "\0" in place:
        raise HttpProblem(400, "usage", f"after has at most {MAX_AFTER} bytes, none of them 0")
    return place


def limit(request: Request) -> int:
    """How much a page holds."""
    return whole(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)


def whole(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A number of the query."""
    text = request.query.get(name, "")
    if not text:
        return default
    if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
        raise HttpProblem(400, "usage", f"{name} is a whole number from {low} to {high}")
    return int(text)


def is_true(request: Request, name: str) -> bool:
    """A yes or no of the query."""
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise HttpProblem(400, "usage", f"{name} is true or false")
    return text == "true"

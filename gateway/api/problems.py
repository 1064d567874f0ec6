"""Faults of ours as answers of HTTP; the codes stay what they are everywhere."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.core.errors import GatewayError
from gateway.http.messages import HttpProblem

DATABASE = "hub-database-"
BROKEN = "document-broken"
STATUS = {
    "bad-name": 400, "usage": 400, "hub-bad-place": 400, "no-store": 404, "no-document": 404,
    "hub-no-space": 404, "shared-type": 409, "too-big": 413, "refused": 422, "busy": 503,
    "hub-database-unreachable": 503, "hub-database-full": 507,
}  # fmt: skip
RETRY = {"Retry-After": "5"}

log = logging.getLogger("gateway.api")


@contextmanager
def as_http() -> Iterator[None]:
    """Turns ``GatewayError`` into ``HttpProblem``.

    What a database says may name hosts and files: it is for the log.
    """
    try:
        yield
    except GatewayError as error:
        raise problem(error) from error


def problem(error: GatewayError) -> HttpProblem:
    """The answer that says what went wrong."""
    status = STATUS.get(error.code, 500)
    sentence = error.sentence
    if error.code.startswith(DATABASE):
        sentence = "the database of the hub cannot be used now"
    elif error.code == BROKEN:
        sentence = "this document cannot be read"
    elif status == 500:
        log.error("%s: %s", error.code, error.sentence)
    return HttpProblem(status, error.code, sentence, RETRY if status == 503 else {})

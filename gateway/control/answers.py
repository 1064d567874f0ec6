"""One request in, one answer out, whatever becomes of it."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.control.messages import ControlError, Id, failure, read_request, result
from gateway.core.errors import GatewayError

Handler = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]

log = logging.getLogger("gateway.control")


async def answer(line: bytes, handler: Handler) -> tuple[bool, bytes]:
    """Whether a request was done by ``handler(verb, arguments)``, and the answer to it.

    A ``GatewayError`` of the handler is an answer too. It bears the id of the request as it came;
    0 if there was none that can be read.
    """
    number: Id = 0
    try:
        number, arguments = read_request(line)
        verb = arguments.pop("verb", None)
        if not isinstance(verb, str):
            raise ControlError("bad-request", "a request has a verb, which is a text")
        return True, result(number, await handler(verb, arguments))
    except (ControlError, GatewayError) as error:
        return False, failure(number, error.code, error.sentence)
    except Exception:
        log.exception("a request failed")
        return False, failure(number, "internal", "the gateway made a mistake; see its log")

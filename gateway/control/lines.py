"""The admin door's messages as lines of a script: requests come in, answers and events go out."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from gateway.control.messages import ControlError, failure, read_request, result
from gateway.core.errors import GatewayError

log = logging.getLogger("gateway.control")

Handler = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class LineIO(Protocol):
    """Where lines come from and go to."""

    async def line(self) -> str | None:
        """The next line; None at the end. Raises ``ValueError`` for one that is too long."""

    async def write(self, line: str) -> bool:
        """Write a line; False once nobody reads any more."""


class Lines:
    """Answers requests by ``handler(verb, arguments)``, and tells of events."""

    def __init__(self, lines: LineIO, handler: Handler) -> None:
        self._lines = lines
        self._handler = handler

    async def serve(self) -> bool:
        """Answer one request after the other; True when the input ends, False as in ``tell``."""
        while True:
            try:
                line = await self._lines.line()
            except ValueError as error:
                answer = failure(0, "bad-request", str(error))
            else:
                if line is None:
                    return True
                if not line.strip():
                    continue
                answer = await self._answer(line)
            if not await self._lines.write(answer.decode().rstrip("\n")):
                return False

    async def tell(self, event: str, **facts: Any) -> bool:
        """Write an event; False once nobody reads any more."""
        return await self._lines.write(json.dumps({"event": event, **facts}))

    async def _answer(self, line: str) -> bytes:
        number = 0
        try:
            number, verb, arguments = read_request(line.encode(errors="replace"))
            return result(number, await self._handler(verb, arguments))
        except (ControlError, GatewayError) as error:
            return failure(number, error.code, error.sentence)
        except Exception:
            log.exception("a request failed")
            return failure(number, "internal", "the gateway made a mistake; see its log")

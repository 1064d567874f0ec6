"""The admin door's messages as lines of a script: requests come in, answers and events go out."""

import json
from typing import Any, Protocol

from gateway.control.answers import Handler, answer
from gateway.control.messages import failure


class LineIO(Protocol):
    """Where lines come from and go to."""

    async def line(self) -> str | None:
        """The next line; None at the end. Raises ``ValueError`` for one that is too long."""

    async def write(self, line: str) -> bool:
        """Write a line; False once nobody reads any more."""


class Lines:
    """Answers requests by ``handler(verb, arguments)``, and tells of events.

    ``failures``: how many requests were answered with an error.
    """

    def __init__(self, lines: LineIO, handler: Handler) -> None:
        self._lines = lines
        self._handler = handler
        self.failures = 0

    async def serve(self) -> bool:
        """Answer one request after the other; True when the input ends, False as in ``tell``."""
        while True:
            try:
                line = await self._lines.line()
            except ValueError as error:
                done, said = False, failure(0, "bad-request", str(error))
            else:
                if line is None:
                    return True
                if not line.strip():
                    continue
                done, said = await answer(line.encode(errors="replace"), self._handler)
            self.failures += not done
            if not await self._lines.write(said.decode().rstrip("\n")):
                return False

    async def tell(self, event: str, **facts: Any) -> bool:
        """Write an event; False once nobody reads any more."""
        return await self._lines.write(json.dumps({"event": event, **facts}))

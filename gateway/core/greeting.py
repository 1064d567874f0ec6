"""Whether the hub is there, and when it is asked again (docs/protocol.md section 12). Pure."""

from collections.abc import Callable
from typing import Final

NONCE_BYTES: Final = 4
# While it does not answer it is asked again after so long, then after twice as long, up to the
# longest: a hub that is started finds all gateways within minutes, and none of them at once.
FIRST_PAUSE_SECONDS: Final = 30.0
LONGEST_PAUSE_SECONDS: Final = 300.0


class Greeting:
    """``draw(count)`` gives random bytes: who heard an old answer cannot repeat it as a new one."""

    def __init__(self, draw: Callable[[int], bytes]) -> None:
        self._draw = draw
        self._nonce: int | None = None
        self._pause = FIRST_PAUSE_SECONDS
        # Whether it answered since it was greeted.
        self.heard = False

    def begin(self) -> None:
        """A connection is new, or nobody heard what was said: it has to answer before more is."""
        self.heard = False
        self._nonce = None

    def ask(self) -> int:
        """Greet: the number of the question. Answers to others do not count any more."""
        self._nonce = int.from_bytes(self._draw(NONCE_BYTES), "big")
        return self._nonce

    def answered(self, nonce: int) -> bool:
        """It answered; whether that was an answer to the last question."""
        if self._nonce is None or nonce != self._nonce:
            return False
        self.heard = True
        self._nonce = None
        self._pause = FIRST_PAUSE_SECONDS
        return True

    def pause(self, chance: float) -> float:
        """How long an answer is waited for; ``chance``, from 0 to 1, shortens it by up to half."""
        pause = self._pause * (1 - chance / 2)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return pause

"""Two kinds of wrong: theirs (a peer's mistake) and ours (a fault of this device).

A peer's mistake never raises out of a session: it becomes a close code and a
reason. A fault of ours carries a stable code for machines, a plain sentence for
people, and the exit code of the process when nothing can be done about it.
"""

from enum import IntEnum


class Code(IntEnum):
    """Why a link is closed or an update refused; the same numbers on every link.

    1001 and 1009 are RFC 6455 section 7.4.1; 4205, 4401, 4403 and 4408 keep the
    meaning they have among Yjs servers.
    """

    GOING_AWAY = 1001
    TOO_BIG = 1009
    RESET = 4205
    MALFORMED = 4400
    UNAUTHORISED = 4401
    FORBIDDEN = 4403
    BAD_NAME = 4404
    TIMEOUT = 4408
    REVOKED = 4410
    OTHER_STORE = 4421
    REFUSED = 4422
    VERSION = 4426
    TOO_MANY = 4429
    UNAVAILABLE = 4503
    QUOTA = 4507

    @property
    def word(self) -> str:
        """The stable name used in JSON, logs and documentation, such as ``too-big``."""
        return self.name.lower().replace("_", "-")


class PeerError(Exception):
    """A peer sent something that cannot be accepted.

    ``code`` is what the peer is told, ``reason`` one sentence it may show; the
    sentence never holds bytes or names the peer supplied.
    """

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(f"{code.word}: {reason}")
        self.code = code
        self.reason = reason


class GatewayError(Exception):
    """A fault on our side: ``code`` is stable, ``sentence`` says what to do.

    ``exit_code`` follows sysexits(3): 64 usage, 65 data, 69 unavailable, 73 cannot
    create, 74 input/output, 75 try again, 77 no permission, 78 configuration.
    """

    def __init__(self, code: str, sentence: str, exit_code: int = 70) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.exit_code = exit_code

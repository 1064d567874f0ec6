"""Pairing: the window in which a gateway takes a new device, and what both say in it.

One secret of 32 bytes for the QR code, one code to type; both end with the first success,
with the time, or with the tries. docs/protocol.md, "Pairing". Pure.
"""

from dataclasses import dataclass
from enum import Enum

from gateway.core import cbor
from gateway.core.claims import FORM_VERSION, Claims
from gateway.core.errors import Code, PeerError
from gateway.core.messages import Grants
from gateway.core.noise import Pattern
from gateway.core.pairing_code import pairing_psk
from gateway.core.primitives import KEY_BYTES
from gateway.core.tickets import MAX_ROLE_BYTES

MINUTES = 10
# A person who mistypes gets these; who guesses has 5 chances in 2^100.
TRIES = 5
MAX_NAME_BYTES = 64

_NAME, _ROLE, _SIGNING = range(1, 4)
_KEYS = frozenset(range(1, 4))


class WindowState(Enum):
    """How a window stands; the value is for machines."""

    OPEN = "open"
    PAIRED = "paired"
    EXPIRED = "expired"
    TRIED = "too-many-tries"
    CLOSED = "closed"


class PairingWindow:
    """Who is let in by it gets this role and these grants, whatever it asks for."""

    def __init__(self, secret: bytes, code: str, role: str, grants: Grants, until: float) -> None:
        self.role = role
        self.grants = grants
        self.until = until
        self.tries = TRIES
        self._state = WindowState.OPEN
        self._psks = {Pattern.IKPSK2: secret, Pattern.XXPSK0: pairing_psk(code)}

    def state(self, now: float) -> WindowState:
        """How it stands."""
        if self._state is WindowState.OPEN and now >= self.until:
            self._end(WindowState.EXPIRED)
        return self._state

    def psk(self, pattern: Pattern, now: float) -> bytes:
        """What both know beforehand. Raises ``PeerError`` UNAUTHORISED once it is over."""
        self._check(now)
        return self._psks[pattern]

    def failed(self) -> None:
        """Somebody did not know the secret."""
        self.tries -= 1
        if self.tries <= 0 and self._state is WindowState.OPEN:
            self._end(WindowState.TRIED)

    def use(self, now: float) -> None:
        """Somebody knew it, and is the last. Raises ``PeerError`` UNAUTHORISED once over."""
        self._check(now)
        self._end(WindowState.PAIRED)

    def close(self) -> None:
        """Nobody is to be paired by it any more."""
        if self._state is WindowState.OPEN:
            self._end(WindowState.CLOSED)

    def _check(self, now: float) -> None:
        if self.state(now) is not WindowState.OPEN:
            raise PeerError(
                Code.UNAUTHORISED, "no pairing is open: ask for a new code at the gateway"
            )

    def _end(self, state: WindowState) -> None:
        self._state = state
        self._psks.clear()


@dataclass(frozen=True, slots=True)
class PairRequest:
    """What a device says of itself in AUTH method 3; the role is a wish."""

    name: str
    role: str
    signing_key: bytes

    def encode(self) -> bytes:
        """As the credential of AUTH."""
        return cbor.encode(
            {0: FORM_VERSION, _NAME: self.name, _ROLE: self.role, _SIGNING: self.signing_key}
        )


def read_request(data: bytes) -> PairRequest:
    """The request in a credential. Raises ``PeerError``: MALFORMED, VERSION."""
    claims = Claims(cbor.decode(data), _KEYS)
    return PairRequest(
        name=claims.text(_NAME, MAX_NAME_BYTES),
        role=claims.text(_ROLE, MAX_ROLE_BYTES),
        signing_key=claims.octets(_SIGNING, KEY_BYTES),
    )

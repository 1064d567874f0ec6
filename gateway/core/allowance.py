"""What a device can take, as it tells others, and on which terms we send. Pure.

docs/protocol.md section 4, HELLO: ``about`` of a small device may name its budgets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core import messages as m

BYTES_PER_SECOND = "budget-bytes-per-second"
DOCUMENTS = "budget-documents"
STORAGE = "budget-storage"
# Slower than this an answer would take minutes, and an honest device would rather go away.
MIN_BYTES_PER_SECOND = 1_000
MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Allowance:
    """The budgets of a device; 0 where it has none. ``storage``: bytes of updates."""

    bytes_per_second: int = 0
    documents: int = 0
    storage: int = 0

    def told(self) -> m.Pairs:
        """For ``about``."""
        pairs = (
            (BYTES_PER_SECOND, self.bytes_per_second),
            (DOCUMENTS, self.documents),
            (STORAGE, self.storage),
        )
        return tuple((key, str(value)) for key, value in pairs if value)


def heard(about: Mapping[str, str]) -> Allowance:
    """What a peer told of its budgets; what is no number is none."""
    rate = _number(about.get(BYTES_PER_SECOND, ""))
    return Allowance(
        max(rate, MIN_BYTES_PER_SECOND) if rate else 0,
        _number(about.get(DOCUMENTS, "")),
        _number(about.get(STORAGE, "")),
    )


def _number(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    return int(text) if is_number else 0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a device sends: priorities of collections, bytes a second by role, its own budgets.

    ``slow``: over a link on which it pays to deflate.
    """

    priorities: Mapping[str, int] = field(default_factory=dict)
    roles: Mapping[str, int] = field(default_factory=dict)
    own: Allowance = Allowance()
    slow: bool = False

    def bytes_per_second(self, peer: Allowance, role: str) -> int:
        """What may be sent to a peer, the strictest budget there is; 0 without any."""
        budgets = (peer.bytes_per_second, self.own.bytes_per_second, self.roles.get(role, 0))
        return min((budget for budget in budgets if budget), default=0)

"""This device's own app, which changes documents without a link."""

from collections.abc import Callable, Iterable, Sequence

from gateway.core.allowance import Allowance
from gateway.core.errors import Code
from gateway.core.events import Event
from gateway.core.membership import Admitted
from gateway.core.outbox import Documents, Outbox, Relay
from gateway.core.session import Farewell, Progress, Standing, State

# Number, and the code and reason of a refusal (None, "": it is on the disk).
OnDecided = Callable[[int, Code | None, str], None]


class LocalSession:
    """Satisfies ``Session``. Of what it writes ``on_decided`` is called once."""

    kind = "local"
    reconciles = large = calling = False
    reads_all = True
    allowance = Allowance()
    payload_bytes = 0

    def __init__(self, identity: str, on_decided: OnDecided) -> None:
        self.identity = identity
        self.address = "here"
        self.started = 0.0
        self.about: dict[str, str] = {}
        self.state = State.OPEN
        self.farewell: Farewell | None = None
        self.told: tuple[int, str] | None = None
        self.member: Admitted | None = None
        self.outbox = Outbox()
        self.received_bytes = 0
        self.sent_bytes = 0
        self.unsaved = 0
        self._on_decided = on_decided
        self._refused: dict[int, tuple[Code, str]] = {}

    def acknowledge(self, number: int) -> None:
        """See ``Session``."""
        code, reason = self._refused.pop(number, (None, ""))
        self._on_decided(number, code, reason)

    def refuse(self, document: str, number: int, code: Code, reason: str) -> None:
        """See ``Session``. The receipt follows."""
        self._refused[number] = (code, reason)

    def first_events(self) -> Sequence[Event]:
        """See ``Session``. Nothing below has a meaning without a link."""
        return ()

    def receive(self, data: bytes) -> Sequence[Event]:
        """See ``Session``."""
        return ()

    def data_to_send(self, documents: Documents) -> list[bytes]:
        """See ``Session``."""
        return []

    def may_write(self, document: str) -> bool:
        """See ``Session``."""
        return True

    def may_read(self, document: str) -> bool:
        """See ``Session``."""
        return True

    def writes_as(self, client: int) -> bool:
        """See ``Session``."""
        return True

    def subscribe(self, number: int, collection: str, selector: str) -> None:
        """See ``Session``."""

    def reconcile(self, number: int, *, ours: bool, payload: bytes) -> None:
        """See ``Session``."""

    def ask(self, document: str, state_vector: bytes) -> None:
        """See ``Session``."""

    def awaits(self, document: str) -> bool:
        """See ``Session``."""
        return False

    def offer(self, document: str, relay: Relay) -> None:
        """See ``Session``."""

    def offer_presence(self, document: str, clients: Iterable[int] | None) -> None:
        """See ``Session``."""

    def echo_presence(self, document: str, clients: Iterable[int]) -> None:
        """See ``Session``."""

    def finish(self, document: str) -> None:
        """See ``Session``."""

    def released(self, document: str) -> None:
        """See ``Session``."""

    def deny(self, document: str, code: Code, reason: str) -> None:
        """See ``Session``."""

    def revoked(self, entries: Iterable[bytes]) -> None:
        """See ``Session``."""

    def progress(self, document: str) -> Progress:
        """See ``Session``. What is here is on this disk."""
        return Progress(Standing.HAS)

    def tick(self, now: float) -> bool:
        """See ``Session``."""
        return False

    def close(self, code: Code, reason: str) -> None:
        """See ``Session``."""

"""A session that only remembers, for tests of room and hub."""

from collections.abc import Sequence

from gateway.core.acks import Decided
from gateway.core.errors import Code
from gateway.core.events import Event
from gateway.core.outbox import AnswerFor, Outbox, Relay
from gateway.core.session import Farewell, State


class RecordingSession:
    """Satisfies ``Session``; keeps what it was told."""

    kind = "recording"

    def __init__(self, identity: str = "peer", *, writes: bool = True) -> None:
        self.identity = identity
        self.address = "nowhere"
        self.started = 0.0
        self.about: dict[str, str] = {}
        self.state = State.OPEN
        self.farewell: Farewell | None = None
        self.outbox = Outbox()
        self.received_bytes = self.sent_bytes = self.unsaved = 0
        self.asked: list[tuple[str, bytes]] = []
        self.presence: list[bytes] = []
        self.echoed: list[bytes] = []
        self.decided = Decided()
        self.refusals: list[tuple[int, Code]] = []
        self.denials: list[tuple[str, Code]] = []
        self._writes = writes

    def first_events(self) -> Sequence[Event]:
        return ()

    def receive(self, data: bytes) -> Sequence[Event]:
        return ()

    def data_to_send(self, answer_for: AnswerFor) -> list[bytes]:
        """The answers owed, then the live updates, as they are."""
        sent = []
        while (answered := self.outbox.take_answer(answer_for)) is not None:
            sent.append(answered[1].update)
        return sent + [relay.update for _, relay in self.outbox.take_relays()]

    def may_write(self, document: str) -> bool:
        return self._writes

    def ask(self, document: str, state_vector: bytes) -> None:
        self.asked.append((document, state_vector))

    def offer(self, document: str, relay: Relay) -> None:
        self.outbox.offer(document, relay)

    def offer_presence(self, document: str, payload: bytes) -> None:
        self.presence.append(payload)

    def echo_presence(self, payload: bytes) -> None:
        self.echoed.append(payload)

    def acknowledge(self, number: int) -> None:
        self.decided.add(number)

    @property
    def acknowledged(self) -> int:
        """What an ack would say."""
        return self.decided.upto

    def refuse(self, document: str, number: int, code: Code, reason: str) -> None:
        self.refusals.append((number, code))

    def deny(self, document: str, code: Code, reason: str) -> None:
        self.denials.append((document, code))

    def tick(self, now: float) -> bool:
        return False

    def close(self, code: Code, reason: str) -> None:
        self.state = State.CLOSED
        self.farewell = Farewell(code, reason)

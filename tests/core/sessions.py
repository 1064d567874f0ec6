"""A session that only remembers, for tests of room and hub."""

from collections.abc import Iterable, Sequence

from gateway.core.acks import Decided
from gateway.core.allowance import Allowance
from gateway.core.errors import Code
from gateway.core.events import Event
from gateway.core.hub import Hub
from gateway.core.membership import Admitted
from gateway.core.outbox import Answer, Documents, Outbox, Relay
from gateway.core.reconcile import MAX_PAYLOAD_BYTES
from gateway.core.session import Farewell, Progress, Standing, State
from gateway.core.split import split_update


class Given:
    """``Documents`` that gives always the same."""

    def __init__(self, answer: Answer | None, *payloads: bytes) -> None:
        self._answer = answer
        self._payloads = list(payloads)

    def answer(self, document: str, state_vector: bytes, limit: int) -> Answer | None:
        return self._answer

    def presence(self, document: str, clients: Iterable[int] | None) -> list[bytes]:
        return self._payloads


class FromHub:
    """``Documents`` of a hub; a large answer is cut at once."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def answer(self, document: str, state_vector: bytes, limit: int) -> Answer | None:
        answer = self._hub.answer(document, state_vector)
        if answer is None or len(answer.parts[0]) <= limit:
            return answer
        then = self._hub.rooms[document].state_vector()
        return Answer(tuple(split_update(answer.parts[0], limit)), b"", then)

    def presence(self, document: str, clients: Iterable[int] | None) -> list[bytes]:
        return self._hub.presence(document, clients)


class RecordingSession:
    """Satisfies ``Session``; keeps what it was told."""

    kind = "recording"
    reconciles = large = calling = False
    reads_all = True
    allowance = Allowance()
    payload_bytes = MAX_PAYLOAD_BYTES

    def __init__(self, identity: str = "peer", *, writes: bool = True) -> None:
        self.identity = identity
        self.address = "nowhere"
        self.started = 0.0
        self.about: dict[str, str] = {}
        self.state = State.OPEN
        self.farewell: Farewell | None = None
        self.told: tuple[int, str] | None = None
        self.member: Admitted | None = None
        self.outbox = Outbox()
        self.received_bytes = self.sent_bytes = self.unsaved = 0
        self.asked: list[tuple[str, bytes]] = []
        self.presence: list[bytes] = []
        self.echoed: list[list[int]] = []
        self.releases: list[str] = []
        self.finished: list[str] = []
        self.decided = Decided()
        self.refusals: list[tuple[int, Code]] = []
        self.denials: list[tuple[str, Code]] = []
        # Bytes of one part of an answer; all parts heard.
        self.limit = 2**53
        self.heard: list[bytes] = []
        self.readable = ("",)
        # What we asked it for, and our turns of exchanges.
        self.subscribed: list[tuple[int, str, str]] = []
        self.passed_on: list[bytes] = []
        self.turns: list[tuple[int, bool, bytes]] = []
        self.far = Progress(Standing.HAS)
        # The client ids it writes under; None: whatever it sends live is its own.
        self.owns: frozenset[int] | None = None
        self.awaited = False
        self._writes = writes

    def first_events(self) -> Sequence[Event]:
        return ()

    def receive(self, data: bytes) -> Sequence[Event]:
        return ()

    def data_to_send(self, documents: Documents) -> list[bytes]:
        """The answers owed, then the live updates, as they are."""
        sent = []
        while (diff := self.outbox.take_diff(documents, self.limit)) is not None:
            sent.append(diff.update)
        self.heard += sent
        self.presence += [payload for _, payload in self.outbox.take_presence(documents)]
        return sent + [relay.update for _, relay in self.outbox.take_relays()]

    def may_write(self, document: str) -> bool:
        return self._writes

    def may_read(self, document: str) -> bool:
        return document.startswith(self.readable)

    def writes_as(self, client: int) -> bool:
        return self.owns is None or client in self.owns

    def subscribe(self, number: int, collection: str, selector: str) -> None:
        self.subscribed.append((number, collection, selector))

    def reconcile(self, number: int, *, ours: bool, payload: bytes) -> None:
        self.turns.append((number, ours, payload))

    def ask(self, document: str, state_vector: bytes) -> None:
        self.asked.append((document, state_vector))

    def awaits(self, document: str) -> bool:
        return self.awaited

    def offer(self, document: str, relay: Relay) -> None:
        self.outbox.offer(document, relay)

    def offer_presence(self, document: str, clients: Iterable[int] | None) -> None:
        self.outbox.owe_presence(document, clients)

    def echo_presence(self, document: str, clients: Iterable[int]) -> None:
        self.echoed.append(list(clients))

    def finish(self, document: str) -> None:
        self.finished.append(document)

    def released(self, document: str) -> None:
        self.releases.append(document)
        self.outbox.forget(document)

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

    def revoked(self, entries: Iterable[bytes]) -> None:
        self.passed_on += entries

    def progress(self, document: str) -> Progress:
        return self.far

    def tick(self, now: float) -> bool:
        return False

    def close(self, code: Code, reason: str) -> None:
        self.state = State.CLOSED
        self.farewell = Farewell(code, reason)

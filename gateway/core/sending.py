"""What a mesh session sends, and when: live changes first, history as far as the link takes it.

docs/protocol.md section 4. ``Sending`` is the middle of ``MeshSession``: the documents it
opened, what it owes, and the signs of life. What goes first is in ``gateway.core.schedule``.
"""

from collections.abc import Iterable

from gateway.core import messages as m
from gateway.core.acks import Decided
from gateway.core.allowance import Terms
from gateway.core.deliveries import Deliveries
from gateway.core.entrance import Entrance
from gateway.core.errors import Code
from gateway.core.framing import batches, frame
from gateway.core.handshake import HANDSHAKE_SECONDS, Admit, Credential, Handshake, LocalPeer
from gateway.core.outbox import Diff, Documents, Relay
from gateway.core.packing import pack
from gateway.core.session import Progress, Standing, State
from gateway.core.split import split_update

# A link that says nothing is asked after 15 s and given up after 45 s.
PING_SECONDS = 15.0
SILENCE_SECONDS = 45.0
# Bytes of a DIFF record around its update: length, type, handle, flags, fingerprint.
DIFF_OVERHEAD = 40
# Below this deflating seldom makes a batch smaller.
DEFLATE_BYTES = 48
# After so long without a word the peer may be told the state of our store.
QUIET_SECONDS = 2.0

# With so much waiting nobody is told who is linked to whom; the next time comes soon.
BEFORE_PEERS_BYTES = 262_144


def framed_peers(entries: tuple[m.PeerEntry, ...]) -> bytes:
    """What ``Sending.tell`` takes: made once for all links, as there may be many."""
    return frame(m.encode(m.Peers(entries)))


class Sending(Handshake):
    """The outgoing direction of a mesh session. ``admission``: see ``MeshSession``."""

    def __init__(
        self,
        local: LocalPeer,
        admission: Admit | Credential | Entrance,
        now: float,
        terms: Terms,
    ) -> None:
        super().__init__(local, admission, terms)
        self.sent_bytes = 0
        self.unsaved = 0
        self._deliveries = Deliveries()
        self._decided = Decided()
        self._acknowledged = 0
        self._opened_by_peer: set[str] = set()
        self._ours: dict[str, int] = {}
        self._next_handle = 1
        self._asked: set[str] = set()
        # Documents we sent CLOSE for; the peer's own is still to come, and only completes it.
        self._closing: set[str] = set()
        self.started = self._now = self._heard_at = self._sent_at = now
        self._heard_before = self._sent_before = 0
        self._nonce = 0
        self._told_state = b""

    def data_to_send(self, documents: Documents) -> list[bytes]:
        """See ``Session``."""
        outbox = self.outbox
        if self._decided.upto > self._acknowledged:
            self._acknowledged = self._decided.upto
            self._put(m.Ack(self._acknowledged))
        framed, outbox.records = outbox.records, []
        for document in sorted(outbox.stale):
            framed.append(frame(m.encode(m.Stale(self._ours[document]))))
        outbox.stale.clear()
        self._schedule.sent(sum(map(len, framed)), history=False)
        if self._schedule.live():
            framed += self._live(documents)
        history = self._history(documents) + self._finish()
        sent, outbox.bare = outbox.bare, []
        # Messages of their own, or what is live would arrive with the history behind it.
        for part in (framed, history):
            for batch in batches(part, self._message_bytes):
                packed = self._packed(batch, history=part is history)
                sent.append(self._entrance.channel.seal(packed) if self._entrance else packed)
        # Not before the peer was told that it is let in.
        self._deflates = self._inflates and self._terms.slow and self.state is State.OPEN
        self.sent_bytes += sum(map(len, sent))
        return sent

    def _packed(self, batch: bytes, *, history: bool) -> bytes:
        """The batch as it travels: deflated where that makes it smaller."""
        if not self._deflates or len(batch) < DEFLATE_BYTES:
            return batch
        packed = frame(bytes([m.DEFLATED]) + pack(batch))
        if len(packed) >= len(batch):
            return batch
        self._schedule.sent(len(packed) - len(batch), history=history)
        return packed

    def subscribe(self, number: int, collection: str, selector: str) -> None:
        """See ``Session``."""
        if self.state is State.OPEN and self._subscribable:
            self._put(m.Subscribe(number, collection, selector))

    def reconcile(self, number: int, *, ours: bool, payload: bytes) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            record = m.Reconcile(2 * number + (not ours), payload)
            self.outbox.history.append(frame(m.encode(record)))

    def ask(self, document: str, state_vector: bytes) -> None:
        """See ``Session``."""
        if document in self.outbox.finishing:
            # It left the selection and is back: the peer has to say again what it has.
            self.released(document)
        if self.state is not State.OPEN or document in self._asked:
            return
        self._asked.add(document)
        handle = self._ours.get(document)
        if handle is None:
            handle = self._ours[document] = self._next_handle
            self._next_handle += 1
        self._put(m.Open(handle, document, state_vector))

    def awaits(self, document: str) -> bool:
        """See ``Session``."""
        return document in self._asked

    def offer(self, document: str, relay: Relay) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self.outbox.offer(document, relay)

    def offer_presence(self, document: str, clients: Iterable[int] | None) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self.outbox.owe_presence(document, clients)

    def tell(self, framed: bytes) -> None:
        """Tell who is linked to whom, ``framed_peers``, unless the link is behind or takes less."""
        if self.state is not State.OPEN or not (self.tells_peers and self.reads_all):
            return
        waiting = sum(map(len, self.outbox.records))
        if len(framed) <= self._message_bytes and waiting < BEFORE_PEERS_BYTES:
            self.outbox.records.append(framed)

    def tell_state(self, digest: bytes) -> bool:
        """The state of our store, of which the peer had everything that is not in the outbox.

        Whether it is told: once for each state, when the link has been quiet.
        """
        quiet = not self.outbox and self._now - self._sent_at >= QUIET_SECONDS
        if self.state is not State.OPEN or not quiet or digest == self._told_state:
            return False
        self._told_state = digest
        self._put(m.State(digest))
        return True

    def echo_presence(self, document: str, clients: Iterable[int]) -> None:
        """See ``Session``. A mesh link lives by PING."""

    def finish(self, document: str) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self.outbox.finishing[document] = None

    def released(self, document: str) -> None:
        """See ``Session``."""
        if document in self._ours and self.state is State.OPEN:
            self._put(self._close_handle(document))
        self._asked.discard(document)
        self.outbox.forget(document)

    def acknowledge(self, number: int) -> None:
        """See ``Session``."""
        self._decided.add(number)
        self.unsaved -= 1

    def refuse(self, document: str, number: int, code: Code, reason: str) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self._put(m.Refuse(number, code, reason))

    def deny(self, document: str, code: Code, reason: str) -> None:
        """See ``Session``."""
        if self.state is State.OPEN:
            self._put(m.Deny(document, code, reason))

    def progress(self, document: str) -> Progress:
        """See ``Session``."""
        updates, since = self._deliveries.outstanding(document)
        if self.outbox.holds(document):
            return Progress(Standing.WAITS, updates, since)
        if self._deliveries.lacks(document):
            return Progress(Standing.DECLINED, updates, since)
        if updates or not self._deliveries.counted:
            return Progress(Standing.SENT, updates, since)
        return Progress(Standing.HAS if self._saves else Standing.TOLD)

    def tick(self, now: float) -> bool:
        """See ``Session``."""
        before, self._now = self._now, now
        if self.state is State.CLOSED:
            return False
        self._schedule.tick(now - before, waits=bool(self.outbox))
        if self.received_bytes != self._heard_before:
            self._heard_before, self._heard_at = self.received_bytes, now
        if self.sent_bytes != self._sent_before:
            self._sent_before, self._sent_at = self.sent_bytes, now
        if self.state is not State.OPEN and now - self.started >= HANDSHAKE_SECONDS:
            self.close(Code.TIMEOUT, "the link was not opened in time")
        elif now - self._heard_at >= SILENCE_SECONDS:
            self.close(Code.TIMEOUT, "nothing was heard for too long")
        elif self.state is State.OPEN and now - self._sent_at >= PING_SECONDS:
            self._sent_at = now
            self._nonce += 1
            self._put(m.Ping(self._nonce))
        return bool(self.outbox)

    def _live(self, documents: Documents) -> list[bytes]:
        """What changed just now, about a chunk of it."""
        framed = [*self._live_updates(), *self._presence(documents)]
        size = sum(map(len, framed))
        while size < self._schedule.enough and (
            diff := self.outbox.take_live_diff(documents, self._part_bytes)
        ):
            framed.append(self._diff(diff))
            size += len(framed[-1])
        self._schedule.sent(size, history=False)
        return framed

    def _history(self, documents: Documents) -> list[bytes]:
        """Turns of exchanges, and what else is owed, about a chunk of it."""
        framed: list[bytes] = []
        outbox, schedule, size = self.outbox, self._schedule, 0
        while size < schedule.enough and schedule.history(live_waits=outbox.live_waits):
            if outbox.history:
                framed.append(outbox.history.popleft())
            elif diff := outbox.take_diff(documents, self._part_bytes):
                framed.append(self._diff(diff))
            else:
                break
            size += len(framed[-1])
            schedule.sent(len(framed[-1]), history=True)
        return framed

    @property
    def _part_bytes(self) -> int:
        return min(self._message_bytes, self._schedule.part_bytes) - DIFF_OVERHEAD

    def _diff(self, diff: Diff) -> bytes:
        flags = m.DIFF_MORE if diff.more else 0
        handle = self._ours[diff.document]
        if self._saves:
            self._deliveries.sent(diff.document, self._now)
        return frame(m.encode(m.Diff(handle, flags, diff.fingerprint, diff.update)))

    def _presence(self, documents: Documents) -> list[bytes]:
        return [
            frame(m.encode(m.Awareness(self._ours[document], payload)))
            for document, payload in self.outbox.take_presence(documents)
        ]

    def _finish(self) -> list[bytes]:
        framed = []
        for document in [name for name in self.outbox.finishing if not self.outbox.holds(name)]:
            del self.outbox.finishing[document]
            self._asked.discard(document)
            framed.append(frame(m.encode(self._close_handle(document))))
        return framed

    def _close_handle(self, document: str) -> m.Close:
        if document in self._opened_by_peer:
            self._closing.add(document)
        return m.Close(self._ours.pop(document))

    def _live_updates(self) -> list[bytes]:
        framed = []
        for document, relay in self.outbox.take_relays(self._schedule.chunk):
            limit = self._message_bytes - DIFF_OVERHEAD
            for part in (
                [relay.update] if len(relay.update) <= limit else split_update(relay.update, limit)
            ):
                if self._saves:
                    self._deliveries.sent(document, self._now)
                framed.append(frame(m.encode(m.Update(self._ours[document], part))))
        return framed

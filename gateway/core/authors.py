"""Whose client ids are whose in one document, and what is in doubt about it.

An id belongs to the peer that was first to write under it by a live change on its own link.
What somebody else brings under it, beyond what its author brought itself, waits until the
author has answered what it has: an author has all it ever wrote. Pure; invariant 3.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.core.errors import Code, PeerError
from gateway.core.events import Incoming
from gateway.core.facts import Span
from gateway.core.guard import UpdateFacts
from gateway.core.session import Session

# Clocks of one id that one update may bring or delete beyond what is known: ten changes a
# second for 300 days. More is a few bytes that use up a clock, which ends at 2**31.
MAX_LEAP = 2**28
# Ids whose author is remembered, of a document: as many as it can have (``room.MAX_AUTHORS``).
MAX_BOUND = 20_000
# An author that has not answered for so long says nothing about its ids any more.
ANSWER_SECONDS = 30.0
FORGED = "this holds changes in the name of another device that it did not make"

Clocks = Mapping[int, int]


@dataclass(slots=True)
class _Author:
    """Who writes under an id, and up to which clock it brought that itself."""

    identity: str
    local: bool
    upto: int

    def is_here(self, members: Collection[Session]) -> bool:
        """Whether it can be asked; this device's own app need not be."""
        return self.local or any(member.identity == self.identity for member in members)


@dataclass(slots=True)
class Doubt:
    """Updates of one sender that wait for authors.

    ``beyond``: per id the clock its author has to bring. ``asked``: the author's sessions, and
    whether they were asked since. ``alone`` is for ``Room.receive``.
    """

    batch: list[Incoming]
    beyond: dict[int, int]
    asked: dict[Session, bool]
    alone: bool
    since: float

    @property
    def forged(self) -> bool:
        """Whether something is left of which its author knows nothing; once it is settled."""
        return bool(self.beyond)

    def takes(self, new: "Doubt") -> bool:
        """Whether an answer to this one would be one to ``new`` too."""
        answers = self.batch[0].answer or new.batch[0].answer
        return not answers and self.alone == new.alone and not any(self.asked.values())


def check_leaps(facts: UpdateFacts, clocks: Clocks) -> None:
    """Raises ``PeerError`` REFUSED if an update uses up, or deletes in advance, an id's clock."""
    for spans in (facts.spans, facts.deletes):
        for client, start, end in spans:
            if end - start > MAX_LEAP and end - clocks.get(client, 0) > MAX_LEAP:
                raise PeerError(Code.REFUSED, "an update that uses up the clock of an author")


class Authors:
    """The authors of one document since it was loaded."""

    def __init__(self) -> None:
        self.doubts: list[Doubt] = []
        self._authors: dict[int, _Author] = {}

    def doubt(
        self,
        batch: Sequence[Incoming],
        clocks: Clocks,
        members: Collection[Session],
        now: float,
        *,
        alone: bool = False,
    ) -> bool:
        """Whether updates of one sender have to wait; if not, they are noted as brought by it."""
        authors = self._authors
        if authors:
            beyond = self._beyond(batch, clocks, members)
            if beyond:
                names = {authors[client].identity for client in beyond}
                asked = {member: False for member in members if member.identity in names}
                self._add(Doubt(list(batch), beyond, asked, alone, now))
                return True
        for item in batch:
            spans = item.facts.spans
            if spans and not item.answer:
                self._bind(item.session, spans, clocks)
        return False

    def answered(self, session: Session) -> None:
        """A session gave all that we asked it for."""
        for doubt in self.doubts:
            if doubt.asked.get(session):
                del doubt.asked[session]

    def left(self, session: Session) -> None:
        """A session is gone: what is in doubt because of it can be decided by nobody."""
        for doubt in self.doubts:
            if doubt.asked.pop(session, None) is not None:
                self._trust(doubt, session.identity)

    def expire(self, now: float) -> None:
        """Authors that do not answer lose their ids."""
        for doubt in self.doubts:
            if now - doubt.since >= ANSWER_SECONDS:
                for client in doubt.beyond:
                    self._authors.pop(client, None)
                doubt.beyond = {}

    def to_ask(self, document: str) -> Iterator[Session]:
        """The sessions that are to be asked now; they count as asked."""
        for doubt in self.doubts:
            for session, asked in doubt.asked.items():
                # What is under way may have been made before the change that is in doubt.
                if not asked and not session.awaits(document):
                    doubt.asked[session] = True
                    yield session

    def settled(self) -> list[Doubt]:
        """What is decided now, and in doubt no more."""
        for doubt in self.doubts:
            for client, end in list(doubt.beyond.items()):
                author = self._authors.get(client)
                if author is None or author.upto >= end:
                    del doubt.beyond[client]
        settled = [doubt for doubt in self.doubts if not doubt.beyond or not doubt.asked]
        self.doubts = [doubt for doubt in self.doubts if doubt.beyond and doubt.asked]
        return settled

    def known(self, clients: Iterable[int]) -> dict[int, int]:
        """Up to which clock the authors of these ids brought them."""
        return {client: self._authors[client].upto for client in clients}

    def _beyond(
        self, batch: Sequence[Incoming], clocks: Clocks, members: Collection[Session]
    ) -> dict[int, int]:
        beyond: dict[int, int] = {}
        identity = batch[0].session.identity
        for item in batch:
            for span in item.facts.spans:
                author = self._authors.get(span.client)
                if author is not None and author.identity == identity:
                    author.upto = max(author.upto, span.end)
            for client, _, end in (*item.facts.spans, *item.facts.deletes):
                author = self._authors.get(client)
                if author is None or author.identity == identity:
                    continue
                if end > max(author.upto, clocks.get(client, 0)) and author.is_here(members):
                    beyond[client] = max(end, beyond.get(client, 0))
        return beyond

    def _add(self, new: Doubt) -> None:
        """Live changes of a sender about which nobody was asked yet wait together."""
        for doubt in self.doubts:
            if doubt.batch[0].session is new.batch[0].session and doubt.takes(new):
                doubt.batch += new.batch
                for client, end in new.beyond.items():
                    doubt.beyond[client] = max(end, doubt.beyond.get(client, 0))
                doubt.asked.update(new.asked)
                return
        self.doubts.append(new)

    def _bind(self, session: Session, spans: Sequence[Span], clocks: Clocks) -> None:
        """What a device writes itself holds structs of one id, its own."""
        client, end = spans[0].client, spans[-1].end
        if (
            session.writes_as(client)
            and client not in self._authors
            and len({span.client for span in spans}) == 1
            and end > clocks.get(client, 0)
            and len(self._authors) < MAX_BOUND
        ):
            self._authors[client] = _Author(session.identity, session.kind == "local", end)

    def _trust(self, doubt: Doubt, identity: str) -> None:
        for client in list(doubt.beyond):
            author = self._authors.get(client)
            if author is not None and author.identity == identity:
                del doubt.beyond[client]

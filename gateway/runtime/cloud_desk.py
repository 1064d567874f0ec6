"""Takes messages of gateways into a hub's database; for the thread of the store.

One transaction for many messages. Nothing of a message is told to anybody before it is written.
"""

import logging
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.core.bridge import Message, Publication
from gateway.core.bridge_items import Change, Item, Pong
from gateway.core.cloud_answers import Address, Post
from gateway.core.cloud_reading import Contents, Letter, contents, read_letter, store_named
from gateway.core.cloud_records import CloudChange
from gateway.core.cloud_revocations import CloudRevocations, shut_out
from gateway.core.cloud_shares import Shares
from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.fair_use import FairUse
from gateway.core.names import collection_of
from gateway.ports import Clock, CloudStore
from gateway.runtime.cloud_answering import Question
from gateway.runtime.cloud_documents import CloudDocuments

# How often it is written that a gateway was heard, and read who was revoked elsewhere.
HEARD_SECONDS = 60.0
REVOKED_SECONDS = 5.0
# Of a store. With its own root anybody has as many certificates as he likes, and each change goes
# to all who want it.
MAX_GATEWAYS = 256
# Of messages that follow from some others: so much is made and sent, then the next.
AT_ONCE_BYTES = 8_388_608
# Changes of a document that nobody asks for: from here on it is written anew all the same.
MAX_ROWS = 1_000
# How often it is looked how much a space has; and names of spaces that are near its own.
LOOK_SECONDS = 10.0
NEAR = 100
# So many messages at once: others wait, and stores that had more than their part are not heard.
CROWD = 10
# What a question about a document takes in memory beside its state vector.
ASK_BYTES = 512
# Gateways whose last greeting is remembered.
MAX_HEARD = 10_000
MISTAKE = "mistake"

Key = TypeVar("Key")
Value = TypeVar("Value")

log = logging.getLogger("gateway.hub")


@dataclass(slots=True)
class Taken:
    """What became of some messages. ``wrong``: why messages were not taken; ``refused``: changes
    that were not, of messages that were. ``publications``: the first of what is to be sent,
    ``more``: the others, if there are any."""

    publications: list[Publication] = field(default_factory=list)
    more: Iterator[Publication] | None = None
    questions: list[Question] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    changes: int = 0
    refused: int = 0


class Desk:
    """``stores``: ids in hex of those that are served; empty: all. ``most_bytes`` are held of a
    space; ``use``: how long was worked for each."""

    def __init__(
        self,
        store: CloudStore,
        root: str,
        shares: Shares,
        post: Post,
        documents: CloudDocuments,
        stores: Collection[str],
        most_bytes: int,
        use: FairUse,
        clock: Clock,
    ) -> None:
        self._store = store
        self._root = root
        self._shares = shares
        self._post = post
        self._stores = frozenset(stores)
        self._documents = documents
        # How many changes came of a document since it was written anew.
        self._grown: dict[tuple[str, str], int] = {}
        self._most_bytes = most_bytes
        # Whether a space has more, and when that was looked at.
        self._full: dict[str, tuple[bool, float]] = {}
        self._use = use
        self._now = clock.monotonic
        self._revocations = CloudRevocations()
        self._heard: dict[Address, float] = {}
        self._silenced: dict[Address, float] = {}

    def take(self, messages: Sequence[Message], limit: int) -> Taken:
        """Write what is in the messages. Raises ``GatewayError`` as ``CloudStore`` does: nobody
        was told anything, and all of it is to be tried again."""
        try:
            return self._take(messages, limit)
        except GatewayError:
            # What was not written is not known.
            self._revocations = CloudRevocations()
            self._heard.clear()
            self._silenced.clear()
            raise

    def relayed(
        self, changes: Iterable[tuple[Address | None, CloudChange]], limit: int
    ) -> Iterator[Publication]:
        """Messages with changes that are written, to those that want them, but for who sent it.

        They are made when they are asked for, by ``some_of``: of all together they may be too many.
        """
        wanting: dict[tuple[str, str], list[Address]] = {}
        items: list[Item] = []
        mail: dict[Address, list[int]] = {}
        for place, (sender, change) in enumerate(changes):
            key = (change.space, collection_of(change.document))
            if key not in wanting:
                wanting[key] = self._wanting(*key)
            items.append(Change(change.document, change.update))
            for to in wanting[key]:
                if to != sender:
                    mail.setdefault(to, []).append(place)
        alike: dict[tuple[int, ...], list[Address]] = {}
        for to, places in mail.items():
            alike.setdefault(tuple(places), []).append(to)
        # Made later, without the database: a failure of it must not lose the rest.
        return self._copies(items, alike, limit)

    def _copies(
        self, items: Sequence[Item], alike: Mapping[tuple[int, ...], Sequence[Address]], limit: int
    ) -> Iterator[Publication]:
        for places, to in alike.items():
            yield from self._post.copies(to, [items[place] for place in places], limit)

    def _take(self, messages: Sequence[Message], limit: int) -> Taken:
        taken = Taken()
        heard: list[tuple[Address, Contents]] = []
        for message in messages:
            found = self._read(message, taken, is_crowded=len(messages) >= CROWD)
            if found is None:
                continue
            letter, held = found
            sender = Address(letter.store, letter.peer)
            if not self._note(sender, letter, held):
                taken.wrong.append(Code.TOO_MANY.word)
                continue
            heard.append((sender, held))
            if held.asks or held.turn is not None:
                asks = deque(held.asks.items())
                size = len(held.turn or b"") + sum(ASK_BYTES + len(vector) for _, vector in asks)
                taken.questions.append(Question(size, sender, asks, held.turn))
        began = self._now()
        changes: list[tuple[Address, CloudChange]] = []
        for sender, held in heard:
            fitting = [one for one in held.changes if not self._is_full(one.space)]
            held.refused += len(held.changes) - len(fitting)
            changes += [(sender, change) for change in fitting]
        refusals = [refusal for _, held in heard for refusal in held.refusals]
        if changes or refusals:
            self._store.append([change for _, change in changes], refusals)
        self._grow(change for _, change in changes)
        taken.changes = len(changes)
        taken.refused = sum(held.refused for _, held in heard)
        for sender, held in heard:
            pongs = [Pong(nonce) for nonce in held.pings]
            taken.publications += self._post.messages(sender, pongs, limit)
        relayed = self.relayed(changes, limit)
        some, is_all = some_of(relayed)
        taken.publications += some
        taken.more = None if is_all else relayed
        self._share(Counter(sender.store for sender, _ in changes), began)
        return taken

    def _grow(self, changes: Iterable[CloudChange]) -> None:
        """Write documents anew before they have so many changes that loading them takes long."""
        many: list[tuple[str, str]] = []
        for change in changes:
            key = (change.space, change.document)
            self._grown[key] = self._grown.pop(key, 0) + 1
            _shorten(self._grown)
            if self._grown[key] == MAX_ROWS:
                many.append(key)
        for space, name in many:
            self._grown.pop((space, name), None)
            self._documents.open(space, name)

    def _is_full(self, space: str) -> bool:
        """Whether a space has more than it may have; looked at now and then, as it costs a read."""
        full, looked_at = self._full.get(space, (False, -LOOK_SECONDS))
        now = self._now()
        if now - looked_at < LOOK_SECONDS:
            return full
        near = self._store.spaces(space[:-1], NEAR)
        full = any(one.space == space and one.size > self._most_bytes for one in near)
        self._full.pop(space, None)
        self._full[space] = (full, now)
        _shorten(self._full)
        return full

    def _share(self, parts: Counter[str], began: float) -> None:
        """What was done for several stores at once, by the parts they had in it."""
        now, total = self._now(), parts.total()
        for store, part in parts.items():
            self._use.spend(store, (now - began) * part / total, now)

    def _read(
        self, message: Message, taken: Taken, *, is_crowded: bool
    ) -> tuple[Letter, Contents] | None:
        """What is in a message, if it is one; else why not is in ``taken``."""
        began, store = self._now(), ""
        try:
            if is_crowded and self._use.is_over(store_named(self._root, message.topic), began):
                # Not even looked at: only what was proven to be of a store is counted against it.
                raise PeerError(Code.TOO_MANY, "others wait, and this store had more than its part")
            letter = read_letter(self._root, message.topic, message.payload)
            store = letter.store
            if self._stores and letter.store not in self._stores:
                raise PeerError(Code.FORBIDDEN, "a store that is not served")
            self._learn(letter)
            if self._revocations.is_revoked(letter.root, letter.certificate):
                # Another worker may have heard what it wants before it knew.
                self._silence(Address(letter.store, letter.peer))
                raise PeerError(Code.REVOKED, "the gateway was shut out")
            return letter, contents(letter, self._shares)
        except PeerError as error:
            taken.wrong.append(error.code.word)
        except GatewayError:
            raise
        except Exception:
            # A mistake of ours must not come again and again: the exchange brings what is lost.
            log.exception("a message could not be read")
            taken.wrong.append(MISTAKE)
        finally:
            if store:
                now = self._now()
                self._use.spend(store, now - began, now)
        return None

    def _learn(self, letter: Letter) -> None:
        now = self._now()
        if now - self._revocations.learned_at(letter.root) >= REVOKED_SECONDS:
            self._revocations.learn(letter.root, self._store.revocations(letter.store), now)

    def _note(self, sender: Address, letter: Letter, held: Contents) -> bool:
        """That a gateway was heard, what it wants, and whom it says was revoked; False if its store
        has too many."""
        if held.wants is not None or self._is_due(self._heard, sender):
            if sender not in self._heard and not self._has_room(sender):
                return False
            self._store.greet(sender.store, sender.peer, held.wants)
            self._heard[sender] = self._now()
            _shorten(self._heard)
        fresh = [entry for entry in held.revoked if self._is_new(letter.root, entry, held)]
        if fresh:
            self._store.revoke(sender.store, fresh, sorted(self._revocations.replaced(letter.root)))
            self._forget(sender.store, {shut_out(entry, letter.root) for entry in fresh})
        return True

    def _has_room(self, sender: Address) -> bool:
        peers = {gateway.peer for gateway in self._store.gateways(sender.store)}
        return sender.peer in peers or len(peers) < MAX_GATEWAYS

    def _silence(self, sender: Address) -> None:
        """Nothing is sent to a gateway any more."""
        if self._is_due(self._silenced, sender):
            self._store.greet(sender.store, sender.peer, ())
            self._silenced[sender] = self._now()
            _shorten(self._silenced)

    def _is_due(self, times: dict[Address, float], sender: Address) -> bool:
        return self._now() - times.get(sender, -HEARD_SECONDS) >= HEARD_SECONDS

    def _is_new(self, root: bytes, entry: bytes, held: Contents) -> bool:
        try:
            return self._revocations.is_new(root, entry)
        except PeerError:
            held.refused += 1
            return False

    def _forget(self, store: str, peers: Collection[bytes | None]) -> None:
        """Gateways that were shut out are sent nothing any more, until they are let in again."""
        for gateway in self._store.gateways(store):
            if bytes.fromhex(gateway.peer) in peers:
                self._store.greet(store, gateway.peer, ())

    def _wanting(self, space: str, collection: str) -> list[Address]:
        found = self._store.wanting(self._shares.stores(space), collection)
        gateways = [Address(gateway.store, gateway.peer) for gateway in found]
        return [to for to in gateways if not self._stores or to.store in self._stores]


def some_of(publications: Iterator[Publication]) -> tuple[list[Publication], bool]:
    """The next of them, as many as may be held; and whether these were all."""
    found: list[Publication] = []
    size = 0
    while size < AT_ONCE_BYTES:
        one = next(publications, None)
        if one is None:
            return found, True
        found.append(one)
        size += len(one.payload)
    return found, False


def _shorten(times: dict[Key, Value]) -> None:
    """Forget the oldest of too many."""
    if len(times) > MAX_HEARD:
        del times[next(iter(times))]

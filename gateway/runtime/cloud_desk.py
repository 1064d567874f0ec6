"""Takes messages of gateways into a hub's database; for the thread of the store.

One transaction for many messages. Nothing of a message is told to anybody before it is written.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from gateway.core.bridge import Message, Publication
from gateway.core.bridge_items import Change, Item, Pong
from gateway.core.cloud_answers import Address, Post
from gateway.core.cloud_reading import Contents, Letter, contents, read_letter, store_named
from gateway.core.cloud_records import CloudChange, Greeting
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
# How often it is looked how much a space has.
LOOK_SECONDS = 10.0
# So many messages at once: others wait, and stores that had more than their part are not heard.
CROWD = 10
# What a question about a document takes in memory beside its state vector.
ASK_BYTES = 512
# Gateways whose last greeting is remembered.
MAX_HEARD = 10_000
MISTAKE = "mistake"

Key = TypeVar("Key")
Value = TypeVar("Value")
Made = TypeVar("Made")
# A space and a collection.
Place = tuple[str, str]
# What gateways want from now on; None: as before.
Greetings = dict[Address, Sequence[str] | None]

log = logging.getLogger("gateway.hub")


@dataclass(slots=True)
class Taken:
    """What became of some messages. ``wrong``: why messages were not taken; ``refused``: changes
    that were not, of messages that were; ``why``: whose, where and the word of the code.
    ``publications``: the first of what is to be sent, ``more``: the others, if there are any."""

    publications: list[Publication] = field(default_factory=list)
    more: Iterator[Publication] | None = None
    questions: list[Question] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    changes: int = 0
    refused: int = 0
    why: list[str] = field(default_factory=list)


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
        # The gateways of stores of which one speaks that is new here.
        self._peers: dict[str, set[str]] = {}

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
        placed = [
            ((change.space, collection_of(change.document)), sender, change)
            for sender, change in changes
        ]
        wanting = self._wanting({place for place, _, _ in placed})
        items = [Change(change.document, change.update) for _, _, change in placed]
        mail: dict[Address, list[int]] = {}
        for number, (place, sender, _) in enumerate(placed):
            for to in wanting[place]:
                if to != sender:
                    mail.setdefault(to, []).append(number)
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
        is_crowded = len(messages) >= CROWD
        read = [self._sound(taken, partial(self._letter, one, is_crowded)) for one in messages]
        letters = [letter for letter in read if letter is not None]
        self._learn(letters)
        self._look_for_room(letters)
        heard: list[tuple[Address, Contents]] = []
        greetings: Greetings = {}
        for letter in letters:
            held = self._sound(taken, partial(self._contents, letter, greetings))
            if held is None:
                continue
            sender = Address(letter.store, letter.peer)
            self._note(sender, letter, held, greetings)
            heard.append((sender, held))
            if held.asks or held.turn is not None:
                asks = deque(held.asks.items())
                size = len(held.turn or b"") + sum(ASK_BYTES + len(vector) for _, vector in asks)
                taken.questions.append(Question(size, sender, asks, held.turn))
        if greetings:
            self._store.greet([Greeting(to.store, to.peer, w) for to, w in greetings.items()])
        began = self._now()
        changes: list[tuple[Address, CloudChange]] = []
        self._look_at_sizes({one.space for _, held in heard for one in held.changes})
        for sender, held in heard:
            fitting = [one for one in held.changes if not self._full[one.space][0]]
            held.refused += len(held.changes) - len(fitting)
            changes += [(sender, change) for change in fitting]
        refusals = [refusal for _, held in heard for refusal in held.refusals]
        if changes or refusals:
            self._store.append([change for _, change in changes], refusals)
        self._grow(change for _, change in changes)
        taken.changes = len(changes)
        taken.why = [f"{r.peer} in {r.space}: {Code(r.code).word}" for r in refusals]
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

    def _look_at_sizes(self, spaces: Collection[str]) -> None:
        """Which of these spaces have more than they may; now and then, as it costs a read."""
        now = self._now()
        due = [
            space for space in sorted(spaces)
            if now - self._full.get(space, (False, -LOOK_SECONDS))[1] >= LOOK_SECONDS
        ]  # fmt: skip
        sizes = self._store.sizes(due) if due else {}
        for space in due:
            self._full.pop(space, None)
            self._full[space] = (sizes.get(space, 0) > self._most_bytes, now)
        while len(self._full) > MAX_HEARD + len(spaces):
            del self._full[next(iter(self._full))]

    def _share(self, parts: Counter[str], began: float) -> None:
        """What was done for several stores at once, by the parts they had in it."""
        now, total = self._now(), parts.total()
        for store, part in parts.items():
            self._use.spend(store, (now - began) * part / total, now)

    def _sound(self, taken: Taken, make: Callable[[], Made]) -> Made | None:
        """What is made of a message; None if it is not one: why not is in ``taken``."""
        try:
            return make()
        except PeerError as error:
            taken.wrong.append(error.code.word)
        except GatewayError:
            raise
        except Exception:
            # A mistake of ours must not come again and again: the exchange brings what is lost.
            log.exception("a message could not be read")
            taken.wrong.append(MISTAKE)
        return None

    def _letter(self, message: Message, is_crowded: bool) -> Letter:
        began = self._now()
        if is_crowded and self._use.is_over(store_named(self._root, message.topic), began):
            # Not even looked at: only what was proven to be of a store is counted against it.
            raise PeerError(Code.TOO_MANY, "others wait, and this store had more than its part")
        letter = read_letter(self._root, message.topic, message.payload)
        self._spend(letter.store, began)
        if self._stores and letter.store not in self._stores:
            raise PeerError(Code.FORBIDDEN, "a store that is not served")
        return letter

    def _contents(self, letter: Letter, greetings: Greetings) -> Contents:
        sender = Address(letter.store, letter.peer)
        if self._revocations.is_revoked(letter.root, letter.certificate):
            # Another worker may have heard what it wants before it knew.
            self._silence(sender, greetings)
            raise PeerError(Code.REVOKED, "the gateway was shut out")
        if sender not in self._heard and not self._has_room(sender):
            raise PeerError(Code.TOO_MANY, f"a store has {MAX_GATEWAYS} gateways at most")
        began = self._now()
        try:
            return contents(letter, self._shares)
        finally:
            self._spend(letter.store, began)

    def _spend(self, store: str, began: float) -> None:
        now = self._now()
        self._use.spend(store, now - began, now)

    def _learn(self, letters: Sequence[Letter]) -> None:
        """Who was revoked elsewhere, of the stores of these letters."""
        now = self._now()
        roots = {
            letter.store: letter.root for letter in letters
            if now - self._revocations.learned_at(letter.root) >= REVOKED_SECONDS
        }  # fmt: skip
        if not roots:
            return
        found: dict[str, list[bytes]] = {store: [] for store in roots}
        for store, entry in self._store.revocations(list(roots)):
            found[store].append(entry)
        for store, entries in found.items():
            self._revocations.learn(roots[store], entries, now)

    def _look_for_room(self, letters: Sequence[Letter]) -> None:
        """How many gateways the stores have of which one speaks that is new here."""
        self._peers = {
            letter.store: set() for letter in letters
            if Address(letter.store, letter.peer) not in self._heard
        }  # fmt: skip
        for gateway in self._store.gateways(list(self._peers)) if self._peers else ():
            self._peers[gateway.store].add(gateway.peer)

    def _has_room(self, sender: Address) -> bool:
        # It was heard before, and forgotten since the messages were looked at: it has a place.
        peers = self._peers.setdefault(sender.store, set())
        if sender.peer not in peers and len(peers) >= MAX_GATEWAYS:
            return False
        peers.add(sender.peer)
        return True

    def _note(self, sender: Address, letter: Letter, held: Contents, greetings: Greetings) -> None:
        """That a gateway was heard, what it wants, and whom it says was revoked."""
        if held.wants is not None or self._is_due(self._heard, sender):
            greetings[sender] = greetings.get(sender) if held.wants is None else held.wants
            self._heard[sender] = self._now()
            _shorten(self._heard)
        fresh = [entry for entry in held.revoked if self._is_new(letter.root, entry, held)]
        if fresh:
            self._store.revoke(sender.store, fresh, sorted(self._revocations.replaced(letter.root)))
            gone = {shut_out(entry, letter.root) for entry in fresh}
            self._forget(sender.store, gone, greetings)

    def _silence(self, sender: Address, greetings: Greetings) -> None:
        """Nothing is sent to a gateway any more."""
        if self._is_due(self._silenced, sender):
            greetings[sender] = ()
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

    def _forget(self, store: str, peers: Collection[bytes | None], greetings: Greetings) -> None:
        """Gateways that were shut out are sent nothing any more, until they are let in again."""
        known = [Address(store, gateway.peer) for gateway in self._store.gateways([store])]
        for to in (*known, *greetings):
            if to.store == store and bytes.fromhex(to.peer) in peers:
                greetings[to] = ()

    def _wanting(self, places: Collection[Place]) -> dict[Place, list[Address]]:
        """The gateways that want changes of these collections of these spaces."""
        found: dict[Place, list[Address]] = {place: [] for place in places}
        own = sorted({space for space, _ in places if self._shares.stores(space) == (space,)})
        for gateway in self._store.gateways(own) if own else ():
            for collection in dict.fromkeys(gateway.wants):
                if (gateway.store, collection) in found:
                    to = Address(gateway.store, gateway.peer)
                    found[gateway.store, collection].append(to)
        for space, collection in places:
            if space not in own:
                shared = self._store.wanting(self._shares.stores(space), collection)
                found[space, collection] = [Address(one.store, one.peer) for one in shared]
        if not self._stores:
            return found
        return {
            place: [to for to in gateways if to.store in self._stores]
            for place, gateways in found.items()
        }


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

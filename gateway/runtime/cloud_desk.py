"""Takes messages of gateways into a hub's database; for the thread of the store.

One transaction for many messages, and one question for all their stores, however many these are.
Nothing of a message is told to anybody before it is written.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from gateway.core.bridge import Message, Publication
from gateway.core.bridge_items import Change, Item, Pong
from gateway.core.cloud_answers import Address, Post
from gateway.core.cloud_reading import Contents, Letter, contents, read_letter
from gateway.core.cloud_records import CloudChange, Greeting
from gateway.core.cloud_revocations import CloudRevocations, shut_out
from gateway.core.cloud_shares import Shares
from gateway.core.errors import Code, GatewayError, PeerError
from gateway.core.names import collection_of
from gateway.ports import Clock, CloudStore
from gateway.runtime.cloud_answering import Question

# How often it is written that a gateway was heard, and read who was revoked elsewhere.
HEARD_SECONDS = 60.0
REVOKED_SECONDS = 5.0
# Gateways whose last greeting is remembered.
MAX_HEARD = 10_000
MISTAKE = "mistake"

Key = TypeVar("Key")
Made = TypeVar("Made")
# A space and a collection.
Place = tuple[str, str]
# What gateways want from now on; None: as before.
Greetings = dict[Address, Sequence[str] | None]

log = logging.getLogger("gateway.hub")


@dataclass(slots=True)
class Taken:
    """What became of some messages. ``wrong``: why messages were not taken; ``refused``: changes
    that were not, of messages that were."""

    publications: list[Publication] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    changes: int = 0
    refused: int = 0


class Desk:
    """``stores``: ids in hex of those that are served; empty: all."""

    def __init__(
        self,
        store: CloudStore,
        root: str,
        shares: Shares,
        post: Post,
        stores: Collection[str],
        clock: Clock,
    ) -> None:
        self._store = store
        self._root = root
        self._shares = shares
        self._post = post
        self._stores = frozenset(stores)
        self._now = clock.monotonic
        self._revocations = CloudRevocations()
        self._learned: dict[str, float] = {}
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
            self._learned.clear()
            self._heard.clear()
            self._silenced.clear()
            raise

    def relayed(
        self, changes: Iterable[tuple[Address | None, CloudChange]], limit: int
    ) -> list[Publication]:
        """Messages with changes that are written, to those that want them, but for who sent it."""
        placed = [
            ((change.space, collection_of(change.document)), sender, change)
            for sender, change in changes
        ]
        wanting = self._wanting({place for place, _, _ in placed})
        mail: dict[Address, list[Item]] = {}
        for place, sender, change in placed:
            for to in wanting[place]:
                if to != sender:
                    mail.setdefault(to, []).append(Change(change.document, change.update))
        post = self._post
        return [one for to, items in mail.items() for one in post.messages(to, items, limit)]

    def _take(self, messages: Sequence[Message], limit: int) -> Taken:
        taken = Taken()
        letters: list[tuple[int, Letter]] = []
        for message in messages:
            letter = self._sound(taken, partial(self._letter, message))
            if letter is not None:
                letters.append((len(message.payload), letter))
        self._learn([letter for _, letter in letters])
        heard: list[tuple[Address, Contents]] = []
        greetings: Greetings = {}
        for size, letter in letters:
            held = self._sound(taken, partial(self._contents, letter, greetings))
            if held is None:
                continue
            sender = Address(letter.store, letter.peer)
            self._note(sender, letter, held, greetings)
            heard.append((sender, held))
            if held.asks or held.turn is not None:
                asks = deque(held.asks.items())
                taken.questions.append(Question(size, sender, asks, held.turn))
        if greetings:
            self._store.greet(
                [Greeting(to.store, to.peer, wants) for to, wants in greetings.items()]
            )
        changes = [(sender, change) for sender, held in heard for change in held.changes]
        refusals = [refusal for _, held in heard for refusal in held.refusals]
        if changes or refusals:
            self._store.append([change for _, change in changes], refusals)
        taken.changes = len(changes)
        taken.refused = sum(held.refused for _, held in heard)
        for sender, held in heard:
            pongs = [Pong(nonce) for nonce in held.pings]
            taken.publications += self._post.messages(sender, pongs, limit)
        taken.publications += self.relayed(changes, limit)
        return taken

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

    def _letter(self, message: Message) -> Letter:
        letter = read_letter(self._root, message.topic, message.payload)
        if self._stores and letter.store not in self._stores:
            raise PeerError(Code.FORBIDDEN, "a store that is not served")
        return letter

    def _contents(self, letter: Letter, greetings: Greetings) -> Contents:
        if self._revocations.is_revoked(letter.root, letter.certificate):
            # Another worker may have heard what it wants before it knew.
            self._silence(Address(letter.store, letter.peer), greetings)
            raise PeerError(Code.REVOKED, "the gateway was shut out")
        return contents(letter, self._shares)

    def _learn(self, letters: Sequence[Letter]) -> None:
        """Who was revoked elsewhere, of the stores of these letters."""
        now = self._now()
        roots = {letter.store: letter.root for letter in letters if self._is_unknown(letter, now)}
        if not roots:
            return
        found: dict[str, list[bytes]] = {store: [] for store in roots}
        for store, entry in self._store.revocations(list(roots)):
            found[store].append(entry)
        for store, entries in found.items():
            self._revocations.learn(roots[store], entries)
            self._learned[store] = now
            _shorten(self._learned)

    def _is_unknown(self, letter: Letter, now: float) -> bool:
        """Whether who was revoked in a store is to be read: it was long ago, or is forgotten."""
        is_old = now - self._learned.get(letter.store, -REVOKED_SECONDS) >= REVOKED_SECONDS
        return is_old or not self._revocations.knows(letter.root)

    def _note(self, sender: Address, letter: Letter, held: Contents, greetings: Greetings) -> None:
        """That a gateway was heard, what it wants, and whom it says was revoked."""
        if held.wants is not None or self._is_due(self._heard, sender):
            greetings[sender] = greetings.get(sender) if held.wants is None else held.wants
            self._heard[sender] = self._now()
            _shorten(self._heard)
        fresh = [entry for entry in held.revoked if self._is_new(letter.root, entry, held)]
        if fresh:
            self._store.revoke(sender.store, fresh)
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


def _shorten(times: dict[Key, float]) -> None:
    """Forget the oldest of too many."""
    if len(times) > MAX_HEARD:
        del times[next(iter(times))]

"""Simulated stores for a hub: each with a root, a gateway, and messages as a gateway makes them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from pycrdt import Doc, Map

from gateway.core.bridge_envelope import seal_up
from gateway.core.bridge_items import Change, Item, Ping, Wants, written
from gateway.core.bridge_topics import Topics
from gateway.core.certificates import store_id
from gateway.core.membership import Keys, found
from gateway.core.primitives import public_of
from tests.bench.day import STATES, order

ROOT = "store-gateway"
# A message of what waited holds about so many changes of a busy shop.
MERGED = 100
# Stores have one of so many days, each with documents of its own in its own space.
DAYS = 10


@dataclass(frozen=True, slots=True)
class Published:
    """One message of a gateway and what is in it."""

    topic: str
    payload: bytes
    changes: int


class SimulatedStore:
    """The store of this number, always alike; ``topics`` are its gateway's."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._root = self._octets("root")
        self._keys = Keys(self._octets("noise"), self._octets("sign"))
        self.peer = self._octets("peer")[:16]
        self.root_public = public_of(self._root)
        self.store = store_id(self.root_public)
        self._certificate = found(self._root, self.peer, self._keys, self._octets("serial")[:8])
        self.topics = Topics(ROOT, self.store, self.peer)

    def sealed(self, *items: Item) -> Published:
        """One message that holds these."""
        ((batch, _),) = written(items)
        signing = self._keys.signing_private
        payload = seal_up(signing, self._certificate, self.root_public, self.peer, batch)
        changes = sum(isinstance(item, Change) for item in items)
        return Published(self.topics.up, payload, changes)

    def greeting(self, *wants: str) -> Published:
        """What it says when it connects."""
        return self.sealed(Ping(self.number), Wants(wants))

    def live(self, orders: int) -> Iterator[Published]:
        """So many orders with their status changes, one change a message."""
        for change in changes(self.number % DAYS, orders):
            yield self.sealed(change)

    def merged(self, orders: int) -> Iterator[Published]:
        """The same orders as what waited during an outage: each document once, many a message."""
        waiting = _waiting(self.number % DAYS, orders)
        for first in range(0, len(waiting), MERGED):
            yield self.sealed(*waiting[first : first + MERGED])

    def _octets(self, what: str) -> bytes:
        return sha256(f"{what} of store {self.number}".encode()).digest()


def changes(day: int, orders: int) -> Iterator[Change]:
    """Orders of a day, each placed and worked on before the next."""
    chance = random.Random(day)
    kiosk, kitchen = chance.getrandbits(32), chance.getrandbits(32)
    for number in range(orders):
        name = f"orders/{chance.getrandbits(64):016x}"
        placed: Doc[Any] = Doc(client_id=kiosk)
        placed.get("order", type=Map)["order"] = order(chance, number)
        yield Change(name, placed.get_update())
        seen: Doc[Any] = Doc(client_id=kitchen)
        seen.apply_update(placed.get_update())
        for state in STATES:
            before = seen.get_state()
            seen.get("order", type=Map)["order"]["status"] = state
            yield Change(name, seen.get_update(before))


@cache
def _waiting(day: int, orders: int) -> tuple[Change, ...]:
    latest: dict[str, list[bytes]] = {}
    for change in changes(day, orders):
        latest.setdefault(change.document, []).append(change.update)
    return tuple(Change(name, _whole(updates)) for name, updates in latest.items())


def _whole(updates: list[bytes]) -> bytes:
    whole: Doc[Any] = Doc()
    for update in updates:
        whole.apply_update(update)
    return whole.get_update()

"""A shop that never closes: tills, screens and tablets at a steady, modest rate.

Tills write new orders all the time, screens subscribe to those of their station and finish
them, tablets share a document for each table's guests over the y-websocket endpoint, and one that
stays. Devices leave and others come. Who does what is drawn from the seed; the rate is the
caller's.
"""

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

from pycrdt import Array, Doc, Map, Text, merge_updates

from gateway.core import messages as m
from gateway.core import y_messages as y
from gateway.core.framing import MESSAGE_BYTES, batches, frame, records
from tests.campaign.links import Link
from tests.support.raw import Closed

STATIONS = ("grill", "bar", "cold", "cakes")
TILLS = 4
TABLETS = 12
# The tablets share so many tables; new guests are a new document, but at the first it stays.
TABLES = 6
# One order in so many actions; a screen takes each from open by way of cooking to done.
ACTIONS_AN_ORDER = 20
STEPS = {"open": "cooking", "cooking": "done"}
NOTE_CHARACTERS = 200
NOTHING = b"\x00\x00"


class Copy:
    """A device's copy of one document."""

    def __init__(self, client: int) -> None:
        self.doc: Doc = Doc(client_id=client)
        self._updates: list[bytes] = []
        self._subscription = self.doc.observe(lambda event: self._updates.append(event.update))

    def edit(self, make: Callable[[Doc], None]) -> bytes:
        """Change it; the update."""
        self._updates.clear()
        with self.doc.transaction():
            make(self.doc)
        return merge_updates(*self._updates)

    def forget(self) -> None:
        """Let the library free it."""
        self.doc.unobserve(self._subscription)


class Device:
    """Something with one link. ``written`` counts bytes of the updates it sent."""

    def __init__(self, port: int, path: str, client: int) -> None:
        self.client = client
        self.written = self.updates = 0
        self._clock = 0
        self._link = Link(port, path)

    def pump(self) -> None:
        """Take what came. Raises ``AssertionError`` when the gateway ended the link."""
        try:
            for message in self._link.messages():
                self._take(message)
        except Closed as closed:
            raise AssertionError(f"the gateway closed {type(self).__name__}: {closed}") from closed

    def beat(self) -> None:
        """Say that we are here still."""
        raise NotImplementedError

    def leave(self) -> None:
        """Go without a word."""
        self._link.cut()

    def _take(self, message: bytes) -> None:
        raise NotImplementedError

    def _presence(self) -> bytes:
        self._clock += 1
        return y.awareness_payload([(self.client, self._clock, f'{{"device": {self.client}}}')])

    def _count(self, update: bytes) -> bytes:
        self.written += len(update)
        self.updates += 1
        return update


class Tablet(Device):
    """A stock client in one table's document."""

    def __init__(self, port: int, table: int, guests: int, client: int) -> None:
        super().__init__(port, f"/sync/tables/{table}-{guests}", client)
        self._copy = Copy(client)
        self._link.send(y.step_1(self._copy.doc.get_state()))

    def edit(self, chance: random.Random) -> None:
        """A small change."""
        update = self._copy.edit(lambda doc: _scribble(chance, doc))
        self._link.send(y.update(self._count(update)))

    def beat(self) -> None:
        """See ``Device``."""
        self._link.send(y.presence(self._presence()))

    def leave(self) -> None:
        """See ``Device``."""
        super().leave()
        self._copy.forget()

    def _take(self, message: bytes) -> None:
        match y.decode(message):
            case y.Change() as change:
                self._copy.doc.apply_update(change.update)
            case y.Step1() as asked:
                lacking = self._copy.doc.get_update(asked.state_vector)
                self._link.send(y.step_2(lacking))
            case _:
                pass


class MeshDevice(Device):
    """A small peer; ``orders`` are the documents that are open here."""

    def __init__(self, port: int, client: int) -> None:
        super().__init__(port, "/mesh", client)
        self.orders: dict[str, Copy] = {}
        self._ours: dict[str, int] = {}
        self._theirs: dict[int, str] = {}
        self._handles = count(1)
        peer = client.to_bytes(m.PEER_ID_BYTES, "big")
        self._say(m.Hello(1, 1, peer, 0, MESSAGE_BYTES), m.Auth(m.AUTH_NONE, b""))

    def beat(self) -> None:
        """See ``Device``."""
        self._clock += 1
        self._say(m.Ping(self._clock))
        for name in list(self._ours)[:1]:
            self._say(m.Awareness(self._ours[name], self._presence()))

    def change(self, name: str, make: Callable[[Doc], None]) -> None:
        """Change an order that is open here."""
        self._say(m.Update(self._ours[name], self._count(self.orders[name].edit(make))))

    def status(self, name: str) -> str:
        """How far an order is; "" while it is still on its way."""
        status: str = self.orders[name].doc.get("order", type=Map).get("status", "")
        return status

    def leave(self) -> None:
        """See ``Device``."""
        super().leave()
        for name in list(self.orders):
            self.orders.pop(name).forget()

    def _open(self, name: str) -> m.Open:
        copy = self.orders[name] = Copy(self.client)
        self._ours[name] = next(self._handles)
        return m.Open(self._ours[name], name, copy.doc.get_state())

    def _close(self, name: str) -> m.Close:
        self.orders.pop(name).forget()
        return m.Close(self._ours.pop(name))

    def _take(self, message: bytes) -> None:
        answers: list[m.Record] = []
        for encoded in records(message):
            record = m.decode(encoded)
            assert record is not None
            answers += self._answer(record)
        self._say(*answers)

    def _answer(self, record: m.Record) -> Iterator[m.Record]:
        match record:
            case m.Open():
                self._theirs[record.handle] = record.document
                if record.document not in self._ours:
                    yield self._open(record.document)
                    yield m.Diff(self._ours[record.document], 0, b"", NOTHING)
            case m.Diff() | m.Update():
                name = self._theirs[record.handle]
                if name in self.orders:
                    self.orders[name].doc.apply_update(record.update)
            case m.Close():
                name = self._theirs.pop(record.handle)
                if name in self._ours:
                    yield self._close(name)
            case m.Ping():
                yield m.Pong(record.nonce)
            case m.Refuse() | m.Deny() | m.Goodbye():
                raise AssertionError(f"{type(self).__name__} was told {record}")

    def _say(self, *spoken: m.Record) -> None:
        for message in batches([frame(m.encode(record)) for record in spoken], MESSAGE_BYTES):
            self._link.send(message)


class Till(MeshDevice):
    """Opens orders, adds to them, and closes them when they are done."""

    def order(self, chance: random.Random, name: str) -> None:
        """A new order."""
        opened = self._open(name)
        update = self._count(self.orders[name].edit(lambda doc: _order(chance, doc, name)))
        self._say(opened, m.Update(opened.handle, update))

    def file(self, chance: random.Random, name: str) -> None:
        """An order with all that happens to one, and close it."""
        self.order(chance, name)
        for line in ("tea", "soup"):
            self.change(name, partial(_add, what=line))
        for status in STEPS.values():
            self.change(name, partial(_set_status, status=status))
        self._say(self._close(name))

    def add(self, chance: random.Random) -> None:
        """Something more for an order, if there is one; what is done is closed."""
        for name in [name for name in self.orders if self.status(name) == "done"]:
            self._say(self._close(name))
        if self.orders:
            line = chance.choice(("tea", "soup", "cake"))
            self.change(chance.choice(list(self.orders)), lambda doc: _add(doc, line))


class Screen(MeshDevice):
    """Has the orders of its station that are not done."""

    def __init__(self, port: int, station: str, client: int) -> None:
        super().__init__(port, client)
        self.station = station
        wanted = f'{{"station": "{station}", "status": {{"$ne": "done"}}}}'
        self._say(m.Subscribe(1, "orders", wanted))

    def waiting(self) -> list[str]:
        """Orders that can be taken a step on, the oldest first."""
        return sorted(name for name in self.orders if self.status(name) in STEPS)

    def advance(self, name: str) -> None:
        """Take an order one step on."""
        status = STEPS[self.status(name)]
        self.change(name, lambda doc: _set_status(doc, status))


class Shop:
    """All devices at once. ``act`` does the next thing; how often is for the caller."""

    def __init__(self, port: int, seed: int) -> None:
        self.orders = self.swaps = 0
        self._port = port
        self._chance = random.Random(seed)
        self._clients = iter(self._chance.sample(range(1, 1 << 32), 1 << 16))
        self._actions = 0
        self._gone_written = self._gone_updates = 0
        self.tills = [Till(port, next(self._clients)) for _ in range(TILLS)]
        self.screens = [Screen(port, station, next(self._clients)) for station in STATIONS]
        self._guests = [0] * TABLES
        self.tablets = [Tablet(port, n % TABLES, 0, next(self._clients)) for n in range(TABLETS)]

    @property
    def devices(self) -> list[Device]:
        """All of them."""
        return [*self.tills, *self.screens, *self.tablets]

    @property
    def written(self) -> int:
        """Bytes of the updates all devices sent, those that left included."""
        return self._gone_written + sum(device.written for device in self.devices)

    @property
    def updates(self) -> int:
        """How many updates that were."""
        return self._gone_updates + sum(device.updates for device in self.devices)

    def fill(self, documents: int) -> None:
        """Write so many documents that nobody stays in."""
        for number in range(documents):
            self.tills[0].file(self._chance, f"filed/{number}")

    def act(self) -> None:
        """The next change of somebody."""
        chance = self._chance
        place = self._actions % ACTIONS_AN_ORDER
        self._actions += 1
        if place == 0:
            self.orders += 1
            chance.choice(self.tills).order(chance, f"orders/{self.orders:07}")
        elif place == ACTIONS_AN_ORDER // 2:
            chance.choice(self.tills).add(chance)
        elif place % (ACTIONS_AN_ORDER // 4) == 2:
            self._advance()
        else:
            self.type()

    def type(self) -> None:
        """A small change on some tablet."""
        self._chance.choice(self.tablets).edit(self._chance)

    def pump(self) -> None:
        """Everybody takes what came."""
        for device in self.devices:
            device.pump()

    def beat(self) -> None:
        """Everybody says that it is here still."""
        for device in self.devices:
            device.beat()

    def swap(self) -> None:
        """One device leaves and another comes in its place, or new guests to a table."""
        group: Any = self._chance.choice((self.tills, self.screens, self.tablets, self.tablets))
        index = self._chance.randrange(len(group))
        if group is self.tablets and (table := index % TABLES):
            self._guests[table] += 1
            for place in range(table, TABLETS, TABLES):
                self._replace(group, place)
        else:
            self._replace(group, index)

    def _replace(self, group: Any, index: int) -> None:
        leaver, client = group[index], next(self._clients)
        leaver.leave()
        self.swaps += 1
        self._gone_written += leaver.written
        self._gone_updates += leaver.updates
        match leaver:
            case Till():
                group[index] = Till(self._port, client)
            case Screen():
                group[index] = Screen(self._port, leaver.station, client)
            case Tablet():
                table = index % TABLES
                group[index] = Tablet(self._port, table, self._guests[table], client)

    def close(self) -> None:
        """Everybody leaves."""
        for device in self.devices:
            device.leave()

    def _advance(self) -> None:
        screen = max(self.screens, key=lambda screen: len(screen.orders))
        for name in screen.waiting()[:1]:
            screen.advance(name)


def _order(chance: random.Random, doc: Doc, name: str) -> None:
    order = doc.get("order", type=Map)
    order.update({"number": name, "station": chance.choice(STATIONS), "status": "open"})
    doc.get("lines", type=Array).extend(
        [Map({"what": what, "count": chance.randint(1, 4)}) for what in ("soup", "tea", "bread")]
    )


def _add(doc: Doc, what: str) -> None:
    doc.get("lines", type=Array).append(Map({"what": what, "count": 1}))


def _set_status(doc: Doc, status: str) -> None:
    doc.get("order", type=Map)["status"] = status


def _scribble(chance: random.Random, doc: Doc) -> None:
    note = doc.get("note", type=Text)
    if len(note) > NOTE_CHARACTERS:
        del note[: len(note) // 2]
    elif chance.random() < 0.5:
        note.insert(len(note), chance.choice(("two more ", "no salt ", "window ")))
    else:
        doc.get("table", type=Map)[f"seat {chance.randrange(20)}"] = chance.randrange(100)

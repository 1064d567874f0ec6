"""What the devices of a shop write while it has no internet: drawn from a seed, and what is left.

Pure: the same seed is the same shop. Each update has a number; each device has keys of its own in a
document, so what a document holds in the end depends on no order between devices.
"""

import random
import string
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

STATIONS = ("grill", "bar")
DISHES = ("soup", "burger", "tea", "bread", "salad", "fish", "espresso")
STATUSES = ("open", "cooking", "ready", "served", "paid")
# Who writes: two tills, and a screen at each station.
TILLS, DEVICES = 2, 2 + len(STATIONS)
TABLES, MENU = 40, 200
# The shares of all updates; the rest is of orders.
TABLES_SHARE, MENU_SHARE = 0.12, 0.03
# So many orders are worked on at the same time.
ACTIVE = 40
FIELDS, NUMBERS = "fields", "numbers"


@dataclass(frozen=True, slots=True)
class Change:
    """Update ``number`` of all, by a device: it sets fields, and appends its number to a list."""

    number: int
    device: int
    document: str
    fields: Mapping[str, Any]


@dataclass
class Expected:
    """What a document holds: its fields, and which numbers of each device, in order."""

    fields: dict[str, Any] = field(default_factory=dict)
    numbers: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))


class Plan:
    """``changes`` in order; ``last[device, document]``: the last one a device writes there.

    ``text``: each sets a field of so many bytes more, that its device overwrites.
    """

    def __init__(self, seed: int, updates: int, orders: int, text: int = 0) -> None:
        chance = random.Random(seed)
        # An order takes so many updates before it is paid, and sees every status.
        self._each = max(len(STATUSES), round(updates * (1 - TABLES_SHARE - MENU_SHARE) / orders))
        self._orders = 0
        self._active: list[tuple[int, int]] = []
        self.changes = [self._change(chance, number) for number in range(updates)]
        if text:
            self.changes = [_with_text(chance, one, text) for one in self.changes]
        self.last = {(one.device, one.document): one.number for one in self.changes}

    def of(self, device: int) -> list[Change]:
        """What one device writes."""
        return [one for one in self.changes if one.device == device]

    def expected(self, until: int | None = None) -> dict[str, Expected]:
        """What all documents hold after the first ``until`` updates, or after all."""
        found: dict[str, Expected] = defaultdict(Expected)
        for one in self.changes[:until]:
            found[one.document].fields.update(one.fields)
            found[one.document].numbers[one.device].append(one.number)
        return dict(found)

    def wrong(self, contents: Mapping[str, Mapping[str, Any] | None]) -> Iterator[str]:
        """What differs in these documents, as ``get --whole`` shows them, after all updates."""
        for document, expected in self.expected().items():
            yield from differences(document, expected, contents.get(document), self)

    def _change(self, chance: random.Random, number: int) -> Change:
        kind = chance.random()
        if kind < TABLES_SHARE:
            return self._table(chance, number)
        if kind < TABLES_SHARE + MENU_SHARE:
            price = {"price": chance.randrange(100, 3_000), "by-0": number}
            return Change(number, 0, f"menu/{chance.randrange(MENU):03}", price)
        if len(self._active) < ACTIVE:
            self._orders += 1
            self._active.append((self._orders, 0))
        place = chance.randrange(len(self._active))
        order, done = self._active[place]
        self._active[place] = order, done + 1
        if done + 1 == self._each:
            del self._active[place]
        return self._order(chance, number, order, done)

    def _table(self, chance: random.Random, number: int) -> Change:
        till, table = chance.randrange(TILLS), chance.randrange(TABLES)
        guests = {f"guests-{till}": chance.randrange(9), f"by-{till}": number}
        return Change(number, till, f"tables/{table:02}", guests)

    def _order(self, chance: random.Random, number: int, order: int, done: int) -> Change:
        document, till = f"orders/{order:06}", order % TILLS
        station = order % len(STATIONS)
        if done == 0:
            rung = {"station": STATIONS[station], "table": chance.randrange(TABLES)}
            return Change(number, till, document, {**rung, f"by-{till}": number})
        if done % 2:
            line = {f"line-{done}": chance.choice(DISHES), f"by-{till}": number}
            return Change(number, till, document, line)
        status = STATUSES[done * len(STATUSES) // self._each]
        screen = TILLS + station
        return Change(number, screen, document, {"status": status, f"by-{screen}": number})


def _with_text(chance: random.Random, one: Change, size: int) -> Change:
    text = "".join(chance.choices(string.ascii_letters, k=size))
    return replace(one, fields={**one.fields, f"text-{one.device}": text})


def differences(
    document: str, expected: Expected, content: Mapping[str, Any] | None, plan: Plan
) -> Iterator[str]:
    """What a document does not hold as it is to: lost, doubled or exchanged updates."""
    held = content or {}
    if held.get(FIELDS) != expected.fields:
        yield f"{document}: {held.get(FIELDS)} is not {expected.fields}"
    by_device: dict[int, list[int]] = defaultdict(list)
    for number in held.get(NUMBERS, ()):
        by_device[plan.changes[int(number)].device].append(int(number))
    if by_device != expected.numbers:
        yield f"{document}: updates {dict(by_device)}, not {dict(expected.numbers)}"

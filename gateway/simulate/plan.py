"""What happens when, drawn from a seed: pure, so the same seed is the same day in the shop."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

STATIONS = ("grill", "bar", "oven")
DISHES = ("soup", "burger", "tea", "bread", "salad", "fish")
# Shares of the time, so that things happen in the middle and there is time to catch up.
FIRST, LAST = 0.1, 0.85
OUTAGE_SECONDS = (3.0, 8.0)
KILLED_SECONDS = (0.5, 3.0)
CUT_EVERY_SECONDS = 8.0
KILL_ONE_OF = 8


@dataclass(frozen=True, slots=True)
class Device:
    """A kiosk makes orders and follows its own; a tablet follows those of its station, or all."""

    name: str
    kiosk: bool
    subscription: str
    station: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that goes wrong ``at`` a second and lasts.

    ``kind``: ``outage`` (nobody reaches the gateways), ``gateway`` (kill -9 of one), ``peer``
    (kill -9), ``restart`` (a peer told to stop) or ``cut`` (one link lost, at once there again).
    """

    at: float
    kind: str
    lasts: float = 0.0
    who: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """``kiosk``: its place among the devices."""

    at: float
    kiosk: int
    document: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A day in the shop; seconds count from its beginning."""

    seconds: float
    devices: Sequence[Device]
    orders: Sequence[Order]
    happenings: Sequence[Happening]


def make_plan(
    *,
    kiosks: int,
    tablets: int,
    gateways: int,
    minutes: float,
    outages: int,
    rate: float,
    seed: int,
) -> Plan:
    """``rate``: orders a minute of all kiosks together."""
    chance = random.Random(seed)
    seconds = minutes * 60
    devices = [_kiosk(number) for number in range(1, kiosks + 1)]
    devices += [_tablet(number) for number in range(1, tablets + 1)]
    orders = [
        _order(chance, at, chance.randrange(kiosks), number)
        for number, at in enumerate(_times(chance, 0.0, seconds, round(rate * minutes)), 1)
    ]
    happenings = _outages(chance, seconds, outages, gateways)
    kills = max(1, len(devices) // KILL_ONE_OF)
    for number, at in enumerate(_times(chance, FIRST * seconds, LAST * seconds, kills)):
        kind = "peer" if number % 3 < 2 else "restart"
        who = chance.randrange(len(devices))
        happenings.append(Happening(at, kind, chance.uniform(*KILLED_SECONDS), who))
    cuts = round(seconds / CUT_EVERY_SECONDS)
    for at in _times(chance, FIRST * seconds, LAST * seconds, cuts):
        happenings.append(Happening(at, "cut", 0.0, chance.randrange(len(devices))))
    return Plan(seconds, devices, orders, sorted(happenings, key=lambda one: one.at))


def _outages(chance: random.Random, seconds: float, count: int, gateways: int) -> list[Happening]:
    """One in each equal part of the time, so that they do not run into each other."""
    part = (LAST - FIRST) * seconds / max(1, count)
    happenings = []
    for number in range(count):
        lasts = min(chance.uniform(*OUTAGE_SECONDS), part / 2)
        at = FIRST * seconds + number * part + chance.uniform(0, part / 2 - lasts / 2)
        kind = ("gateway", "outage")[number % 2]
        happenings.append(Happening(at, kind, lasts, chance.randrange(gateways)))
    return happenings


def _times(chance: random.Random, first: float, last: float, count: int) -> list[float]:
    return sorted(chance.uniform(first, last) for _ in range(count))


def _order(chance: random.Random, at: float, kiosk: int, number: int) -> Order:
    name = f"kiosk-{kiosk + 1}"
    content = {
        "kiosk": name,
        "number": number,
        "station": chance.choice(STATIONS),
        "status": "open",
        "items": chance.choices(DISHES, k=chance.randint(1, 4)),
    }
    return Order(at, kiosk, f"orders/{name}-{number}", content)


def _kiosk(number: int) -> Device:
    name = f"kiosk-{number}"
    return Device(name, kiosk=True, subscription=f'orders {{"kiosk": "{name}"}}')


def _tablet(number: int) -> Device:
    name = f"tablet-{number}"
    # The last of every four is for who wants to see all orders.
    if number % 4 == 0:
        return Device(name, kiosk=False, subscription="orders")
    station = STATIONS[number % 4 - 1]
    return Device(name, False, f'orders {{"station": "{station}"}}', station)

"""The orders of a busy day: what kiosks and a kitchen wrote, made anew alike each time."""

import random
from collections.abc import Iterator
from typing import Any

from pycrdt import Array, Doc, Map

ORDERS = 5_000
KIOSKS = 5
# When the shop opened, and the mean time between two orders, in ms.
OPENED, PACE = 1_795_593_600_000, 9_000
STATES = ("preparing", "ready", "done")
# Two words make a dish of the menu; the price of each is fixed.
KINDS = ("Grilled", "Baked", "Fresh", "Spicy", "Iced", "House", "Double", "Vegan")
THINGS = ("Chicken", "Sandwich", "Soup", "Latte", "Noodles", "Wrap", "Cake", "Tea")
CHOICES = ("no onion", "extra shot", "oat milk", "gluten free", "to go", "well done")
NOTES = ("", "", "", "", "", "allergic to nuts", "birthday", "please hurry")


def order(chance: random.Random, number: int) -> Map[Any]:
    """A new order of one to four dishes."""
    lines = [_line(chance) for _ in range(chance.randint(1, 4))]
    return Map(
        {
            "schema": 2.0,
            "number": float(number),
            "kiosk": "ABCDE"[number % KIOSKS],
            "status": "open",
            "lines": Array([Map(line) for line in lines]),
            "note": chance.choice(NOTES),
            "service": chance.choice(("here", "away")),
            "total": round(sum(line["qty"] * line["price"] for line in lines), 2),
            "placed": float(OPENED + PACE * number + chance.randrange(PACE)),
        }
    )


def one_document(orders: int = ORDERS) -> bytes:
    """The update of a document that holds them all, worked on by kiosks and a kitchen."""
    chance = random.Random(5)
    kiosks = [_device(chance, "orders") for _ in range(KIOSKS)]
    kitchen: Doc[Any] = Doc(client_id=chance.getrandbits(32))
    for number in range(orders):
        kiosk = kiosks[number % KIOSKS]
        key = f"{chance.getrandbits(96):024x}"
        before = kiosk.get_state()
        kiosk.get("orders", type=Map)[key] = order(chance, number)
        kitchen.apply_update(kiosk.get_update(before))
        for state in STATES:
            kitchen.get("orders", type=Map)[key]["status"] = state
    return kitchen.get_update()


def documents(orders: int = ORDERS) -> Iterator[tuple[str, bytes]]:
    """The same as a document for each order: its name and update."""
    chance = random.Random(5)
    clients = [chance.getrandbits(32) for _ in range(KIOSKS)]
    kitchen = chance.getrandbits(32)
    for number in range(orders):
        kiosk: Doc[Any] = Doc(client_id=clients[number % KIOSKS])
        kiosk.get("order", type=Map)["order"] = order(chance, number)
        made: Doc[Any] = Doc(client_id=kitchen)
        made.apply_update(kiosk.get_update())
        for state in STATES:
            made.get("order", type=Map)["order"]["status"] = state
        yield f"orders/{chance.getrandbits(96):024x}", made.get_update()


def _device(chance: random.Random, root: str) -> Doc[Any]:
    device: Doc[Any] = Doc(client_id=chance.getrandbits(32))
    device.get(root, type=Map)
    return device


def _line(chance: random.Random) -> dict[str, Any]:
    kind, thing = chance.randrange(len(KINDS)), chance.randrange(len(THINGS))
    return {
        "item": f"{KINDS[kind]} {THINGS[thing]}",
        "qty": float(chance.choice((1, 1, 1, 2, 3))),
        "price": 2.5 + 0.4 * kind + 0.9 * thing,
        "mods": Array(chance.sample(CHOICES, chance.choice((0, 0, 0, 1, 2)))),
    }

"""Three days without internet: afterwards the hub holds all that the store does, for few bytes.

The real gateway in a time that the test lets go on, a real broker, a real hub; devices write over
sealed links all the while.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.control.messages import ControlError
from gateway.core.document import Document
from gateway.core.records import StoredDocument
from tests.support.broker import OPEN
from tests.support.cloud_site import settings
from tests.support.gateway import GatewayProcess, eventually
from tests.support.hub_shop import HubShop, at_gateway, hub_shop, loaded, out_of_order
from tests.support.mqtt_wire import PUBACK
from tests.support.outage import HOUR_SECONDS, Load, outage
from tests.support.shape import Shape
from tests.support.store import ask, command, run

pytestmark = [pytest.mark.integration, pytest.mark.cloud]

UPDATES, HOURS, KILLS = 100_000, 72.0, 5
# What reaches the broker, of the bytes of the updates; TCP: with all that is around it, both ways.
MOST_SHARE = 0.5
# A bad line of a shop: 1 Mbit/s.
LINE = Shape(125_000.0)
# The broker loses all it knows after so many messages, of which the hub did not get the last ones.
BEFORE_WIPE, LOST = 30, 3
# A kill costs the age of the oldest up to an hour, until the next commit.
UNKNOWN_HOURS = 1.3
# With 100,000 updates waiting; 50 MB of it are there without any.
MOST_MEMORY_KB = 120_000
PATIENCE_SECONDS = 120.0

FEW, SHORT_HOURS, SHORTER_HOURS = 10_000, 12.0, 6.0
# Less than what is left of the updates when values that were overwritten are gone.
SMALL_OUTBOX = 1 << 20
# What others write is in a root of its own, beside what the devices do.
OFFICE = "office"


class Wipe:
    """Ends the broker while the outbox drains, with messages that it acknowledged and the hub did
    not get: neither the outbox nor the broker know of them any more."""

    def __init__(self, shop: HubShop) -> None:
        self._shop = shop
        self._first = shop.counted.messages + BEFORE_WIPE
        self._is_stalled = False
        self.done = threading.Event()
        shop.counted.on_packet = self._packet

    def _packet(self, up: bool, kind: int) -> None:
        more = self._shop.counted.messages - self._first
        if more >= 0 and not self._is_stalled:
            self._shop.far.stall()
            self._is_stalled = True
        elif more >= LOST and not up and kind == PUBACK and not self.done.is_set():
            self._shop.broker.kill(forget=True)
            self.done.set()

    def over(self) -> None:
        """The broker is there again, and knows nothing."""
        self._shop.far.cut()
        self._shop.far.carry()
        self._shop.far.mend()
        self._shop.broker.start()


class Seen:
    """What the status said of what waits, as long as something did."""

    def __init__(self) -> None:
        self.outboxes: list[Any] = []

    def until(self, check: Callable[[Any], object]) -> Callable[[Any], object]:
        """``check``, and what it is asked about is seen."""

        def looked(said: Any) -> object:
            if said["outbox"]["bytes"]:
                self.outboxes.append(said["outbox"])
            return check(said)

        return looked

    def each(self, key: str) -> list[Any]:
        """One figure after the other."""
        return [outbox[key] for outbox in self.outboxes]


def is_right(documents: Mapping[str, Document], load: Load) -> bool:
    """Whether these are what the devices wrote, all of it, in the order of each."""
    return load.wrong(lambda name: shown(documents, name)) == []


def shown(documents: Mapping[str, Document], name: str) -> Any:
    return documents[name].project() if name in documents else None


def prints(documents: Mapping[str, Document]) -> dict[str, bytes]:
    return {name: document.fingerprint() for name, document in documents.items()}


def peak_kb(pid: int) -> int:
    """The most memory that a process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def at_hub(shop: HubShop, load: Load) -> tuple[dict[str, StoredDocument], dict[str, Document]]:
    """What the hub has, once that is all that the devices wrote: stored and loaded."""

    def reached() -> object:
        stored = shop.at_hub()
        documents = loaded(stored)
        return (stored, documents) if is_right(documents, load) else None

    found: tuple[dict[str, StoredDocument], dict[str, Document]]
    found = eventually(reached, PATIENCE_SECONDS, 1.0)
    return found


def test_three_days_without_internet(tmp_path: Path) -> None:
    with (
        hub_shop(tmp_path, LINE) as shop,
        Load(shop.gateway.folder, shop.gateway.port, shop.gateway.clock, updates=UPDATES) as load,
    ):
        load.linked()
        shop.line.cut()
        waited = Seen()
        look = waited.until(lambda _: True)
        outage(load, shop.gateway, hours=HOURS, kills=KILLS, during=lambda _: look(shop.cloud))
        assert load.acked == set(range(UPDATES))
        assert not shop.at_hub()
        documents = len(load.plan.expected())
        all_wait = waited.until(lambda said: said["outbox"]["documents"] == documents)
        shop.becomes(all_wait, PATIENCE_SECONDS)
        # The operator saw it grow, and how old it is past all that was killed.
        assert waited.each("bytes") == sorted(waited.each("bytes"))
        assert not waited.outboxes[-1]["left"]
        least = (HOURS - (KILLS + 1) * UNKNOWN_HOURS) * HOUR_SECONDS
        assert least < waited.outboxes[-1]["oldest_s"] < (HOURS + 1) * HOUR_SECONDS
        counted, line = shop.counted, shop.line
        before = counted.payload_bytes, line.carried_bytes
        began = time.monotonic()
        wipe, draining = Wipe(shop), Seen()
        line.mend()
        shop.becomes(draining.until(lambda _: wipe.done.is_set()), PATIENCE_SECONDS)
        wipe.over()
        shop.becomes(draining.until(lambda said: not said["waiting"]), PATIENCE_SECONDS)
        took = time.monotonic() - began
        said = shop.compared(PATIENCE_SECONDS)
        stored, there = at_hub(shop, load)
        payload, carried = counted.payload_bytes - before[0], line.carried_bytes - before[1]
        figures = {
            "updates": load.update_bytes, "payload": payload, "tcp": carried, "drain_s": took,
            "messages": counted.messages, "memory_kb": peak_kb(shop.gateway.pid),
            "differed": said["compare"]["differed"],
        }  # fmt: skip
        print(figures)
        assert payload < carried <= MOST_SHARE * load.update_bytes
        assert figures["memory_kb"] < MOST_MEMORY_KB
        # It became less, and was said to end.
        for key in ("bytes", "documents"):
            assert draining.each(key) == sorted(draining.each(key), reverse=True)
            assert len(set(draining.each(key))) > 5
        assert all(one is not None for one in draining.each("oldest_s"))
        estimates = [seconds for seconds in draining.each("drain_s") if seconds]
        assert len(estimates) > 5 and max(estimates) < PATIENCE_SECONDS
        # What was lost with the broker was found.
        assert said["compare"]["differed"] > 0 == said["compare"]["unanswered"]
        assert out_of_order(stored) == []
        for name in list(there)[::500]:
            assert shop.api(name) == shown(there, name)
    shop.gateway.stop()
    here = loaded(at_gateway(shop.gateway.folder))
    assert prints(here) == prints(there)
    assert is_right(here, load)


def test_more_waits_than_may(tmp_path: Path) -> None:
    with (
        hub_shop(tmp_path, outbox_bytes=SMALL_OUTBOX) as shop,
        Load(
            shop.gateway.folder, shop.gateway.port, shop.gateway.clock,
            updates=FEW, orders=FEW // 6, text=200,
        ) as load,
    ):  # fmt: skip
        load.linked()
        shop.line.cut()
        seen: list[Any] = []
        outage(
            load, shop.gateway, hours=SHORT_HOURS, kills=2,
            during=lambda _: seen.append(shop.cloud["outbox"]),
        )  # fmt: skip
        assert load.update_bytes > 2 * SMALL_OUTBOX
        # Merged, which helps for some time; then left, also by the next process, and said.
        sizes = [one["bytes"] for one in seen if not one["left"]]
        assert max(sizes) < 1.1 * SMALL_OUTBOX and sizes != sorted(sizes)
        left = [one["left"] for one in seen]
        assert left == sorted(left) and left[-1] and not left[0]
        assert "compared with the hub" in run(shop.gateway.folder, "status").stdout
        log = shop.gateway.log()
        assert log.index("it is merged") < log.index("compared instead")
        shop.line.mend()
        shop.compared(PATIENCE_SECONDS)
        at_hub(shop, load)
        # From now on changes wait again.
        assert not shop.cloud["outbox"]["left"]
        ask(shop.gateway.folder, "put", document="orders/new", content={"n": 1})
        eventually(lambda: "orders/new" in shop.at_hub())
    shop.gateway.stop()
    assert prints(loaded(at_gateway(shop.gateway.folder))) == prints(loaded(shop.at_hub()))


def test_others_write_meanwhile(tmp_path: Path) -> None:
    collections = ["orders", "menu", "tables"]
    with (
        hub_shop(tmp_path, down=collections) as shop,
        other_gateway(shop, collections) as other,
        Load(
            shop.gateway.folder, shop.gateway.port, shop.gateway.clock,
            updates=FEW, orders=FEW // 20,
        ) as load,
    ):  # fmt: skip
        load.linked()
        # Both sides begin with something.
        load.release(FEW // 10)
        load.settle()
        names = sorted(load.plan.expected(FEW // 10))
        eventually(lambda: all(name in shop.at_hub() for name in names))
        shop.compared()
        shop.line.cut()
        turns = iter(range(FEW))

        def meanwhile(_: float) -> None:
            number = next(turns)
            name = names[number * 7 % len(names)]
            shop.api(name, {f"hub-{number}": number}, OFFICE)
            patch = {"document": name, "content": {f"other-{number}": number}, "root": OFFICE}
            ask(other.folder, "patch", **patch)
            ask(other.folder, "put", document=f"menu/other-{number}", content={"n": number})

        outage(load, shop.gateway, hours=SHORTER_HOURS, kills=2, during=meanwhile)
        shop.line.mend()
        shop.compared(PATIENCE_SECONDS)
        at_hub(shop, load)

        def are_equal() -> bool:
            stored = loaded(shop.at_hub())
            return all(
                read(gateway, name) == shown(stored, name)
                for gateway in (shop.gateway, other)
                for name in stored
            )

        eventually(are_equal, PATIENCE_SECONDS, 1.0)
        there = loaded(shop.at_hub())
        turned = next(turns)
        written = [key for name in names for key in shown(there, name).get(OFFICE, ())]
        assert len(written) == 2 * turned
        assert f"menu/other-{turned - 1}" in there
    shop.gateway.stop()
    for gateway in (shop.gateway, other):
        here = loaded(at_gateway(gateway.folder))
        assert prints(here) == prints(there)
        assert is_right(here, load)


def read(gateway: GatewayProcess, name: str) -> Any:
    """A document as a gateway shows it; None if it has none."""
    try:
        return ask(gateway.folder, "get", document=name)["content"]
    except ControlError:
        return None


@contextmanager
def other_gateway(shop: HubShop, collections: list[str]) -> Iterator[GatewayProcess]:
    """Another gateway of the store, which is in the internet and not linked to the first."""
    file = shop.folder / "other.toml"
    port, key = shop.broker.ports[OPEN], shop.hub.facts["key"]
    file.write_text(settings(shop.broker, port, tls=False, json=[], hub=key, down=collections))
    with GatewayProcess(shop.folder / "other", "--config", str(file)) as other:
        assert command(other.folder, "claim", "--recovery-code", text=shop.recovery_code)["ok"]
        yield other

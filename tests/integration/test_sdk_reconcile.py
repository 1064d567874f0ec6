"""The JavaScript SDK comes back: what its subscription selects is compared, not opened again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.node import NodeClient
from tests.support.proxy import Proxy

pytestmark = pytest.mark.integration

ORDERS = 300
OPEN = {"status": "open"}


def name(number: int) -> str:
    return f"orders/2026-11-24-{number:04}"


class Shop(NamedTuple):
    """A till that is always connected, and a screen that subscribed and can be cut off."""

    gateway: GatewayProcess
    proxy: Proxy
    till: NodeClient
    screen: NodeClient

    def away(self) -> None:
        """The screen loses its link."""
        self.proxy.cut()
        eventually(lambda: self.screen.call("link") != "online")

    def back(self) -> None:
        """The way to the gateway is free again."""
        self.proxy.mend()
        eventually(lambda: self.screen.call("link") == "online")

    def subscribe(self, selector: dict[str, Any] = OPEN) -> None:
        self.screen.call("subscribe", collection="orders", selector=selector)

    def shows(self, contents: dict[str, dict[str, Any]]) -> None:
        """Wait until the screen shows exactly this, all of it saved."""
        eventually(lambda: self.screen.call("contents") == contents)
        eventually(lambda: self.screen.call("liveStates") in ([], ["saved"]))

    def reads(self, document: str, content: dict[str, Any]) -> None:
        """Wait until the screen has this in a document it asked for by name."""
        eventually(lambda: self.screen.call("read", name=document) == content)

    def traffic(self) -> dict[str, Any]:
        """What went over the screen's link."""
        return dict(self.screen.call("traffic"))


@contextmanager
def shop(folder: Path, contents: dict[str, dict[str, Any]]) -> Iterator[Shop]:
    """One with these orders, all of which the screen shows and has acknowledged."""
    with (
        GatewayProcess(folder / "data") as gateway,
        Proxy(gateway.port) as proxy,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{gateway.port}/mesh") as till,
        NodeClient("sdk.mjs", f"ws://127.0.0.1:{proxy.port}/mesh") as screen,
    ):
        till.call("putAll", documents=contents)
        till.call("saved")
        running = Shop(gateway, proxy, till, screen)
        running.subscribe()
        running.shows(contents)
        yield running


def orders() -> dict[str, dict[str, Any]]:
    return {name(number): {"status": "open", "table": number} for number in range(ORDERS)}


def test_a_reconnect_opens_only_what_differs(tmp_path: Path) -> None:
    contents = orders()
    with shop(tmp_path, contents) as running:
        running.away()
        running.till.call("put", name=name(7), fields={"note": "no onions"})
        running.till.call("put", name=name(299), fields={"note": "twice"})
        running.till.call("put", name=name(150), fields={"status": "served"})
        running.till.call("saved")
        running.screen.call("change", name=name(42), fields={"note": "cold"})
        assert running.screen.call("liveStates") != ["saved"]
        running.screen.call("changes")
        running.back()
        contents[name(7)]["note"] = "no onions"
        contents[name(299)]["note"] = "twice"
        contents[name(42)]["note"] = "cold"
        del contents[name(150)]
        running.shows(contents)
        eventually(lambda: [name(150)] in [c["removed"] for c in running.screen.call("changes")])
        traffic = running.traffic()
        assert traffic["opened"] == [name(number) for number in (7, 42, 150, 299)]
        assert traffic["turns"] <= 6
        assert traffic["sent"] + traffic["received"] < 5_000

        # What was equal comes when it changes, and goes when it changes here.
        running.till.call("put", name=name(8), fields={"note": "later"})
        running.screen.call("change", name=name(9), fields={"note": "here"})
        contents[name(8)]["note"] = "later"
        contents[name(9)]["note"] = "here"
        running.shows(contents)
        running.till.call("subscribe", collection="orders", selector=OPEN)
        eventually(lambda: running.till.call("contents") == contents)
        assert len(running.traffic()["opened"]) == 6

        # It goes on on this link for what was opened, left, and is back.
        for note in ("once", "twice"):
            running.till.call("put", name=name(150), fields={"status": "open", "note": note})
            back = {name(150): {"status": "open", "table": 150, "note": note}}
            running.shows(contents | back)
            running.screen.call("change", name=name(150), fields={"status": "served"})
            running.shows(contents)
            running.screen.call("saved")
        assert running.gateway.log() == ""


def test_a_new_start_compares_the_copies_and_brings_those_that_were_evicted(
    tmp_path: Path,
) -> None:
    contents = orders()
    with shop(tmp_path, contents) as running:
        running.till.call("put", name=name(3), fields={"note": "while it watched"})
        contents[name(3)]["note"] = "while it watched"
        running.shows(contents)
        eventually(lambda: running.screen.call("marked"))
        running.gateway.kill()
        running.gateway.start()
        evicted = [name(number) for number in (0, 33, 150)]
        running.screen.call("evict", copies=evicted)
        running.subscribe()
        running.shows(contents)
        assert running.traffic()["opened"] == evicted

        running.screen.call("restart")
        running.subscribe()
        running.shows(contents)
        eventually(lambda: running.traffic()["turns"] == 2)
        assert running.traffic()["opened"] == []
        assert running.traffic()["sent"] + running.traffic()["received"] < 400


def test_a_gateway_killed_before_it_acked_is_given_everything_again(tmp_path: Path) -> None:
    contents = orders()
    with shop(tmp_path, contents) as running:
        for round_ in range(3):
            running.gateway.kill()
            for number in range(5):
                fields = {"note": f"{round_} {number}"}
                running.screen.call("change", name=name(10 * round_ + number), fields=fields)
                contents[name(10 * round_ + number)] |= fields
            running.gateway.start()
            # Perhaps before the last change was taken.
            running.screen.call("change", name=name(200), fields={"round": round_})
            contents[name(200)]["round"] = round_
        running.shows(contents)
        running.screen.call("saved")
        with NodeClient("sdk.mjs", f"ws://127.0.0.1:{running.gateway.port}/mesh") as late:
            late.call("subscribe", collection="orders", selector=OPEN)
            eventually(lambda: late.call("contents") == contents)


def test_a_subscription_changed_in_place_is_compared_anew(tmp_path: Path) -> None:
    contents = orders()
    with shop(tmp_path, contents) as running:
        running.away()
        running.back()
        served = {name(5): contents[name(5)] | {"status": "served"}}
        running.till.call("put", name=name(5), fields={"status": "served"})
        running.shows({key: value for key, value in contents.items() if key != name(5)})
        running.screen.call("select", selector={"status": "served"})
        running.shows(served)
        running.till.call("put", name=name(6), fields={"status": "served"})
        served[name(6)] = contents[name(6)] | {"status": "served"}
        running.shows(served)
        running.till.call("put", name=name(7), fields={"note": "not to be seen"})
        running.till.call("saved")
        running.screen.call("select", selector={"table": {"$lte": 8}})
        tables = {name(number): contents[name(number)] for number in range(9)}
        tables[name(7)]["note"] = "not to be seen"
        running.shows(tables | served)
        assert running.traffic()["opened"] == [name(number) for number in (5, 6, 7)]


def test_what_was_asked_for_by_name_stays_open_when_it_leaves(tmp_path: Path) -> None:
    with shop(tmp_path, {name(1): OPEN}) as running:
        running.screen.call("open", names=[name(1)])
        running.till.call("put", name=name(1), fields={"status": "served"})
        running.shows({})
        for note in ("one", "two"):
            running.till.call("put", name=name(1), fields={"note": note})
            running.reads(name(1), {"status": "served", "note": note})

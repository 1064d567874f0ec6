"""A gateway at a real broker: what a back office sees and may do, and what is without a broker."""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.control.messages import ControlError
from gateway.runtime.bridge_projector import MARK_SECONDS
from tests.support.broker import PASSWORD
from tests.support.cloud_site import Site, settings, site
from tests.support.gateway import eventually
from tests.support.office import Office
from tests.support.proxy import Proxy
from tests.support.store import ask, put, run
from tests.support.timed_gateway import TimedGateway

pytestmark = pytest.mark.integration

ORDER = {"station": "grill", "status": "open"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("shop"), home_assistant=True) as shop:
        shop.becomes("cloud-ok")
        yield shop


def test_health_is_said_and_the_will_of_who_is_killed(tmp_path: Path) -> None:
    with site(tmp_path) as shop, Office(shop.broker, f"{shop.root}/#") as office:
        shop.becomes("cloud-ok")
        said = eventually(lambda: office.retained.get(shop.health))
        assert said["online"] and said["name"] == "gateway" and said["state"] == "ok"
        assert set(said) == {
            "online", "name", "version", "peers", "documents", "backlog", "last_sync", "state",
            "sentence",
        }  # fmt: skip
        shop.gateway.kill()
        eventually(lambda: office.retained[shop.health] == {"online": False})
        shop.gateway.start()
        eventually(lambda: office.retained[shop.health]["online"])
        shop.gateway.stop()
        eventually(lambda: office.retained[shop.health] == {"online": False})


def test_documents_are_shown_as_json_merged_and_cleared(shop: Site) -> None:
    with Office(shop.broker, f"{shop.root}/json/#") as office:
        seen: Callable[[str], Any] = lambda name: office.retained.get(shop.topic(f"json/{name}"))  # noqa: E731
        shop.put("orders/1", ORDER)
        shop.put("menu/a + b#c/d", {"name": "Tea"})
        shop.put("private/1", {"name": "nobody's business"})
        eventually(lambda: seen("orders/1") == {"fields": ORDER})
        eventually(lambda: seen("menu/a%20%2B%20b%23c%2Fd") == {"fields": {"name": "Tea"}})
        before = len(office.heard)
        for count in range(50):
            ask(shop.gateway.folder, "patch", document="orders/1", content={"count": count})
        eventually(lambda: (seen("orders/1") or {}).get("fields", {}).get("count") == 49)
        # A second each: only the last state counts.
        assert len(office.heard) - before < 25
        ask(shop.gateway.folder, "put", document="orders/1", content={})
        eventually(lambda: seen("orders/1") is None)
        assert not any("private" in topic for topic, _ in office.heard)
        assert eventually(lambda: shop.cloud["waiting"] == 0)


def test_a_document_that_is_too_long_says_so(shop: Site) -> None:
    with Office(shop.broker, f"{shop.root}/json/#") as office:
        for part in range(4):
            content = {f"text{part}": "x" * 80_000}
            ask(shop.gateway.folder, "patch", document="orders/long", content=content)
        topic = shop.topic("json/orders/long")
        eventually(lambda: office.retained.get(topic) == {"$truncated": True})


def test_commands_change_documents_and_are_answered(shop: Site) -> None:
    response = shop.topic(f"command/{shop.peer}/response")
    with Office(shop.broker, response, shop.topic("answer/#")) as office:
        put = {"verb": "put", "document": "orders/7", "content": ORDER}
        office.publish(shop.request, {"transaction": "a", **put})
        assert office.answer("a") == {"transaction": "a", "ok": True, "document": "orders/7"}
        patch = {"verb": "patch", "document": "orders/7", "content": {"status": None, "n": 1}}
        office.publish(shop.request, {"transaction": "b", **patch})
        assert office.answer("b")["ok"]
        get = {"transaction": "c", "verb": "get", "document": "orders/7"}
        office.publish(shop.request, get)
        assert office.answer("c")["fields"] == {"station": "grill", "n": 1}
        # The same transaction once more does nothing, and is answered as before.
        office.publish(shop.request, {"transaction": "a", **put})
        assert office.answer("a")["ok"]
        office.publish(shop.request, get)
        assert office.answer("c")["fields"] == {"station": "grill", "n": 1}
        office.publish(shop.request, {"transaction": "a", **patch})
        assert office.answer("a")["code"] == "transaction-used"
        # A topic of the asker's own, and its correlation data.
        office.publish(
            shop.request, get, answer_topic=shop.topic("answer/office"), correlation=b"\x00\x01"
        )
        eventually(lambda: office.answers)
        topic, answer, correlation = office.answers.pop()
        assert (topic, correlation) == (shop.topic("answer/office"), b"\x00\x01")
        assert answer["ok"]


def test_commands_that_are_refused(shop: Site) -> None:
    response = shop.topic(f"command/{shop.peer}/response")
    with Office(shop.broker, response) as office:

        def refused(transaction: str, **said: object) -> str:
            office.publish(shop.request, {"transaction": transaction, **said})
            answer = office.answer(transaction)
            assert not answer["ok"] and answer["error"]
            return str(answer["code"])

        before = shop.cloud["counters"]["refused"]
        put = {"verb": "put", "content": {}}
        assert refused("1", **put, document="menu/1") == "forbidden"
        assert refused("2", **put, document="orders") == "bad-name"
        assert refused("3", **put, document="orders/../x") == "bad-name"
        assert refused("4", verb="drop", document="orders/1") == "bad-command"
        assert refused("5", verb="put", document="orders/1") == "usage"
        assert refused("6", verb="get", document="orders/none") == "no-document"
        assert refused("7", **put, document=["orders/1"]) == "bad-command"
        assert refused("8", **put, document="orders/1", more=1) == "usage"
        for garbage in (b"", b"{", b"[]", b"\xff", b"[" * 5_000, b'{"transaction": 5}', b"NaN"):
            office.publish(shop.request, garbage)
            eventually(lambda: any("transaction" not in one for _, one, _ in office.answers))
            assert office.answers.pop()[1]["code"] == "bad-command"
        # Not answered: nobody waits for a retained command, nor at a topic of somebody else's.
        deep = {"transaction": "9", **put, "document": "orders/9"}
        office.publish(shop.request, deep, retain=True)
        office.publish(shop.request, b"", retain=True)
        elsewhere = {"transaction": "10", "verb": "get", "document": "orders/7"}
        for topic in ("store-gateway/OTHER/answer", shop.topic("json/orders/7"), "x"):
            office.publish(shop.request, elsewhere, answer_topic=topic)
        office.publish(shop.request, {"transaction": "last", **put, "document": "orders/1"})
        assert office.answer("last")["ok"]
        assert shop.cloud["counters"]["refused"] >= before + 18
        assert not {"9", "10"} & {one.get("transaction") for _, one, _ in office.answers}
    with pytest.raises(ControlError):
        ask(shop.gateway.folder, "get", document="orders/9")
    assert shop.cloud["state"] == "cloud-ok"
    assert "forbidden" in shop.gateway.log() and "NaN" not in shop.gateway.log()


def test_home_assistant_finds_the_gateway(shop: Site) -> None:
    config = f"homeassistant/device/store_gateway_{shop.peer}/config"
    more = "user office\ntopic readwrite homeassistant/#\n"
    shop.broker.allow(shop.peer, more)
    with Office(shop.broker, "homeassistant/device/#") as office:
        found = eventually(lambda: office.retained.get(config))
        assert found["components"]["peers"]["state_topic"] == shop.health
        assert found["device"]["identifiers"] == [f"store_gateway_{shop.peer}"]
        count = len(office.heard)
        office.publish("homeassistant/status", b"online")
        eventually(lambda: len(office.heard) > count)


def test_a_broker_that_was_restarted_and_one_that_forgot(tmp_path: Path) -> None:
    with site(tmp_path, kind=TimedGateway) as shop:
        assert isinstance(shop.gateway, TimedGateway)
        orders = [f"orders/{number}" for number in range(30)]
        put({(shop.gateway.folder, name): ORDER for name in orders})
        shop.becomes("cloud-ok")
        eventually(lambda: shop.cloud["waiting"] == 0)
        published = shop.cloud["counters"]["published"]
        assert published == 30
        with Office(shop.broker, mark := shop.topic(f"projected/{shop.peer}")) as office:
            shop.gateway.clock.advance(MARK_SECONDS)
            eventually(lambda: office.retained.get(mark, {}).get("number") == 30)
        shop.broker.stop()
        assert shop.becomes("broker-unreachable")["broken"]
        shop.put("orders/0", {"station": "bar"})
        shop.broker.start()
        comes_again(shop)
        # Nothing that was there was sent again.
        assert shop.cloud["counters"]["published"] == published + 1
        shop.broker.kill(forget=True)
        shop.becomes("broker-unreachable")
        shop.broker.start()
        comes_again(shop)
        with Office(shop.broker, f"{shop.root}/json/#") as office:
            eventually(lambda: len(office.retained) == 30)
            assert office.retained[shop.topic("json/orders/0")] == {"fields": {"station": "bar"}}


def comes_again(shop: Site) -> None:
    """Until the broker is reached and has all; the pause before the next try is not waited for."""

    def has_all() -> bool:
        said = shop.cloud
        if said["retry_s"] and isinstance(shop.gateway, TimedGateway):
            shop.gateway.clock.advance(said["retry_s"])
        return bool(said["state"] == "cloud-ok" and said["waiting"] == 0)

    eventually(has_all, 60.0)


def test_what_a_gateway_was_started_with_is_shown(tmp_path: Path) -> None:
    with site(tmp_path) as shop:
        shop.becomes("cloud-ok")
        shop.gateway.stop()
        shop.config.write_text("")
        with shop.gateway:
            menu = [f"menu/{number}" for number in range(40)]
            put({(shop.gateway.folder, name): {"name": name} for name in menu})
        shop.config.write_text(settings(shop.broker))
        with shop.gateway, Office(shop.broker, f"{shop.root}/json/#") as office:
            eventually(lambda: len(office.retained) == 40)


def test_why_there_is_no_cloud_is_said_everywhere(tmp_path: Path) -> None:
    with site(tmp_path) as shop:
        shop.becomes("cloud-ok")
        shop.broker.password_file("gateway", "not this one")
        shop.broker.kill()
        shop.becomes("broker-unreachable")
        shop.broker.start()
        said = shop.becomes("broker-not-authorised")
        assert said["broken"] and "mqtt.password_file" in said["do"]
        assert "not this one" not in json.dumps(said) + shop.gateway.log()
        status = ask(shop.gateway.folder, "status")
        assert status["state"] == "ok" and "but the cloud" in status["sentence"]
        ended = run(shop.gateway.folder, "doctor")
        assert ended.returncode == 1 and "broker-not-authorised" in ended.stdout
        ended = run(shop.gateway.folder, "status")
        assert "password is wrong" in ended.stdout
        shop.broker.password_file("gateway")
        shop.becomes("cloud-ok", 60.0)


def test_a_topic_that_is_denied_is_said_and_tried_again(tmp_path: Path) -> None:
    with site(tmp_path) as shop:
        shop.becomes("cloud-ok")
        shop.broker.allow("ELSE", f"user {shop.store}\ntopic deny {shop.root}/json/orders/#\n")
        shop.put("orders/1", ORDER)
        shop.put("menu/1", ORDER)
        said = shop.becomes("broker-topic-denied")
        assert f"{shop.root}/json/orders/1: " in said["sentence"], "which topic it is"
        # The other collection goes on.
        eventually(lambda: shop.cloud["counters"]["published"] == 1)
        assert shop.cloud["waiting"] == 1
        shop.broker.allow(shop.peer)
        eventually(lambda: shop.cloud["waiting"] == 0)
        shop.becomes("cloud-ok")


def latencies(folder: Path, rounds: int = 20, reads: int = 25) -> list[float]:
    """How long reading takes while documents change; a write waits for others on purpose."""
    found = []
    for number in range(rounds):
        document = f"orders/{number}"
        ask(folder, "put", document=document, content={"n": time.monotonic()})
        for _ in range(reads):
            began = time.perf_counter()
            ask(folder, "get", document=document)
            found.append(time.perf_counter() - began)
    return found


@pytest.mark.timing
@pytest.mark.cloud
def test_the_store_does_not_wait_for_a_broker_that_is_dead_or_stalled(tmp_path: Path) -> None:
    with site(tmp_path) as shop, Proxy(shop.broker.ports[PASSWORD]) as proxy:
        shop.becomes("cloud-ok")
        shop.gateway.stop()
        shop.config.write_text(settings(shop.broker, proxy.port))
        with shop.gateway:
            shop.becomes("cloud-ok")
            latencies(shop.gateway.folder)
            measured = {"well": latencies(shop.gateway.folder)}
            proxy.stall()
            measured["stalled"] = latencies(shop.gateway.folder)
            # It is noticed, and said.
            shop.becomes("broker-silent", 60.0)
            proxy.cut()
            shop.becomes("broker-no-mqtt", 60.0)
            measured["cut"] = latencies(shop.gateway.folder)
            proxy.carry()
            proxy.mend()
            shop.becomes("cloud-ok", 120.0)
            eventually(lambda: shop.cloud["waiting"] == 0)
    figures = {name: statistics.quantiles(found, n=100) for name, found in measured.items()}
    shown = {
        name: f"p50 {f[49] * 1e3:.1f} ms, p99 {f[98] * 1e3:.1f} ms" for name, f in figures.items()
    }
    print("p50, p99:", shown)
    for name in ("stalled", "cut"):
        assert figures[name][49] < 1.2 * figures["well"][49] + 0.001, shown
        assert figures[name][98] < 1.2 * figures["well"][98] + 0.02, shown

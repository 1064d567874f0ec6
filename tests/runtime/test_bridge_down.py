"""Whatever comes from the broker: what is wrong is refused, and reaches nobody."""

import asyncio
from collections.abc import Callable

import pytest

from gateway.core.bridge_envelope import seal_down, seal_up
from gateway.core.bridge_items import Answer, Ask, Change, Pong, Turn, Wants, written
from gateway.core.cose import sign_bytes
from gateway.core.events import DocumentOpened
from gateway.core.records import CLOUD
from gateway.core.records import Change as Changed
from gateway.runtime.bridge_down import MOST_UNDECIDED
from tests.core.edits import Author
from tests.core.stores import OTHER_ROOT, gateway
from tests.runtime.hub_site import SIGNING, HubLink, Site, hub_site, until
from tests.runtime.test_perform import asynchronous

TEA = Author(9).set("name", "Tea", "fields")


def batch(*items: object) -> bytes:
    ((one, _),) = written(items)  # type: ignore[arg-type]
    return one


GOOD = batch(Change("menu/1", TEA))
OTHER = gateway(2, OTHER_ROOT).of


def changed(site: Site) -> list[str]:
    """The documents of all changes on the disk; what was refused is kept there too."""
    return [row.document for row in site.store.rows if isinstance(row, Changed)]


def _retained(site: Site, link: HubLink) -> None:
    link.come(site.sealed(GOOD), retained=True)


def _other_topic(site: Site, link: HubLink) -> None:
    link.come(site.sealed(GOOD), site.topics.up)


def _other_store(site: Site, link: HubLink) -> None:
    link.come(seal_down(SIGNING, OTHER.store, site.device.peer, GOOD))


def _other_gateway(site: Site, link: HubLink) -> None:
    link.come(seal_down(SIGNING, site.device.of.store, OTHER.peer, GOOD))


def _other_key(site: Site, link: HubLink) -> None:
    link.come(seal_down(b"x" * 32, site.device.of.store, site.device.peer, GOOD))


def _by_itself(site: Site, link: HubLink) -> None:
    own = site.device.of
    key = own.keys.signing_private
    link.come(seal_up(key, own.shown[1], own.root_public, own.peer, GOOD))


def _other_purpose(site: Site, link: HubLink) -> None:
    link.come(sign_bytes(SIGNING, b"store-gateway up", GOOD))


def _too_large(site: Site, link: HubLink) -> None:
    link.come(site.sealed(bytes(262_144)))


def _inflated(site: Site, link: HubLink) -> None:
    link.come(site.sealed(batch(Change("menu/1", bytes(600_000)))))


def _garbage(site: Site, link: HubLink) -> None:
    link.come(site.sealed(b"\x05\x01garbage"))


def _nothing(site: Site, link: HubLink) -> None:
    link.come(b"")


def _changed_on_the_way(site: Site, link: HubLink) -> None:
    payload = bytearray(site.sealed(GOOD))
    payload[len(payload) // 2] ^= 1
    link.come(bytes(payload))


def _bad_name(site: Site, link: HubLink) -> None:
    link.come(site.sealed(batch(Change("menu/../1", TEA))))


def _not_down(site: Site, link: HubLink) -> None:
    link.say(Change("orders/1", TEA))


def _answer_not_down(site: Site, link: HubLink) -> None:
    link.say(Answer("orders/1", bytes(16), TEA))


def _bad_update(site: Site, link: HubLink) -> None:
    link.say(Change("menu/1", b"\x05\x01garbage"))


def _large_bad_update(site: Site, link: HubLink) -> None:
    link.say(Change("menu/1", b"\x05" + bytes(20_000)))


def _what_a_gateway_says(site: Site, link: HubLink) -> None:
    link.say(Wants(("menu",)))


def _not_up(site: Site, link: HubLink) -> None:
    link.say(Ask("staff/1", b"\x00"))


HOSTILE: list[Callable[[Site, HubLink], None]] = [
    _retained, _other_topic, _other_store, _other_gateway, _other_key, _by_itself,
    _other_purpose, _too_large, _inflated, _garbage, _nothing, _changed_on_the_way, _bad_name,
    _not_down, _answer_not_down, _bad_update, _large_bad_update, _what_a_gateway_says, _not_up,
]  # fmt: skip


@pytest.mark.parametrize("come", HOSTILE, ids=lambda come: come.__name__.strip("_"))
def test_what_is_wrong_reaches_nobody(
    come: Callable[[Site, HubLink], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        async with hub_site(up=["orders"]) as site, site.linked() as link:
            await until(lambda: site.work.compare.ended_at is not None)
            devices = []
            for name in ("menu/1", "orders/1", "staff/1"):
                device = site.one.join(name)
                devices.append(device)
                await site.one.performer.take(device, DocumentOpened(name, b"\x00"))
            await until(lambda: all(device.heard for device in devices))
            heard = [list(device.heard) for device in devices]
            sent = len(link.sent)
            come(site, link)
            await until(lambda: site.declined.count == 1)
            # What comes after it is taken as ever.
            link.say(Change("menu/2", TEA))
            await until(lambda: changed(site) == ["menu/2"])
            assert [list(device.heard) for device in devices] == heard
            assert len(link.sent) == sent and site.declined.count == 1
            await until(lambda: len(link.finished) >= 4)

    asyncio.run(work())
    assert "refused from the broker" in caplog.text
    assert "Tea" not in caplog.text and "garbage" not in caplog.text


@asynchronous
async def test_what_is_right_is_on_the_disk_before_it_is_done_and_is_not_sent_back() -> None:
    async with hub_site() as site, site.linked() as link:
        await until(lambda: site.work.compare.ended_at is not None)
        device = site.one.join("till")
        await site.one.performer.take(device, DocumentOpened("menu/1", b"\x00"))
        sent, done = len(link.sent), len(link.finished)
        site.store.gate.clear()
        link.say(Change("menu/1", TEA))
        await until(lambda: bool(device.heard))
        assert len(link.finished) == done
        site.store.gate.set()
        await until(lambda: len(link.finished) == done + 1)
        assert [(row.document, row.peer) for row in site.store.rows] == [("menu/1", CLOUD)]
        assert site.work.downwards.taken == 1
        await site.app.put("orders/1", {"n": 1})
        await until(lambda: not site.work.waiting())
        assert {item.document for item in site.of(Change)} == {"orders/1"}
        assert len(link.sent) == sent + 1


@asynchronous
async def test_a_connection_that_is_lost_in_the_middle_harms_nothing() -> None:
    async with hub_site() as site:
        async with site.linked() as link:
            link.say(Change("menu/1", TEA))
            await until(lambda: changed(site) == ["menu/1"])
            site.store.gate.clear()
            for number in range(20):
                update = Author(number + 20).set("name", "Cake", "fields")
                link.say(Change("menu/1", update), Change("menu/1", TEA))
            # So many messages wait for the disk, and no more.
            await until(lambda: len(site.work.downwards._deciding) == 2 * MOST_UNDECIDED)
            await asyncio.sleep(0.05)
            assert len(site.work.downwards._deciding) == 2 * MOST_UNDECIDED
        site.store.gate.set()
        await until(lambda: not site.work.downwards._deciding)
        async with site.linked() as link:
            link.say(Change("menu/99", TEA), Pong(5), Turn(b"saltsalt"))
            await until(lambda: site.store.rows[-1].document == "menu/99")


@asynchronous
async def test_the_hub_is_asked_for_what_its_change_refers_to() -> None:
    async with hub_site() as site, site.linked() as link:
        await until(lambda: site.work.compare.ended_at is not None)
        author = Author(5)
        site.hub.take("menu/1", author.set("a", 1, "fields"))
        late = author.set("b", 2, "fields")
        site.hub.take("menu/1", late)
        link.say(Change("menu/1", late))
        await until(lambda: "menu/1" in [ask.document for ask in site.of(Ask)])
        await until(lambda: len(site.store.rows) >= 2)
        assert await site.app.read("menu/1") == {"fields": {"a": 1, "b": 2}}


@asynchronous
async def test_what_is_taken_but_not_sent_is_compared_too() -> None:
    async with hub_site(up=["orders"]) as site:
        await site.app.put("menu/1", {"ours": 1})
        site.hub.take("menu/1", TEA)
        async with site.linked():
            await until(lambda: site.work.compare.ended_at is not None)
            assert await site.app.read("menu/1") == {"fields": {"ours": 1, "name": "Tea"}}
            assert site.hub.content("menu/1") == {"name": "Tea"}
            assert site.work.compare.unanswered == 0 and site.declined.count == 0


@asynchronous
async def test_what_may_not_be_written_there_keeps_no_comparison_waiting() -> None:
    async with hub_site() as site:
        site.hub.kept = ("menu",)
        await site.app.put("menu/1", {"ours": 1})
        await site.app.put("orders/1", {"ours": 1})
        async with site.linked():
            await until(lambda: site.work.compare.ended_at is not None)
            assert site.work.compare.unanswered == 0 and site.declined.count == 0
            assert site.work.compare.differed >= 1


@asynchronous
async def test_a_worker_that_started_is_compared_with_but_not_if_that_is_retained() -> None:
    async with hub_site() as site, site.linked() as link:
        await until(lambda: site.work.compare.ended_at is not None)
        first = site.work.compare.ended_at
        link.come(b"", site.topics.hub, retained=True)
        await until(lambda: site.declined.count == 1)
        assert site.work.compare.ended_at == first
        site.ahead = 100.0
        link.come(b"", site.topics.hub)
        await until(lambda: site.work.compare.ended_at != first)

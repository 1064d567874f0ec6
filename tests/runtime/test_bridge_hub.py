"""A gateway and a hub, both ways: what goes up, what comes down, what is compared."""

import asyncio

from gateway.core.bridge_envelope import seal_down
from gateway.core.bridge_items import Ask, Ping, Pong, Turn, Wants
from tests.core.edits import Author
from tests.runtime.hub_site import hub_site, until
from tests.runtime.test_perform import asynchronous


@asynchronous
async def test_what_changes_here_is_there_and_the_live_case_reads_no_document() -> None:
    async with hub_site() as site, site.linked() as link:
        await site.app.put("orders/1", {"status": "open"})
        await until(lambda: site.work.compare.ended_at is not None and not site.work.waiting())
        assert site.hub.wants == ("menu",) and site.of(Ping)
        before, site.store.loads[:], site.store.reads[:] = len(link.sent), [], []
        await site.app.put("orders/1", {"status": "done"})
        await until(lambda: site.hub.content("orders/1") == {"status": "done"})
        await until(lambda: not site.work.waiting())
        assert len(link.sent) == before + 1 and site.store.loads == []
        assert site.store.reads == ["orders/1"]


@asynchronous
async def test_a_hub_that_has_another_key_is_named() -> None:
    async with hub_site() as site:
        site.hub.deaf = (Ping,)
        async with site.linked() as link:
            own = site.device.of
            link.come(b"no message of anybody")
            link.come(seal_down(b"x" * 32, own.store, site.device.peer, b""))
            await until(lambda: site.declined.count == 2)
            error = site.refusals["hub"]
            assert error is not None and error.code == "hub-other-key"
            link.say(Pong(site.of(Ping)[-1].nonce))
            await until(lambda: site.refusals["hub"] is None)
            await until(lambda: site.work.compare.ended_at is not None)


@asynchronous
async def test_both_sides_have_all_after_a_comparison() -> None:
    async with hub_site() as site:
        site.hub.take("menu/1", Author(9).set("name", "Tea", "fields"))
        site.hub.take("menu/2", Author(8).set("name", "Cake", "fields"))
        site.hub.take("orders/9", Author(9).set("not", "wanted", "fields"))
        for number in range(3):
            await site.app.put(f"orders/{number}", {"n": number})
        await site.app.put("menu/2", {"price": 5})
        # Nothing waits: they have to be found by comparing.
        site.store.done = {row.document: 99 for row in site.store.rows}
        async with site.linked():
            await until(lambda: site.work.compare.ended_at is not None)
            await asyncio.sleep(0)
            assert site.hub.content("orders/2") == {"n": 2}
            assert await site.app.read("menu/1") == {"fields": {"name": "Tea"}}
            assert await site.app.read("orders/9") is None
            assert site.hub.content("menu/2") == {"name": "Cake", "price": 5}
            assert (await site.app.read("menu/2")) == {"fields": site.hub.content("menu/2")}
        assert site.of(Turn) and {ask.document for ask in site.of(Ask)} >= {"menu/1", "orders/0"}
        assert site.work.compare.unanswered == 0 and site.declined.count == 0
        assert len(site.of(Wants)) == 1

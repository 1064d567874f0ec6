"""What waits for a hub goes there: merged, cut, held back, bounded."""

import asyncio
import logging

import pytest

from gateway.core.bridge_items import Ask, Change, Turn
from gateway.core.errors import GatewayError
from gateway.core.fingerprint import read_state_vector
from gateway.core.records import Change as Changed
from gateway.core.structs import read_update
from gateway.runtime import bridge_outbox, bridge_relay, writer
from gateway.runtime.bridge_hub import HubWork
from tests.core.edits import Author
from tests.runtime.hub_site import Site, hub_site, until
from tests.runtime.test_perform import asynchronous
from tests.support.stand_in_hub import StandInHub

NOBODY = GatewayError("broker-nobody", "")


async def settled(site: Site) -> None:
    """All was compared, and nothing waits."""
    await until(lambda: site.work.compare.ended_at is not None and not site.work.waiting())


def sent(site: Site, document: str) -> list[bytes]:
    return [item.update for item in site.of(Change) if item.document == document]


def wrote(site: Site, document: str, update: bytes) -> None:
    """A device changed it, before anything else."""
    site.store.rows.append(Changed(document, update, "till"))


@asynchronous
async def test_what_waited_goes_as_few_bytes_as_it_can_be() -> None:
    async with hub_site() as site:
        author = Author(5)
        wrote(site, "orders/1", author.set("kept", "x" * 50, "fields"))
        for number in range(60):
            wrote(site, "orders/1", author.set("status", f"{number} {'y' * 40}", "fields"))
        for number in range(50):
            wrote(site, f"orders/a{number}", Author(number + 9).set("n", number, "fields"))
        async with site.linked() as link:
            await settled(site)
        assert site.hub.content("orders/1") == {"kept": "x" * 50, "status": f"59 {'y' * 40}"}
        assert len(sent(site, "orders/1")) == 1 and len(sent(site, "orders/1")[0]) < 1_500
        # All of it in one message, beside greeting and comparison.
        assert len(link.sent) == 3 and site.work.sent == 51
        assert site.store.done["orders/1"] and site.store.outbox_status().documents == 0
        # A look at what is stored is not worth it for what is short.
        assert "orders/a1" not in site.store.loads[-5:]


@asynchronous
async def test_a_document_larger_than_a_message_is_cut_and_counts_when_all_is_there() -> None:
    async with hub_site() as site:
        author, device = Author(5), site.one.join("till")
        for number in range(40):
            author.set(str(number), chr(97 + number % 26) * 10_000, "fields")
        wrote(site, "orders/1", author.whole())
        async with site.linked() as link:
            link.gate.clear()
            await until(lambda: bool(site.work.talk.messages) or not link.gate.is_set())
            link.gate.set()
            await settled(site)
        assert len(sent(site, "orders/1")) > 1 and len(site.hub.content("orders/1")) == 40  # type: ignore[arg-type]
        assert max(len(publication.payload) for publication in link.sent) <= 262_144
        assert device.outbox is not None


@asynchronous
async def test_of_a_document_with_very_much_a_part_is_read_at_once() -> None:
    async with hub_site(most_bytes=4_000) as site:
        author, other = Author(5), Author(6)
        for number in range(50):
            wrote(site, "orders/1", author.set("text", f"{number}" * 60, "fields"))
            wrote(site, "orders/1", other.set("other", f"{number}" * 60, "fields"))
        site.store.most_read = 7
        async with site.linked():
            await settled(site)
        # All of both, once.
        assert len(sent(site, "orders/1")) == 1 and len(sent(site, "orders/1")[0]) < 1_500
        assert site.hub.content("orders/1") == {"text": "49" * 60, "other": "49" * 60}
        assert site.work.sent == 1 and site.store.outbox_status().documents == 0


@asynchronous
async def test_where_the_document_is_no_help_it_goes_part_by_part() -> None:
    async with hub_site() as site:
        author = Author(5)
        first = author.set("first", 1, "fields")
        for number in range(50):
            wrote(site, "orders/1", author.set("text", f"{number}" * 60, "fields"))
        site.store.most_read = 20
        async with site.linked():
            await settled(site)
        # It waits for what is missing, there as here.
        assert [len(read_update(part).structs) for part in sent(site, "orders/1")] == [20, 20, 10]
        site.hub.take("orders/1", first)
        assert site.hub.content("orders/1") == {"first": 1, "text": "49" * 60}


@asynchronous
async def test_how_old_the_oldest_is_outlives_the_process() -> None:
    async with hub_site() as site:
        await site.app.put("orders/1", {"n": 1})
        site.ahead += 5_000.0
        await site.work._bounds.look()
        assert 5_000 <= site.store.noted < 5_100
        again = HubWork(*site.made_of)
        assert 5_000 <= again.status()["outbox"]["oldest_s"] < 5_100 and again.waiting() == 1


@asynchronous
async def test_nothing_is_sent_or_told_that_is_not_on_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hub_site() as site, site.linked() as link:
        await site.app.put("orders/1", {"n": 1})
        await settled(site)
        monkeypatch.setattr(writer, "GROUP_SECONDS", 3_600.0)
        putting = asyncio.ensure_future(site.app.put("orders/1", {"n": 2}))
        await until(lambda: site.one.performer.waiting_changes == 1)
        heard = len(site.of(Change))
        # It is in memory. The hub knows nothing, and has neither more nor less than the disk.
        link.say(Ask("orders/1", b"\x00"))
        await until(lambda: len(site.of(Change)) > heard)
        hub = StandInHub()
        hub.take("orders/1", site.of(Change)[-1].update)
        assert hub.content("orders/1") == {"n": 1} == site.hub.content("orders/1")
        site.work.compare.missed("orders/1")
        await until(lambda: bool(site.of(Ask)))
        assert read_state_vector(site.of(Ask)[-1].state_vector)[0] == {7: 1}
        # Something else makes it written, and then it is sent.
        await site.one.performer.writer.call(lambda: None)
        await putting
        await until(lambda: site.hub.content("orders/1") == {"n": 2})


@asynchronous
async def test_what_cannot_be_cut_is_said_and_the_others_go(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hub_site() as site:
        update = Author(5).set("text", "secret" * 10_000, "fields")
        wrote(site, "orders/1", update)
        await site.app.put("orders/2", {"n": 2})
        async with site.linked(most_bytes=30_000):
            await until(lambda: site.hub.content("orders/2") == {"n": 2})
            await until(lambda: site.work.compare.ended_at is not None)
            said = site.work.status()["outbox"]
            assert said["too_long"] == 1 and site.work.waiting() == 1
        assert not sent(site, "orders/1") and "orders/1 has a part" in caplog.text
        assert "secret" not in caplog.text
        # Over another connection it fits.
        async with site.linked():
            await until(lambda: bool(sent(site, "orders/1")))


@asynchronous
async def test_what_nobody_hears_waits_and_goes_once_the_hub_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge_relay, "REST_SECONDS", 0.01)
    async with hub_site() as site, site.linked() as link:
        await settled(site)
        link.refusals += [NOBODY]
        await site.app.put("orders/1", {"n": 1})
        await until(lambda: site.refusals.get("hub") is None and bool(sent(site, "orders/1")))
        await until(lambda: not site.work.waiting())


@asynchronous
async def test_a_lost_connection_loses_nothing_and_changes_the_next_one_sends() -> None:
    async with hub_site() as site:
        async with site.linked() as link:
            await settled(site)
            link.gate.clear()
            await site.app.put("orders/1", {"n": 1})
            await until(lambda: site.work.upwards.relay.flies("orders/1"))
            await site.app.put("orders/1", {"n": 2})
        assert site.work.waiting() == 1 and site.work.status()["outbox"]["oldest_s"] is not None
        async with site.linked():
            await until(lambda: not site.work.waiting())
        assert site.hub.content("orders/1") == {"n": 2}


@asynchronous
async def test_too_much_is_merged_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hub_site(most_bytes=4_000) as site:
        author = Author(5)
        for number in range(40):
            wrote(site, "orders/1", author.set("text", f"{number}" * 60, "fields"))
        wrote(site, "orders/2", Author(6).set("n", 2, "fields"))
        before = site.store.outbox_status()
        assert before.bytes > 4_000
        await site.work._bounds.look()
        after = site.work.upwards.status
        assert not after.left and after.bytes < 3_000 and after.documents == 2
        assert list(site.store.merged) == ["orders/1"]
        async with site.linked():
            await settled(site)
        assert site.hub.content("orders/1") == {"text": "39" * 60}


@asynchronous
async def test_very_much_of_a_document_is_merged_too() -> None:
    async with hub_site(most_bytes=4_000) as site:
        author = Author(5)
        for number in range(40):
            wrote(site, "orders/1", author.set("text", f"{number}" * 60, "fields"))
        last = site.store.read("orders/1").last
        site.store.most_read = 7
        await site.work._bounds.look()
        assert site.work.upwards.status.bytes < 3_000 and not site.work.upwards.status.left
        assert site.store.merged["orders/1"][0] == last


@asynchronous
async def test_what_is_too_much_even_so_is_left_and_compared(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with hub_site(most_bytes=1_000) as site:
        for number in range(30):
            wrote(
                site, f"orders/{number}", Author(number + 9).set("text", f"{number}" * 60, "fields")
            )
        await site.work._bounds.look()
        assert site.work.status()["outbox"]["left"] and "compared instead" in caplog.text
        await site.app.put("orders/3", {"text": "new"})
        assert site.work.upwards.relay.waiting == 0
        async with site.linked():
            await until(lambda: not site.work.upwards.status.left)
            # What came while it did not wait is found as well.
            await until(lambda: len(site.of(Turn)) > 1 and not site.work.compare.is_running)
            assert site.hub.content("orders/29") == {"text": "29" * 60}
            assert site.hub.content("orders/3") == {"text": "new"}
            await site.app.put("orders/4", {"n": 4})
            await until(lambda: site.hub.content("orders/4") == {"n": 4})


@asynchronous
async def test_what_waits_is_looked_at_for_ever_whatever_the_disk_says(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bridge_outbox, "LOOK_SECONDS", 0.01)
    async with hub_site() as site:
        asked: list[int] = []

        def status() -> object:
            asked.append(1)
            if len(asked) == 1:
                raise GatewayError("store-full", "the disk is full")
            return site.store.__class__.outbox_status(site.store)

        monkeypatch.setattr(site.store, "outbox_status", status)
        keeping = asyncio.ensure_future(site.work.keep())
        await until(lambda: len(asked) > 2)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    assert "the disk is full" in caplog.text


@asynchronous
async def test_a_hub_that_does_not_take_part_is_asked_again_later() -> None:
    async with hub_site() as site:
        await site.app.put("orders/1", {"n": 1})
        site.hub.deaf = (Turn,)
        async with site.linked():
            await until(lambda: site.work.compare.is_running and bool(site.of(Turn)))
            site.ahead += 100.0
            await until(lambda: not site.work.compare.is_running)
            # It may be gone: it is greeted, and nothing is said before it answers.
            assert site.work.compare.ended_at is None
            site.hub.deaf = ()
            site.ahead += 100.0
            # Who sleeps already does not see that it is later.
            site.work.compare._woken.set()
            await until(lambda: site.work.compare.ended_at is not None)


@asynchronous
async def test_documents_nobody_answers_for_are_counted_and_the_rest_is_compared() -> None:
    async with hub_site() as site:
        await site.app.put("orders/1", {"n": 1})
        site.store.done = {"orders/1": 9}
        site.hub.deaf = (Ask,)
        async with site.linked():
            await until(lambda: bool(site.of(Ask)))
            assert site.work.status()["compare"]["documents"] == 1
            site.ahead += 100.0
            await until(lambda: site.work.compare.ended_at is not None)
            said = site.work.status()["compare"]
            assert said["unanswered"] == 1 and said["differed"] == 1 and not said["running"]


@asynchronous
async def test_turns_that_make_no_sense_are_refused() -> None:
    async with hub_site() as site:
        await site.app.put("orders/1", {"n": 1})
        site.hub.deaf = (Turn,)
        async with site.linked() as link:
            await until(lambda: bool(site.of(Turn)))
            salt = site.of(Turn)[-1].ranges[:8]
            for _ in range(9):
                link.say(Turn(b"another!"), Turn(salt + b"\xff\xff\xff"))
            await until(lambda: site.declined.count == 1)
            await until(lambda: not site.work.compare.is_running)
            assert site.work.compare.ended_at is None


@asynchronous
async def test_topics_that_the_broker_refuses_are_told_and_revocations_go() -> None:
    async with hub_site() as site:
        async with site.linked(denied=GatewayError("broker-topic-denied", "")) as link:
            await settled(site)
            assert site.refusals["hub topics"] is not None
            for tell in site.members.told:
                tell([b"an entry"])
            await until(lambda: site.hub.revoked == [b"an entry"])
            assert link.subscribed == []
        with pytest.raises(GatewayError):
            async with site.linked(denied=GatewayError("broker-lost", "")):
                await asyncio.sleep(0.05)

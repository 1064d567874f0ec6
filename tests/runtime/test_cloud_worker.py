"""A worker of a hub: a fake broker, a database in memory, gateways by hand."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.core import cloud_answers, cloud_revocations
from gateway.core.bridge import Message, Publication
from gateway.core.bridge_items import Answer, Ask, Change, Ping, Pong, Revoked, Turn, Wants
from gateway.core.bridge_topics import HubTopics
from gateway.core.cloud_answers import COMPACT_ROWS, Post
from gateway.core.cloud_records import CloudChange, Greeting
from gateway.core.cloud_shares import EVERY, Share, Shares
from gateway.core.document import Document, DocumentBroken
from gateway.core.errors import GatewayError
from gateway.core.fair_use import CREDIT_SECONDS, FairUse
from gateway.core.records import StoredDocument
from gateway.core.revocations import Kind, Revocation, revoke
from gateway.ports import BrokerLink, Intake
from gateway.runtime import cloud_desk, cloud_documents, cloud_questions, cloud_worker
from gateway.runtime.cloud_answering import Answering, Question
from gateway.runtime.cloud_desk import Desk
from gateway.runtime.cloud_documents import CloudDocuments
from gateway.runtime.cloud_edits import CloudEdits
from gateway.runtime.cloud_worker import GROUP, CloudWorker, compare, shared
from gateway.runtime.threads import Helper
from tests.core.test_document import ONE, TWO, forged_early
from tests.support.cloud import AWAY, HUB_PRIVATE, ROOT, HandGateway, MemoryCloud

TOPICS = HubTopics(ROOT)
LOST = GatewayError("broker-lost", "")
STORES = (b"r" * 32, b"q" * 32)
MOST_BYTES = 1_000_000
HEARD = [Greeting("a" * 32, "c" * 32, ())]


class FakeLink:
    """Satisfies ``BrokerLink``."""

    local = "127.0.0.1"
    most_bytes = 100_000

    def __init__(self, *, is_5: bool = True) -> None:
        self.is_5 = is_5
        self.sent: list[Publication] = []
        self.acknowledged: list[Message] = []
        self.shared: list[tuple[str, list[str]]] = []
        self.refusal: GatewayError | None = None
        self.queue: asyncio.Queue[Message] = asyncio.Queue()
        self._lost: asyncio.Future[GatewayError] = asyncio.get_running_loop().create_future()

    def put(self, *messages: Message) -> None:
        for message in messages:
            self.queue.put_nowait(message)

    async def publish(self, publication: Publication) -> None:
        if self._lost.done():
            raise self._lost.result()
        if self.refusal is not None:
            raise self.refusal
        self.sent.append(publication)

    async def subscribe(self, topics: Sequence[str]) -> None:
        raise NotImplementedError

    async def share(self, group: str, topics: Sequence[str]) -> bool:
        self.shared.append((group, list(topics)))
        return self.is_5

    async def retained(self, topic: str) -> bytes:
        raise NotImplementedError

    async def message(self) -> Message:
        return await self.queue.get()

    def done(self, message: Message) -> None:
        self.acknowledged.append(message)

    async def lost(self) -> GatewayError:
        return await asyncio.shield(self._lost)

    def end(self, error: GatewayError) -> None:
        if not self._lost.done():
            self._lost.set_result(error)

    async def close(self, seconds: float) -> None:
        self.end(LOST)


class World:
    """A worker over a link, and gateways that answer what comes for them."""

    def __init__(self, *gateways: HandGateway, shares: Shares | None = None) -> None:
        self.store = MemoryCloud()
        self.gateways = gateways
        self.link = FakeLink()
        self.refused: dict[str, GatewayError | None] = {}
        self.now = 0.0
        self.numbers = iter(range(1, 100))
        shares = shares or Shares()
        post = Post(ROOT, HUB_PRIVATE)
        self.use = FairUse()
        documents = CloudDocuments(self.store)
        self.documents = documents
        self.helper = Helper("store")
        self.worker = CloudWorker(
            Desk(self.store, ROOT, shares, post, documents, (), MOST_BYTES, self.use, self),
            Answering(self.store, documents, shares, post, self.use, self),
            CloudEdits(self.store, documents, shares, lambda n: next(self.numbers).to_bytes(n)),
            post,
            self.helper,
            shared,
            self.refused.__setitem__,
            lambda: 0.0,
        )
        self._read = 0
        self.heard: dict[str, list[object]] = {}

    def monotonic(self) -> float:
        return self.now

    async def settle(self) -> None:
        """Until nothing is under way: gateways answer what they hear."""
        quiet = 0
        while quiet < 3:
            await self.helper.run(lambda: None)
            await asyncio.sleep(0.001)
            sent, self._read = self.link.sent[self._read :], len(self.link.sent)
            is_busy = sent or self.worker.waiting() or not self.link.queue.empty()
            quiet = 0 if is_busy else quiet + 1
            for publication in sent:
                for gateway in self.gateways:
                    if publication.topic == gateway.topics.down:
                        self.link.put(*gateway.hear(publication.payload))

    async def say(self, gateway: HandGateway, *items: Any) -> None:
        self.link.put(*gateway.say(*items))
        await self.settle()


def run(
    work: Callable[[World], Coroutine[Any, Any, None]], *gateways: HandGateway, **how: Any
) -> None:
    """``work`` with a world in which the worker is connected."""

    async def whole() -> None:
        world = World(*gateways, **how)
        serving = [asyncio.ensure_future(one) for one in world.worker.over(world.link, TOPICS)]
        try:
            await world.settle()
            await work(world)
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            world.helper.close()

    asyncio.run(whole())


def pair() -> tuple[HandGateway, HandGateway]:
    return HandGateway(1), HandGateway(2)


def test_a_worker_says_that_it_started_and_shares_the_messages() -> None:
    async def work(world: World) -> None:
        assert world.link.shared == [(GROUP, [TOPICS.up])]
        assert world.link.sent == [compare(TOPICS)] and world.worker.is_hearing

    run(work)


def test_without_shared_subscriptions_one_worker_is_all(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        link = FakeLink(is_5=False)
        assert await shared(link, TOPICS) is link
        assert "one worker" in caplog.text

    asyncio.run(work())


def test_a_change_is_written_told_to_others_and_acknowledged() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        await world.say(one, Ping(1), Wants(("orders",)))
        await world.say(two, Ping(2), Wants(("orders",)))
        await world.say(one, one.put("orders/1", total=3), one.put("menu/1", x=1))
        assert (one.heard, two.heard[0]) == ([Pong(1)], Pong(2))
        assert two.content("orders/1") == {"fields": {"total": 3}}
        assert two.content("menu/1") == {}
        assert {name for _, name in world.store.rows} == {"orders/1", "menu/1"}
        assert len(world.link.acknowledged) == 3
        assert world.worker.counts()["changes"] == 2

    run(work, one, two)


def test_many_messages_are_one_transaction() -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        for number in range(150):
            world.link.put(*one.say(one.put(f"orders/{number}", n=number)))
        await world.settle()
        assert sum(world.store.transactions) == 150
        assert len(world.store.transactions) <= 4
        assert len(world.link.acknowledged) == 150

    run(work, one)


def test_nothing_is_acknowledged_while_the_database_is_away(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair()
    monkeypatch.setattr(cloud_worker, "LONGEST_PAUSE_SECONDS", 0.001)

    async def work(world: World) -> None:
        await world.say(two, Wants(("orders",)))
        world.store.failure = AWAY
        done = len(world.link.acknowledged)
        world.link.put(*one.say(one.put("orders/1", total=3)))
        await asyncio.sleep(0.02)
        assert world.worker.trouble is AWAY and world.worker.waiting() == 1
        assert len(world.link.acknowledged) == done and not two.heard
        world.store.failure = None
        await world.settle()
        assert world.worker.trouble is None
        assert len(world.link.acknowledged) == done + 1
        assert two.content("orders/1") == {"fields": {"total": 3}}
        assert caplog.text.count("messages wait") == 1 and "there again" in caplog.text

    run(work, one, two)


def test_what_was_revoked_is_kept_also_when_the_database_fails_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = pair()
    monkeypatch.setattr(cloud_worker, "LONGEST_PAUSE_SECONDS", 0.001)

    async def work(world: World) -> None:
        entry = revocation(two)
        real = world.store.revoke

        def fails(store: str, entries: Sequence[bytes], replaced: Sequence[bytes] = ()) -> None:
            world.store.revoke = real  # type: ignore[method-assign]
            raise AWAY

        world.store.revoke = fails  # type: ignore[method-assign]
        await world.say(one, Revoked(entry))
        assert world.store.entries == {one.store.hex(): [entry]}

    run(work, one, two)


def revocation(gateway: HandGateway, epoch: int = 1) -> bytes:
    entry = Revocation(gateway.store, Kind.PEER, gateway.peer, epoch, b"")
    return revoke(STORES[0], entry, b"")


def test_a_gateway_that_was_shut_out_is_not_heard_and_hears_nothing() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        await world.say(two, Wants(("orders",)))
        await world.say(one, Revoked(revocation(two)), Revoked(b"junk"))
        await world.say(one, one.put("orders/1", total=3))
        await world.say(two, two.put("orders/2", total=3))
        assert not two.heard
        assert [name for _, name in world.store.rows] == ["orders/1"]
        counts = world.worker.counts()
        assert (counts["wrong"], counts["refused"]) == (1, 1)
        assert len(world.link.acknowledged) == 4

    run(work, one, two)


def test_a_gateway_that_says_too_late_what_it_wants_hears_nothing() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        await world.say(two, Wants(("orders",)))
        world.store.revoke(one.store.hex(), [revocation(two)])
        # This worker did not know yet, and does with the next message.
        await world.say(two, Wants(("orders",)))
        world.now = 5.0
        await world.say(two, Ping(1))
        await world.say(two, Ping(2))
        await world.say(one, one.put("orders/1", total=3))
        assert not two.heard and world.store.told[two.store.hex(), two.peer.hex()].wants == ()

    run(work, one, two)


def test_a_revocation_that_another_worker_kept_counts_soon() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        await world.say(two, two.put("orders/1", total=3))
        world.store.revoke(one.store.hex(), [revocation(two)])
        world.now = 5.0
        await world.say(two, two.put("orders/2", total=3))
        assert [name for _, name in world.store.rows] == ["orders/1"]

    run(work, one, two)


def test_who_was_shut_out_is_not_let_in_by_many_other_stores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = pair()
    monkeypatch.setattr(cloud_revocations, "MAX_STORES", 2)

    async def work(world: World) -> None:
        await world.say(one, Revoked(revocation(two)))
        for number in range(3):
            await world.say(HandGateway(1, bytes([number]) * 32), Ping(1))
        await world.say(two, two.put("orders/1", total=3))
        assert not world.store.rows and world.worker.counts()["wrong"] == 1

    run(work, one, two)


def test_of_entries_about_the_same_gateway_the_last_is_kept() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        for epoch in range(1, 4):
            await world.say(one, Revoked(revocation(two, epoch)))
        assert world.store.entries == {one.store.hex(): [revocation(two, 3)]}

    run(work, one, two)


def test_a_revocation_counts_also_when_more_stores_than_are_remembered_speak(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cloud_revocations, "MAX_STORES", 1)
    one, two = pair()
    other = HandGateway(3, STORES[1])

    async def work(world: World) -> None:
        world.store.revoke(one.store.hex(), [revocation(two)])
        await world.say(two, two.put("orders/1", total=3))
        await world.say(other, other.put("orders/1", total=3))
        # Before it is time to ask again what was revoked.
        await world.say(two, two.put("orders/2", total=3))
        assert [space for space, _ in world.store.rows] == [other.store.hex()]

    run(work, one, two, other)


def test_a_gateway_that_is_shut_out_right_after_it_spoke_hears_nothing() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        said = two.say(Wants(("orders",)), Ping(1)), one.say(Revoked(revocation(two)), Ping(1))
        world.link.put(*said[0], *said[1])
        await world.settle()
        assert world.store.told[two.store.hex(), two.peer.hex()].wants == ()
        await world.say(one, one.put("orders/1", total=3))
        assert two.heard == [Pong(1)] and one.heard == [Pong(1)]

    run(work, one, two)


def test_a_store_has_so_many_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_desk, "MAX_GATEWAYS", 2)
    one, two = pair()

    async def work(world: World) -> None:
        for gateway in (one, two, HandGateway(3), one):
            await world.say(gateway, Wants(("orders",)))
        assert len(world.store.told) == 2 and world.worker.counts()["wrong"] == 1
        # Another worker has heard the third before: it is known.
        world.store.greet([Greeting(one.store.hex(), HandGateway(3).peer.hex(), ())])
        await world.say(HandGateway(3), Ping(1))
        assert world.worker.counts()["wrong"] == 1

    run(work, one, two)


def test_what_follows_from_a_change_is_made_and_sent_bit_by_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateways = [HandGateway(number) for number in range(1, 6)]
    monkeypatch.setattr(cloud_desk, "AT_ONCE_BYTES", 1)
    held: list[int] = []

    async def work(world: World) -> None:
        real = world.worker.publish

        async def publish(link: BrokerLink, publications: Sequence[Publication]) -> None:
            held.append(len(publications))
            await real(link, publications)

        world.worker.publish = publish  # type: ignore[method-assign]
        for gateway in gateways:
            await world.say(gateway, Wants(("orders",)))
        await world.say(gateways[0], gateways[0].put("orders/1", total=3))
        assert all(one.content("orders/1") == {"fields": {"total": 3}} for one in gateways)
        assert max(held) == 1 and sum(held) == 4

    run(work, *gateways)


def test_many_stores_are_asked_for_at_once() -> None:
    gateways = [HandGateway(1, bytes([number]) * 32) for number in range(1, 21)]

    async def work(world: World) -> None:
        asked: list[str] = []
        for name in ("append", "gateways", "greet", "revocations", "sizes", "wanting"):
            real = getattr(world.store, name)

            def noting(*given: Any, name: str = name, real: Any = real) -> Any:
                asked.append(name)
                return real(*given)

            setattr(world.store, name, noting)
        for gateway in gateways:
            world.link.put(*gateway.say(gateway.put("orders/1", n=1)))
        await world.settle()
        assert len(world.store.rows) == len(gateways) == len(world.store.told)
        # Who has a place, as all are new, and who wants it.
        once = dict.fromkeys(("append", "greet", "revocations", "sizes"), 1)
        assert Counter(asked) == {**once, "gateways": 2}

    run(work, *gateways)


def test_a_store_that_had_more_than_its_part_is_not_heard_while_others_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cloud_desk, "CROWD", 3)
    one, other = HandGateway(1), HandGateway(2, STORES[1])

    async def work(world: World) -> None:
        world.use.spend(one.store.hex(), CREDIT_SECONDS, 0.0)
        await world.say(other, Ping(1))
        # Nobody waits for it.
        await world.say(one, one.put("orders/1", total=3))
        changes = [
            gateway.say(gateway.put("orders/2", n=n))[0]
            for n, gateway in enumerate((one, one, other))
        ]
        taken = world.worker.desk.take(changes, 10_000)
        assert (taken.changes, taken.wrong) == (1, ["too-many"] * 2)
        assert {*world.store.rows} == {
            (one.store.hex(), "orders/1"), (other.store.hex(), "orders/2"),
        }  # fmt: skip
        world.now = 4.0
        assert world.worker.desk.take(changes, 10_000).changes == 3

    run(work, one, other)


def test_a_space_holds_so_much() -> None:
    one, other = HandGateway(1), HandGateway(2, STORES[1])

    async def work(world: World) -> None:
        for number in range(5):
            await world.say(one, one.put(f"orders/{number}", text="x" * 240_000))
        # It was looked at before all of that came.
        assert len(world.store.rows) == 5
        world.now = 10.0
        await world.say(one, one.put("orders/6", total=3), Ping(1))
        await world.say(other, other.put("orders/1", total=3))
        assert len(world.store.rows) == 6 and world.worker.counts()["refused"] == 1
        assert Pong(1) in one.heard and not world.worker.counts()["wrong"]

    run(work, one, other)


def test_what_is_done_for_a_store_is_counted() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        ticks = iter(range(1, 10_000))
        world.worker.desk._now = world.worker.answering._now = lambda: float(next(ticks))
        await world.say(one, one.put("orders/1", total=3), Ask("orders/1", b"\0"))
        assert world.use._credit[one.store.hex()][0] <= CREDIT_SECONDS - 2

    run(work, one, two)


def test_a_slice_ends_after_some_time() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        changes = [two.put(f"orders/{number}", total=3) for number in range(3)]
        await world.say(two, *changes)
        await world.say(one, Wants(("orders",)))
        ticks = iter(range(1, 10_000))
        slices: list[int] = []
        real = world.worker.answering.go_on

        def go_on(question: Question, limit: int) -> list[Publication]:
            slices.append(len(question.asks) + len(question.unsettled))
            return real(question, limit)

        world.worker.answering._now = lambda: float(next(ticks))
        world.worker.answering.go_on = go_on  # type: ignore[method-assign]
        await world.say(one, *(Ask(change.document, b"\0") for change in changes))
        assert slices == [3, 2, 1] and len(one.documents) == 3
        await world.say(two, two.opening())
        assert slices[3:] == [0, 2, 1]

    run(work, one, two)


def test_messages_that_are_wrong_are_counted_and_gone(caplog: pytest.LogCaptureFixture) -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        message = Message(one.topics.up, b"a secret")
        world.link.put(*[message] * 250)
        await world.say(one, Change("orders/1", b"a secret"), one.put("orders/2", total=1))
        counts = world.worker.counts()
        assert (counts["wrong"], counts["refused"], counts["changes"]) == (250, 1, 1)
        assert len(world.link.acknowledged) == 251
        assert "secret" not in caplog.text
        assert caplog.text.count("not taken: malformed") == 101
        assert [one.update for one in world.store.refusals] == [b"a secret"]

    run(work, one)


def test_a_mistake_of_ours_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        monkeypatch.setattr("gateway.runtime.cloud_desk.read_letter", lambda *_: 1 // 0)
        await world.say(one, one.put("orders/1", total=3))
        assert world.worker.counts()["wrong"] == 1
        assert len(world.link.acknowledged) == 1 and not world.store.rows
        assert "could not be read" in caplog.text

    run(work, one)


def test_stores_that_are_not_served_are_refused() -> None:
    one, two = HandGateway(1), HandGateway(2, STORES[1])

    async def work(world: World) -> None:
        world.worker.desk._stores = frozenset({one.store.hex()})
        await world.say(two, Wants(("orders",)), two.put("orders/1", total=3))
        assert not world.store.rows and not world.store.told
        assert world.worker.counts()["wrong"] == 1

    run(work, one, two)


def exchange(world: World, gateway: HandGateway) -> Coroutine[Any, Any, None]:
    return world.say(gateway, gateway.opening())


def test_an_exchange_brings_what_either_lacks() -> None:
    one, two = pair()
    for number in range(30):
        one.put(f"orders/{number}", n=number)
    two.put("orders/5", other=True)
    two.put("notes/1", text="x")

    async def work(world: World) -> None:
        for gateway in (one, two, one):
            await world.say(gateway, Wants(("orders",)))
            await exchange(world, gateway)
        for number in range(30):
            assert one.content(f"orders/{number}") == two.content(f"orders/{number}")
        assert two.content("orders/5") == {"fields": {"n": 5, "other": True}}
        assert one.content("notes/1") == {}
        # All agree, so nothing is said of a document.
        world.link.sent.clear()
        world._read = 0
        one.heard.clear()
        await exchange(world, one)
        assert {type(item) for item in one.heard} <= {Turn, Ask}

    run(work, one, two)


def test_a_deletion_is_missed_by_no_vector() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        await world.say(one, one.put("orders/1", a=1, b=2))
        await world.say(two, Wants(("orders",)))
        await exchange(world, two)
        one.put("orders/1", a=1)
        await exchange(world, one)
        assert two.content("orders/1") == {"fields": {"a": 1}}

    run(work, one, two)


def test_many_documents_are_settled_in_slices_between_other_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = pair()
    monkeypatch.setattr(cloud_answers, "SLICE_DOCUMENTS", 1)

    async def work(world: World) -> None:
        await world.say(one, *[one.put(f"orders/{number}", n=number) for number in range(40)])
        world.link.put(*two.say(Wants(("orders",)), two.opening()))
        while not world.worker.waiting():  # noqa: ASYNC110
            await asyncio.sleep(0)
        for number in range(40, 60):
            world.link.put(*one.say(one.put(f"orders/{number}", n=number)))
            await asyncio.sleep(0.001)
        await world.settle()
        assert len(two.documents) == 60
        assert sum(1 for row in world.store.rows.values() if row.fingerprint) >= 40

    run(work, one, two)


def test_a_document_of_many_changes_is_written_anew_when_it_is_loaded() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        for number in range(COMPACT_ROWS):
            await world.say(one, one.put("orders/1", n=number))
        late = two.put("orders/1", x=1)
        two.documents.clear()
        waits = one.put("orders/1", n=-1)
        # What waits for what is missing is kept beside the snapshot.
        early = one.put("orders/1", n=-2)
        await world.say(one, early)
        await exchange(world, two)
        row = world.store.rows[one.store.hex(), "orders/1"]
        assert row.snapshot and tuple(row.changes.values()) == (early.update,)
        assert world.documents.compacted == 1
        await world.say(one, waits)
        await world.say(two, late, Wants(("orders",)))
        await exchange(world, two)
        assert two.content("orders/1") == {"fields": {"n": -2, "x": 1}}

    run(work, one, two)


def test_a_document_that_nobody_asks_for_is_written_anew_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cloud_desk, "MAX_ROWS", COMPACT_ROWS)
    one, two = pair()

    async def work(world: World) -> None:
        for number in range(COMPACT_ROWS + 1):
            await world.say(one, one.put("orders/1", total=number), one.put("orders/2", n=number))
        row = world.store.rows[one.store.hex(), "orders/1"]
        assert len(row.changes) == 1 and row.snapshot and world.documents.compacted == 2

    run(work, one, two)


def test_of_a_document_so_many_changes_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_documents, "MAX_EARLY", 2)
    monkeypatch.setattr(cloud_answers, "MAX_EARLY", 2)
    one, two = pair()

    async def work(world: World) -> None:
        one.put("orders/1", total=0)
        await world.say(one, *(one.put("orders/1", total=number) for number in range(1, 6)))
        await world.say(two, Ask("orders/1", b"\0"))
        row = world.store.rows[one.store.hex(), "orders/1"]
        # The snapshot beside them is empty.
        assert len(row.changes) == 2 and len(world.store.refusals) == 3

    run(work, one, two)


def test_a_document_that_cannot_be_loaded_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    one, two = pair()

    async def work(world: World) -> None:
        await world.say(one, one.put("orders/1", n=1), one.put("orders/2", n=1))
        store = one.store.hex()
        world.store.rows[store, "orders/1"].snapshot = b"junk"
        await world.say(two, Wants(("orders",)), Ask("orders/1", b"\0"))
        await exchange(world, two)
        await exchange(world, two)
        assert two.content("orders/2") == {"fields": {"n": 1}}
        assert caplog.text.count("orders/1") == 1 and world.documents.broken == 1
        with pytest.raises(GatewayError) as error:
            await world.worker.edit(store, "orders/1", "put", {"n": 2})
        assert error.value.code == "document-broken"

    run(work, one, two)


def test_a_document_that_cannot_be_written_anew_is_answered_all_the_same(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair()

    def fails(document: Document) -> bytes:
        raise DocumentBroken(document.name, "no")

    async def work(world: World) -> None:
        await world.say(one, *[one.put("orders/1", n=number) for number in range(COMPACT_ROWS)])
        monkeypatch.setattr(Document, "snapshot", fails)
        await world.say(two, Wants(("orders",)))
        await exchange(world, two)
        assert two.content("orders/1") == {"fields": {"n": COMPACT_ROWS - 1}}
        assert caplog.text.count("cannot be written anew") == 1

    run(work, one, two)


def test_a_mistake_of_ours_in_one_document_stops_no_other(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair()
    real = cloud_answers.loaded

    def fails(name: str, stored: StoredDocument) -> Document:
        if name == "orders/1":
            raise ValueError("a secret")
        return real(name, stored)

    async def work(world: World) -> None:
        monkeypatch.setattr(cloud_documents, "loaded", fails)
        await world.say(one, one.put("orders/1", n=1), one.put("orders/2", n=2))
        await world.say(two, Wants(("orders",)))
        await exchange(world, two)
        assert two.content("orders/2") == {"fields": {"n": 2}} and two.content("orders/1") == {}
        assert "ValueError" in caplog.text and "secret" not in caplog.text

    run(work, one, two)


def test_a_change_that_breaks_a_document_is_taken_out() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        store = one.store.hex()
        await world.say(one, Change("orders/1", forged_early()), Change("orders/1", ONE))
        await world.say(one, Change("orders/1", TWO))
        await world.say(two, Wants(("orders",)), Ask("orders/1", b"\0"))
        assert two.content("orders/1") == {"map": {"a": 1, "b": 2}}
        assert [refusal.update for refusal in world.store.refusals] == [forged_early()]
        assert not world.store.rows[store, "orders/1"].changes

    run(work, one, two)


def test_a_question_that_we_fail_at_is_given_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        monkeypatch.setattr("gateway.runtime.cloud_answering.turned", lambda *_: 1 // 0)
        await exchange(world, one)
        assert len(world.link.acknowledged) == 1 and not one.heard
        assert "could not be answered" in caplog.text

    run(work, one)


def test_of_one_gateway_so_many_questions_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair()
    monkeypatch.setattr(cloud_questions, "MAX_OF_ONE", 2)

    async def work(world: World) -> None:
        await world.say(one, one.put("orders/1", n=1))
        for _ in range(20):
            world.link.put(*two.say(Wants(("orders",)), Ask("orders/1", b"\0")))
        world.link.put(*one.say(Wants(("orders",)), Ask("orders/1", b"\0")))
        await world.settle()
        # All are acknowledged, and nobody else waits.
        assert len(world.link.acknowledged) >= 22 and world.worker.counts()["given_up"] > 0
        assert 2 <= sum(isinstance(item, Answer) for item in two.heard) < 20
        assert sum(isinstance(item, Answer) for item in one.heard) == 1

    run(work, one, two)


def test_messages_are_acknowledged_in_their_order() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        messages = [
            *one.say(one.put("orders/1", n=1)), *two.say(two.opening()), *one.say(Ping(1)),
            *two.say(Ask("orders/1", b"\0")), *one.say(one.put("orders/2", n=1)),
        ]  # fmt: skip
        world.link.put(*messages)
        await world.settle()
        assert world.link.acknowledged[: len(messages)] == messages

    run(work, one, two)


def test_a_turn_that_is_wrong_is_not_answered() -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        await world.say(one, Turn(b"junk"))
        assert len(world.link.acknowledged) == 1 and not one.heard

    run(work, one)


def menu(writers: tuple[str, ...]) -> Shares:
    return Shares([Share("menu", ("menu",), (EVERY,), writers)])


def test_a_menu_goes_from_one_store_to_all_others(caplog: pytest.LogCaptureFixture) -> None:
    head, shop = HandGateway(1), HandGateway(2, STORES[1])

    async def work(world: World) -> None:
        await world.say(shop, Wants(("menu", "orders")))
        await world.say(head, head.put("menu/1", price=3), head.put("orders/1", n=1))
        assert shop.content("menu/1") == {"fields": {"price": 3}}
        assert shop.content("orders/1") == {}
        assert ("share:menu", "menu/1") in world.store.rows
        # What a shop makes of it by itself is refused, and by the exchange too.
        await world.say(shop, shop.put("menu/1", price=4))
        await exchange(world, shop)
        await world.say(head, Wants(("menu",)))
        await exchange(world, head)
        assert head.content("menu/1") == {"fields": {"price": 3}}
        assert [refusal.space for refusal in world.store.refusals] == ["share:menu"]
        assert not any(isinstance(item, Ask) for item in shop.heard)
        assert any(isinstance(item, Answer) for item in shop.heard)

    run(work, head, shop, shares=menu((head.store.hex(),)))
    said = f"change 1 that is refused, of gateway {shop.peer.hex()} in share:menu: forbidden"
    assert said in caplog.text


def test_the_cloud_writes_and_gateways_hear_of_it() -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        store, worker = one.store.hex(), world.worker
        await world.say(one, Wants(("orders",)), one.put("orders/1", total=3))
        assert await worker.edit(store, "orders/1", "patch", {"paid": True})
        assert not await worker.edit(store, "orders/1", "patch", {"paid": True})
        assert await worker.edit(store, "orders/2", "put", {"total": 1})
        await world.settle()
        assert one.content("orders/1") == {"fields": {"paid": True, "total": 3}}
        assert one.content("orders/2") == {"fields": {"total": 1}}
        assert worker.counts()["edits"] == 2

    run(work, one)


def test_a_share_can_be_written_to_before_any_gateway_is_heard() -> None:
    async def work(world: World) -> None:
        assert await world.worker.edit("share:menu", "menu/1", "put", {"price": 3})

    run(work, shares=menu((EVERY,)))


@pytest.mark.parametrize(
    ("space", "document", "content", "code"),
    [
        ("share:menu", "orders/1", {}, "hub-no-space"),
        ("share:else", "menu/1", {}, "hub-no-space"),
        ("b" * 32, "orders/1", {}, "no-store"),
        ("b" * 32, "menu/1", {}, "no-store"),
        ("a" * 32, "menu/1", {}, "hub-no-space"),
        ("a" * 32, "nothing", {}, "bad-name"),
        ("a" * 32, "orders/1", {"x": "y" * 300_000}, "too-big"),
        ("a" * 32, "orders/1", {"x" * 300: 1}, "too-big"),
        ("a" * 32, "orders/1", {"x": 1e999}, "usage"),
    ],
)
def test_what_the_cloud_cannot_write(
    space: str, document: str, content: dict[str, object], code: str
) -> None:
    async def work(world: World) -> None:
        world.store.greet(HEARD)
        with pytest.raises(GatewayError) as error:
            await world.worker.edit(space, document, "put", content)
        assert error.value.code == code and not world.store.rows

    run(work, shares=menu((EVERY,)))


def test_after_a_write_that_failed_the_cloud_is_another_client() -> None:
    async def work(world: World) -> None:
        world.store.greet(HEARD)
        real = world.store.append

        def written_and_lost(changes: Sequence[CloudChange], refusals: object = ()) -> None:
            real(changes)
            world.store.append = real  # type: ignore[method-assign]
            raise AWAY

        world.store.append = written_and_lost  # type: ignore[method-assign]
        with pytest.raises(GatewayError):
            await world.worker.edit("a" * 32, "orders/1", "put", {"x": 1})
        await world.worker.edit("a" * 32, "orders/1", "put", {"x": 2})
        stored = world.store.load("a" * 32, "orders/1")
        document = Document.load("orders/1", b"", stored.changes)
        assert document.project() == {"fields": {"x": 2}} and len(document.clocks) == 2

    run(work)


def test_the_cloud_writes_without_a_broker_too() -> None:
    async def work() -> None:
        world = World()
        world.store.greet(HEARD)
        assert await world.worker.edit("a" * 32, "orders/1", "put", {"x": 1})
        assert world.worker.waiting() == 0 and not world.worker.is_hearing
        world.worker.stored(["orders/1"])
        world.helper.close()

    asyncio.run(work())


def test_what_the_broker_does_not_take_is_said_and_the_message_is_done() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        world.link.refusal = GatewayError("broker-topic-denied", "no")
        await world.say(one, Ping(1))
        assert world.refused["answers"] is world.link.refusal
        assert len(world.link.acknowledged) == 1
        world.link.refusal = None
        await world.say(one, Ping(2))
        assert world.refused["answers"] is None

    run(work, one, two)


def test_what_was_not_told_when_the_connection_is_lost_is_not_acknowledged() -> None:
    one = HandGateway(1)

    async def work() -> None:
        world = World(one)
        (serving,) = [asyncio.ensure_future(w) for w in world.worker.over(world.link, TOPICS)]
        await world.settle()
        world.link.end(LOST)
        world.link.put(*one.say(Ping(1), one.put("orders/1", x=1)))
        with pytest.raises(BaseExceptionGroup):
            await serving
        assert world.store.rows and not world.link.acknowledged
        assert world.worker.waiting() == 0
        world.helper.close()

    asyncio.run(work())


def test_messages_may_come_from_elsewhere() -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        queue = FakeLink()

        async def queued(link: BrokerLink, topics: HubTopics) -> Intake:
            assert link is world.link and topics is TOPICS
            return queue

        world.worker._hear = queued
        link = world.link = FakeLink()
        (serving,) = [asyncio.ensure_future(w) for w in world.worker.over(link, TOPICS)]
        queue.put(*one.say(Ping(1)))
        await eventually(lambda: len(link.sent) == 1)
        assert len(queue.acknowledged) == 1 and not link.acknowledged
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert (await queue.lost()).code == "broker-lost"

    run(work, one)


async def eventually(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def test_a_change_of_the_cloud_that_cannot_be_told_is_no_failure() -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        await world.say(one, Wants(("orders",)))
        world.link.end(LOST)
        assert await world.worker.edit(one.store.hex(), "orders/1", "put", {"x": 1})
        await asyncio.sleep(0.01)
        assert not one.heard

    run(work, one)


def test_a_gateway_is_noted_now_and_then() -> None:
    one = HandGateway(1)

    async def work(world: World) -> None:
        greeted: list[object] = []
        real = world.store.greet

        def greet(heard: Sequence[Greeting]) -> None:
            greeted.extend(one.wants for one in heard)
            real(heard)

        world.store.greet = greet  # type: ignore[method-assign]
        for moment in (0.0, 1.0, 59.0, 60.0, 61.0):
            world.now = moment
            await world.say(one, Ping(1))
        await world.say(one, Wants(("menu",)))
        assert greeted == [None, None, ("menu",)]

    run(work, one)


def test_a_replayed_message_changes_nothing() -> None:
    one, two = pair()

    async def work(world: World) -> None:
        await world.say(two, Wants(("orders",)))
        (message,) = one.say(one.put("orders/1", n=1))
        for _ in range(3):
            world.link.put(replace(message))
        await world.settle()
        assert two.content("orders/1") == {"fields": {"n": 1}}
        await exchange(world, two)
        assert two.documents["orders/1"].fingerprint() == one.documents["orders/1"].fingerprint()

    run(work, one, two)

"""The hub and its rooms: what is applied, passed on, written, acked, refused."""

from collections.abc import Callable
from hashlib import blake2b

import pytest
from pycrdt import Text

from gateway.core import hub as hub_module
from gateway.core import room as room_module
from gateway.core.document import Document, DocumentBroken
from gateway.core.errors import Code, PeerError
from gateway.core.events import (
    ChangesDropped,
    Compact,
    DocumentEntered,
    DocumentOpened,
    DocumentReleased,
    Effect,
    Load,
    Persist,
    PresenceAsked,
    PresenceReceived,
    Receipt,
    UpdateReceived,
    Wake,
    WakeAll,
)
from gateway.core.hub import DAY_SECONDS, LARGE_BYTES, TURNS_PUT_OFF, Hub, Quotas
from gateway.core.presence import EXPIRY_SECONDS
from gateway.core.records import CLOUD, Change, Refusal, StoredDocument
from gateway.core.session import State
from gateway.core.y_messages import awareness_payload
from tests.core.edits import Author, facts
from tests.core.sessions import FromHub, RecordingSession

NAME = "orders/1"
NOTHING = StoredDocument(b"", ())
PLENTY = Quotas(1 << 30, 1 << 30, 1 << 30)
EMPTY = b"\x00\x00"


class Store:
    """A hub with its effects performed on a list of rows."""

    def __init__(self, quotas: Quotas = PLENTY, **options: object) -> None:
        self.hub = Hub(quotas, {}, frozenset(), **options)  # type: ignore[arg-type]
        self.rows: dict[str, list[bytes]] = {}
        self.refusals: list[Refusal] = []
        self.compactions: list[Compact] = []
        self.loads: list[str] = []
        self.numbers: dict[RecordingSession, int] = {}

    def join(self, *sessions: RecordingSession, document: str = NAME) -> None:
        for session in sessions:
            self.hub.join(session)
            self.say(session, DocumentOpened(document, b"\x00"))
            self.hear(session)

    def say(self, session: RecordingSession, event: object) -> list[Effect]:
        if self.hub.needs(event.document):  # type: ignore[attr-defined]
            self.load(event.document)  # type: ignore[attr-defined]
        return self.perform(self.hub.handle(session, event))  # type: ignore[arg-type]

    def update(
        self,
        session: RecordingSession,
        update: bytes,
        *,
        answer: bool = False,
        more: bool = False,
        document: str = NAME,
    ) -> list[Effect]:
        number = self.numbers[session] = self.numbers.get(session, 0) + 1
        return self.say(session, UpdateReceived(document, update, number, answer, more))

    def turn(self) -> list[Effect]:
        effects = self.perform(self.hub.turn())
        while self.loads:
            self.load(self.loads.pop())
        return effects

    def load(self, document: str) -> None:
        self.hub.loaded(document, StoredDocument(b"", tuple(self.rows.get(document, ()))))

    def hear(self, session: RecordingSession) -> list[bytes]:
        return session.data_to_send(FromHub(self.hub))

    def perform(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, Persist):
                for record in effect.records:
                    if isinstance(record, Refusal):
                        self.refusals.append(record)
                    else:
                        self.rows.setdefault(record.document, []).append(record.update)
                self.hub.stored(effect.receipts)
            elif isinstance(effect, Load):
                self.loads.append(effect.document)
            elif isinstance(effect, Compact):
                self.compactions.append(effect)
        return effects

    def content(self, document: str = NAME) -> dict:
        reader = Author(99)
        for row in self.rows.get(document, ()):
            reader.take(row)
        return reader.read()


def pair() -> tuple[Store, RecordingSession, RecordingSession]:
    store, ada, bea = Store(), RecordingSession("ada"), RecordingSession("bea")
    store.join(ada, bea)
    return store, ada, bea


def read(*updates: bytes) -> dict:
    reader = Author(98)
    for update in updates:
        reader.take(update)
    return reader.read()


def test_an_update_is_passed_on_written_and_acked_but_not_echoed() -> None:
    store, ada, bea = pair()
    assert store.update(ada, Author(1).set("status", "open")) == []
    effects = store.turn()
    assert [type(effect) for effect in effects] == [WakeAll, Persist]
    assert read(*store.hear(bea)) == {"status": "open"} == store.content()
    assert store.hear(ada) == []
    assert ada.acknowledged == 1
    assert store.hub.counts.updates == 1


def test_what_came_in_one_turn_is_one_row_and_one_message() -> None:
    store, ada, bea = pair()
    author = Author(1)
    for number in range(5):
        store.update(ada, author.set("n", number))
    store.turn()
    assert len(store.rows[NAME]) == 1
    assert len(store.hear(bea)) == 1
    assert ada.acknowledged == 5


def test_a_change_of_a_large_document_lets_others_go_first_but_not_for_ever() -> None:
    store, ada, bea = pair()
    store.say(ada, DocumentOpened("orders/2", b"\x00"))
    large, small = Author(1), Author(2)
    store.update(ada, large.write("x" * (LARGE_BYTES + 1)), document="orders/2")
    while store.hub.due:
        store.turn()
    store.update(ada, large.write("x"), document="orders/2")
    for number in range(TURNS_PUT_OFF):
        store.update(bea, small.set("n", number))
        store.turn()
        assert len(store.rows[NAME]) == number + 1 and len(store.rows["orders/2"]) == 1
    store.turn()
    assert len(store.rows["orders/2"]) == 2 and not store.hub.due


def test_two_authors_in_one_turn_get_each_others_change_only() -> None:
    store, ada, bea = pair()
    first, second = Author(1).set("a", 1), Author(2).set("b", 2)
    store.update(ada, first)
    store.update(bea, second)
    store.turn()
    assert store.hear(ada) == [second]
    assert store.hear(bea) == [first]


def test_with_many_authors_everybody_gets_the_merged_change() -> None:
    store = Store()
    peers = [RecordingSession(str(n)) for n in range(4)]
    store.join(*peers)
    for number, peer in enumerate(peers[:3], 1):
        store.update(peer, Author(number).set(str(number), number))
    store.turn()
    for peer in peers:
        (update,) = store.hear(peer)
        assert read(update) == {"1": 1, "2": 2, "3": 3}


@pytest.mark.parametrize(
    ("identities", "counts"), [((CLOUD, "ada"), "ada"), (("ada", CLOUD), "ada"), ((CLOUD,), CLOUD)]
)
def test_what_a_device_and_the_cloud_changed_together_is_of_the_device(
    identities: tuple[str, ...], counts: str
) -> None:
    store = Store()
    peers = [RecordingSession(identity) for identity in identities]
    store.join(*peers)
    for number, peer in enumerate(peers, 1):
        store.update(peer, Author(number).set(str(number), number))
    (persist,) = [effect for effect in store.turn() if isinstance(effect, Persist)]
    (record,) = persist.records
    assert isinstance(record, Change) and record.peer == counts


def test_a_known_update_is_acked_and_nothing_else() -> None:
    store, ada, bea = pair()
    update = Author(1).set("a", 1)
    store.update(ada, update)
    store.turn()
    store.hear(bea)
    store.update(ada, update)
    store.turn()
    assert ada.acknowledged == 2
    assert len(store.rows[NAME]) == 1
    assert store.hear(bea) == []


def test_a_newcomer_is_asked_and_answered() -> None:
    store, ada, bea = pair()
    store.update(ada, Author(1).set("a", 1))
    store.turn()
    late = RecordingSession("late")
    store.hub.join(late)
    effects = store.say(late, DocumentEntered(NAME))
    assert effects == [Wake(late)]
    assert late.asked[0][0] == NAME
    store.update(ada, Author(2).set("b", 2))
    store.turn()
    assert store.hear(late) == [], "nothing is passed on before it said what it has"
    store.say(late, DocumentOpened(NAME, b"\x00"))
    assert read(*store.hear(late)) == {"a": 1, "b": 2}


def test_an_early_update_is_stored_and_asked_for_and_passed_on_later() -> None:
    store, ada, bea = pair()
    author = Author(1)
    first, second = author.set("a", 1), author.set("a", 2)
    asked = len(bea.asked)
    store.update(bea, second)
    store.turn()
    assert bea.acknowledged == 1 and len(store.rows[NAME]) == 1
    assert len(bea.asked) == asked + 1
    assert store.hear(ada) == []
    store.update(bea, second, answer=True)
    store.turn()
    assert len(store.rows[NAME]) == 1, "the same early update is not stored twice"
    assert len(bea.asked) == asked + 1, "an answer is not asked for again"
    store.update(ada, first)
    store.turn()
    assert read(*store.hear(bea)) == {"a": 2}
    assert store.content() == {"a": 2}


def test_an_author_gets_what_its_update_set_free() -> None:
    store, ada, bea = pair()
    author = Author(1)
    first, second = author.set("a", 1), author.set("a", 2)
    store.update(bea, second)
    store.turn()
    store.update(ada, first)
    store.turn()
    assert read(*store.hear(ada)) == {"a": 2}


def test_an_author_gets_what_was_ready_of_an_early_update_of_its_turn() -> None:
    store, ada, bea = pair()
    mine, hers = Author(1), Author(2)
    store.update(ada, mine.write("ab"))
    store.turn()
    hers.take(mine.whole())
    hers.set("a", 1)  # never comes
    known = hers.state()
    hers.doc.get("text", type=Text).clear()
    hers.set("b", 2)
    store.hear(ada)
    # Its deletion is ready at once, its struct waits for "a".
    store.update(bea, hers.doc.get_update(known))
    store.update(ada, mine.set("c", 3))
    store.turn()
    for update in store.hear(ada):
        mine.take(update)
    assert str(mine.doc.get("text", type=Text)) == ""


def test_what_the_guard_refuses_goes_to_quarantine() -> None:
    store, ada, bea = pair()
    store.update(ada, b"\x01\xff")
    assert ada.refusals[0][0] == 1
    assert [refusal.update for refusal in store.refusals] == [b"\x01\xff"]
    assert ada.acknowledged == 1
    assert bea.state is State.OPEN and store.hear(bea) == []
    assert store.hub.counts.refused == 1


def test_an_update_in_quarantine_is_not_tried_again() -> None:
    update = Author(1).set("a", 1)
    hub = Hub(PLENTY, {}, frozenset({blake2b(update, digest_size=16).digest()}))
    store, ada = Store(), RecordingSession()
    store.hub = hub
    store.join(ada)
    store.update(ada, update)
    assert ada.refusals == [(1, Code.REFUSED)]


def breaking(monkeypatch: pytest.MonkeyPatch, poison: bytes) -> list[int]:
    """Make one update break its document, as a crash of the library would."""
    sizes: list[int] = []
    real = Document.apply

    def apply(self: object, batch: list) -> object:
        sizes.append(len(batch))
        if any(update == poison for update, _ in batch):
            raise DocumentBroken(NAME, "poison")
        return real(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Document, "apply", apply)
    return sizes


def test_a_broken_document_is_loaded_again_and_the_offender_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, ada, bea = pair()
    store.update(ada, Author(1).set("kept", 1))
    store.turn()
    good, poison = Author(2).set("good", 2), Author(3).set("poison", 3)
    sizes = breaking(monkeypatch, poison)
    store.update(ada, good)
    store.update(bea, poison)
    while store.hub.due:
        store.turn()
    assert sizes == [2, 1, 1]
    assert store.content() == {"kept": 1, "good": 2}
    assert bea.refusals == [(1, Code.REFUSED)] and bea.acknowledged == 1
    assert ada.refusals == [] and ada.acknowledged == 2
    store.update(bea, poison)
    assert bea.refusals[-1] == (2, Code.REFUSED)
    assert sizes == [2, 1, 1], "what is in quarantine is not applied again"


def test_suspects_of_a_crash_are_applied_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = Author(1).set("a", 1), Author(2).set("b", 2)
    digests = frozenset(blake2b(u, digest_size=16).digest() for u in (one, two))
    store, ada = Store(suspected=digests), RecordingSession("ada")
    store.join(ada)
    store.update(ada, one)
    store.update(ada, Author(3).set("c", 3))
    store.update(ada, two)
    assert store.hub.applying() == [(NAME, "ada", one)]
    store.turn()
    assert store.hub.applying() == [(NAME, "ada", two)]
    store.turn()
    assert len(store.hub.applying()) == 1
    store.turn()
    assert not store.hub.due
    assert store.content() == {"a": 1, "b": 2, "c": 3}
    assert ada.acknowledged == 3


def test_parts_of_an_answer_are_applied_with_the_last() -> None:
    store, ada, bea = pair()
    author = Author(1)
    store.update(ada, author.set("a", 1), answer=True, more=True)
    assert store.hub.turn() == []
    store.update(ada, author.set("b", 2), answer=True)
    store.turn()
    assert read(*store.hear(bea)) == {"a": 1, "b": 2}
    assert ada.acknowledged == 2


def test_an_ack_never_covers_a_part_that_waits_for_its_last() -> None:
    store, ada, _ = pair()
    store.say(ada, DocumentOpened("orders/2", b"\x00"))
    store.update(ada, Author(1).set("a", 1), answer=True, more=True)
    store.update(ada, Author(2).set("b", 2), document="orders/2")
    store.turn()
    assert ada.acknowledged == 0
    store.say(ada, DocumentReleased(NAME))
    assert ada.refusals == [(1, Code.RESET)] and ada.acknowledged == 2


def test_a_part_that_is_declined_takes_those_before_it_along() -> None:
    store, ada, _ = pair()
    author = Author(1)
    store.update(ada, author.set("a", 1), answer=True, more=True)
    store.hub._quotas = Quotas(1 << 20, 10, 1 << 20)
    store.update(ada, author.set("b", 2), answer=True)
    assert ada.refusals == [(2, Code.QUOTA), (1, Code.RESET)] and ada.acknowledged == 2
    assert not store.hub.due and not store.hub.rooms[NAME].busy


def test_a_part_the_guard_refuses_takes_those_before_it_along() -> None:
    store, ada, _ = pair()
    store.update(ada, Author(1).set("a", 1), answer=True, more=True)
    store.update(ada, b"\xff", answer=True)
    assert ada.refusals == [(1, Code.RESET), (2, Code.MALFORMED)] and ada.acknowledged == 2


def test_parts_count_towards_the_quotas_before_their_last_came() -> None:
    store = Store(Quotas(1 << 20, 2_000, 1 << 20))
    ada = RecordingSession("ada")
    store.join(ada)
    author = Author(1)
    for _ in range(4):
        store.update(ada, author.set("a", "x" * 400), answer=True, more=True)
    assert [code for _, code in ada.refusals] == [Code.QUOTA, Code.RESET, Code.RESET]
    store.hub.leave(ada)
    assert not store.hub._held and not store.hub.rooms[NAME].busy


def test_who_is_refused_before_a_document_is_loaded_holds_nothing() -> None:
    store, ada = Store(), RecordingSession("ada")
    store.hub.join(ada)
    event = UpdateReceived(NAME, b"\xff", 1, answer=True, more=False)
    store.perform(store.hub.refused(ada, event, PeerError(Code.MALFORMED, "no")))
    assert ada.acknowledged == 1
    assert store.hub.answer(NAME, b"\x00") is None and store.hub.presence(NAME, None) == []


def test_an_answer_in_too_many_parts_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_HELD_BYTES", 10)
    store, ada, _ = pair()
    store.update(ada, Author(1).set("a", 1), answer=True, more=True)
    assert ada.farewell is not None and ada.farewell.code is Code.TOO_BIG
    assert store.update(ada, Author(1).set("a", 1)) == []


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda hub: setattr(hub, "store_trouble", "the disk is full"), Code.UNAVAILABLE),
        (lambda hub: setattr(hub, "_quotas", Quotas(10, 1 << 20, 1 << 20)), Code.QUOTA),
        (lambda hub: setattr(hub, "_quotas", Quotas(1 << 20, 10, 1 << 20)), Code.QUOTA),
        (lambda hub: setattr(hub, "_quotas", Quotas(1 << 20, 1 << 20, 10)), Code.QUOTA),
    ],
)
def test_declined_updates_are_told_and_not_quarantined(
    prepare: Callable[[Hub], None], code: Code
) -> None:
    store, ada, bea = pair()
    prepare(store.hub)
    store.update(ada, Author(1).set("a", 1))
    assert ada.refusals == [(1, code)] and ada.acknowledged == 1
    assert store.refusals == [] and not store.hub.due
    store.update(ada, EMPTY)
    store.turn()
    assert ada.acknowledged == 2, "an empty answer is welcome all the same"


def test_what_a_device_wrote_is_forgotten_after_a_day() -> None:
    one = Author(1).set("a", 1)
    store, ada = Store(Quotas(1 << 20, 1 << 20, len(one))), RecordingSession("ada")
    store.join(ada)
    author = Author(2)
    for now, refused in ((0.0, 0), (DAY_SECONDS - 1, 1), (DAY_SECONDS, 1), (DAY_SECONDS + 1, 2)):
        store.hub.tick(now)
        store.update(ada, author.set("a", 1))
        assert len(ada.refusals) == refused


def test_devices_that_wrote_least_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_COUNTED_PEERS", 3)
    store = Store()
    for name in "abcd":
        session = RecordingSession(name)
        store.join(session)
        for number in range(2 if name == "c" else 1):
            store.update(session, Author(ord(name) + number).set("a", 1))
    store.hub.tick(1.0)
    assert store.hub._written.keys() == {"c"}


def test_a_peer_cannot_bring_all_the_authors_of_a_document(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room_module, "MAX_AUTHORS", 5)
    monkeypatch.setattr(room_module, "MAX_AUTHORS_OF_A_PEER", 3)
    store, ada, bea = pair()
    authors = [Author(number) for number in range(1, 8)]
    for author in authors[:4]:
        store.update(ada, author.set("a", 1))
        store.turn()
    assert ada.refusals == [(4, Code.QUOTA)]
    store.update(ada, authors[0].set("a", 2))
    for author in authors[4:]:
        store.update(bea, author.set("b", 1))
        store.turn()
    assert len(ada.refusals) == 1 and bea.refusals == [(3, Code.QUOTA)]


def test_a_large_answer_is_followed_by_what_changed_since() -> None:
    store, ada, _ = pair()
    store.update(ada, Author(1).set("a", "x" * 500))
    store.turn()
    answer = FromHub(store.hub).answer(NAME, b"\x00", 100)
    assert answer is not None and answer.then == b"\x01\x01\x01"


def test_a_document_that_is_read_again_is_answered_when_it_is_there() -> None:
    store, ada, bea = pair()
    store.update(ada, Author(1).set("a", 1))
    store.turn()
    store.say(bea, DocumentOpened(NAME, b"\x00"))
    assert store.perform(store.hub.broken(NAME)) == [Load(NAME)]
    assert store.hear(bea) == []
    effects = store.hub.loaded(NAME, StoredDocument(b"", tuple(store.rows[NAME])))
    assert Wake(bea) in effects and len(store.hear(bea)) == 1


def test_what_is_queued_for_a_document_that_is_lost_stays_with_its_author() -> None:
    store, ada, _ = pair()
    store.update(ada, Author(1).set("a", 1))
    store.hub.broken(NAME)
    store.perform(store.hub.lost(NAME))
    assert ada.refusals == [(1, Code.UNAVAILABLE)] and ada.acknowledged == 1
    assert not store.hub.rooms[NAME].busy


def test_who_wants_a_document_that_cannot_be_read_is_told() -> None:
    store, ada = Store(), RecordingSession()
    store.hub.join(ada)
    for event in (
        DocumentOpened(NAME, b"\x00"),
        DocumentEntered(NAME),
        UpdateReceived(NAME, EMPTY, 1, False, False),
        PresenceAsked(NAME),
    ):
        assert Wake(ada) in store.perform(store.hub.unreadable(ada, event))
    assert ada.denials == [(NAME, Code.UNAVAILABLE)] * 2
    assert ada.refusals == [(1, Code.UNAVAILABLE)] and ada.acknowledged == 1


def test_in_a_flood_of_refused_updates_only_some_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "KEPT_REFUSALS", 2)
    store, ada, _ = pair()
    for number in range(4):
        store.update(ada, b"\xff%d" % number)
    assert len(store.refusals) == 2 and len(ada.refusals) == 4 and ada.acknowledged == 4
    store.hub.tick(hub_module.KEPT_REFUSALS_SECONDS)
    store.update(ada, b"\xff5")
    assert len(store.refusals) == 3


def test_a_reader_may_not_write() -> None:
    store, reader = Store(), RecordingSession(writes=False)
    store.join(reader)
    store.update(reader, Author(1).set("a", 1))
    assert reader.refusals == [(1, Code.FORBIDDEN)]


def test_usage_is_counted_per_collection() -> None:
    store, ada, _ = pair()
    update = Author(1).set("a", 1)
    store.update(ada, update)
    store.turn()
    assert store.hub.usage["orders"] == len(store.rows[NAME][0])


def test_early_updates_beyond_their_room_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.early.MAX_EARLY_BYTES", 10)
    store, ada, _ = pair()
    author = Author(1)
    author.set("a", 1)
    store.update(ada, author.set("a", 2))
    store.turn()
    assert ada.refusals == [(1, Code.TOO_MANY)]
    assert store.rows == {}


def test_presence_goes_to_the_others_and_back_as_an_echo() -> None:
    store, ada, bea = pair()
    payload = awareness_payload([(1, 1, '{"name":"Ada"}')])
    store.say(ada, PresenceReceived(NAME, payload))
    store.hear(ada)
    store.hear(bea)
    assert bea.presence == [payload] and ada.presence == [] and ada.echoed == [[1]]
    store.say(bea, PresenceAsked(NAME))
    store.hear(bea)
    assert bea.presence == [payload] * 2
    late = RecordingSession("late")
    store.join(late)
    assert late.presence == [payload]
    store.hub.leave(ada)
    store.hear(bea)
    assert bea.presence[-1] == awareness_payload([(1, 2, "null")])
    store.say(bea, PresenceAsked(NAME))
    store.hear(bea)
    assert len(bea.presence) == 3


def test_silent_presence_expires() -> None:
    store, ada, bea = pair()
    store.say(ada, PresenceReceived(NAME, awareness_payload([(1, 1, "{}")])))
    assert Wake(bea) in store.hub.tick(EXPIRY_SECONDS)
    store.hear(bea)
    assert bea.presence[-1] == awareness_payload([(1, 2, "null")])
    store.hub.tick(3 * EXPIRY_SECONDS)
    assert store.hub.tick(4 * EXPIRY_SECONDS) == []


@pytest.mark.parametrize(
    "event", [PresenceReceived(NAME, b"\x05"), DocumentOpened(NAME, b"\xff\xff\xff\xff\x0f")]
)
def test_broken_presence_and_state_vectors_close(event: object) -> None:
    store, ada, bea = pair()
    assert store.say(ada, event) == [Wake(ada)]
    assert ada.state is State.CLOSED and bea.state is State.OPEN
    store.hub.leave(ada)
    assert sum(store.hub.counts.closed.values()) == 1


def test_a_released_document_is_not_passed_on_any_more() -> None:
    store, ada, bea = pair()
    store.say(bea, DocumentReleased(NAME))
    assert bea.releases == [NAME]
    store.update(ada, Author(1).set("a", 1))
    store.turn()
    assert store.hear(bea) == []
    store.say(bea, DocumentReleased(NAME))


def test_dropped_changes_are_asked_for() -> None:
    store, ada, _ = pair()
    asked = len(ada.asked)
    store.say(ada, ChangesDropped(NAME))
    assert len(ada.asked) == asked + 1


def test_documents_nobody_uses_are_forgotten_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "IDLE_ROOMS", 2)
    store, ada = Store(), RecordingSession()
    store.hub.join(ada)
    for number in range(4):
        store.say(ada, DocumentOpened(f"o/{number}", b"\x00"))
    store.update(ada, Author(1).set("a", 1), document="o/0")
    for number in range(4):
        store.say(ada, DocumentReleased(f"o/{number}"))
    assert set(store.hub.rooms) == {"o/0", "o/3"}, "what is still queued is kept"
    store.turn()
    assert store.content("o/0") == {"a": 1}


def test_the_number_of_open_documents_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_ROOMS", 1)
    store, ada = Store(), RecordingSession()
    store.hub.join(ada)
    store.say(ada, DocumentOpened("o/1", b"\x00"))
    store.say(ada, DocumentOpened("o/2", b"\x00"))
    assert ada.farewell is not None and ada.farewell.code is Code.TOO_MANY


def test_documents_in_memory_are_known_by_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "IDLE_ROOMS", 1)
    store, ada = Store(), RecordingSession()
    store.hub.join(ada)
    for name in ("o/1", "o/2", "n/1"):
        store.say(ada, DocumentOpened(name, b"\x00"))
    assert list(store.hub.held("o")) == ["o/1", "o/2"] and list(store.hub.held("n")) == ["n/1"]
    store.hub.leave(ada)
    assert [*store.hub.held("o"), *store.hub.held("n")] == list(store.hub.rooms)


def test_the_last_rooms_are_for_who_has_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_ROOMS", 6)
    monkeypatch.setattr(hub_module, "RESERVED_ROOMS", 3)
    monkeypatch.setattr(hub_module, "FEW_ROOMS", 2)
    store, greedy, new = Store(), RecordingSession("greedy"), RecordingSession("new")
    for session in (greedy, new):
        store.hub.join(session)
    for number in range(3):
        store.say(greedy, DocumentOpened(f"o/{number}", b"\x00"))
    store.say(greedy, DocumentOpened("o/0", b"\x00"))
    assert greedy.state is State.OPEN and store.hub.full
    for name in ("n/1", "n/2"):
        store.say(new, DocumentOpened(name, b"\x00"))
    assert new.state is State.OPEN
    store.say(greedy, DocumentOpened("o/3", b"\x00"))
    assert greedy.farewell is not None and greedy.farewell.code is Code.TOO_MANY


def test_compaction_when_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "COMPACT_BYTES", 2_000)
    store, ada, _ = pair()
    author = Author(1)
    for number in range(60):
        store.update(ada, author.set("n", number))
        store.turn()
    assert store.compactions
    compact = store.compactions[-1]
    assert read(compact.snapshot) and len(compact.snapshot) < 200


def test_no_compaction_when_it_does_not_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "COMPACT_BYTES", 2_000)
    store, ada, _ = pair()
    author = Author(1)
    for number in range(10):
        store.update(ada, author.set(f"key {number}", str(number) * 400))
        store.turn()
    assert store.compactions == []


def test_receipts_may_come_in_any_order() -> None:
    store, ada, _ = pair()
    assert store.hub.stored([Receipt(ada, 2), Receipt(ada, 1)]) == [Wake(ada)]
    assert ada.acknowledged == 2


def test_facts_may_come_from_elsewhere() -> None:
    store, ada, bea = pair()
    update = Author(1).set("a", 1)
    store.hub.handle(ada, UpdateReceived(NAME, update, 1, False, False), facts(update))
    store.turn()
    assert read(*store.hear(bea)) == {"a": 1}


def test_a_second_load_changes_nothing() -> None:
    store, ada, bea = pair()
    store.update(ada, Author(1).set("a", 1))
    store.turn()
    store.hub.loaded(NAME, NOTHING)
    late = RecordingSession("late")
    store.join(late)
    store.hub.leave(late)
    assert store.content() == {"a": 1}


def test_many_rows_are_compacted_although_that_saves_no_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room_module, "COMPACT_BYTES", 2_000)
    monkeypatch.setattr(room_module, "MANY_ROWS", 60)
    store, ada, _ = pair()
    author = Author(1)
    for number in range(100):
        store.update(ada, author.set(f"key {number}", f"{number} {'x' * 400}"))
        store.turn()
        if number == 50:
            assert store.compactions == []
    assert len(store.compactions) == 1


def test_a_snapshot_that_cannot_be_made_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "COMPACT_BYTES", 2_000)
    tries: list[int] = []

    def snapshot(self: Document) -> bytes:
        tries.append(1)
        raise DocumentBroken(self.name, "does not load again")

    monkeypatch.setattr(Document, "snapshot", snapshot)
    store, ada, _ = pair()
    author = Author(1)
    for number in range(100):
        store.update(ada, author.set("n", number))
        store.turn()
    assert store.compactions == []
    assert 1 <= len(tries) <= 3
    assert store.content() == {"n": 99}

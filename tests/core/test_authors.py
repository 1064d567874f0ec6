"""Whose client ids are whose: what is held back, what its author clears, what is forged.

Each legitimate way of docs/decisions.md (Authors) is a test of its own, with two ends at least.
"""

from typing import Any

import pytest

from gateway.core import authors as authors_module
from gateway.core import hub as hub_module
from gateway.core.authors import ANSWER_SECONDS, MAX_LEAP, Authors
from gateway.core.errors import Code
from gateway.core.events import DocumentReleased, Effect, Incoming, UpdateReceived, Wake
from gateway.core.fingerprint import write_varints
from gateway.core.local_session import LocalSession
from gateway.core.y_session import YSession
from tests.core.edits import Author, facts
from tests.core.sessions import RecordingSession
from tests.core.test_hub import EMPTY, NAME, Store

ADA, BEA = 11, 22
NONE: frozenset[int] = frozenset()


def linked(*names: str) -> tuple[Any, ...]:
    store = Store()
    sessions = [RecordingSession(name) for name in names]
    store.join(*sessions)
    for session in sessions:
        session.asked.clear()
    return store, *sessions


def forged(author: Author, text: str = "forged") -> bytes:
    """What somebody makes who read all that an author wrote, and goes on in its name."""
    double = Author(author.doc.client_id)
    double.take(author.whole())
    return double.write(text)


def gone(client: int, start: int, length: int) -> bytes:
    """One garbage collected struct of an id."""
    return write_varints((1, 1, client, start)) + b"\x00" + write_varints((length, 0))


def deletion(client: int, start: int, length: int) -> bytes:
    return write_varints((0, 1, client, 1, start, length))


def test_forged_structs_are_refused_once_their_author_has_said_that_it_did_not_make_them() -> None:
    store, ada, eve = linked("ada", "eve")
    author = Author(ADA)
    store.update(ada, author.write("real"))
    store.turn()
    assert store.update(eve, forged(author)) == [Wake(ada)]
    assert not store.hub.due
    assert [name for name, _ in ada.asked] == [NAME]
    assert eve.acknowledged == 0
    store.update(ada, EMPTY, answer=True)
    assert eve.refusals == [(1, Code.REFUSED)] and eve.acknowledged == 1
    assert store.hub.doubts.forged == 1
    assert [refusal.peer for refusal in store.refusals] == ["eve"]
    store.update(ada, author.write(" and more"))
    store.turn()
    assert Author(1).read() == {} and store.hub.rooms[NAME].document.clocks == {ADA: 13}
    assert not store.hub.rooms[NAME].busy


def test_an_author_writes_on_under_its_id_and_may_come_again_over_another_link() -> None:
    store, ada, bea = linked("ada", "bea")
    author = Author(ADA)
    for _ in range(3):
        store.update(ada, author.write("x"))
    store.hub.leave(ada)
    again = RecordingSession("ada")
    store.join(again)
    store.update(again, author.write("y"))
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 4}
    assert again.refusals == bea.refusals == []


def test_an_app_that_starts_again_writes_under_a_new_id_and_brings_what_it_wrote_before() -> None:
    store, ada, _ = linked("ada", "bea")
    old = Author(ADA)
    store.update(ada, old.write("old"))
    unsent = old.write(" unsent")
    store.hub.leave(ada)
    again, new = RecordingSession("ada"), Author(12)
    new.take(old.whole())
    store.join(again)
    store.update(again, unsent, answer=True)
    store.update(again, new.write("new"))
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 10, 12: 3}
    assert again.refusals == []


def test_an_answer_refills_a_new_gateway_with_the_history_of_everybody() -> None:
    store, ada, _ = linked("ada", "bea")
    authors = [Author(client) for client in (1, 2, 3)]
    history = Author(4)
    for author in authors:
        history.take(author.write("history"))
    store.update(ada, history.whole(), answer=True)
    bea = RecordingSession("bea")
    store.join(bea)
    # The one whose history came by another goes on as itself.
    store.update(bea, authors[1].write("!"))
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {1: 7, 2: 8, 3: 7}
    assert ada.refusals == bea.refusals == []


def test_history_of_an_author_that_is_linked_comes_from_anybody() -> None:
    store, ada, bea = linked("ada", "bea")
    author = Author(ADA)
    history = author.write("long ago")
    store.update(ada, author.write("now"))
    store.update(bea, history, answer=True)
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 11}


@pytest.mark.parametrize("answer", [False, True])
def test_a_relay_that_is_faster_than_the_author_is_taken_with_the_authors_own(
    answer: bool,
) -> None:
    store, ada, relay = linked("ada", "relay")
    relay.owns = NONE
    author = Author(ADA)
    store.update(ada, author.write("first"))
    second = author.write("second")
    store.update(relay, second, answer=answer)
    store.update(ada, second)
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 11}
    assert (relay.acknowledged, relay.refusals) == (1, [])


def test_a_relay_binds_nothing_but_the_id_that_it_names_its_own() -> None:
    store, ada, relay = linked("ada", "relay")
    relay.owns = frozenset({BEA})
    author, own = Author(ADA), Author(BEA)
    store.update(relay, author.write("first"))
    store.update(relay, own.write("own"))
    store.update(ada, author.write("second"))
    store.update(ada, forged(own))
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 11, BEA: 3}
    store.update(relay, EMPTY, answer=True)
    assert ada.refusals == [(2, Code.REFUSED)]


def test_an_update_of_several_ids_binds_none() -> None:
    store, ada, bea = linked("ada", "bea")
    one, two = Author(1), Author(2)
    two.take(one.write("one"))
    two.write("two")
    store.update(ada, two.whole())
    store.turn()
    store.update(bea, one.write("!"))
    store.update(bea, two.write("!"))
    assert store.hub.due and not store.hub.rooms[NAME].authors.doubts


def test_a_repetition_binds_nothing_and_is_in_no_doubt() -> None:
    store, ada, bea = linked("ada", "bea")
    author = Author(ADA)
    first = author.write("first")
    store.update(ada, first, answer=True)
    store.turn()
    store.update(bea, first)
    store.turn()
    store.update(ada, author.write("second"))
    assert not store.hub.rooms[NAME].authors.doubts
    store.turn()
    store.update(bea, author.whole())
    assert not store.hub.rooms[NAME].authors.doubts


def test_an_author_that_is_away_can_be_asked_nothing() -> None:
    store, ada, bea, cy = linked("ada", "bea", "cy")
    author = Author(ADA)
    store.update(ada, author.write("first"))
    store.turn()
    second = author.write("second")
    store.update(bea, second)
    # It goes while it is asked, with the other link of its own.
    assert store.hub.leave(ada) == [Wake(bea)]
    store.update(cy, author.write("third"))
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 16}
    store.join(RecordingSession("ada"))
    store.update(bea, author.whole(), answer=True)
    assert not store.hub.rooms[NAME].authors.doubts


def test_a_document_that_is_closed_is_one_its_author_says_nothing_about() -> None:
    store, ada, bea = linked("ada", "bea")
    author = Author(ADA)
    store.update(ada, author.write("first"))
    store.turn()
    store.update(bea, author.write("second"))
    store.say(ada, DocumentReleased(NAME))
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 11} and bea.acknowledged == 1


def test_an_answer_that_was_under_way_says_nothing_so_the_author_is_asked_again() -> None:
    store, ada, bea = linked("ada", "bea")
    author = Author(ADA)
    store.update(ada, author.write("first"))
    store.turn()
    ada.awaited = True
    second = author.write("second")
    store.update(bea, second)
    assert ada.asked == []
    ada.awaited = False
    store.update(ada, EMPTY, answer=True)
    assert len(ada.asked) == 1 and bea.refusals == []
    store.update(ada, second, answer=True)
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 11} and bea.acknowledged == 1


def test_all_tabs_of_an_author_are_asked() -> None:
    store, tab, other, bea = linked("ada", "ada", "bea")
    author = Author(ADA)
    store.update(tab, author.write("first"))
    store.update(bea, author.write("second"))
    assert len(tab.asked) == len(other.asked) == 1
    store.update(other, EMPTY, answer=True)
    assert bea.refusals == []
    store.update(tab, EMPTY, answer=True)
    assert bea.refusals == [(1, Code.REFUSED)]


def test_an_author_that_does_not_answer_loses_its_id() -> None:
    store, squatter, bea = linked("squatter", "bea")
    author = Author(BEA)
    store.update(squatter, forged(author))
    store.update(squatter, forged(author) + b"")
    store.turn()
    store.update(bea, author.write("longer than forged"))
    store.perform(store.hub.tick(ANSWER_SECONDS - 1))
    assert not store.hub.due
    assert Wake(bea) in store.perform(store.hub.tick(ANSWER_SECONDS))
    store.turn()
    assert bea.refusals == [] and bea.acknowledged == 1
    store.update(bea, author.write("!"))
    assert store.hub.due


def test_a_device_with_the_id_of_another_is_told() -> None:
    store, ada, clone = linked("ada", "clone")
    one, two = Author(ADA), Author(ADA)
    store.update(ada, one.write("one"))
    store.update(clone, two.write("two, and more"))
    store.update(ada, EMPTY, answer=True)
    assert clone.refusals == [(1, Code.REFUSED)] and ada.refusals == []


def test_this_devices_own_app_need_not_be_asked() -> None:
    store, eve = linked("eve")
    own = Author(ADA)
    app = LocalSession("here", lambda *_: None)
    app.unsaved = 1
    store.hub.handle(app, UpdateReceived(NAME, own.write("own"), 1, answer=False, more=False))
    store.turn()
    store.update(eve, forged(own), answer=True)
    assert eve.refusals == [(1, Code.REFUSED)]


def test_an_answer_that_is_refused_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    store, ada, eve = linked("ada", "eve")
    author = Author(ADA)
    store.update(ada, author.write("real"))
    store.turn()
    store.update(eve, forged(author), answer=True)
    answered: list[str] = []

    def note(session: RecordingSession, document: str) -> list[Effect]:
        answered.append(session.identity)
        return []

    monkeypatch.setattr(store.hub.selections, "answered", note)
    store.update(ada, EMPTY, answer=True)
    store.turn()
    assert answered == ["eve", "ada"]


def test_of_an_answer_in_parts_the_one_that_is_forged_is_refused() -> None:
    store, ada, eve = linked("ada", "eve")
    author = Author(ADA)
    store.update(ada, author.write("real"))
    store.turn()
    store.update(eve, Author(3).write("own"), answer=True, more=True)
    store.update(eve, forged(author), answer=True)
    # What is asked meanwhile in parts settles nothing before the last one.
    store.update(ada, EMPTY, answer=True, more=True)
    assert eve.refusals == []
    store.update(ada, EMPTY, answer=True)
    store.turn()
    assert eve.refusals == [(2, Code.REFUSED)] and eve.acknowledged == 2
    assert store.hub.rooms[NAME].document.clocks == {ADA: 4, 3: 3}


def test_who_was_deceived_itself_keeps_its_own_changes() -> None:
    store, ada, relay = linked("ada", "relay")
    author, own = Author(ADA), Author(3)
    store.update(ada, author.write("real"))
    store.turn()
    own.take(author.whole())
    own.set("a", 1)
    own.take(forged(author))
    own.write(" and what builds on it")
    own.set("b", 2)
    ada.awaited = True
    store.update(relay, own.whole(), answer=True)
    ada.awaited = False
    store.update(ada, EMPTY, answer=True)
    store.update(ada, EMPTY, answer=True)
    assert relay.acknowledged == 0
    store.turn()
    assert relay.refusals == [(1, Code.REFUSED)] and relay.acknowledged == 1
    assert store.content() == {"a": 1}
    assert len(store.refusals) == 1 and len(store.hub.rooms[NAME].document.early) == 1


def test_live_changes_of_one_sender_wait_together_until_the_author_is_asked() -> None:
    store, ada, bea, relay = linked("ada", "bea", "relay")
    relay.owns = NONE
    one, two = Author(ADA), Author(BEA)
    store.update(ada, one.write("a"))
    store.update(bea, two.write("b"))
    store.turn()
    ada.awaited = bea.awaited = True
    later = [one.write("c"), two.write("d"), one.write("e")]
    for update in later:
        store.update(relay, update)
    assert len(store.hub.rooms[NAME].authors.doubts) == 1
    ada.awaited = bea.awaited = False
    store.perform(store.hub.tick(1.0))
    store.update(relay, one.write("f"))
    store.update(relay, one.whole(), answer=True)
    assert len(store.hub.rooms[NAME].authors.doubts) == 3
    store.update(ada, one.whole())
    store.update(bea, later[1])
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {ADA: 4, BEA: 2}
    assert relay.acknowledged == 5 and relay.refusals == []


def test_who_leaves_settles_only_what_is_its_own() -> None:
    store, ada, bea, eve = linked("ada", "bea", "eve")
    one, two = Author(ADA), Author(BEA)
    store.update(ada, one.write("a"))
    store.update(bea, two.write("b"))
    store.turn()
    both = Author(3)
    both.take(one.whole())
    both.take(forged(one))
    both.take(two.whole())
    both.take(forged(two))
    store.update(eve, both.whole(), answer=True)
    store.hub.leave(ada)
    assert eve.refusals == []
    store.update(bea, EMPTY, answer=True)
    assert eve.refusals == [(1, Code.REFUSED)]


def test_doubt_ends_with_the_sender() -> None:
    store, ada, eve = linked("ada", "eve")
    author = Author(ADA)
    store.update(ada, author.write("real"))
    store.turn()
    store.update(eve, forged(author))
    store.hub.leave(eve)
    store.update(ada, EMPTY, answer=True)
    store.turn()
    store.hub.leave(ada)
    assert store.hub.doubts.forged == 1 and not store.hub.rooms[NAME].busy


def test_a_document_that_is_read_again_asks_when_it_is_there() -> None:
    store, ada, eve = linked("ada", "eve")
    author = Author(ADA)
    store.update(ada, author.write("real"))
    store.turn()
    ada.awaited = True
    store.update(eve, forged(author))
    ada.awaited = False
    store.hub.broken(NAME)
    store.hub.tick(1.0)
    assert ada.asked == []
    store.load(NAME)
    store.hub.tick(2.0)
    assert len(ada.asked) == 1


def test_one_link_cannot_have_too_much_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MAX_HELD_BYTES", 1_000)
    store, ada, eve = linked("ada", "eve")
    author = Author(ADA)
    store.update(ada, author.write("real"))
    store.turn()
    store.update(eve, forged(author, "1"))
    assert eve.farewell is None
    store.update(eve, forged(author, "2"))
    assert eve.farewell is not None and eve.farewell.code is Code.TOO_BIG
    # Its end is decided, and of no consequence for what settles before it is gone.
    monkeypatch.setattr(hub_module, "MAX_HELD_BYTES", 1)
    for _ in range(2):
        store.update(ada, EMPTY, answer=True)
    assert len(eve.refusals) == 2


def test_deletions_of_what_an_author_did_not_write_are_as_forged_as_structs() -> None:
    store, ada, bea = linked("ada", "bea")
    author = Author(ADA)
    store.update(ada, author.write("real"))
    store.turn()
    store.update(bea, deletion(ADA, 0, 4))
    assert store.hub.due and not store.hub.rooms[NAME].authors.doubts
    store.turn()
    store.update(bea, deletion(ADA, 4, 1_000))
    store.update(ada, EMPTY, answer=True)
    assert bea.refusals == [(2, Code.REFUSED)]


@pytest.mark.parametrize("answer", [False, True])
@pytest.mark.parametrize("make", [gone, deletion])
def test_a_clock_is_not_used_up_at_once(make: object, answer: bool) -> None:
    store, ada, stock = linked("ada", "stock")
    stock.owns = NONE
    store.update(stock, make(7, 0, MAX_LEAP + 1), answer=answer)  # type: ignore[operator]
    assert stock.refusals == [(1, Code.REFUSED)] and len(store.refusals) == 1
    store.update(stock, gone(7, 0, MAX_LEAP), answer=answer)
    store.turn()
    # A history that is known already may be as long as it is.
    store.update(ada, gone(7, 0, MAX_LEAP + 1), answer=True)
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {7: MAX_LEAP + 1}


def test_only_so_many_ids_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authors_module, "MAX_BOUND", 1)
    book, ada, bea = Authors(), RecordingSession("ada"), RecordingSession("bea")
    for client in (1, 2):
        update = Author(client).write("x")
        assert not book.doubt([Incoming(ada, update, facts(update), 1, False)], {}, [ada], 0.0)
    for client, held in ((1, True), (2, False)):
        update = forged(Author(client))
        item = Incoming(bea, update, facts(update), 1, False)
        assert book.doubt([item], {client: 1}, [ada, bea], 0.0) is held


def test_what_two_wait_for_is_free_when_its_author_lost_it() -> None:
    store, squatter, bea, cy = linked("squatter", "bea", "cy")
    author = Author(BEA)
    store.update(squatter, author.write("x"))
    store.turn()
    store.update(bea, author.write("y"))
    store.hub.tick(ANSWER_SECONDS - 1)
    store.update(cy, author.write("z"))
    store.hub.tick(ANSWER_SECONDS)
    store.hub.leave(squatter)
    store.turn()
    assert store.hub.rooms[NAME].document.clocks == {BEA: 3}


def test_a_stock_client_owns_nothing() -> None:
    assert not YSession(NAME, "10.0.0.1:5", 0.0).writes_as(1)

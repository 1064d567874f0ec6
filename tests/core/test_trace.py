"""Where a document is, in words and for scripts."""

from typing import Any

import pytest

from gateway.core.errors import Code
from gateway.core.events import DocumentEntered, Subscribed
from gateway.core.records import StoredRow
from gateway.core.selector import Selector
from gateway.core.session import Progress, Standing, State
from gateway.core.trace import MAX_ROWS, trace
from tests.core.edits import Author
from tests.core.sessions import RecordingSession
from tests.core.test_hub import NAME, Store, pair


def peers(store: Store, document: str = NAME) -> dict[str, dict[str, Any]]:
    told = trace(store.hub, document, ())
    return {peer["peer"]: peer for peer in told["peers"]}


def test_what_the_store_has_and_who_brought_it() -> None:
    store, ada, _ = pair()
    ada.about["name"] = "kiosk\n1"
    rows = [StoredRow(1, "", 90, snapshot=True)]
    rows += [StoredRow(number, "ada", 10) for number in range(2, MAX_ROWS + 4)]
    told = trace(store.hub, NAME, rows)
    assert told["stored"]["bytes"] == 90 + 10 * (MAX_ROWS + 2)
    assert told["stored"]["rows"] == MAX_ROWS + 3
    newest = told["stored"]["newest"]
    assert len(newest) == MAX_ROWS and newest[-1]["sequence"] == MAX_ROWS + 3
    assert newest[-1]["name"] == "kiosk\ufffd1" and told["early"] == 0
    assert trace(store.hub, "menu/1", rows[:1])["stored"]["newest"][0]["snapshot"]


def test_an_early_change_is_counted() -> None:
    store, ada, _ = pair()
    author = Author(1)
    author.set("a", 1)
    store.update(ada, author.set("a", 2))
    store.turn()
    assert trace(store.hub, NAME, ())["early"] == 1


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(Standing.HAS), "on its disk"),
        (Progress(Standing.TOLD), "no acknowledgements"),
        (Progress(Standing.DECLINED), "did not take"),
        (Progress(Standing.WAITS, 2, 1.0), "takes nothing at the moment"),
        (Progress(Standing.SENT, 1, 98.0), "1 update on the way"),
        (Progress(Standing.SENT, 2, 90.0), "2 updates not acknowledged for 10 s"),
    ],
)
def test_how_far_a_peer_is(progress: Progress, words: str) -> None:
    store, ada, _ = pair()
    store.hub.now = 100.0
    ada.far = progress
    told = peers(store)["ada"]
    assert words in told["sentence"] and told["state"] == progress.standing.value
    assert told["in_sync"] == (progress.standing is Standing.HAS)


def test_why_a_peer_has_nothing_of_it() -> None:
    store, ada, _ = pair()
    ada.readable = ("menu/",)
    small, comparing, late, gone = (RecordingSession(name) for name in ("s", "c", "l", "g"))
    for session in (small, comparing, late, gone):
        store.hub.join(session)
    comparing.reconciles = comparing.large = True
    gone.state = State.HELLO
    store.hub.link(late, Subscribed(1, "orders", Selector("")))
    for session, state in ((small, "not-wanted"), (comparing, "equal"), (gone, "no-link")):
        assert peers(store)[session.identity]["state"] == state
    assert peers(store)["ada"]["state"] == "no-right"
    assert peers(store)["c"]["in_sync"]
    store.hub.selections.look(NAME, late)
    assert peers(store)["l"]["state"] == "asked"
    assert "has not taken it yet" in peers(store)["l"]["sentence"]


def test_a_peer_that_wants_it_and_was_not_offered_it_yet() -> None:
    store, _, _ = pair()
    large = RecordingSession("large")
    large.large = True
    store.hub.join(large)
    assert peers(store)["large"]["state"] == "asked"
    store.say(large, DocumentEntered(NAME))
    assert "has not said yet" in peers(store)["large"]["sentence"]


def test_a_document_nobody_opened() -> None:
    store, ada, _ = pair()
    store.say(ada, DocumentEntered("menu/1"))
    assert peers(store, "notes/1")["bea"]["state"] == "not-wanted"
    ada.close(Code.RESET, "gone")
    assert peers(store, "menu/1")["ada"]["state"] == "no-link"

"""What every store that relays must do: inherit ``OutboxContract``, give it ``open_store``.

Updates are rows of tokens of four bytes, so what a store holds and what waits can be compared as
sets whatever was merged.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.records import (
    CLOUD,
    MOST_READ_BYTES,
    Change,
    OutboxStatus,
    StoredDocument,
    Waiting,
)
from gateway.ports import Outbox, Store
from tests.contracts.reopening import Reopening

NOTHING = Waiting(0, ())
TOKEN_BYTES = 4
NAMES = ["a/1", "a/2", "b/1"]


class Both(Store, Outbox, Protocol):
    """A store that relays."""


Open = Callable[[], Both]


def change(document: str, update: bytes, peer: str = "phone") -> Change:
    return Change(document, update, peer)


def content(stored: StoredDocument) -> set[bytes]:
    """The tokens of a document."""
    return set(tokens(stored.snapshot, *stored.changes))


def tokens(*updates: bytes) -> list[bytes]:
    raw = b"".join(updates)
    return [raw[at : at + TOKEN_BYTES] for at in range(0, len(raw), TOKEN_BYTES)]


_ACTIONS: st.SearchStrategy[tuple[str, str, int]] = st.tuples(
    st.sampled_from(
        ["append"] * 4 + ["cloud", "compact", "look", "sent", "merge", "forget", "close", "crash"]
        + ["leave", "resume"]
    ),
    st.sampled_from(NAMES),
    st.integers(0, 4),
)  # fmt: skip


@dataclass
class Model:
    """What a store should hold, and what of it has to wait, by document."""

    held: dict[str, set[bytes]] = field(default_factory=dict)
    waits: dict[str, list[bytes]] = field(default_factory=dict)
    left: bool = False
    # What was read of a document some time ago: the last number, the tokens.
    seen: dict[str, tuple[int, Sequence[bytes]]] = field(default_factory=dict)

    def append(self, name: str, written: Sequence[bytes], *, device: bool) -> None:
        if written:
            self.held.setdefault(name, set()).update(tokens(*written))
        if written and device and not self.left:
            self.waits.setdefault(name, []).extend(tokens(*written))

    def look(self, name: str, waiting: Waiting) -> tuple[int, Sequence[bytes]]:
        self.seen[name] = waiting.last, tokens(*waiting.updates)
        return self.seen[name]

    def sent(self, name: str, gone: Sequence[bytes]) -> None:
        rest = [token for token in self.waits.get(name, ()) if token not in gone]
        self.waits.pop(name, None)
        if rest:
            self.waits[name] = rest


class OutboxContract(Reopening[Both]):
    """The suite; see ``Reopening``."""

    def relaying(self, open_again: Open, collections: Sequence[str] | None = None) -> Both:
        store = open_again()
        store.relay(collections)
        return store

    def now_and_later(self, store: Both, open_again: Open) -> Iterator[Both]:
        yield store
        yield self.relaying(open_again)

    def test_without_relaying_nothing_waits(self, open_again: Open) -> None:
        store = open_again()
        store.append([change("a/1", b"one")])
        assert list(store.waiting(10)) == [] and store.read("a/1") == NOTHING
        assert store.outbox_status() == OutboxStatus(0, 0, left=False)

    def test_what_is_there_the_first_time_does_not_wait(self, open_again: Open) -> None:
        open_again().append([change("a/1", b"old")])
        store = self.relaying(open_again)
        assert list(store.waiting(10)) == []
        store.append([change("a/1", b"new")])
        for view in self.now_and_later(store, open_again):
            assert view.read("a/1").updates == (b"new",)

    def test_changes_wait_in_their_order_and_documents_by_their_oldest(
        self, open_again: Open
    ) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"one"), change("b/1", b"x"), change("a/1", b"two")])
        store.append([change("a/2", b"y"), change("b/1", b"z")])
        for view in self.now_and_later(store, open_again):
            assert list(view.waiting(10)) == ["a/1", "b/1", "a/2"]
            assert list(view.waiting(2)) == ["a/1", "b/1"]
            assert view.read("a/1").updates == (b"one", b"two")
            assert view.read("nowhere/1") == NOTHING
            assert view.outbox_status() == OutboxStatus(3, 9, left=False)

    def test_what_came_from_the_cloud_or_was_kept_does_not_wait(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"theirs", CLOUD), change("a/1", b"mine")])
        store.append([change("a/2", b"theirs", CLOUD)])
        store.compact("a/1", b"whole", [b"kept"])
        for view in self.now_and_later(store, open_again):
            assert list(view.waiting(10)) == ["a/1"]
            assert view.read("a/1").updates == (b"mine",)

    def test_of_very_much_a_part_is_read_at_once(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        large = [bytes([number]) * (MOST_READ_BYTES // 2) for number in range(1, 4)]
        huge = bytes(MOST_READ_BYTES + 1)
        store.append([change("a/1", update) for update in (*large, huge, b"one")])
        for view in self.now_and_later(store, open_again):
            parts = [view.read("a/1")]
            while parts[-1].more:
                parts.append(view.read("a/1", parts[-1].last))
            assert [one.updates for one in parts] == [
                tuple(large[:2]),
                (large[2],),
                (huge,),
                (b"one",),
            ]
            assert view.read("a/1", parts[-1].last) == view.read("nowhere/1", 1) == NOTHING
        view.sent("a/1", parts[1].last)
        assert view.read("a/1").updates == (huge,)

    def test_for_how_long_the_oldest_waits_is_known_again(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"one"), change("b/1", b"x")])
        assert store.outbox_status().waited == 0
        store.note_waited(50)
        for view in self.now_and_later(store, open_again):
            assert view.outbox_status() == OutboxStatus(2, 4, left=False, waited=50)
        view.sent("b/1", view.read("b/1").last)
        assert view.outbox_status().waited == 50
        view.append([change("b/1", b"y")])
        view.sent("a/1", view.read("a/1").last)
        for last in self.now_and_later(view, open_again):
            # Of another one it is not known.
            assert last.outbox_status() == OutboxStatus(1, 1, left=False)
        last.note_waited(60)
        last.leave()
        last.resume()
        last.append([change("a/1", b"two")])
        for other in self.now_and_later(last, open_again):
            assert other.outbox_status() == OutboxStatus(1, 3, left=False)

    def test_only_some_collections_wait(self, open_again: Open) -> None:
        store = self.relaying(open_again, ["a"])
        store.append([change("a/1", b"one"), change("b/1", b"x"), change("a", b"y")])
        assert list(store.waiting(10)) == ["a/1", "a"]
        store = self.relaying(open_again, [])
        assert list(store.waiting(10)) == []
        store.append([change("a/1", b"more")])
        assert list(store.waiting(10)) == []

    def test_what_was_sent_waits_no_more(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"one"), change("b/1", b"x")])
        last = store.read("a/1").last
        store.append([change("a/1", b"two")])
        store.sent("a/1", last)
        assert list(store.waiting(10)) == ["b/1", "a/1"]
        assert store.read("a/1").updates == (b"two",)
        store.sent("nowhere/1", last)
        store.sent("b/1", store.read("b/1").last)
        for view in self.now_and_later(store, open_again):
            assert list(view.waiting(10)) == ["a/1"]
            assert view.outbox_status() == OutboxStatus(1, 3, left=False)
            assert content(view.load("b/1")) == {b"x"}

    def test_what_was_sent_is_not_sent_again_after_a_proper_end(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"one"), change("b/1", b"x")])
        for name in ("b/1", "a/1"):
            store.sent(name, store.read(name).last)
        for view in self.now_and_later(store, open_again):
            assert list(view.waiting(10)) == [] and view.read("a/1") == NOTHING

    def test_a_snapshot_does_not_remove_what_waits(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"one"), change("b/1", b"x"), change("a/1", b"two")])
        store.compact("a/1", b"onetwo", [])
        store.append([change("a/1", b"three")])
        store.compact("b/1", b"x", [b"kept"])
        for view in self.now_and_later(store, open_again):
            assert view.read("a/1").updates == (b"one", b"two", b"three")
            assert view.read("b/1").updates == (b"x",)
            assert view.load("a/1") == StoredDocument(b"onetwo", (b"three",))
            assert [row.size for row in view.history("a/1")] == [6, 5]
            assert view.status().usage == {"a": 11, "b": 5}
            assert view.status().changes == 2

    def test_what_is_forgotten_does_not_wait(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"one"), change("b/1", b"x"), change("a/1", b"two")])
        store.compact("a/1", b"onetwo", [])
        store.forget(["a/1"])
        for view in self.now_and_later(store, open_again):
            assert list(view.waiting(10)) == ["b/1"] and view.read("a/1") == NOTHING
            assert view.outbox_status() == OutboxStatus(1, 1, left=False)

    def test_numbers_of_what_was_sent_and_forgotten_are_not_given_again(
        self, open_again: Open, tmp_path: Path
    ) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"%04d" % number) for number in range(20)])
        store.sent("a/1", store.read("a/1").last)
        store.forget(["a/1"])
        store = self.relaying(open_again)
        store.append([change("b/1", b"new")])
        # What a killed process leaves.
        shutil.copytree(tmp_path / "store", tmp_path / "killed")
        killed = self.open_store(tmp_path / "killed")
        killed.relay(None)
        assert store.read("b/1").updates == killed.read("b/1").updates == (b"new",)
        killed.close()

    def test_merging_leaves_one_update_and_the_same_content(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"0001"), change("a/2", b"x"), change("a/1", b"0002")])
        last = store.read("a/1").last
        store.append([change("a/1", b"0003")])
        before = content(store.load("a/1"))
        store.merge("a/1", last, b"00010002")
        store.merge("nowhere/1", last, b"")
        for view in self.now_and_later(store, open_again):
            assert list(view.waiting(10)) == ["a/2", "a/1"]
            assert view.read("a/1").updates == (b"00010002", b"0003")
            assert content(view.load("a/1")) == before
            assert view.status().changes == 3 and view.status().usage == {"a": 13}
        store = self.relaying(open_again)
        store.sent("a/1", last)
        assert store.read("a/1").updates == (b"0003",)

    def test_merging_what_a_snapshot_replaced_adds_nothing_to_the_document(
        self, open_again: Open
    ) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"0001"), change("a/1", b"0002")])
        store.compact("a/1", b"00010002", [])
        store.merge("a/1", store.read("a/1").last, b"00010002")
        for view in self.now_and_later(store, open_again):
            assert view.read("a/1").updates == (b"00010002",)
            assert view.load("a/1") == StoredDocument(b"00010002", ())
            assert view.status().usage == {"a": 8}

    def test_after_leaving_nothing_waits_until_it_is_resumed(self, open_again: Open) -> None:
        store = self.relaying(open_again)
        store.append([change("a/1", b"one")])
        store.compact("a/1", b"one", [])
        store.leave()
        store.leave()
        store.append([change("a/1", b"two")])
        for view in self.now_and_later(store, open_again):
            assert list(view.waiting(10)) == [] and view.read("a/1") == NOTHING
            assert view.outbox_status() == OutboxStatus(0, 0, left=True)
            view.append([change("a/1", b"three")])
        store = self.relaying(open_again)
        store.resume()
        store.resume()
        store.append([change("a/1", b"four")])
        for view in self.now_and_later(store, open_again):
            assert view.read("a/1").updates == (b"four",)
            assert not view.outbox_status().left

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(actions=st.lists(_ACTIONS, max_size=25))
    def test_it_keeps_what_a_list_would(
        self, actions: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """After a crash or an end more may wait, of what was sent already; never less."""
        folder, model, made = tmp_path_factory.mktemp("model") / "0", Model(), 0
        store = self.open_store(folder)
        store.relay(["a", "b"])
        for action, name, count in actions:
            if action in ("append", "cloud"):
                updates = [b"%04d" % (made + number) for number in range(count)]
                made += count
                device = action == "append"
                store.append([change(name, raw, "phone" if device else CLOUD) for raw in updates])
                model.append(name, updates, device=device)
            elif action == "compact" and name in model.held:
                whole = sorted(model.held[name])
                store.compact(name, b"".join(whole[count:]), whole[:count])
            elif action == "look":
                model.look(name, store.read(name))
            elif action in ("sent", "merge"):
                last, rows = model.seen.get(name) or model.look(name, store.read(name))
                if action == "sent":
                    store.sent(name, last)
                    model.sent(name, rows)
                else:
                    rows = [token for token in model.waits.get(name, ()) if token in rows]
                    store.merge(name, last, b"".join(rows))
                if not count:
                    model.seen.pop(name)
            elif action == "forget":
                store.forget([name])
                model.held.pop(name, None)
                for kept in (model.waits, model.seen):
                    kept.pop(name, None)
            elif action in ("leave", "resume"):
                getattr(store, action)()
                model.left = action == "leave"
                if model.left:
                    model.waits.clear()
            else:
                store, folder = self._again(store, folder, crashed=action == "crash")
                self._adopt(model, store)
            self._compare(model, store)
        store, _ = self._again(store, folder, crashed=False)
        self._adopt(model, store)
        self._compare(model, store)
        store.close()

    def _again(self, store: Both, folder: Path, *, crashed: bool) -> tuple[Both, Path]:
        if crashed:
            # What a killed process leaves.
            folder = shutil.copytree(folder, folder.with_name(str(int(folder.name) + 1)))
        store.close()
        store = self.open_store(folder)
        store.relay(["a", "b"])
        return store, folder

    def _adopt(self, model: Model, store: Both) -> None:
        """All that has to wait does; what else does was sent before."""
        model.seen.clear()
        for name in NAMES:
            waits = tokens(*store.read(name).updates)
            assert set(model.waits.get(name, ())) <= set(waits) <= model.held.get(name, set())
            model.waits.pop(name, None)
            if waits:
                model.waits[name] = waits

    def _compare(self, model: Model, store: Both) -> None:
        assert {name: content(store.load(name)) for name in store.names()} == model.held
        waits = {name: store.read(name) for name in store.waiting(10)}
        assert {name: tokens(*each.updates) for name, each in waits.items()} == model.waits
        status = store.outbox_status()
        size = sum(len(update) for each in waits.values() for update in each.updates)
        assert status == OutboxStatus(len(waits), size, model.left)
        usage = dict.fromkeys((name[0] for name in model.held), 0)
        for name in model.held:
            stored = store.load(name)
            usage[name[0]] += len(stored.snapshot) + sum(map(len, stored.changes))
        assert {key: size for key, size in store.status().usage.items() if size} == {
            key: size for key, size in usage.items() if size
        }

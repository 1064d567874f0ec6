"""What every store must do: inherit ``StoreContract`` and give it ``open_store``."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.records import Change, Refusal, StoredDocument
from gateway.ports import Store
from tests.contracts.reopening import Reopening

Open = Callable[[], Store]


def change(document: str, update: bytes) -> Change:
    return Change(document, update, "phone")


def refusal(update: bytes) -> Refusal:
    return Refusal("orders/1", update, "phone", 4422, "no such thing")


def now_and_later(store: Store, open_again: Open) -> Iterator[Store]:
    """The store as it is, and as it is opened again."""
    yield store
    yield open_again()


_UPDATES = st.lists(st.binary(max_size=40), max_size=4)
_ACTIONS: st.SearchStrategy[tuple[str, str, list[bytes]]] = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(["a/1", "a/2", "b/1"]), _UPDATES),
    st.tuples(st.just("compact"), st.sampled_from(["a/1", "a/2", "b/1"]), _UPDATES),
    st.tuples(st.just("reopen"), st.just(""), st.just([])),
)


class StoreContract(Reopening[Store]):
    """The suite; see ``Reopening``."""

    def test_an_unknown_document_is_empty(self, open_again: Open) -> None:
        store = open_again()
        assert store.load("orders/1") == StoredDocument(b"", ())
        assert store.names() == []
        assert store.quarantined() == frozenset()

    def test_the_history_of_a_document_names_who_brought_it(self, open_again: Open) -> None:
        store = open_again()
        store.append([change("orders/1", b"one"), change("menu/1", b"x"), change("orders/1", b"2")])
        for view in now_and_later(store, open_again):
            assert [(row.peer, row.size, row.snapshot) for row in view.history("orders/1")] == [
                ("phone", 3, False), ("phone", 1, False),
            ]  # fmt: skip
            assert list(view.history("orders/2")) == []
        store = open_again()
        store.compact("orders/1", b"whole", [])
        store.append([change("orders/1", b"3")])
        for view in now_and_later(store, open_again):
            first, second = view.history("orders/1")
            assert (first.size, first.snapshot, second.snapshot) == (5, True, False)
            assert first.sequence < second.sequence

    def test_changes_come_back_in_their_order(self, open_again: Open) -> None:
        store = open_again()
        store.append([change("orders/1", b"one"), change("menu/1", b"x"), change("orders/1", b"2")])
        store.append([change("orders/1", b"one")])
        for view in now_and_later(store, open_again):
            assert view.load("orders/1") == StoredDocument(b"", (b"one", b"2", b"one"))
            assert view.names() == ["menu/1", "orders/1"]
            assert view.names("orders") == ["orders/1"] and view.names("order") == []

    def test_an_empty_group_changes_nothing(self, open_again: Open) -> None:
        store = open_again()
        store.append([])
        assert store.status().last_sequence == 0

    def test_compacting_replaces_all_there_was(self, open_again: Open) -> None:
        store = open_again()
        store.append([change("orders/1", b"one"), change("orders/2", b"x")])
        store.compact("orders/1", b"first", [b"k"])
        store.append([change("orders/1", b"two")])
        store.compact("orders/1", b"second", [b"kept", b"too"])
        store.append([change("orders/1", b"after")])
        for view in now_and_later(store, open_again):
            assert view.load("orders/1") == StoredDocument(b"second", (b"kept", b"too", b"after"))
            assert view.load("orders/2") == StoredDocument(b"", (b"x",))

    def test_a_document_may_begin_with_a_snapshot(self, open_again: Open) -> None:
        open_again().compact("orders/1", b"all", [])
        assert open_again().load("orders/1") == StoredDocument(b"all", ())

    def test_sequence_numbers_only_grow(self, open_again: Open) -> None:
        store = open_again()
        store.append([change("orders/1", b"one"), refusal(b"bad")])
        store.compact("orders/1", b"all", [b"kept"])
        before = store.status().last_sequence
        assert before == 4
        again = open_again()
        assert again.status().last_sequence == before
        again.compact("orders/1", b"all", [])
        assert open_again().status().last_sequence == before + 1

    def test_refused_updates_are_known_and_never_loaded(self, open_again: Open) -> None:
        store = open_again()
        store.append([refusal(b"bad"), change("orders/1", b"good"), refusal(b"bad")])
        for view in now_and_later(store, open_again):
            assert view.quarantined() == {blake2b(b"bad", digest_size=16).digest()}
            assert view.load("orders/1").changes == (b"good",)
            assert view.status().quarantined == 1

    def test_a_refused_update_makes_no_document(self, open_again: Open) -> None:
        store = open_again()
        store.append([refusal(b"bad")])
        assert store.names() == []

    def test_documents_are_listed_by_their_last_change(self, open_again: Open) -> None:
        store = open_again()
        store.append([change("a/1", b"one"), change("a/2", b"two"), change("b/1", b"three")])
        store.compact("a/2", b"snapshot", [b"kept"])
        store.append([change("a/1", b"four")])
        for one in now_and_later(store, open_again):
            held = dict(one.held())
            assert list(held) == ["b/1", "a/2", "a/1"]
            assert held["a/1"] == 7 and held["b/1"] == 5 and held["a/2"] >= 12

    def test_what_is_forgotten_is_unknown(self, open_again: Open) -> None:
        store = open_again()
        store.append([change("a/1", b"one"), change("a/2", b"two"), change("b/1", b"three")])
        store.append([change("a/1", b"old")])
        store.compact("a/1", b"snapshot", [b"kept"])
        store.forget(["a/1", "b/1", "c/1"])
        for one in now_and_later(store, open_again):
            assert list(one.names()) == ["a/2"] and list(one.names("b")) == []
            assert one.load("a/1") == StoredDocument(b"", ())
            assert {key: size for key, size in one.status().usage.items() if size} == {"a": 3}
        again = open_again()
        again.append([change("a/1", b"new")])
        for one in now_and_later(again, open_again):
            assert one.load("a/1") == StoredDocument(b"", (b"new",))
            assert one.load("a/2") == StoredDocument(b"", (b"two",))

    def test_status_counts_what_is_there(self, open_again: Open) -> None:
        store = open_again()
        store.append(
            [change("orders/1", b"12345"), change("orders/2", b"1"), change("menu", b"12")]
        )
        store.compact("orders/1", b"123", [b"4"])
        for view in now_and_later(store, open_again):
            status = view.status()
            assert (status.documents, status.changes, status.snapshots) == (3, 3, 1)
            assert status.usage == {"orders": 5, "menu": 2}
            assert status.file_bytes > 0
            assert status.recovered == ""

    def test_large_updates_and_strange_names(self, open_again: Open) -> None:
        large, name = bytes(range(256)) * 1_200, "orders/Καφές ☕ '; DROP"
        store = open_again()
        store.append([change(name, large), change(name, b"")])
        store.compact("orders/2", large, [large])
        again = open_again()
        assert again.load(name).changes == (large, b"")
        assert again.load("orders/2") == StoredDocument(large, (large,))

    def test_a_backup_is_a_whole_copy(self, open_again: Open, tmp_path: Path) -> None:
        store = open_again()
        store.append([change("orders/1", b"one")])
        target = tmp_path / "made" / "for it" / "copy.db"
        store.backup(target)
        store.append([change("orders/1", b"two")])
        store.backup(target)
        assert target.stat().st_size > 0
        assert [path.name for path in target.parent.iterdir()] == ["copy.db"]

    def test_closing_twice_is_closing(self, open_again: Open) -> None:
        store = open_again()
        store.close()
        store.close()

    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(actions=st.lists(_ACTIONS, max_size=12))
    def test_it_holds_what_a_dictionary_would(
        self, actions: list[tuple[str, str, list[bytes]]], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder, model = tmp_path_factory.mktemp("model"), dict[str, StoredDocument]()
        store = self.open_store(folder)
        for action, name, updates in actions:
            if action == "append":
                store.append([change(name, update) for update in updates])
                old = model.get(name, StoredDocument(b"", ()))
                if updates:
                    model[name] = StoredDocument(old.snapshot, (*old.changes, *updates))
            elif action == "compact":
                snapshot = b"".join(updates)
                store.compact(name, snapshot, updates)
                model[name] = StoredDocument(snapshot, tuple(updates))
            else:
                store.close()
                store = self.open_store(folder)
        assert {name: store.load(name) for name in store.names()} == model
        usage = dict.fromkeys((name[0] for name in model), 0)
        for name, held in model.items():
            usage[name[0]] += len(held.snapshot) + sum(map(len, held.changes))
        assert {key: size for key, size in store.status().usage.items() if size} == {
            key: size for key, size in usage.items() if size
        }
        store.close()

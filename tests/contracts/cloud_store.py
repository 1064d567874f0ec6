"""What every hub's database must do: inherit ``CloudStoreContract`` and give it ``open_it``."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.cloud_records import CloudChange, CloudRefusal, CloudSpace, Greeting, Held
from gateway.core.errors import GatewayError
from gateway.core.records import StoredDocument
from gateway.ports import CloudStore

Open = Callable[[], CloudStore]
PEER = "0badcafe" * 4
SHOP, OTHER = "a1" * 16, "b2" * 16


def change(document: str, update: bytes, space: str = SHOP) -> CloudChange:
    return CloudChange(space, document, update, PEER)


def refusal(update: bytes, document: str = "orders/1", reason: str = "no") -> CloudRefusal:
    return CloudRefusal(SHOP, document, update, PEER, 4422, reason)


def follow(store: CloudStore, place: str, space: str = "", most: int = 3) -> tuple[list[Held], str]:
    """All that changed from a place on, in pages, and where that ended."""
    found: list[Held] = []
    while True:
        page, place = store.changed(space, place, most)
        found += page
        if not page:
            return found, place


def at_once(*works: Callable[[], None]) -> None:
    """Do all of it at the same time, each in a thread."""
    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(work) for work in works]:
            future.result()


_NAMES = st.sampled_from(["a/1", "a/2", "a0/1", "a-/x", "b/ö", "b/\U0001f600", "b/\uffee"])
_SPACES = st.sampled_from([SHOP, OTHER, "share:menu"])
_ACTIONS = st.one_of(
    st.tuples(
        st.just("append"),
        st.lists(st.tuples(_SPACES, _NAMES, st.binary(max_size=9)), max_size=6),
    ),
    st.tuples(st.just("compact"), st.tuples(_SPACES, _NAMES, st.integers(0, 9), st.binary())),
    st.tuples(st.just("settle"), st.tuples(_SPACES, _NAMES, st.integers(0, 9), st.binary())),
    st.tuples(st.just("follow"), st.integers(1, 4)),
)


class Model:
    """The same in a few dictionaries."""

    def __init__(self) -> None:
        self.changes: defaultdict[tuple[str, str], dict[int, bytes]] = defaultdict(dict)
        self.snapshot: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.version: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.print: defaultdict[tuple[str, str], bytes] = defaultdict(bytes)

    def append(self, store: CloudStore, changes: list[tuple[str, str, bytes]]) -> None:
        store.append([change(name, update, space) for space, name, update in changes])
        for space, name, update in changes:
            self.version[space, name] += 1
            self.changes[space, name][self.version[space, name]] = update
            self.print[space, name] = b""

    def compact(self, store: CloudStore, action: tuple[str, str, int, bytes]) -> None:
        space, name, version, snapshot = action
        good = self.snapshot[space, name] < version <= self.version[space, name]
        assert store.compact(space, name, version, snapshot) is good
        if good:
            self.snapshot[space, name] = version
            rest = self.changes[space, name].items()
            self.changes[space, name] = {number: raw for number, raw in rest if number > version}
            self.changes[space, name][version] = snapshot

    def settle(self, store: CloudStore, action: tuple[str, str, int, bytes]) -> None:
        space, name, version, fingerprint = action
        store.settle(space, name, version, fingerprint)
        if version and self.version[space, name] == version:
            self.print[space, name] = fingerprint

    def held(self, space: str) -> list[Held]:
        return [
            Held(
                space, name, version, self.print[space, name],
                sum(map(len, self.changes[space, name].values())),
                version - self.snapshot[space, name],
            )
            for (of, name), version in sorted(self.version.items())
            if of == space and version
        ]  # fmt: skip

    def stored(self, space: str, name: str) -> StoredDocument:
        rows = dict(sorted(self.changes[space, name].items()))
        first = rows.pop(self.snapshot[space, name], b"")
        return StoredDocument(first, tuple(rows.values()))


class CloudStoreContract:
    """The suite; ``open_it`` opens the same database each time, empty at the first."""

    @pytest.fixture
    def open_it(self) -> Open | Iterator[Open]:
        raise NotImplementedError

    def empty(self) -> None:
        """Make the database empty, for the next example."""
        raise NotImplementedError

    @pytest.fixture
    def opened(self, open_it: Open) -> Iterator[Open]:
        """Databases that are closed at the end."""
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(open_it()))

    @pytest.fixture
    def store(self, opened: Open) -> CloudStore:
        return opened()

    def test_there_is_nothing_at_first(self, store: CloudStore) -> None:
        assert store.load(SHOP, "orders/1") == StoredDocument(b"", ())
        assert store.version(SHOP, "orders/1") == 0
        assert list(store.held(SHOP)) == [] == list(store.spaces("", 9))
        assert list(store.gateways([SHOP])) == [] == list(store.wanting(None, "orders"))
        assert list(store.revocations([SHOP])) == [] == list(store.page("", "", "", 9))
        assert follow(store, "")[0] == [] == follow(store, "now")[0]
        assert not any(store.totals().values()) and len(store.totals()) == 5

    def test_what_was_appended_is_there_for_everybody_and_later(self, opened: Open) -> None:
        one, two = opened(), opened()
        one.append([change("orders/1", b"one"), change("menu/1", b"\0"), change("orders/1", b"2")])
        two.append([change("orders/1", b"one")])
        one.append([change("orders/1", b"else", OTHER)])
        one.close()
        for view in (two, opened()):
            assert view.load(SHOP, "orders/1") == StoredDocument(b"", (b"one", b"2", b"one"))
            assert view.load(OTHER, "orders/1") == StoredDocument(b"", (b"else",))
            assert view.version(SHOP, "orders/1") == 3 and view.version(OTHER, "orders/1") == 1
            assert view.held(SHOP) == [
                Held(SHOP, "menu/1", 1, b"", 1, 1), Held(SHOP, "orders/1", 3, b"", 7, 3),
            ]  # fmt: skip

    def test_an_empty_group_changes_nothing(self, store: CloudStore) -> None:
        store.append([])
        assert not any(store.totals().values())

    def test_many_and_large_changes_in_one_transaction(self, store: CloudStore) -> None:
        large = bytes(range(256)) * 4_000
        store.append([change(f"orders/{n % 100}", b"%d" % n) for n in range(1_000)])
        store.append([change("orders/7", large)])
        assert store.load(SHOP, "orders/7").changes == (
            *(b"%d" % n for n in range(7, 1_000, 100)), large,
        )  # fmt: skip
        assert store.totals()["documents"] == 100

    def test_compacting_keeps_what_came_meanwhile(self, opened: Open) -> None:
        one, two = opened(), opened()
        one.append([change("orders/1", b"a"), change("orders/1", b"b"), change("orders/2", b"x")])
        version = one.version(SHOP, "orders/1")
        two.append([change("orders/1", b"c")])
        assert one.compact(SHOP, "orders/1", version, b"snapshot")
        for view in (one, two, opened()):
            assert view.load(SHOP, "orders/1") == StoredDocument(b"snapshot", (b"c",))
            assert view.held(SHOP)[0] == Held(SHOP, "orders/1", 3, b"", 9, 1)
            assert view.load(SHOP, "orders/2") == StoredDocument(b"", (b"x",))
        assert one.totals()["bytes"] == 10 == one.spaces("", 1)[0].size

    def test_only_one_compacts(self, opened: Open) -> None:
        one, two = opened(), opened()
        one.append([change("orders/1", b"a"), change("orders/1", b"b")])
        assert one.compact(SHOP, "orders/1", 2, b"ab")
        assert not two.compact(SHOP, "orders/1", 2, b"AB")
        assert not two.compact(SHOP, "orders/1", 1, b"A")
        assert not two.compact(SHOP, "orders/1", 3, b"ABC")
        assert not two.compact(SHOP, "orders/2", 1, b"X")
        assert not two.compact(OTHER, "orders/1", 1, b"X")
        assert two.load(SHOP, "orders/1") == StoredDocument(b"ab", ())

    def test_names_are_in_the_order_of_their_bytes(self, store: CloudStore) -> None:
        names = ["B/1", "a-b/1", "a/1", "a/10", "a/2", "a/Z", "a0/1", "a/ö", "a/\U0001f600", "a/￮"]
        store.append([change(name, b"x") for name in names])
        ordered = sorted(names, key=str.encode)
        assert [held.document for held in store.held(SHOP)] == ordered
        of_a = [name for name in ordered if name.startswith("a/")]
        assert [held.document for held in store.held(SHOP, ["a"])] == of_a
        assert [held.document for held in store.held(SHOP, ["a0", "B", "a0"])] == ["B/1", "a0/1"]
        assert list(store.held(SHOP, [])) == [] == list(store.held(OTHER))

    def test_a_collection_is_read_in_pages(self, store: CloudStore) -> None:
        names = ["a-/1", *(f"a/{n}" for n in range(7)), "a0/1"]
        store.append([change(name, b"x") for name in names])
        for collection, expected in (("", names), ("a", names[1:-1])):
            found: list[str] = []
            while page := store.page(SHOP, collection, found[-1] if found else "", 3):
                assert len(page) <= 3
                found += [held.document for held in page]
            assert found == expected
        assert list(store.page(OTHER, "a", "", 3)) == []

    def test_a_fingerprint_is_of_the_last_version_only(self, opened: Open) -> None:
        one, two = opened(), opened()
        one.append([change("orders/1", b"a"), change("orders/2", b"b")])
        one.settle(SHOP, "orders/1", 1, b"print")
        one.settle(SHOP, "orders/2", 2, b"early")
        one.settle(OTHER, "orders/2", 1, b"other")
        assert [held.fingerprint for held in two.held(SHOP)] == [b"print", b""]
        assert one.compact(SHOP, "orders/1", 1, b"a")
        assert two.held(SHOP)[0].fingerprint == b"print"
        two.append([change("orders/1", b"c")])
        one.settle(SHOP, "orders/1", 1, b"late")
        assert one.held(SHOP)[0].fingerprint == b""

    def test_the_feed_tells_each_document_once_by_its_last_change(self, opened: Open) -> None:
        one, two = opened(), opened()
        for name in ("a/1", "a/2", "a/3", "a/4", "a/1"):
            one.append([change(name, b"x"), change(name, b"y")])
        one.append([change("a/2", b"x", OTHER)])
        found, place = follow(two, "")
        assert [(held.space, held.document) for held in found] == [
            (SHOP, "a/2"), (SHOP, "a/3"), (SHOP, "a/4"), (SHOP, "a/1"), (OTHER, "a/2"),
        ]  # fmt: skip
        assert found[3] == Held(SHOP, "a/1", 4, b"", 4, 4)
        assert [held.document for held in follow(two, "", SHOP)[0]] == ["a/2", "a/3", "a/4", "a/1"]
        assert follow(two, "", "nobody")[0] == []
        assert follow(two, place)[0] == []
        one.compact(SHOP, "a/1", 4, b"s")
        one.settle(SHOP, "a/1", 4, b"f")
        assert follow(two, place)[0] == []
        two.append([change("a/3", b"x")])
        again, later = follow(one, place)
        assert [held.document for held in again] == ["a/3"] and later != place
        assert follow(one, later)[0] == []

    def test_the_end_of_the_feed(self, opened: Open) -> None:
        store = opened()
        store.append([change("a/1", b"x")])
        found, place = store.changed("", "now", 9)
        assert list(found) == []
        store.append([change("a/2", b"x")])
        assert [held.document for held in follow(opened(), place)[0]] == ["a/2"]

    @pytest.mark.parametrize(
        "place", ["x", "1", "s", "p1", "s-1", "p1.-1", "s01", "s1 ", "now ", "s9" * 9, "s٣",
                  "p1.1\n", "s" + "9" * 18, "p" + "9" * 18 + ".1", "s" + "9" * 40, "\0", "\ud800"]
    )  # fmt: skip
    def test_what_is_no_place_is_refused(self, store: CloudStore, place: str) -> None:
        with pytest.raises(GatewayError) as caught:
            store.changed("", place, 9)
        assert caught.value.code == "hub-bad-place"
        store.append([change("a/1", b"x")])

    def test_who_waits_is_woken_by_others(self, opened: Open) -> None:
        one, two = opened(), opened()
        assert two.wait_for_changes(0)
        while two.wait_for_changes(0):
            pass
        assert not two.wait_for_changes(0.01)
        writer = threading.Timer(0.05, one.append, [[change("a/1", b"x")]])
        writer.start()
        assert two.wait_for_changes(20.0)
        writer.join()
        assert [held.document for held in follow(two, "")[0]] == ["a/1"]

    def test_gateways_say_what_they_want(self, opened: Open) -> None:
        one, two = opened(), opened()
        one.greet([Greeting(SHOP, "02", ["menu", "orders"])])
        one.greet([Greeting(SHOP, "01", None)])
        one.greet([Greeting(OTHER, "03", ["menu"])])
        one.greet([Greeting(SHOP, "02", None)])
        first, second = two.gateways([SHOP])
        assert (first.store, first.peer, list(first.wants)) == (SHOP, "01", [])
        assert (second.peer, list(second.wants)) == ("02", ["menu", "orders"])
        assert abs(first.seen - second.seen) < 60 and first.seen > 1_600_000_000
        assert [g.peer for g in two.wanting(None, "menu")] == ["02", "03"]
        assert [g.peer for g in two.wanting([OTHER, "x"], "menu")] == ["03"]
        assert list(two.wanting([], "menu")) == [] == list(two.wanting(None, "men"))
        two.greet([Greeting(SHOP, "02", ["orders"])])
        assert [g.peer for g in one.wanting(None, "menu")] == ["03"]
        two.greet([Greeting(SHOP, "02", [])])
        assert list(one.wanting(None, "orders")) == []
        assert one.totals()["gateways"] == 3
        assert [space.gateways for space in one.spaces("", 9)] == [2, 1]

    def test_revocations_are_kept_once(self, opened: Open) -> None:
        one, two = opened(), opened()
        one.revoke(SHOP, [b"one", b"two", b"one"])
        two.revoke(SHOP, [b"two", b"three"])
        two.revoke(OTHER, [b"one"])
        one.revoke(SHOP, [])
        one.revoke(OTHER, [b"two"], [b"one"])
        assert list(two.revocations([OTHER, "x"])) == [(OTHER, b"two")]
        two.revoke(OTHER, [b"one"], [b"two"])
        assert sorted(one.revocations([SHOP])) == [
            (SHOP, b"one"), (SHOP, b"three"), (SHOP, b"two")
        ]  # fmt: skip
        assert list(two.revocations([OTHER, "x"])) == [(OTHER, b"one")]
        assert len(two.revocations([OTHER, SHOP])) == 4 and list(one.revocations([])) == []

    def test_spaces_and_totals(self, store: CloudStore) -> None:
        store.append([change("a/1", b"12"), change("a/2", b"3", "share:menu")], [refusal(b"bad")])
        store.append([change("a/1", b"3"), change("a/3", b"4567")])
        store.revoke(OTHER, [b"x"])
        everything = [
            CloudSpace(SHOP, 2, 7, 0), CloudSpace(OTHER, 0, 0, 0), CloudSpace("share:menu", 1, 1, 0)
        ]  # fmt: skip
        assert store.spaces("", 9) == everything
        assert store.spaces("", 2) == everything[:2] and store.spaces(OTHER, 9) == everything[2:]
        assert store.sizes([SHOP, OTHER, "x"]) == {SHOP: 7} and store.sizes([]) == {}
        assert store.totals() == {
            "spaces": 3, "documents": 3, "bytes": 8, "gateways": 0, "refusals": 1,
        }  # fmt: skip

    def test_refusals_are_bounded_and_never_loaded(self, store: CloudStore) -> None:
        store.append([], [refusal(b"bad"), refusal(b"bad"), refusal(b"bad", "orders/2")])
        assert store.totals()["refusals"] == 2 and store.totals()["documents"] == 0
        store.append([], [refusal(b"%d" % n) for n in range(1_200)])
        assert store.totals()["refusals"] == 1_000
        store.append([], [refusal(bytes(3_000_000) + b"%d" % n) for n in range(4)])
        assert store.totals()["refusals"] == 2
        assert store.load(SHOP, "orders/1") == StoredDocument(b"", ())

    def test_refused_names_may_be_anything(self, store: CloudStore) -> None:
        hostile = refusal(b"x", "\0\ud800/" + "n" * 9_000, "why\0\ud800")
        store.append([change("a/1", b"x")], [replace(hostile, peer="\0", space="\ud800")])
        assert store.totals()["refusals"] == 1 and store.version(SHOP, "a/1") == 1

    def test_a_closed_one_does_nothing(self, store: CloudStore) -> None:
        store.close()
        store.close()
        for verb in (store.totals, lambda: store.append([change("a/1", b"x")])):
            with pytest.raises(GatewayError) as caught:
                verb()
            assert caught.value.code == "hub-database-closed"

    def test_several_append_to_the_same_documents(self, opened: Open) -> None:
        """Nothing is lost, and nobody waits for the other in a circle."""
        stores = [opened() for _ in range(4)]

        def work(number: int) -> None:
            for turn in range(15):
                # Each in another order, and in two spaces.
                names = [f"a/{(n * (2 * number + 1)) % 8}" for n in range(8)]
                update = b"%d.%d" % (number, turn)
                spaces = (SHOP, OTHER) if turn % 2 else (OTHER, SHOP)
                stores[number].append([change(n, update, s) for s in spaces for n in names])

        at_once(*(partial(work, number) for number in range(4)))
        written = {b"%d.%d" % (number, turn) for number in range(4) for turn in range(15)}
        for space in (SHOP, OTHER):
            for held in stores[0].held(space):
                changes = stores[0].load(space, held.document).changes
                assert set(changes) == written and len(changes) == 60 == held.version
        assert stores[0].totals()["documents"] == 16
        total = sum(held.size for s in (SHOP, OTHER) for held in stores[0].held(s))
        assert stores[0].totals()["bytes"] == total

    def test_compacting_while_others_append_loses_nothing(self, opened: Open) -> None:
        """A snapshot is the changes it holds, in lines."""
        writers, compactors = [opened() for _ in range(2)], [opened() for _ in range(2)]
        writing = [0, 1]
        compacted: list[bool] = []

        def write(number: int) -> None:
            try:
                for turn in range(60):
                    writers[number].append([change("a/1", b"%d.%d" % (number, turn))])
            finally:
                writing.remove(number)

        def compact(store: CloudStore) -> None:
            while writing:
                version = store.version(SHOP, "a/1")
                stored = store.load(SHOP, "a/1")
                if version:
                    snapshot = b"\n".join(filter(None, (stored.snapshot, *stored.changes)))
                    compacted.append(store.compact(SHOP, "a/1", version, snapshot))

        at_once(
            *(partial(write, number) for number in range(2)),
            *(partial(compact, store) for store in compactors),
        )
        assert any(compacted)
        stored = writers[0].load(SHOP, "a/1")
        lines = b"\n".join((stored.snapshot, *stored.changes)).split(b"\n")
        assert set(filter(None, lines)) == {b"%d.%d" % (n, t) for n in range(2) for t in range(60)}
        (held,) = writers[0].held(SHOP)
        assert held.version == 120 and held.rows == len(stored.changes)
        assert held.size == sum(map(len, (stored.snapshot, *stored.changes)))
        assert writers[0].totals()["bytes"] == held.size

    def test_any_course_of_things_is_as_in_the_model(self, open_it: Open) -> None:
        @settings(
            max_examples=40, deadline=None, suppress_health_check=list(HealthCheck),
            database=None, derandomize=True,
        )  # fmt: skip
        @given(st.lists(_ACTIONS, max_size=12))
        def course(actions: list) -> None:
            self.empty()
            with closing(open_it()) as store, closing(open_it()) as reader:
                model, place = Model(), ""
                told: dict[tuple[str, str], Held] = {}
                for verb, action in actions:
                    if verb == "follow":
                        found, place = follow(reader, place, most=action)
                        told |= {(held.space, held.document): held for held in found}
                    else:
                        getattr(model, verb)(store, action)
                found, place = follow(reader, place)
                told |= {(held.space, held.document): held for held in found}
                for space in (SHOP, OTHER, "share:menu"):
                    expected = model.held(space)
                    assert list(reader.held(space)) == expected
                    for held in expected:
                        name = held.document
                        assert reader.load(space, name) == model.stored(space, name)
                        assert told.pop((space, name)).version == held.version
                    for figures in [s for s in reader.spaces("", 9) if s.space == space]:
                        assert figures.documents == len(expected)
                        assert figures.size == sum(held.size for held in expected)
                assert told == {}

        course()

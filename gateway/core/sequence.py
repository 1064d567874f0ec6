"""The order of a document's items, restored from its structs.

The structs of a whole state come per client, not in the order of the content: each names
the items between which it was inserted. This is the insertion of YATA as Yjs does it
(``Item.integrate``), on objects of our own, so that the document itself is not touched
and no type has to be known.
"""

from bisect import bisect_right
from collections.abc import Iterator

from gateway.core.errors import Code, PeerError
from gateway.core.fingerprint import Ranges, merged
from gateway.core.structs import DELETED, GC, SKIP, STRING, Id, SharedType, Struct, Update
from gateway.core.values import Json

# Neighbours looked at while resolving concurrent insertions; about two seconds of work.
MAX_STEPS = 5_000_000


class TooMuchWork(Exception):
    """More concurrent insertions than are worth ordering."""


class Node:
    """A shared type: its first item, and per key the last item. Roots have no ``shared``."""

    __slots__ = ("entries", "first", "shared")

    def __init__(self, shared: SharedType | None) -> None:
        self.shared = shared
        self.first: Item | None = None
        self.entries: dict[str, Item] = {}


class Item:
    """A struct in its place; ``node`` when it holds a shared type."""

    __slots__ = (
        "client", "clock", "content", "deleted", "end", "left", "node", "origin", "parent",
        "reference", "right", "right_origin", "sub",
    )  # fmt: skip

    def __init__(self, struct: Struct, deleted: bool) -> None:
        self.client = struct.client
        self.clock = struct.clock
        self.end = struct.end
        self.reference = struct.reference
        self.content = struct.content
        self.origin = struct.origin
        self.right_origin = struct.right_origin
        self.sub = struct.parent_sub
        self.deleted = deleted
        self.left: Item | None = None
        self.right: Item | None = None
        self.parent: Node | None = None
        shared = struct.content
        self.node = Node(shared) if isinstance(shared, SharedType) else None


def restore(update: Update) -> dict[str, Node]:
    """The roots of a whole state by name.

    Raises ``PeerError`` if causes are missing, ``TooMuchWork`` above ``MAX_STEPS``.
    """
    return _Sequence(update).roots


class _Sequence:
    def __init__(self, update: Update) -> None:
        self.roots: dict[str, Node] = {}
        self._steps = 0
        # Per client the items in their places, and their first clocks to search in.
        self._items: dict[int, list[Item]] = {}
        self._clocks: dict[int, list[int]] = {}
        self._known: dict[int, int] = {}
        self._deletes = {client: merged(ranges) for client, ranges in update.deletes.items()}
        for struct in _causal(update.structs):
            for part in _cut(struct, self._deletes.get(struct.client, [])):
                self._insert(*part)

    def _insert(self, struct: Struct, deleted: bool) -> None:
        item = Item(struct, deleted)
        self._items.setdefault(item.client, []).append(item)
        self._clocks.setdefault(item.client, []).append(item.clock)
        if struct.reference == GC:
            return
        left = self._ending(struct.origin) if struct.origin else None
        right = self._starting(struct.right_origin) if struct.right_origin else None
        item.parent = self._parent(struct, left, right)
        if item.parent is None:
            return
        for neighbour in (left, right):
            if neighbour is not None and neighbour.sub is not None:
                item.sub = neighbour.sub
        self._link(item, item.parent, left, right)

    def _parent(self, struct: Struct, left: Item | None, right: Item | None) -> Node | None:
        if isinstance(struct.parent, str):
            return self.roots.setdefault(struct.parent, Node(None))
        if struct.parent is not None:
            return self._item(struct.parent).node
        for neighbour in (left, right):
            if neighbour is not None and neighbour.parent is not None:
                return neighbour.parent
        return None

    def _link(self, item: Item, parent: Node, left: Item | None, right: Item | None) -> None:
        free = right is not None and right.left is None
        if (left.right is not right) if left else not free:
            left = self._settled(item, parent, left, right)
        item.left = left
        if left is not None:
            item.right, left.right = left.right, item
        elif item.sub is not None:
            item.right = _leftmost(parent.entries.get(item.sub))
        else:
            item.right, parent.first = parent.first, item
        if item.right is not None:
            item.right.left = item
        elif item.sub is not None:
            parent.entries[item.sub] = item

    def _settled(
        self, item: Item, parent: Node, left: Item | None, right: Item | None
    ) -> Item | None:
        """The left neighbour among concurrent insertions (Yjs ``Item.integrate``)."""
        if left is not None:
            other = left.right
        elif item.sub is not None:
            other = _leftmost(parent.entries.get(item.sub))
        else:
            other = parent.first
        conflicting: set[Item] = set()
        before_origin: set[Item] = set()
        while other is not None and other is not right:
            self._count()
            before_origin.add(other)
            conflicting.add(other)
            if item.origin == other.origin:
                if other.client < item.client:
                    left = other
                    conflicting.clear()
                elif item.right_origin == other.right_origin:
                    break
            elif other.origin is not None and self._item(other.origin) in before_origin:
                if self._item(other.origin) not in conflicting:
                    left = other
                    conflicting.clear()
            else:
                break
            other = other.right
        return left

    def _count(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooMuchWork

    def _index(self, identity: Id) -> int:
        client, clock = identity
        index = bisect_right(self._clocks.get(client, []), clock) - 1
        if index < 0 or clock >= self._items[client][index].end:
            raise PeerError(Code.MALFORMED, "a state refers to what it does not hold")
        return index

    def _item(self, identity: Id) -> Item:
        return self._items[identity[0]][self._index(identity)]

    def _ending(self, identity: Id) -> Item | None:
        """The item of which this is the last clock; None if it was collected."""
        client, clock = identity
        index = self._index(identity)
        item = self._items[client][index]
        if item.reference == GC:
            return None
        if item.end > clock + 1:
            self._split(client, index, clock + 1)
        return item

    def _starting(self, identity: Id) -> Item | None:
        """The item of which this is the first clock; None if it was collected."""
        client, clock = identity
        index = self._index(identity)
        item = self._items[client][index]
        if item.reference == GC:
            return None
        return self._split(client, index, clock) if item.clock < clock else item

    def _split(self, client: int, index: int, clock: int) -> Item:
        """Cut an item in two; returns the right part."""
        item = self._items[client][index]
        content = _split_content(item.reference, item.content, clock - item.clock)
        rest = Item(_part(item, clock, item.end, content[1]), item.deleted)
        item.end, item.content = clock, content[0]
        rest.parent, rest.sub = item.parent, item.sub
        rest.left, rest.right, item.right = item, item.right, rest
        if rest.right is not None:
            rest.right.left = rest
        elif rest.sub is not None and rest.parent is not None:
            rest.parent.entries[rest.sub] = rest
        self._items[client].insert(index + 1, rest)
        self._clocks[client].insert(index + 1, clock)
        return rest


def _causal(structs: list[Struct]) -> Iterator[Struct]:
    """The structs so that causes come first, otherwise higher clients first, as in Yjs.

    That order makes the usual insertions of many clients at one place cheap.
    """
    queues: dict[int, list[Struct]] = {}
    for struct in structs:
        if struct.reference != SKIP:
            queues.setdefault(struct.client, []).append(struct)
    known: dict[int, int] = {}
    taken = dict.fromkeys(queues, 0)
    for client in sorted(queues, reverse=True):
        stack = [client]
        while stack:
            current = stack[-1]
            if taken[current] == len(queues[current]):
                stack.pop()
                continue
            struct = queues[current][taken[current]]
            cause = _missing(struct, known)
            if cause is None:
                yield struct
                known[current] = struct.end
                taken[current] += 1
                if len(stack) > 1:
                    stack.pop()
            elif cause in stack or taken.get(cause, 0) == len(queues.get(cause, ())):
                raise PeerError(Code.MALFORMED, "a state lacks what it builds on")
            else:
                stack.append(cause)


def _missing(struct: Struct, known: dict[int, int]) -> int | None:
    """The client of a cause that has not come yet."""
    for cause in (struct.origin, struct.right_origin, struct.parent):
        if isinstance(cause, tuple) and cause[1] >= known.get(cause[0], 0):
            return cause[0]
    return None


def _cut(struct: Struct, deletes: Ranges) -> Iterator[tuple[Struct, bool]]:
    """The parts of a struct that are deleted as a whole or not at all."""
    if struct.reference in (GC, DELETED) or not deletes:
        yield struct, struct.reference in (GC, DELETED)
        return
    rest = struct
    index = max(0, bisect_right(deletes, (struct.clock, struct.end)) - 1)
    for start, end in deletes[index:]:
        if start >= rest.end:
            break
        if end <= rest.clock:
            continue
        if start > rest.clock:
            kept, rest = _halves(rest, start)
            yield kept, False
        if end >= rest.end:
            yield rest, True
            return
        gone, rest = _halves(rest, end)
        yield gone, True
    yield rest, False


def _halves(struct: Struct, clock: int) -> tuple[Struct, Struct]:
    left, right = _split_content(struct.reference, struct.content, clock - struct.clock)
    return struct._replace(end=clock, content=left), _part(struct, clock, struct.end, right)


def _part(whole: Struct | Item, clock: int, end: int, content: Json) -> Struct:
    """A later part of a struct: its origin is what comes before it in the struct."""
    return Struct(
        whole.client, clock, end, whole.reference, (whole.client, clock - 1), whole.right_origin,
        None, None, content, 0, 0,
    )  # fmt: skip


def _split_content(reference: int, content: Json, offset: int) -> tuple[Json, Json]:
    """Both parts of a content; only texts, lists and deleted content have more than one clock."""
    if reference != STRING:
        return (content[:offset], content[offset:]) if isinstance(content, list) else (None, None)
    raw = content.encode("utf-16-le")
    return raw[: 2 * offset].decode("utf-16-le", "replace"), raw[2 * offset :].decode(
        "utf-16-le", "replace"
    )


def _leftmost(item: Item | None) -> Item | None:
    while item is not None and item.left is not None:
        item = item.left
    return item

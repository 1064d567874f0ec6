"""Characters that count twice, and what happens when an edit cuts one in two.

Yjs counts UTF-16 units, so a character beyond U+FFFF has two clocks. An editor that
compares texts unit by unit may replace one half of an emoji; Yjs then puts U+FFFD in the
place of each half. The library cannot cut such a character: it would shift every clock
behind it and lose text. So the cut is made here, in the bytes, before the library is
shown what cuts.
"""

import re
from collections.abc import Set as AbstractSet

from gateway.core.structs import STRING, Id, Update, read_update
from gateway.core.varint import write_string

# Searching for single bytes is a hundred times faster than the pattern, and mostly enough.
_LEADS = tuple(bytes([lead]) for lead in range(0xF0, 0xF5))
_BEYOND = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")
# The high bytes of U+DC00 to U+DFFF, of which only second halves are made.
_SECOND_HALVES = range(0xDC, 0xE0)
_REPLACEMENTS = "\ufffd\ufffd".encode("utf-16-le")


def may_hold_pairs(data: bytes) -> bool:
    """Whether an update may hold characters beyond U+FFFF; False is certain."""
    return any(lead in data for lead in _LEADS) and _BEYOND.search(data) is not None


class Pairs:
    """Where the characters of two clocks are in a document: the clocks of second halves."""

    def __init__(self) -> None:
        self._seconds: dict[int, set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._seconds)

    def note(self, update: Update) -> None:
        """Remember the pairs in an update."""
        for struct in update.structs:
            if struct.reference != STRING or struct.content.isascii():
                continue
            clock = struct.clock
            for character in struct.content:
                clock += 1
                if character > "\uffff":
                    self._seconds.setdefault(struct.client, set()).add(clock)
                    clock += 1

    def cut_by(self, update: Update) -> set[Id]:
        """The pairs that an update cuts, by their second halves; they are forgotten."""
        edges: list[Id] = []
        for struct in update.structs:
            if struct.origin is not None:
                edges.append((struct.origin[0], struct.origin[1] + 1))
            if struct.right_origin is not None:
                edges.append(struct.right_origin)
        for client, ranges in update.deletes.items():
            edges += [(client, edge) for span in ranges for edge in span]
        cut = {edge for edge in edges if edge[1] in self._seconds.get(edge[0], ())}
        for client, clock in cut:
            self._seconds[client].discard(clock)
        return cut


def mended(data: bytes, cut: AbstractSet[Id]) -> bytes:
    """An update in which what lies across these clocks, if it is one pair, is two U+FFFD."""
    if not may_hold_pairs(data):
        return data
    parts: list[bytes] = []
    done = 0
    for struct in read_update(data).structs:
        if struct.reference != STRING:
            continue
        offsets = [
            clock - struct.clock
            for client, clock in cut
            if client == struct.client and struct.clock < clock < struct.end
        ]
        if offsets:
            start = struct.last - len(write_string(struct.content))
            parts += (data[done:start], write_string(_replaced(struct.content, offsets)))
            done = struct.last
    return b"".join((*parts, data[done:]))


def _replaced(text: str, offsets: list[int]) -> str:
    """A text with the characters whose second halves are at these offsets replaced."""
    halves = bytearray(text.encode("utf-16-le"))
    for offset in offsets:
        if halves[2 * offset + 1] in _SECOND_HALVES:
            halves[2 * offset - 2 : 2 * offset + 2] = _REPLACEMENTS
    return halves.decode("utf-16-le")

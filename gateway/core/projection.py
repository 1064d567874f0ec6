"""The content of any document as JSON, whatever its roots and their types.

A root does not carry its type on the wire, so it is told from what is in it, and a root
in which nothing is visible is left out. Values are in the form of
``gateway.core.values``; shared types become

    map                      an object, keys sorted
    array                    a list
    text                     a string; with formatting or embedded values
                             {"$text": [{"insert": ..., "attributes": {...}}, ...]}
    XML                      {"$xml": "<p>text</p>"}; a root with XML children only is one
    both keys and a sequence {"$map": {...}, "$sequence": ...}
    beyond the caps below    {"$truncated": true}

Nothing here touches the document: it works on what ``gateway.core.structs`` read from
the whole state, in the order ``gateway.core.sequence`` restored.
"""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from gateway.core.sequence import Item, Node, TooMuchWork, restore
from gateway.core.structs import ANY, DELETED, EMBED, FORMAT, JSON, STRING, TYPE, SharedType, Update
from gateway.core.values import Json, escaped_key

# Shared types inside each other; the guard stops at less (docs/limits.md).
MAX_NESTING = 64
# Values shown of one document: about 100 MB of memory at worst.
MAX_VALUES = 500_000

TRUNCATED: dict[str, Json] = {"$truncated": True}

ARRAY, MAP, TEXT, XML_ELEMENT, XML_FRAGMENT, XML_HOOK, XML_TEXT = range(7)

_XML = (XML_ELEMENT, XML_FRAGMENT, XML_HOOK, XML_TEXT)
_TEXTUAL = (STRING, EMBED, FORMAT)
_LISTED = (ANY, JSON)


def project(update: Update) -> dict[str, Json]:
    """The content of a whole state. Raises ``PeerError`` if it is none."""
    walk = _Walk()
    try:
        roots = restore(update)
    except TooMuchWork:
        return dict(TRUNCATED)
    shown = {escaped_key(name): walk.node(node, 0) for name, node in sorted(roots.items())}
    return {name: value for name, value in shown.items() if value is not None}


class _Walk:
    """One projection: counts what it shows."""

    def __init__(self) -> None:
        self._values = 0

    def node(self, node: Node, nesting: int) -> Json:
        """A shared type's content; None for a root with nothing in it."""
        entries = {key: item for key, item in node.entries.items() if not item.deleted}
        sequence = list(_visible(node))
        number = _number(node, bool(entries), sequence)
        if number is None:
            return None
        if nesting > MAX_NESTING or not self._counted(len(entries) + len(sequence)):
            return dict(TRUNCATED)
        if number in _XML:
            return {"$xml": self._xml(node, number, nesting)}
        if number == MAP and not sequence:
            return self._map(entries, nesting)
        shown = self._sequence(sequence, number, nesting)
        if not entries:
            return shown
        return {"$map": self._map(entries, nesting), "$sequence": shown}

    def _counted(self, count: int) -> bool:
        self._values += count
        return self._values <= MAX_VALUES

    def _map(self, entries: dict[str, Item], nesting: int) -> Json:
        return {
            escaped_key(key): self._contents(item, nesting)[-1]
            for key, item in sorted(entries.items())
        }

    def _sequence(self, sequence: list[Item], number: int, nesting: int) -> Json:
        if number == TEXT or any(item.reference in _TEXTUAL for item in sequence):
            parts = self._text(sequence, nesting)
            if all(isinstance(part, str) and not marks for part, marks in parts):
                return "".join(part for part, _ in parts)
            return {"$text": [_operation(part, marks) for part, marks in parts]}
        shown = []
        for item in sequence:
            shown += self._contents(item, nesting)
        return shown

    def _contents(self, item: Item, nesting: int) -> list[Json]:
        if item.node is not None:
            return [self.node(item.node, nesting + 1)]
        if item.reference in _LISTED:
            return item.content if self._counted(len(item.content)) else [dict(TRUNCATED)]
        return [item.content]

    def _text(self, sequence: list[Item], nesting: int) -> list[tuple[Json, dict[str, Json]]]:
        """Runs with the marks they carry; neighbours with equal marks are one run."""
        parts: list[tuple[Json, dict[str, Json]]] = []
        marks: dict[str, Json] = {}
        for item in sequence:
            if item.reference == FORMAT:
                key, value = escaped_key(item.content.key), item.content.value
                marks = {name: mark for name, mark in marks.items() if name != key}
                if value is not None:
                    marks[key] = value
            elif item.reference != STRING:
                parts += [(value, marks) for value in self._contents(item, nesting)]
            elif parts and isinstance(parts[-1][0], str) and parts[-1][1] == marks:
                parts[-1] = (parts[-1][0] + item.content, marks)
            else:
                parts.append((item.content, marks))
        return parts

    def _xml(self, node: Node, number: int, nesting: int) -> str:
        """The XML text of a node; what is no XML appears as JSON text."""
        if nesting > MAX_NESTING:
            return "<!--truncated-->"
        sequence = list(_visible(node))
        self._counted(len(sequence))
        if number == XML_TEXT:
            return "".join(_tagged(part, marks) for part, marks in self._text(sequence, nesting))
        inside = "".join(self._child(item, nesting) for item in sequence)
        if number == XML_FRAGMENT:
            return inside
        name = escape(node.shared.name if node.shared else "")
        entries = sorted(node.entries.items())
        attributes = "".join(
            f' {escape(key)}="{escape(_plain(self._contents(item, nesting)[-1]))}"'
            for key, item in entries
            if not item.deleted
        )
        return f"<{name}{attributes}>{inside}</{name}>"

    def _child(self, item: Item, nesting: int) -> str:
        if item.node is not None and item.node.shared and item.node.shared.number in _XML:
            return self._xml(item.node, item.node.shared.number, nesting + 1)
        return "".join(escape(_plain(value)) for value in self._contents(item, nesting))


def _visible(node: Node) -> Iterator[Item]:
    item = node.first
    while item is not None:
        if not item.deleted and item.reference != DELETED:
            yield item
        item = item.right


def _number(node: Node, has_entries: bool, sequence: list[Item]) -> int | None:
    """The type number of a node: its own, or for a root what its content tells."""
    if node.shared is not None and node.shared.number <= XML_TEXT:
        return node.shared.number
    if not any(item.reference != FORMAT for item in sequence):
        return MAP if has_entries else None
    if any(item.reference in _TEXTUAL for item in sequence):
        return TEXT
    xml = all(
        item.reference == TYPE
        and isinstance(item.content, SharedType)
        and item.content.number in _XML
        for item in sequence
    )
    return XML_FRAGMENT if xml and not has_entries else ARRAY


def _operation(part: Json, marks: dict[str, Json]) -> dict[str, Any]:
    return {"insert": part, "attributes": marks} if marks else {"insert": part}


def _tagged(part: Json, marks: dict[str, Json]) -> str:
    """A run of XML text inside one element per mark, as Yjs writes it."""
    text = escape(_plain(part))
    for key, value in sorted(marks.items(), reverse=True):
        given = sorted(value.items()) if isinstance(value, dict) else []
        attributes = "".join(f' {escape(name)}="{escape(_plain(item))}"' for name, item in given)
        text = f"<{escape(key)}{attributes}>{text}</{escape(key)}>"
    return text


def _plain(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)

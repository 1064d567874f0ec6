"""Rows read from the bytes of a damaged database, without SQLite.

Every page of the file and of its log is looked at by itself, as
https://sqlite.org/fileformat2.html describes them, so one bad page costs no other. A row
counts when its own checksum is right; nothing else found in the file is believed. What is
found may be more than the database held: a change may be found that a snapshot replaced
long ago. Yjs updates may be applied again, so that does no harm.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from gateway.adapters.sqlite_file import PAGE_BYTES, checksum
from gateway.core.records import Change, Refusal

_INDEX_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 10, 13
# Where the cell pointers of a page begin, by its kind.
_POINTERS = {_INDEX_INTERIOR: 12, _INDEX_LEAF: 8, _TABLE_LEAF: 8}
_FILE_HEADER, _LOG_HEADER, _FRAME_HEADER = 100, 32, 24
# Bytes of an integer by its serial type (section 2.1 of the file format).
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
# Larger than any row that is ever written; what claims more is not a row.
_MAX_PAYLOAD = 1 << 28
_SNAPSHOT_COLUMNS = 4

Value = int | str | bytes | None


class _NotARow(Exception):
    """The bytes do not have the shape of a row."""


@dataclass(frozen=True, slots=True)
class _Row:
    key: int
    values: tuple[Value, ...]


class _Pages:
    """The pages of a file, or of a file with its log applied."""

    def __init__(self, file: bytes, log: dict[int, bytes]) -> None:
        self._file = file
        self._log = log

    def get(self, number: int) -> bytes:
        """A page by its number, counted from 1."""
        page = self._log.get(number) or self._file[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]
        if number < 1 or len(page) < PAGE_BYTES:
            raise _NotARow
        return page


def carve(*paths: Path) -> list[Change | Refusal]:
    """All rows of some databases that have a right checksum, oldest first.

    A document's name may be proved by one file and be damaged in the other. A path without
    a file counts as an empty one. Raises ``OSError``.
    """
    rows = [row for path in paths for row in _rows_of_file(path)]
    names = _names(rows)
    found = {record: key for row in rows for key, record in _records(row, names)}
    return sorted(found, key=found.__getitem__)


def carve_log(path: Path, seen: int, after: int, names: dict[int, str]) -> list[Change | Refusal]:
    """What the log holds behind its first ``seen`` frames, all that SQLite sees of it.

    Only changes and refusals numbered above ``after``: snapshots repeat what is there.
    """
    frames = _frames_beside(path)
    if len(frames) <= seen:
        return []
    views = [_Pages(b"", dict(frames))]
    rows = [row for number, page in frames[seen:] for row in _rows(number, page, views)]
    known = _names(rows)
    for number, name in names.items():
        known.setdefault(number, set()).add(name)
    found = {
        record: key
        for row in rows
        if len(row.values) != _SNAPSHOT_COLUMNS and row.key > after
        for key, record in _records(row, known)
    }
    return sorted(found, key=found.__getitem__)


def _frames_beside(path: Path) -> list[tuple[int, bytes]]:
    log = path.with_name(f"{path.name}-wal")
    return list(_frames(log.read_bytes() if log.exists() else b""))


def _rows_of_file(path: Path) -> Iterator[_Row]:
    file = path.read_bytes() if path.exists() else b""
    frames = _frames_beside(path)
    views = [_Pages(file, {})]
    if frames:
        views.append(_Pages(file, dict(frames)))
    for start in range(0, len(file), PAGE_BYTES):
        yield from _rows(start // PAGE_BYTES + 1, file[start : start + PAGE_BYTES], views)
    for number, page in frames:
        yield from _rows(number, page, views)


def _frames(log: bytes) -> Iterator[tuple[int, bytes]]:
    """Page numbers and pages of the log's present round."""
    header = log[16:24]
    first = log[_LOG_HEADER + 8 : _LOG_HEADER + 16]
    for start in range(_LOG_HEADER, len(log) - PAGE_BYTES, PAGE_BYTES + _FRAME_HEADER):
        body = start + _FRAME_HEADER
        # Salts of an earlier round: folded back into the file already.
        if log[start + 8 : start + 16] in (header, first):
            yield int.from_bytes(log[start : start + 4]), log[body : body + PAGE_BYTES]


def _rows(number: int, page: bytes, views: list[_Pages]) -> Iterator[_Row]:
    """The rows of a page, each as it reads in every view."""
    base = _FILE_HEADER if number == 1 else 0
    kind = page[base] if len(page) == PAGE_BYTES else 0
    if kind not in _POINTERS:
        return
    count = int.from_bytes(page[base + 3 : base + 5])
    start = base + _POINTERS[kind]
    pointers = page[start : start + 2 * min(count, (PAGE_BYTES - start) // 2)]
    for (at,) in struct.iter_unpack(">H", pointers):
        for view in views:
            try:
                row, overflows = _row(kind, page, at, view)
            except (_NotARow, IndexError):
                continue
            yield row
            if not overflows:
                break


def _row(kind: int, page: bytes, at: int, view: _Pages) -> tuple[_Row, bool]:
    """A row, and whether it depends on the view."""
    if kind == _INDEX_INTERIOR:
        at += 4
    size, at = _varint(page, at)
    key = 0
    if kind == _TABLE_LEAF:
        key, at = _varint(page, at)
    payload = _payload(page, at, size, kind == _TABLE_LEAF, view)
    return _Row(key, _values(payload)), len(payload) > PAGE_BYTES - at


def _payload(page: bytes, at: int, size: int, table: bool, view: _Pages) -> bytes:
    """The bytes of a row, put together from its overflow pages (section 1.6)."""
    if size > _MAX_PAYLOAD:
        raise _NotARow
    most = PAGE_BYTES - 35 if table else (PAGE_BYTES - 12) * 64 // 255 - 23
    if size <= most:
        return page[at : at + size]
    least = (PAGE_BYTES - 12) * 32 // 255 - 23
    local = least + (size - least) % (PAGE_BYTES - 4)
    local = local if local <= most else least
    parts, rest = [page[at : at + local]], size - local
    following = int.from_bytes(page[at + local : at + local + 4])
    while rest > 0:
        more = view.get(following)
        following = int.from_bytes(more[:4])
        parts.append(more[4 : 4 + rest])
        rest -= PAGE_BYTES - 4
    return b"".join(parts)


def _values(payload: bytes) -> tuple[Value, ...]:
    head, at = _varint(payload, 0)
    if not 0 < head <= len(payload):
        raise _NotARow
    body, values = head, []
    while at < head:
        kind, at = _varint(payload, at)
        size = _INTEGERS.get(kind, (kind - 12) // 2 if kind >= 12 else 0)
        raw = payload[body : body + size]
        if len(raw) < size or kind in (7, 10, 11):
            raise _NotARow
        values.append(_value(kind, raw))
        body += size
    return tuple(values)


def _value(kind: int, raw: bytes) -> Value:
    if kind == 0:
        return None
    if kind >= 12:
        return raw if kind % 2 == 0 else raw.decode(errors="replace")
    if kind in (8, 9):
        return kind - 8
    return int.from_bytes(raw, signed=True)


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | raw[place] & 0x7F
        if raw[place] < 0x80:
            return value, place + 1
    return value << 8 | raw[at + 8], at + 9


def _names(rows: list[_Row]) -> dict[int, set[str]]:
    """Names by document number, from the table and its index; guesses until a row proves one."""
    names: dict[int, set[str]] = {}
    for row in rows:
        match row.values:
            case (None, str(name)):
                names.setdefault(row.key, set()).add(name)
            case (str(name), int(number)):
                names.setdefault(number, set()).add(name)
    return names


def _records(row: _Row, names: dict[int, set[str]]) -> Iterator[tuple[int, Change | Refusal]]:
    """The record a row stands for, with its sequence number, if its checksum proves it."""
    match row.values:
        case (None, int(number), str(peer), bytes(raw), int(check)):
            sequence = row.key
        case (None, int(sequence), bytes(raw), int(check)):
            number, peer = row.key, ""
        case (None, bytes(digest), str(name), str(peer), int(code), str(reason), bytes(raw)):
            if blake2b(raw, digest_size=16).digest() == digest:
                yield row.key, Refusal(name, raw, peer, code, reason)
            return
        case _:
            return
    for name in names.get(number, ()):
        if checksum(name, sequence, raw) == check:
            yield sequence, Change(name, raw, peer)

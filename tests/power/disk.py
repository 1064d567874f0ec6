"""A disk that forgets what was not synced.

Content: a sector of 512 bytes that was written and not synced is there, is not, or is torn
in the middle, each by itself. Entries of folders: what was done since the last sync is there
up to some moment, or each step is or is not, by itself. A sync of a folder makes all earlier
changes of entries durable, as the one journal of a file system does. After a sync of a file
that failed, what it was to save never gets there, though readers still see it.
"""

import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path

from tests.power.shim import Operation

SECTOR_BYTES = 512
# How likely a sector that was not synced is on the disk, one of these in each image.
KEPT = (0.0, 0.1, 0.5, 0.9, 1.0)
TORN = 0.05
SHM_BYTES = 32_768

Image = dict[str, bytes]


@dataclass(eq=False, slots=True)
class _File:
    durable: bytes = b""
    # Offset and data of a write; data None stands for a truncation to the offset.
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        content = bytearray(self.durable)
        for offset, data in self.pending:
            _apply(content, offset, data)
        self.durable, self.pending = bytes(content), []

    def after_cut(self, chance: random.Random) -> bytes:
        if not self.pending:
            return self.durable
        content, kept = bytearray(self.durable), chance.choice(KEPT)
        for offset, data in self.pending:
            if data is None:
                if chance.random() < kept:
                    _apply(content, offset, None)
                continue
            if chance.random() < 0.5 and len(content) < offset + len(data):
                content.extend(bytes(offset + len(data) - len(content)))
            for start, piece in _sectors(offset, data):
                draw = chance.random()
                if draw < kept:
                    _apply(content, start, piece)
                elif draw < kept + TORN:
                    _apply(content, start, piece[: chance.randrange(len(piece))])
        return bytes(content)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is not None:
        content[offset : offset + len(data)] = data


def _sectors(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    edges = [0, *range(SECTOR_BYTES - offset % SECTOR_BYTES, len(data), SECTOR_BYTES), len(data)]
    return [(offset + a, data[a:b]) for a, b in itertools.pairwise(edges) if b > a]


class Disk:
    """What is on the disk, and what is only on its way, below one folder."""

    def __init__(self, folder: Path) -> None:
        """Begin with what is in ``folder`` now; all of it is durable."""
        self._root = str(folder)
        self._entries: dict[str, _File | None] = {}
        self._files: dict[int, _File] = {}
        self._live: dict[str, _File | None] = {}
        self._pending: list[tuple[str, str, str, _File | None]] = []
        for path in sorted(folder.rglob("*")):
            file = _File(path.read_bytes()) if path.is_file() else None
            self._entries[str(path)] = self._live[str(path)] = file
            if file is not None:
                self._files[path.stat().st_ino] = file

    def do(self, operation: Operation) -> None:
        """Let one recorded call happen."""
        kind, path = operation.kind, operation.path
        if kind == "w":
            self._files[operation.inode].pending.append((operation.offset, operation.data))
        elif kind == "t":
            self._files[operation.inode].pending.append((operation.offset, None))
        elif kind == "s" and (path == self._root or self._live.get(path, self) is None):
            self._settle()
        elif kind == "s":
            self._files[operation.inode].sync()
        elif kind == "f":
            # The system forgets that the pages were never written; no later sync brings them.
            if operation.inode in self._files:
                self._files[operation.inode].pending.clear()
        else:
            self._change_entries(operation)

    def _change_entries(self, operation: Operation) -> None:
        path, new = operation.path, operation.data.decode()
        file: _File | None = None
        if operation.kind == "c":
            file = self._files[operation.inode] = _File()
        elif operation.kind == "r":
            file = self._live[path]
        step = (operation.kind, path, new, file)
        self._pending.append(step)
        _step(self._live, self._root, *step)

    def _settle(self) -> None:
        for step in self._pending:
            _step(self._entries, self._root, *step)
        self._pending = []

    def after_cut(self, chance: random.Random) -> Image:
        """The files after a power cut now, by their path below the folder."""
        entries = dict(self._entries)
        if chance.random() < 0.5:
            steps = self._pending[: chance.randint(0, len(self._pending))]
        else:
            steps = [step for step in self._pending if chance.random() < 0.5]
        for step in steps:
            _step(entries, self._root, *step)
        image = {
            path[len(self._root) + 1 :]: file.after_cut(chance)
            for path, file in entries.items()
            if file is not None
        }
        if "store.db" in image and chance.random() < 0.25:
            image["store.db-shm"] = chance.randbytes(SHM_BYTES)
        return image


def _step(
    entries: dict[str, _File | None], root: str, kind: str, path: str, new: str, file: _File | None
) -> None:
    """Change entries; a step that lost what it builds on does nothing."""
    target = new if kind == "r" else path
    parent = target.rpartition("/")[0]
    if parent != root and entries.get(parent, file) is not None:
        return
    if kind == "c":
        entries[path] = file
    elif kind == "d":
        entries[path] = None
    elif kind == "r" and path in entries:
        del entries[path]
        entries[new] = file
    elif kind in "ux":
        entries.pop(path, None)

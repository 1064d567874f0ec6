"""Checking a database at start, setting a damaged one aside, rebuilding, restoring.

A damaged file is moved, never deleted. Yjs updates may be applied twice and in any order,
so a new database is simply the union of what can still be read and of the last good
backup; peers bring the rest. Power may fail between any two lines (invariant 12): a new
database waits whole under a name of its own until the old one is out of the way.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

from gateway.adapters import sqlite_file
from gateway.adapters.sqlite_carve import carve, carve_log
from gateway.adapters.sqlite_errors import translated
from gateway.adapters.sqlite_file import FILE_NAME
from gateway.adapters.sqlite_folder import (
    FolderLock,
    remove_unfinished,
    set_aside,
    sync_file,
    sync_folder,
    with_side_files,
)
from gateway.core.errors import GatewayError
from gateway.core.records import Change, Refusal

BACKUP = Path("backups") / "last-good.db"
# A whole database that waits for its place, by what becomes of the one that is there.
WAITING = {"damaged": f"{FILE_NAME}.rebuilt", "replaced": f"{FILE_NAME}.restored"}
REBUILDING = "rebuilding"
EX_DATAERR = 65
EX_NOINPUT = 66

Fill = Callable[[Path, Iterable[Change | Refusal]], None]


def make_sound(folder: Path, fill: Fill) -> tuple[str, Sequence[Change | Refusal]]:
    """See that ``folder`` holds a sound database; what was done as a sentence, or "".

    With it come records that are in the log and that SQLite does not see, because the log is
    torn or damaged before them; they are to be appended. ``fill(folder, records)`` makes a
    database in another folder. Raises ``GatewayError``: ``store-newer``, ``store-full``,
    ``store-read-only``, ``store-failed``.
    """
    path = folder / FILE_NAME
    with translated(folder):
        for word in WAITING:
            _put_in_place(folder, word)
        if not with_side_files(path):
            sqlite_file.make(path)
            return "", ()
        what = sqlite_file.fault(path) if path.exists() else "only its log is left"
        if not what:
            sqlite_file.renew_log(path)
            return "", _unseen(path)
        count = _rebuild(folder, fill)
        aside = _put_in_place(folder, "damaged")
    said = (
        f"The database was damaged: {what}. It is kept in {aside}, {count} changes were"
        " recovered; devices that connect bring what is missing."
    )
    return said, ()


def restore(folder: Path, source: Path) -> None:
    """Replace the database in ``folder`` by a backup; the old one is kept in ``replaced-N``.

    Raises ``GatewayError``: ``store-locked`` while a gateway runs, ``backup-unusable``,
    ``store-newer``, ``store-full``, ``store-read-only``, ``store-failed``.
    """
    lock = FolderLock(folder)
    try:
        with translated(folder):
            for word in WAITING:
                _put_in_place(folder, word)
            copy = folder / f"{FILE_NAME}.unfinished"
            remove_unfinished(copy)
            try:
                _take_backup(source, copy)
            except BaseException:
                remove_unfinished(copy)
                raise
            copy.replace(folder / WAITING["replaced"])
            sync_folder(folder)
            _put_in_place(folder, "replaced")
    finally:
        lock.release()


def _unseen(path: Path) -> Sequence[Change | Refusal]:
    if len(with_side_files(path)) == 1:
        return ()
    frames, last, names = sqlite_file.seen(path)
    return carve_log(path, frames, last, names)


def _put_in_place(folder: Path, word: str) -> str:
    """Finish a replacement, also one that a power cut interrupted; where the old one is."""
    waiting = folder / WAITING[word]
    if not waiting.exists():
        return ""
    aside = set_aside(folder / FILE_NAME, word)
    waiting.replace(folder / FILE_NAME)
    sync_folder(folder)
    return aside


def _rebuild(folder: Path, fill: Fill) -> int:
    """Leave a whole database waiting; returns how many changes it holds."""
    records = carve(folder / BACKUP, folder / FILE_NAME)
    work = folder / REBUILDING
    if work.exists():
        shutil.rmtree(work)
    try:
        fill(work, records)
        sync_file(work / FILE_NAME)
        (work / FILE_NAME).replace(folder / WAITING["damaged"])
    finally:
        if work.exists():
            shutil.rmtree(work)
    sync_folder(folder)
    return sum(isinstance(record, Change) for record in records)


def _take_backup(source: Path, copy: Path) -> None:
    if not source.is_file():
        raise _unusable(f"there is no file {source}", EX_NOINPUT)
    shutil.copyfile(source, copy)
    copy.chmod(0o600)
    what = sqlite_file.fault(copy)
    if what:
        raise _unusable(f"{source} is not a sound backup: {what}")
    with closing(sqlite_file.connect(copy)) as database:
        sqlite_file.fold(database)
    sync_file(copy)


def _unusable(what: str, exit_code: int = EX_DATAERR) -> GatewayError:
    sentence = f"{what}; choose another; nothing was changed"
    return GatewayError("backup-unusable", sentence, exit_code)

"""The folder of a store: private, locked by one process, its entries made durable."""

import fcntl
import os
from pathlib import Path

from gateway.adapters.sqlite_errors import EX_TEMPFAIL, translated
from gateway.core.errors import GatewayError

LOCK_NAME = "lock"
# What SQLite keeps beside a database.
SIDE_FILES = ("", "-wal", "-shm", "-journal")


class FolderLock:
    """Holds ``folder``, made if missing, until released or the process ends.

    Raises ``GatewayError``: ``store-locked`` when another process has it, ``store-folder``,
    ``store-read-only``.
    """

    def __init__(self, folder: Path) -> None:
        with translated(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._file)
                raise GatewayError(
                    "store-locked",
                    f"another gateway is using {folder}; stop it or choose another folder",
                    EX_TEMPFAIL,
                ) from None

    def release(self) -> None:
        """Let others have the folder."""
        os.close(self._file)


def sync_folder(folder: Path) -> None:
    """Make new and renamed entries of a folder survive a power cut."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a power cut."""
    _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def with_side_files(path: Path) -> list[Path]:
    """A database and what SQLite keeps beside it, as far as they exist."""
    every = [path.with_name(path.name + side) for side in SIDE_FILES]
    return [file for file in every if file.exists()]


def remove_unfinished(path: Path) -> None:
    """Remove a database of which only the making was begun."""
    for file in with_side_files(path):
        file.unlink()


def set_aside(path: Path, word: str) -> str:
    """Move a database and its side files to a new folder ``word-N``; its name, or "" if none."""
    files = with_side_files(path)
    if not files:
        return ""
    number = 1
    while (aside := path.with_name(f"{word}-{number}")).exists():
        number += 1
    aside.mkdir(mode=0o700)
    for file in files:
        file.rename(aside / file.name)
    sync_folder(aside)
    sync_folder(path.parent)
    return aside.name

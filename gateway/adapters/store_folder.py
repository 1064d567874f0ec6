"""The folder of a store: private, locked by one process, its entries made durable."""

import fcntl
import os
from pathlib import Path

from gateway.adapters.sqlite_errors import translated
from gateway.core.errors import GatewayError

LOCK_NAME = "lock"
EX_TEMPFAIL = 75


class FolderLock:
    """Holds ``folder``, made if missing, until released or the process ends.

    Raises ``GatewayError``: ``store-locked`` when another process has it, ``store-folder``.
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
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

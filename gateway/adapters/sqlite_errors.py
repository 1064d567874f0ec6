"""SQLite's and the system's errors as ours, translated once."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.core.errors import GatewayError

EX_CANTCREAT, EX_IOERR, EX_NOPERM = 73, 74, 77


@contextmanager
def translated(place: Path) -> Iterator[None]:
    """Raise ``GatewayError`` instead of SQLite's or the system's errors.

    ``store-full``: may work again later. ``store-failed``: the transaction did not
    happen, and the store must be closed.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _from_sqlite(error, place) from error
    except OSError as error:
        raise _from_system(error, place) from error


def _from_sqlite(error: sqlite3.Error, place: Path) -> GatewayError:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return _full(place)
    if name.startswith("SQLITE_READONLY"):
        return _read_only(place)
    if name.startswith("SQLITE_CANTOPEN"):
        return GatewayError(
            "store-folder", f"cannot open the database in {place}; check its rights", EX_CANTCREAT
        )
    if name in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return GatewayError(
            "store-damaged",
            f"the database in {place} is damaged; start again and it is rebuilt",
            EX_IOERR,
        )
    return GatewayError(
        "store-failed", f"the disk under {place} failed ({name or error}); check it", EX_IOERR
    )


def _from_system(error: OSError, place: Path) -> GatewayError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(place)
    if error.errno == errno.EROFS:
        return _read_only(place)
    if error.errno in (errno.EACCES, errno.EPERM):
        return GatewayError("store-folder", f"this user may not write in {place}", EX_NOPERM)
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG):
        return GatewayError(
            "store-folder", f"{place} cannot be used as a folder: {error.strerror}", EX_CANTCREAT
        )
    return GatewayError(
        "store-failed", f"the disk under {place} failed ({error.strerror}); check it", EX_IOERR
    )


def _full(place: Path) -> GatewayError:
    return GatewayError("store-full", f"the disk under {place} is full; make room", EX_IOERR)


def _read_only(place: Path) -> GatewayError:
    return GatewayError(
        "store-read-only", f"the disk under {place} is read-only; mount it writable", EX_IOERR
    )

"""SQLite's and the system's errors as ours, translated once."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.core.errors import GatewayError

EX_USAGE, EX_SOFTWARE, EX_CANTCREAT = 64, 70, 73
EX_IOERR, EX_TEMPFAIL, EX_NOPERM = 74, 75, 77
# SQLite keeps the system's reason for these to itself; trying for ourselves tells it. Not so
# when a sync failed: that the next one succeeds says nothing about what the first was to save.
_UNEXPLAINED = ("SQLITE_CANTOPEN", "SQLITE_IOERR")
_SYNCS = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC")
_TRIAL_BYTES = 4_096
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")
_CORRUPT = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_OURS = (sqlite3.ProgrammingError, sqlite3.IntegrityError, sqlite3.NotSupportedError)


@contextmanager
def translated(place: Path) -> Iterator[None]:
    """Raise ``GatewayError`` instead of SQLite's or the system's errors.

    ``store-full`` may work again later; after any other the store must be closed.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(error, place) from error
    except OSError as error:
        raise _from_system(error, place) from error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error while reading says that the file is no sound database of ours."""
    # SQLITE_ERROR: a table is missing. No name at all: a text that is not UTF-8.
    name: str = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    return name.startswith(_CORRUPT) or name in ("SQLITE_ERROR", "SQLITE_IOERR_SHORT_READ")


def _from_sqlite(error: sqlite3.Error, place: Path) -> GatewayError:
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    if name == "SQLITE_FULL":
        return _full(place)
    if name.startswith("SQLITE_READONLY"):
        return _read_only(place)
    if name.startswith(_UNEXPLAINED) and name not in _SYNCS:
        try:
            _write_something(place)
        except OSError as cause:
            return _from_system(cause, place)
    if name.startswith("SQLITE_CANTOPEN"):
        return GatewayError(
            "store-folder", f"cannot open a database in {place}; check its rights", EX_CANTCREAT
        )
    if name.startswith(_BUSY):
        return GatewayError(
            "store-locked", f"another program uses the database in {place}; end it", EX_TEMPFAIL
        )
    if name.startswith(_CORRUPT):
        return damaged(place)
    if isinstance(error, _OURS) or name == "SQLITE_ERROR":
        return GatewayError(
            "store-failed", f"a fault of this program ({name}); please report it", EX_SOFTWARE
        )
    return _failed(place, name)


def _write_something(place: Path) -> None:
    trial = place / "trial"
    try:
        trial.write_bytes(bytes(_TRIAL_BYTES))
    finally:
        trial.unlink(missing_ok=True)


def _from_system(error: OSError, place: Path) -> GatewayError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(place)
    if error.errno == errno.EROFS:
        return _read_only(place)
    if error.errno in (errno.EACCES, errno.EPERM):
        return GatewayError(
            "store-folder", f"this user may not write in {place}; change its rights", EX_NOPERM
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG):
        return GatewayError(
            "store-folder",
            f"{place} cannot be used as a folder ({error.strerror}); choose another",
            EX_CANTCREAT,
        )
    return _failed(place, str(error.strerror))


def damaged(place: Path) -> GatewayError:
    """The error for a database that turned out damaged while in use."""
    return GatewayError(
        "store-damaged",
        f"the database in {place} is damaged; start again and it is rebuilt",
        EX_IOERR,
    )


def _full(place: Path) -> GatewayError:
    return GatewayError("store-full", f"the disk under {place} is full; make room", EX_IOERR)


def _read_only(place: Path) -> GatewayError:
    return GatewayError(
        "store-read-only", f"the disk under {place} is read-only; mount it writable", EX_IOERR
    )


def _failed(place: Path, what: str) -> GatewayError:
    return GatewayError(
        "store-failed", f"the disk under {place} failed ({what}); check it", EX_IOERR
    )

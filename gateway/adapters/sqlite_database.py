"""The connection of an open store: its transactions, its errors as ours, its end."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.adapters import sqlite_file
from gateway.adapters.sqlite_errors import EX_SOFTWARE, translated
from gateway.adapters.sqlite_file import FILE_NAME
from gateway.core.errors import GatewayError


class Database:
    """The database in a folder, its schema up to date.

    Every verb raises ``GatewayError``. After one that is not passing it does nothing any more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._failure: GatewayError | None = None
        with translated(folder):
            self._connection = sqlite_file.connect(folder / FILE_NAME)

    @property
    def connection(self) -> sqlite3.Connection:
        """What SQLite calls it; to be used in ``guarded``. Raises what ended it."""
        if self._failure is not None:
            raise self._failure
        return self._connection

    @property
    def sound(self) -> bool:
        """Whether it still does anything."""
        return self._failure is None

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._failure is not None and self._failure.code == "store-closed"

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Translate errors; after one that is not passing nothing is done any more."""
        if self._failure is not None:
            raise self._failure
        try:
            with translated(self._folder):
                yield
        except GatewayError as error:
            if error.code != "store-full":
                self._failure = error
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it is on the disk at the end, or nothing."""
        with self.guarded():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite rolls back by itself after some errors.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query. To be used in ``guarded`` or ``transaction``."""
        return self._connection.execute(query, values).fetchall()

    def one(self, query: str) -> Any:
        """The first value of a query. To be used in ``guarded`` or ``transaction``."""
        return self._connection.execute(query).fetchone()[0]

    def close(self) -> None:
        """Release it."""
        self._failure = GatewayError(
            "store-closed", "the store is closed; open it again", EX_SOFTWARE
        )
        with translated(self._folder):
            self._connection.close()


def listed(numbers: Iterable[int]) -> str:
    """Numbers as SQL takes them: ``SELECT value FROM json_each(?)``."""
    return str(list(numbers))

"""One connection to a PostgreSQL server, made when it is needed; the only importer of psycopg.

It has to lead to the server itself or to a pooler that gives each client a session: NOTIFY and
prepared statements belong to one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from gateway.adapters.postgres_errors import EX_CONFIG, EX_SOFTWARE, from_state, from_words
from gateway.core.errors import GatewayError

SCHEMA_VERSION: Final = 1
OLDEST_SERVER: Final = 150_000
ENCODING: Final = "UTF8"
# Its own, so that the hub may live in a database that others use too.
SCHEMA: Final = "store_gateway"
CHANNEL: Final = "store_gateway_hub"
# Names the lock under which tables are made and migrated: "StGH".
MIGRATION_LOCK: Final = 0x53744748
# Unless the address says otherwise. A server that does not answer at all is given up after 15 s.
_LINK: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "application_name": "store-gateway-hub",
}
# Nobody keeps a row for longer than it takes to write it.
LOCK_SECONDS = 20
# A transaction that collided is done again at once, so often.
TRIES = 5
COLLISIONS: Final = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)

Result = TypeVar("Result")
Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]
# A statement and its values.
Statement = tuple[str, Sequence[object] | Mapping[str, object]]

_SETTINGS = """
SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false),
    -- Statements see what was committed before each of them, which compacting rests on.
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
    -- One plan a statement is enough: planning takes longer than most of them. What a plan depends
    -- on, how many rows are wanted, is written out in the statement.
    set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),
    -- A worker whose machine is gone keeps no lock for hours.
    set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false)
"""
# Documents that changed later than the server's next transaction came from another server.
_MOVED = """
SELECT FROM meta WHERE ahead + pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    <= (SELECT max(changed) FROM document)
"""
# Beyond all places that were given out since the backup was made: 2^32 transactions.
_GO_ON = "UPDATE meta SET ahead = (SELECT max(changed) FROM document) + 4294967296"


class PostgresLink:
    """Does transactions; connects again after the server was away.

    Every verb raises ``GatewayError``, and the next one begins with a new connection.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Connection | None = None
        self._listening = False
        self._closed = False

    def rows(self, query: str, *values: object) -> list[Row]:
        """Do one statement that is a transaction of its own."""
        return self._done(lambda connection: connection.execute(query, values).fetchall())

    def together(self, *statements: Statement, notify: bool = False) -> list[int]:
        """Do statements in one transaction and one round trip; how many rows each concerned.

        ``notify``: wake those who wait for changes, once it is committed.
        """

        def do(connection: Connection) -> list[int]:
            # What is sent up to a sync is one transaction.
            with connection.pipeline() as pipeline:
                cursors = [connection.execute(*statement) for statement in statements]
                pipeline.sync()
                if notify:
                    # Inside it would make the transactions of all workers commit one by one.
                    connection.execute(f"NOTIFY {CHANNEL}")
            return [cursor.rowcount for cursor in cursors]

        return self._done(do)

    def wait(self, seconds: float) -> bool:
        """Whether a change was notified within some time, or may have been before."""

        def do(connection: Connection) -> bool:
            if not self._listening:
                connection.execute(f"LISTEN {CHANNEL}")
                self._listening = True
                return True
            return bool(list(connection.notifies(timeout=seconds, stop_after=1)))

        return self._done(do)

    def connect(self) -> None:
        """Connect now, so that it is known whether that can be done."""
        self._done(lambda _: None)

    def close(self) -> None:
        """Close for good; idempotent."""
        self._closed = True
        self._drop()

    def _done(self, do: Callable[[Connection], Result]) -> Result:
        """Do a transaction, again when it came into the way of another one."""
        tries = TRIES
        while True:
            tries -= 1
            try:
                with _translated():
                    return do(self._open())
            except BaseException as error:
                again = isinstance(error.__cause__, COLLISIONS) and tries
                if not again:
                    self._drop()
                    raise

    def _open(self) -> Connection:
        if self._closed:
            raise GatewayError("hub-database-closed", "the database is closed", EX_SOFTWARE)
        if self._connection is None:
            connection = _connected(self._url)
            try:
                _settle(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._listening = False
        if connection is not None:
            connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
        state = "" if lost else error.sqlstate or type(error).__name__
        raise from_state(state, str(error)) from error


def _connected(url: str) -> Connection:
    try:
        given = conninfo_to_dict(url)
        return psycopg.connect(autocommit=True, **{**_LINK, **given})
    except psycopg.OperationalError as error:
        raise from_words(str(error)) from error
    except psycopg.ProgrammingError as error:
        raise GatewayError(
            "hub-database-address",
            "the address of the hub's database is none; write postgresql://user@host/database",
            EX_CONFIG,
        ) from error


def _settle(connection: Connection) -> None:
    """Our settings; tables that are up to date, and a feed that goes on."""
    _refuse_server(connection)
    connection.execute(_SETTINGS, (SCHEMA, f"{LOCK_SECONDS}s"))
    if _version(connection) != SCHEMA_VERSION:
        with _alone(connection):
            _migrate(connection)
    if connection.execute(_MOVED).fetchall():
        with _alone(connection):
            if connection.execute(_MOVED).fetchall():
                connection.execute(_GO_ON)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """A transaction that other hubs wait for."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        yield


def _refuse_server(connection: Connection) -> None:
    info = connection.info
    if info.server_version < OLDEST_SERVER:
        raise GatewayError(
            "hub-database-old",
            f"the hub needs PostgreSQL 15 or newer; this is {info.server_version // 10_000}",
            EX_CONFIG,
        )
    if info.parameter_status("server_encoding") != ENCODING:
        raise GatewayError(
            "hub-database-encoding",
            "the hub's database must have the encoding UTF8; make one with ENCODING 'UTF8'",
            EX_CONFIG,
        )


def _version(connection: Connection) -> int:
    """The version of the tables; 0: there are none. Raises ``hub-database-newer``."""
    found = connection.execute("SELECT to_regclass('meta')").fetchall()[0][0]
    if found is None:
        return 0
    version: int = connection.execute("SELECT version FROM meta").fetchall()[0][0]
    if version > SCHEMA_VERSION:
        raise GatewayError(
            "hub-database-newer",
            f"the hub's database was written by a newer version of this program (schema {version},"
            f" this one knows {SCHEMA_VERSION}); update the program; nothing was changed",
            EX_CONFIG,
        )
    return version


def _migrate(connection: Connection) -> None:
    """Bring the tables up to date, one file a version."""
    if connection.execute("SELECT to_regnamespace(%s)", (SCHEMA,)).fetchall()[0][0] is None:
        # An administrator may have made it, for a user who may not.
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
    for number in range(_version(connection) + 1, SCHEMA_VERSION + 1):
        name = f"schema/postgres_cloud_v{number}.sql"
        connection.execute(files("gateway.adapters").joinpath(name).read_text().encode())
        connection.execute("UPDATE meta SET version = %s", (number,))

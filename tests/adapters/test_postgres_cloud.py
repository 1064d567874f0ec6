"""A hub's database on a PostgreSQL server: the contract, and what is of servers."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from gateway.adapters import postgres_link
from gateway.adapters.postgres_cloud import PostgresCloud
from gateway.adapters.postgres_link import SCHEMA
from gateway.core.errors import GatewayError
from tests.contracts.cloud_store import (
    OTHER,
    SHOP,
    CloudStoreContract,
    Open,
    at_once,
    change,
    follow,
    refusal,
)
from tests.support.postgres import PostgresServer
from tests.support.postgres_cluster import PASSWORD

pytestmark = pytest.mark.integration

DISK_BYTES = 200_000_000
# Left for the server; the log, made in files of 16 MB, has room for as much already.
ROOM_BYTES = 4_000_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def server(running: PostgresServer) -> PostgresServer:
    """A server without our tables."""
    with running.connect() as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return running


def do(server: PostgresServer, statement: str) -> list:
    with server.connect() as connection:
        connection.execute(f"SET search_path = {SCHEMA}")
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def code_of(verb: Callable[[], object]) -> str:
    with pytest.raises(GatewayError) as caught:
        verb()
    return caught.value.code


def opening(url: str) -> str:
    return code_of(lambda: PostgresCloud.open(url))


class TestPostgresCloud(CloudStoreContract):
    @pytest.fixture
    def open_it(self, server: PostgresServer) -> Iterator[Open]:
        self.server = server
        yield lambda: PostgresCloud.open(server.url)
        # Workers wait for each other in one order.
        assert "deadlock detected" not in server.log()

    def empty(self) -> None:
        with self.server.connect() as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def test_why_there_is_no_connection(server: PostgresServer, tmp_path: Path) -> None:
    url = server.url
    assert opening(url.replace(str(server.port), "1")) == "hub-database-unreachable"
    assert opening(url.replace("127.0.0.1", "nowhere.invalid")) == "hub-database-unreachable"
    assert opening(url.replace(PASSWORD, "wrong")) == "hub-database-denied"
    assert opening(url.replace(f":{PASSWORD}", "")) == "hub-database-denied"
    assert opening(url.replace("/store_gateway", "/nowhere")) == "hub-database-missing"
    assert opening("nonsense") == "hub-database-address"
    assert opening(f"{url}?options=-c%20default_transaction_read_only%3Don") == (
        "hub-database-read-only"
    )


def test_no_secret_is_in_what_is_said(server: PostgresServer) -> None:
    for url in (server.url.replace("127.0.0.1", "127.0.0.9"), f"{server.url}?nonsense=1"):
        with pytest.raises(GatewayError) as caught:
            PostgresCloud.open(url)
        assert PASSWORD not in caught.value.sentence


def test_a_newer_schema_is_left_alone(server: PostgresServer) -> None:
    PostgresCloud.open(server.url).close()
    do(server, "UPDATE meta SET version = 99")
    assert opening(server.url) == "hub-database-newer"
    assert do(server, "SELECT version FROM meta") == [(99,)]


def test_an_old_server_is_refused(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_link, "OLDEST_SERVER", 990_000)
    assert opening(server.url) == "hub-database-old"


def test_another_encoding_is_refused(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server of the tests makes no other.
    monkeypatch.setattr(postgres_link, "ENCODING", "LATIN1")
    assert opening(server.url) == "hub-database-encoding"


def test_a_user_without_rights_is_told(server: PostgresServer) -> None:
    with closing(PostgresCloud.open(server.url)) as store:
        do(server, "REVOKE INSERT ON document FROM gateway")
        assert code_of(lambda: store.append([change("a/1", b"x")])) == "hub-database-denied"


def test_several_make_the_tables_at_the_same_time(server: PostgresServer) -> None:
    def work() -> None:
        with closing(PostgresCloud.open(server.url)) as store:
            store.append([change("a/1", b"x")])

    at_once(*[work] * 6)
    with closing(PostgresCloud.open(server.url)) as store:
        assert store.version(SHOP, "a/1") == 6


def test_a_schema_may_be_made_for_the_user(server: PostgresServer) -> None:
    with server.connect() as connection:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
    with closing(PostgresCloud.open(server.url)) as store:
        assert store.totals()["spaces"] == 0


def test_it_connects_again_when_the_server_is_back(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server, closing(PostgresCloud.open(server.url)) as store:
        store.append([change("a/1", b"x")])
        assert store.wait_for_changes(0)
        server.stop()
        assert code_of(lambda: store.wait_for_changes(5)) == "hub-database-unreachable"
        for _ in range(2):
            assert code_of(lambda: store.append([change("a/1", b"y")])) == (
                "hub-database-unreachable"
            )
        server.start()
        store.append([change("a/1", b"z")])
        assert store.load(SHOP, "a/1").changes == (b"x", b"z")
        assert store.wait_for_changes(0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small disk for a server, which only root can make."""
    place = Path(tempfile.mkdtemp(prefix="store-gateway-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=755", "none", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        place.rmdir()
        pytest.skip("a disk of its own can only be mounted by root")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def test_a_full_disk_passes_when_there_is_room(disk: Path, tmp_path: Path) -> None:
    chance = random.Random(1)
    written = []
    with PostgresServer(tmp_path) as server, closing(PostgresCloud.open(server.url)) as store:
        filler = disk / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(disk).free - ROOM_BYTES))

        def fill() -> None:
            for _ in range(ROOM_BYTES // 1_000_000 + 1):
                update = chance.randbytes(1_000_000)
                store.append([change("a/1", update)])
                written.append(update)

        assert code_of(fill) == "hub-database-full"
        assert store.load(SHOP, "a/1").changes == tuple(written)
        filler.unlink()
        fill()
        assert store.load(SHOP, "a/1").changes == tuple(written)


@pytest.mark.timing
def test_thousands_of_documents_are_changed_at_once(server: PostgresServer) -> None:
    with closing(PostgresCloud.open(server.url)) as store:
        # Often enough for a statement to be prepared.
        for _ in range(8):
            do(server, "ANALYZE")
            begun = time.monotonic()
            store.append([change(f"a/{n}", b"x") for n in range(4_096)])
        # 0.08 s; 2 s where each is compared with each.
        assert time.monotonic() - begun < 1.0


def test_it_is_durable_where_the_server_is_set_up_to_be_fast(server: PostgresServer) -> None:
    for setting, expected in (("off", "on"), ("remote_apply", "remote_apply")):
        url = f"{server.url}?options=-c%20synchronous_commit%3D{setting}"
        with closing(PostgresCloud.open(url)) as store:
            store.append([change("a/1", b"x")])
            store.settle(SHOP, "a/1", 1, b"print")
            assert store._link.rows("SHOW synchronous_commit") == [(expected,)]


def test_statements_see_what_was_committed_before_them(server: PostgresServer) -> None:
    url = f"{server.url}?options=-c%20default_transaction_isolation%3Dserializable"
    with closing(PostgresCloud.open(url)) as store:
        assert store._link.rows("SHOW transaction_isolation") == [("read committed",)]


def fail_appends(server: PostgresServer, state: str, times: int) -> None:
    """The next so many appends fail with a SQLSTATE, at their end."""
    do(
        server,
        f"""
        CREATE SEQUENCE failed;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('{SCHEMA}.failed') <= {times} THEN
                RAISE EXCEPTION 'as the test wants' USING ERRCODE = '{state}';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER fail AFTER INSERT ON figure EXECUTE FUNCTION fail()
        """,
    )


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_transaction_that_met_another_is_done_again(server: PostgresServer, state: str) -> None:
    with closing(PostgresCloud.open(server.url)) as store:
        fail_appends(server, state, times=4)
        store.append([change("a/1", b"x"), change("a/2", b"y")])
        assert store.load(SHOP, "a/1").changes == (b"x",)
        assert store.totals()["bytes"] == 2
        assert do(server, "SELECT last_value FROM failed") == [(5,)]


@pytest.mark.parametrize(
    ("state", "times", "code"),
    [
        ("40001", 5, "unreachable"),
        ("57P01", 1, "unreachable"),
        ("53300", 1, "unreachable"),
        ("55P03", 1, "unreachable"),
        ("53100", 1, "full"),
        ("25006", 1, "read-only"),
        ("58030", 1, "disk"),
        ("XX001", 1, "damaged"),
        ("23505", 1, "failed"),
    ],
)
def test_why_something_was_not_done(
    server: PostgresServer, state: str, times: int, code: str
) -> None:
    with closing(PostgresCloud.open(server.url)) as store:
        fail_appends(server, state, times)
        assert code_of(lambda: store.append([change("a/1", b"x")])) == f"hub-database-{code}"
        # Nor what statements before it did.
        assert store.version(SHOP, "a/1") == 0 and not any(store.totals().values())
        store.append([change("a/1", b"x")])


def test_a_document_is_not_blocked_by_another(server: PostgresServer) -> None:
    with closing(PostgresCloud.open(server.url)) as store, server.connect() as other:
        store.append([change("a/1", b"x"), change("a/2", b"x")])
        other.execute(f"SET search_path = {SCHEMA}")
        other.execute("BEGIN; SELECT FROM document WHERE name = 'a/2' FOR UPDATE")
        store.append([change("a/1", b"y")], [refusal(b"x")])
        assert store.compact(SHOP, "a/1", 2, b"z")
        assert store.version(SHOP, "a/2") == 1 and len(store.held(SHOP)) == 2
        other.execute("ROLLBACK")


def test_the_feed_waits_for_older_transactions(server: PostgresServer) -> None:
    with closing(PostgresCloud.open(server.url)) as store, server.connect() as other:
        store.append([change("a/1", b"x")])
        _, place = follow(store, "")
        other.execute("BEGIN; SELECT pg_current_xact_id()")
        _, now = store.changed("", "now", 1)
        store.append([change("a/2", b"x")])
        for start in (place, now):
            assert follow(store, start)[0] == []
        other.execute("COMMIT")
        for start in (place, now):
            assert [held.document for held in follow(store, start)[0]] == ["a/2"]


def test_the_feed_skips_nothing(server: PostgresServer) -> None:
    """Writers commit late and in another order than they began; a reader follows all the time."""
    stores = [PostgresCloud.open(server.url) for _ in range(5)]
    writing = list(range(4))

    def write(number: int) -> None:
        chance = random.Random(number)
        try:
            with server.connect() as slow:
                slow.execute(f"SET search_path = {SCHEMA}")
                for turn in range(40):
                    update = b"%d.%d" % (number, turn)
                    stores[number].append(
                        [change(f"a/{n}", update) for n in chance.sample(range(30), 3)]
                    )
                    # As an append that takes its time between its number and its commit.
                    slow.execute("BEGIN")
                    slow.execute(
                        "UPDATE document SET version = version,"
                        " changed = pg_current_xact_id()::text::bigint WHERE name = %s",
                        (f"a/{chance.randrange(30)}",),
                    )
                    slow.execute("SELECT pg_sleep(%s)", (chance.random() * 0.02,))
                    slow.execute("COMMIT" if chance.random() < 0.8 else "ROLLBACK")
        finally:
            writing.remove(number)

    told: dict[str, int] = {}

    def read() -> None:
        place = ""
        while True:
            ended = not writing
            found, place = follow(stores[4], place, most=2)
            told.update({held.document: held.version for held in found})
            if ended:
                return

    at_once(read, *(partial(write, number) for number in range(4)))
    assert told == {held.document: held.version for held in stores[4].held(SHOP)}
    for store in stores:
        store.close()


def test_the_feed_goes_on_in_a_database_that_was_moved(server: PostgresServer) -> None:
    with closing(PostgresCloud.open(server.url)) as store:
        store.append([change("a/1", b"x")])
    # As after a restore into a server that has done less than the one of the backup.
    do(server, "UPDATE document SET changed = changed + 1000000")
    with closing(PostgresCloud.open(server.url)) as store:
        found, place = follow(store, "")
        store.append([change("a/2", b"x", OTHER)])
        assert [held.document for held in found] == ["a/1"]
        for old in (place, place.replace("p", "p10")):
            assert [held.document for held in follow(store, old)[0]] == ["a/2"]
        assert [held.document for held in follow(store, "")[0]] == ["a/1", "a/2"]


def test_names_are_sorted_by_their_bytes_in_any_database(server: PostgresServer) -> None:
    PostgresCloud.open(server.url).close()
    found = do(
        server,
        "SELECT c.relname::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        f" WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relkind = 'r'"
        " AND attname = 'name' AND attcollation = 'pg_catalog.\"C\"'::regcollation ORDER BY 1",
    )
    assert found == [("document",), ("space",)]


WRITER = """
import sys
import tempfile
import time
from gateway.adapters import postgres_link
from gateway.adapters.postgres_cloud import PostgresCloud
from gateway.core.cloud_records import CloudChange
from gateway.core.errors import GatewayError
store, who = PostgresCloud.open(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
try:
    for number in range(1_000_000):
        update = f"{who}.{number}".encode()
        store.append([CloudChange("a1" * 16, f"a/{n}", update, "peer") for n in range(3)])
        print(update.decode(), flush=True)
except GatewayError as error:
    print(error.code, flush=True)
"""


def test_what_returned_survives_the_server_s_kill(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server:
        command = [sys.executable, "-c", WRITER, server.url]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        writers = [
            subprocess.Popen(
                [*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env=environment,
            )
            for number in range(3)
        ]  # fmt: skip
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            print(file=writer.stdin, flush=True)
        said = [[writer.stdout.readline() for _ in range(20)] for writer in writers]
        server.kill()
        for lines, writer in zip(said, writers, strict=True):
            lines.extend(writer.stdout.read().splitlines())
            writer.communicate(timeout=60)
            assert writer.returncode == 0 and lines.pop() == "hub-database-unreachable"
        server.start()
        with closing(PostgresCloud.open(server.url)) as store:
            for name in ("a/0", "a/1", "a/2"):
                changes = store.load(SHOP, name).changes
                assert store.version(SHOP, name) == len(changes)
                acknowledged = {line.strip().encode() for lines in said for line in lines}
                assert len(acknowledged) >= 60
                assert acknowledged <= set(changes) and len(changes) <= len(acknowledged) + 3
            # One more of each writer at most, and in all documents or in none.
            assert len({held.version for held in store.held(SHOP)}) == 1

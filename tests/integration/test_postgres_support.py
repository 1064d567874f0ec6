"""What tests rest on when they run a PostgreSQL server: it keeps its word, and a kill is a kill."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer

pytestmark = [pytest.mark.integration, pytest.mark.cloud]


def test_what_was_committed_is_there_after_a_loss_of_power(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server:
        with closing(server.connect()) as connection, closing(server.connect()) as other:
            connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, dish text)")
            connection.execute("INSERT INTO orders VALUES (7, 'soup')")
            other.execute("BEGIN")
            other.execute("INSERT INTO orders VALUES (8, 'cake')")
            before = server.log()
            server.kill()
            # Nobody had the time for a last word.
            assert server.log() == before
        server.start()
        with server.connect() as connection:
            assert connection.execute("SELECT id, dish FROM orders").fetchall() == [(7, "soup")]
        assert "was not properly shut down" in server.log()


def test_durability_is_not_turned_off(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server, server.connect() as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {name}").fetchone() == ("on",)


def test_a_server_that_was_stopped_recovers_nothing(tmp_path: Path) -> None:
    with PostgresServer(tmp_path) as server:
        server.stop()
        server.start()
        assert "was not properly shut down" not in server.log()


def test_servers_are_apart_and_leave_nothing(tmp_path: Path) -> None:
    with PostgresServer(tmp_path / "a") as one, PostgresServer(tmp_path / "b") as two:
        with one.connect() as first, two.connect() as second:
            first.execute("CREATE TABLE orders ()")
            assert second.execute("SELECT to_regclass('orders')").fetchone() == (None,)
        two.kill()
        assert one.data.exists() and two.data.exists()
    assert not one.data.exists() and not two.data.exists()

"""A damaged database, a crash note, a newer schema: said in plain words, nothing lost."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.crash_note import CrashNote
from gateway.control.client import ControlClient
from tests.core.edits import Author
from tests.support.gateway import GatewayProcess, eventually
from tests.support.node import NodeClient

pytestmark = pytest.mark.integration


def status(gateway: GatewayProcess) -> dict[str, Any]:
    return ControlClient(gateway.folder / "control.sock").request("status")


def test_peers_refill_a_gateway_whose_disk_was_wiped(tmp_path: Path) -> None:
    names = [f"notes/{number}" for number in range(30)]
    with GatewayProcess(tmp_path / "data") as gateway:
        address = f"ws://127.0.0.1:{gateway.port}/sync"
        with NodeClient("stock.mjs", address) as tablet:
            tablet.call("open", names=names)
            tablet.call("synced")
            tablet.call("edit", seed=1, count=10)
            before = tablet.call("digests")
            gateway.kill()
            for path in gateway.folder.glob("store.db*"):
                path.write_bytes(b"\x00 this is no database \xff" * 500)
            gateway.start()
            said = status(gateway)
            assert "damaged" in said["sentence"] and "Traceback" not in gateway.log()
            with NodeClient("stock.mjs", address) as newcomer:
                newcomer.call("open", names=names)
                eventually(lambda: newcomer.call("digests") == before)
    assert list((tmp_path / "data").glob("damaged-*"))


def test_an_update_that_killed_the_process_twice_is_kept_aside(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    author = Author(1)
    innocent, offender = author.set("a", 1), author.set("b", 1)
    with GatewayProcess(folder) as gateway:
        for applied, quarantined in (
            ([innocent, offender], 0),
            ([], 0),
            ([offender], 1),
            ([innocent], 1),
            ([], 1),
        ):
            gateway.kill()
            note = CrashNote(folder)
            if applied:
                note.before([("orders/1", "peer", update) for update in applied])
            note.close()
            gateway.start()
            assert status(gateway)["store"]["quarantined"] == quarantined


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        gateway.stop()
        database = sqlite3.connect(tmp_path / "data" / "store.db")
        database.execute("PRAGMA user_version = 99")
        database.close()
        before = (tmp_path / "data" / "store.db").read_bytes()
        with pytest.raises(AssertionError) as caught:
            gateway.start()
        assert "newer version" in str(caught.value) and "Traceback" not in str(caught.value)
        assert (tmp_path / "data" / "store.db").read_bytes() == before

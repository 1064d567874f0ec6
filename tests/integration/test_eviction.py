"""A small peer that evicts, with a real gateway: nothing is lost, and what is wanted comes back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.adapters.sqlite_file import FILE_NAME
from tests.support.gateway import GatewayProcess, eventually
from tests.support.peer import PeerProcess

pytestmark = pytest.mark.integration

GRILL = 'orders {"station": "grill"}'


def names(folder: Path) -> set[str]:
    """What is stored, read beside the process that holds the store."""
    with closing(sqlite3.connect(f"file:{folder / FILE_NAME}?mode=ro", uri=True)) as database:
        return {name for (name,) in database.execute("SELECT name FROM document")}


def test_what_no_subscription_holds_goes_once_the_gateway_has_it(tmp_path: Path) -> None:
    kitchen = tmp_path / "kitchen"
    # Alone: nobody has it, so it stays.
    with PeerProcess(kitchen, "--no-discovery", "--listen", "0", "--subscribe", GRILL) as peer:
        peer.ask("put", "orders/1", {"station": "grill"})
        peer.ask("put", "orders/2", {"station": "bar", "note": "für später"})
        peer.ask("put", "menu/1", {"price": 5})
    with GatewayProcess(tmp_path / "gateway") as gateway:
        address = f"127.0.0.1:{gateway.port}"
        arguments = ("--connect", address, "--evict", "--subscribe")
        with PeerProcess(kitchen, *arguments, GRILL) as peer:
            peer.ask("put", "orders/4", {"station": "bar"})
            eventually(lambda: names(kitchen) == {"orders/1", "orders/4"}, 40)
            assert set(peer.documents) == {"orders/1"}
            peer.ask("patch", "orders/1", {"status": "open"})
        assert names(tmp_path / "gateway") == {"orders/1", "orders/2", "orders/4", "menu/1"}
        with PeerProcess(kitchen, *arguments, "orders") as peer:
            peer.until(lambda documents: set(documents) == {"orders/1", "orders/2", "orders/4"})
            assert peer.documents["orders/2"]["fields"]["note"] == "für später"
            assert peer.documents["orders/1"]["fields"]["status"] == "open"

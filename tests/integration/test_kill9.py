"""kill -9 of the whole gateway under load: what was acked is there, every time."""

from pathlib import Path

import pytest

from gateway.core import messages as m
from tests.core.edits import Author
from tests.support.gateway import GatewayProcess
from tests.support.mesh import MeshClient

pytestmark = pytest.mark.integration

KILLS = 12
NAME = "orders/1"


def write_until(client: MeshClient, author: Author, first: int, acks: int) -> int:
    """Write numbered keys as fast as they go until so many are acked; returns the last acked."""
    client.say(m.Open(1, NAME, author.state()))
    opened = client.hear(m.Open)
    assert isinstance(opened, m.Open)
    client.say(m.Diff(1, 0, b"", author.doc.get_update(opened.state_vector)))
    sent: list[int] = [-1]
    acked = -1
    number = first
    while acked < first + acks:
        for _ in range(20):
            client.say(m.Update(1, author.set(str(number), number)))
            sent.append(number)
            number += 1
        ack = client.hear(m.Ack)
        assert isinstance(ack, m.Ack)
        acked = max(acked, sent[ack.number - 1])
    return acked


def stored(port: int, document: str = NAME) -> set[str]:
    """The keys a newcomer is given."""
    client = MeshClient(port)
    client.say(m.Open(1, document, b"\x00"))
    reader = Author(2)
    while True:
        diff = client.hear(m.Diff)
        assert isinstance(diff, m.Diff)
        reader.take(diff.update)
        if not diff.flags & m.DIFF_MORE:
            break
    client.close()
    return set(reader.read())


def test_nothing_acked_is_lost(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        acked: set[str] = set()
        for kill in range(KILLS):
            # A fresh author each time: only the gateway's disk can bring the old keys back.
            author = Author(100 + kill)
            client = MeshClient(gateway.port)
            first = kill * 100_000
            last = write_until(client, author, first, 40 + 17 * kill)
            acked |= {str(number) for number in range(first, last + 1)}
            gateway.kill()
            client.close()
            gateway.start()
            lost = acked - stored(gateway.port)
            assert not lost, f"kill {kill}: {len(lost)} acked updates lost"


def test_sigterm_ends_it_in_time_and_says_goodbye(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        client = MeshClient(gateway.port)
        assert gateway.stop() == 0
        goodbye = client.hear(m.Goodbye)
        assert isinstance(goodbye, m.Goodbye) and goodbye.code == 1001
        client.close()


def test_two_gateways_do_not_share_a_folder_or_a_port(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data") as gateway:
        for folder, port, word in (
            ("data", 0, "another gateway is using"),
            ("other", gateway.port, f"port {gateway.port}"),
        ):
            second = GatewayProcess(tmp_path / folder, port=port)
            with pytest.raises(AssertionError) as caught:
                second.start()
            assert word in str(caught.value) and "Traceback" not in str(caught.value)
            second.stop()

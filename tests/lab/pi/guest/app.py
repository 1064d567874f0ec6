"""An app beside the gateway, in the guest: writes updates and waits until they are in.

``python -m tests.lab.pi.guest.app FILE``: JSON, pairs of a document and an update in hexadecimal.
"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path

from gateway.control.client import ControlClient
from gateway.core import y_messages as y
from gateway.core.split import split_update
from tests.support.raw import RawClient

PORT = 8787
SOCKET = Path("/var/lib/store/control.sock")
# Below what one message may have.
PART_BYTES = 200_000


def main() -> None:
    """Connect for each document, then write them all at once."""
    token = ControlClient(SOCKET).request("token")["token"]
    with ExitStack() as stack:
        work = []
        for document, update in json.loads(Path(sys.argv[1]).read_text()):
            client = RawClient(PORT, f"/sync/{document}?token={token}")
            parts = [bytes.fromhex(update)]
            if len(parts[0]) > PART_BYTES:
                parts = split_update(parts[0], PART_BYTES)
            work.append((stack.enter_context(client), parts))
        for client, parts in work:
            for part in parts:
                client.send(y.update(part))
        for client, _ in work:
            # It is answered after what was said before it.
            client.send(y.step_1(b"\0"))
            while not isinstance(y.decode(client.recv()), y.Change):
                pass


main()

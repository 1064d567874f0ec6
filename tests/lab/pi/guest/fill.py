"""Put changes into the store of a gateway that does not run, in the guest.

``python -m tests.lab.pi.guest.fill FILE``: JSON, pairs of a document and an update in hexadecimal.
"""

import json
import sys
from contextlib import closing
from pathlib import Path

from gateway.adapters.sqlite_store import SqliteStore
from gateway.core.records import Change

pairs = json.loads(Path(sys.argv[1]).read_text())
with closing(SqliteStore.open(Path("/var/lib/store"))) as store:
    store.append([Change(document, bytes.fromhex(update), "") for document, update in pairs])

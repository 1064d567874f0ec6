"""Updates that were being applied when the last process died (docs/design.md, "Crashes")."""

import logging
from hashlib import blake2b

from gateway.core.errors import Code
from gateway.core.records import Refusal
from gateway.ports import Deaths, Store

CRASHED = "the gateway died twice while it applied this"
DIGEST_BYTES = 16

log = logging.getLogger("gateway")


def suspects(deaths: Deaths, store: Store) -> frozenset[bytes]:
    """Suspect each update that was being applied when the last process died; their digests.

    Once may be bad luck (somebody pulled the plug): a suspect is applied alone. One that
    is met a second time is put aside. Raises ``GatewayError``.
    """
    found = {_digest(item[2]): item for item in deaths.found()}
    deaths.after()
    known = deaths.suspects()
    offenders = found.keys() & known
    for digest in offenders:
        name, author, update = found[digest]
        log.warning("the gateway died twice while it applied an update; it is in quarantine")
        store.append([Refusal(name, update, author, Code.REFUSED, CRASHED)])
    suspected = frozenset(found.keys() - offenders if found else known)
    deaths.suspect(suspected)
    return suspected


def _digest(update: bytes) -> bytes:
    return blake2b(update, digest_size=DIGEST_BYTES).digest()

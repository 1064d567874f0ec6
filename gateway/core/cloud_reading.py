"""A message of a gateway, as a worker of the hub reads it (docs/protocol.md section 12).

Whoever wrote it is known after that, and nothing of what it holds is trusted. Pure.
"""

import re
from dataclasses import dataclass, field

from gateway.core.bridge_envelope import open_up
from gateway.core.bridge_items import Ask, Change, Ping, Revoked, Turn, Wants, read
from gateway.core.certificates import Certificate
from gateway.core.cloud_records import CloudChange, CloudRefusal
from gateway.core.cloud_shares import Shares
from gateway.core.errors import Code, PeerError
from gateway.core.guard import inspect_state_vector, inspect_update
from gateway.core.limits import Limits

# A turn may be a look at all documents of a store: a gateway has one exchange at a time.
MAX_TURNS = 1
# Of one message, for people to look at; the others are counted.
MAX_KEPT_REFUSALS = 16

_TOPIC = re.compile(r"([0-9a-f]{32})/up/([0-9a-f]{32})")
_DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Letter:
    """A message whose sender is proven; ``store`` and ``peer`` in hex."""

    store: str
    peer: str
    root: bytes
    certificate: Certificate
    batch: bytes


@dataclass(slots=True)
class Contents:
    """What a letter asks for, sorted. ``refused``: changes that were refused, with those that are
    not kept; ``asks``: state vector by document."""

    changes: list[CloudChange] = field(default_factory=list)
    refusals: list[CloudRefusal] = field(default_factory=list)
    refused: int = 0
    wants: tuple[str, ...] | None = None
    asks: dict[str, bytes] = field(default_factory=dict)
    turn: bytes | None = None
    pings: list[int] = field(default_factory=list)
    revoked: list[bytes] = field(default_factory=list)


def store_named(root: str, topic: str) -> str:
    """The store in a topic below ``root``, in hex, proven by nothing; "" if it is none."""
    found = _TOPIC.fullmatch(topic.removeprefix(f"{root}/"))
    return "" if found is None else found[1]


def read_letter(root: str, topic: str, payload: bytes) -> Letter:
    """The message that came to a topic below ``root``.

    Whether its sender was revoked is not asked. Raises ``PeerError``: as ``open_up``, and MALFORMED
    for a topic that is no gateway's.
    """
    found = _TOPIC.fullmatch(topic.removeprefix(f"{root}/"))
    if found is None or not topic.startswith(f"{root}/"):
        raise PeerError(Code.MALFORMED, "not the topic of a gateway")
    store, peer = found.groups()
    opened = open_up(payload, bytes.fromhex(store), bytes.fromhex(peer))
    return Letter(store, peer, opened.root, opened.certificate, opened.batch)


def contents(letter: Letter, shares: Shares, limits: Limits = _DEFAULT) -> Contents:
    """What is in a letter. A change that is wrong is refused alone.

    Raises ``PeerError`` for what makes the whole message wrong: as ``read``, and TOO_MANY.
    """
    found = Contents()
    for item in read(letter.batch):
        match item:
            case Change():
                _take_change(found, letter, item, shares, limits)
            case Ask(document, vector):
                inspect_state_vector(vector, limits)
                found.asks[document] = vector
            case Turn(ranges):
                if found.turn is not None:
                    raise PeerError(Code.TOO_MANY, f"more than {MAX_TURNS} turn in a message")
                found.turn = ranges
            case Wants(collections):
                found.wants = collections
            case Ping(nonce):
                found.pings.append(nonce)
            case Revoked(entry):
                found.revoked.append(entry)
            case _:
                # Only a hub answers.
                pass
    return found


def _take_change(
    found: Contents, letter: Letter, change: Change, shares: Shares, limits: Limits
) -> None:
    space = shares.space(letter.store, change.document)
    try:
        if not shares.may_write(letter.store, change.document):
            raise PeerError(Code.FORBIDDEN, "this store may not write what is shared")
        facts = inspect_update(change.update, limits)
    except PeerError as error:
        found.refused += 1
        if len(found.refusals) < MAX_KEPT_REFUSALS:
            found.refusals.append(
                CloudRefusal(
                    space, change.document, change.update, letter.peer,
                    int(error.code), error.reason,
                )
            )  # fmt: skip
        return
    if facts.spans or facts.deletes:
        found.changes.append(CloudChange(space, change.document, change.update, letter.peer))

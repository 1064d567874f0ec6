"""What a hub keeps, as plain values: known to its core and to the adapters of its databases.

A *space* is a set of documents: those of one store, named by its id in hex, or those that several
stores share, named ``share:`` and the name of the share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SHARE: Final = "share:"


@dataclass(frozen=True, slots=True)
class CloudChange:
    """A change that was accepted, on its way to the database; ``peer``: who sent it, in hex."""

    space: str
    document: str
    update: bytes
    peer: str


@dataclass(frozen=True, slots=True)
class CloudRefusal:
    """A change that was refused and is kept for inspection; never applied."""

    space: str
    document: str
    update: bytes
    peer: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """A document that is held: ``version`` is the number of its last change.

    ``fingerprint`` is of that version, or b"" while it has to be found out; ``size``: bytes held,
    ``rows``: how many changes follow its snapshot.
    """

    space: str
    document: str
    version: int
    fingerprint: bytes
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class Greeting:
    """A gateway was heard; ids in hex. ``wants``: what from now on; None: it did not say, which is
    nothing until it does."""

    store: str
    peer: str
    wants: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class CloudGateway:
    """A gateway that was heard; ids in hex. ``seen``: seconds since 1970 by the database's clock,
    for people."""

    store: str
    peer: str
    wants: Sequence[str]
    seen: int


@dataclass(frozen=True, slots=True)
class CloudSpace:
    """A space and its figures."""

    space: str
    documents: int
    size: int
    gateways: int

"""What one commit writes: small changes of one document as one."""

from collections.abc import Sequence

from gateway.core.crdt import DocumentBroken, merge
from gateway.core.records import CLOUD, Change, Refusal
from gateway.core.surrogates import may_hold_pairs

# What a row costs beside its update is more than most updates; merged, they share it, and the
# names of their authors too. A larger update gains nothing.
SMALL_BYTES = 1_024

# The document of a change, and whether it came from the cloud.
_Company = tuple[str, bool]


def grouped(records: Sequence[Change | Refusal]) -> list[Change | Refusal]:
    """The records of one commit with small changes of a document merged into the first of them.

    Its peer counts for all. What came from the cloud stays apart: it is not sent there.
    """
    small: dict[_Company, list[Change]] = {}
    for record in records:
        if isinstance(record, Change) and _is_small(record.update):
            small.setdefault(_company(record), []).append(record)
    merged = {company: _merged(changes) for company, changes in small.items()}
    written: list[Change | Refusal] = []
    for record in records:
        if isinstance(record, Change) and _is_small(record.update):
            written += merged.pop(_company(record), ())
        else:
            written.append(record)
    return written


def _company(change: Change) -> _Company:
    return change.document, change.peer == CLOUD


def _is_small(update: bytes) -> bool:
    # Characters of two units may be cut by one of them, which takes more care than merging.
    return len(update) <= SMALL_BYTES and not may_hold_pairs(update)


def _merged(changes: Sequence[Change]) -> Sequence[Change]:
    if len(changes) == 1:
        return changes
    try:
        update = merge([change.update for change in changes])
    except DocumentBroken:
        return changes
    return [Change(changes[0].document, update, changes[0].peer)]

"""What one commit writes: small changes of one document as one."""

from collections.abc import Sequence

from gateway.core.crdt import DocumentBroken, merge
from gateway.core.records import Change, Refusal
from gateway.core.surrogates import may_hold_pairs

# What a row costs beside its update is more than most updates; merged, they share it, and the
# names of their authors too. A larger update gains nothing.
SMALL_BYTES = 1_024


def grouped(records: Sequence[Change | Refusal]) -> list[Change | Refusal]:
    """The records of one commit with small changes of a document merged into the first of them.

    Its peer counts for all.
    """
    small: dict[str, list[Change]] = {}
    for record in records:
        if isinstance(record, Change) and _is_small(record.update):
            small.setdefault(record.document, []).append(record)
    merged = {name: _merged(changes) for name, changes in small.items()}
    written: list[Change | Refusal] = []
    for record in records:
        if isinstance(record, Change) and _is_small(record.update):
            written += merged.pop(record.document, ())
        else:
            written.append(record)
    return written


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

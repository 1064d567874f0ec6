"""A document of which very much waits for a hub: looked through a part at a time."""

from functools import partial

from gateway.core.crdt import DocumentBroken
from gateway.core.errors import PeerError
from gateway.core.records import Waiting
from gateway.core.relay_update import first_clocks, since
from gateway.runtime.bridge_shelf import Shelf
from gateway.runtime.threads import Helper


async def whole(shelf: Shelf, helper: Helper, name: str, first: Waiting) -> Waiting:
    """All that waits of a document as one update; ``first``: its first part.

    Of what waits only a part is in memory at once, beside the document as it is stored. Where this
    makes nothing shorter: ``first``.
    """
    clocks: dict[int, int] = {}
    size, part = 0, first
    try:
        while True:
            clocks = await helper.run(first_clocks, part.updates, clocks)
            size += sum(map(len, part.updates))
            if not part.more:
                break
            part = await shelf.run(partial(shelf.store.read, name, part.last))
        # Read after them, so it holds all of them.
        stored = (await shelf.stored([name]))[name]
        update = await helper.run(since, name, stored, clocks)
    except (DocumentBroken, PeerError):
        return first
    # Nothing waits any more if all was left meanwhile.
    return Waiting(part.last, (update,)) if part.last and 0 < len(update) < size else first

"""A good copy of the store beside it, made anew now and then."""

import asyncio
import logging
from functools import partial
from pathlib import Path

from gateway.core.errors import GatewayError
from gateway.core.records import StoreStatus
from gateway.ports import Store
from gateway.runtime.writer import Writer

# This often if something changed; the first one soon, so that there is one.
BACKUP_SECONDS = 6 * 3600.0
FIRST_BACKUP_SECONDS = 600.0

log = logging.getLogger("gateway")


async def keep_backup(store: Store, writer: Writer, target: Path) -> None:
    """Copy the store to ``target`` whenever it is time and something changed, for ever."""
    copied = -1
    exists = await asyncio.to_thread(target.exists)
    wait = BACKUP_SECONDS if exists else FIRST_BACKUP_SECONDS
    while True:
        await asyncio.sleep(wait)
        wait = BACKUP_SECONDS
        figures = await writer.call(store.status)
        assert isinstance(figures, StoreStatus)
        if figures.last_sequence == copied:
            continue
        try:
            await writer.call(partial(store.backup, target))
            copied = figures.last_sequence
        except GatewayError as error:
            log.warning("no copy of the store was made: %s", error.sentence)

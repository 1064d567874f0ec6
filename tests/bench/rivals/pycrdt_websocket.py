"""pycrdt-websocket with its SQLite store: ``python pycrdt_websocket.py PORT FOLDER``.

Runs in ``.venv-bench``, on uvicorn and uvloop. Rooms stay (``auto_clean_rooms=False``),
or one client that leaves early takes a room down.
"""

import contextlib
import sys
from typing import Any

import uvicorn  # type: ignore[import-not-found]
from pycrdt.store import SQLiteYStore  # type: ignore[import-not-found]
from pycrdt.store.base import YDocNotFound  # type: ignore[import-not-found]
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom  # type: ignore[import-not-found]


class Stored(WebsocketServer):  # type: ignore[misc]
    """A room reads what is stored for it before its first client is served."""

    def __init__(self, store: type[Any]) -> None:
        super().__init__(auto_clean_rooms=False)
        self._store = store

    async def get_room(self, name: str) -> YRoom:
        """The room of a path."""
        if name not in self.rooms:
            store = self._store(name)
            room = self.rooms[name] = YRoom(ready=False, ystore=store)
            await self.start_room(room)
            async with store.start_lock:
                if not store.started.is_set():
                    await self._task_group.start(store.start)
            with contextlib.suppress(YDocNotFound):
                await store.apply_updates(room.ydoc)
            room.ready = True
        room = self.rooms[name]
        await room.ydoc_observed.wait()
        return room


def main() -> None:
    """Serve until killed."""
    port, folder = sys.argv[1:]
    store = type("Store", (SQLiteYStore,), {"db_path": f"{folder}/updates.sqlite"})
    server = Stored(store)

    class Application(ASGIServer):  # type: ignore[misc]
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            """The server lives as long as the application."""
            if scope["type"] == "lifespan":
                async with server:
                    await super().__call__(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)

    uvicorn.run(Application(server), host="127.0.0.1", port=int(port), log_level="error")


if __name__ == "__main__":
    main()

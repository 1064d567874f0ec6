"""Documents of the hub as JSON, the ones that were asked for last without making them again."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from gateway.core.cloud_answers import loaded
from gateway.core.edit import entries
from gateway.http.messages import as_json
from gateway.ports import CloudStore

# So much JSON is kept: a change is asked for by all who follow it.
KEPT_BYTES = 8_388_608


@dataclass(frozen=True, slots=True)
class Content:
    """``whole`` is the content by roots, ``fields`` what a PUT takes; both as JSON."""

    version: int
    whole: bytes
    fields: bytes


class Contents:
    """For any number of threads."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._most = kept_bytes
        self._kept: OrderedDict[tuple[str, str], Content] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, store: CloudStore, space: str, document: str) -> Content | None:
        """A document; None if it is unknown. Raises as ``CloudStore``, and ``DocumentBroken``."""
        # First the version: what comes in meanwhile makes the content newer, never older.
        version = store.version(space, document)
        if not version:
            return None
        known = self._find((space, document), version)
        if known is not None:
            return known
        stored = store.load(space, document)
        projection = loaded(document, stored).project()
        content = Content(version, as_json(projection), as_json(entries(projection)))
        self._keep((space, document), content)
        return content

    def _find(self, key: tuple[str, str], version: int) -> Content | None:
        with self._lock:
            content = self._kept.get(key)
            if content is None or content.version != version:
                return None
            self._kept.move_to_end(key)
            return content

    def _keep(self, key: tuple[str, str], content: Content) -> None:
        with self._lock:
            self._forget(key)
            self._kept[key] = content
            self._bytes += _size(content)
            while self._bytes > self._most:
                self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[str, str]) -> None:
        content = self._kept.pop(key, None)
        self._bytes -= _size(content) if content else 0


def _size(content: Content) -> int:
    return len(content.whole) + len(content.fields)

"""Several who are told what happens."""

from collections.abc import Collection, Sequence

from gateway.core.events import Answered, Notice, PeersHeard
from gateway.core.session import Session
from gateway.runtime.perform import Watcher


class Watchers(Watcher):
    """Tells each of some others, in their order."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = watchers

    def noticed(self, notice: Notice) -> None:
        """See ``Watcher``."""
        for watcher in self._watchers:
            watcher.noticed(notice)

    def opened(self, session: Session) -> None:
        """See ``Watcher``."""
        for watcher in self._watchers:
            watcher.opened(session)

    def closed(self, session: Session) -> None:
        """See ``Watcher``."""
        for watcher in self._watchers:
            watcher.closed(session)

    def answered(self, session: Session, answer: Answered) -> None:
        """See ``Watcher``."""
        for watcher in self._watchers:
            watcher.answered(session, answer)

    def told(self, session: Session, event: PeersHeard) -> None:
        """See ``Watcher``."""
        for watcher in self._watchers:
            watcher.told(session, event)

    def stored(self, documents: Collection[str]) -> None:
        """See ``Watcher``."""
        for watcher in self._watchers:
            watcher.stored(documents)

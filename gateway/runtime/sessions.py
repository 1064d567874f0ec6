"""Which session a link gets: by its path, and by what this device is in its store."""

from collections.abc import Callable
from dataclasses import replace

from gateway.core import messages
from gateway.core.allowance import Terms
from gateway.core.errors import Code, PeerError
from gateway.core.handshake import LocalPeer
from gateway.core.mesh_session import NO_TERMS, MeshSession
from gateway.core.names import name_from_path
from gateway.core.session import Session
from gateway.core.tokens import token_of
from gateway.core.y_session import YSession
from gateway.runtime.members import Members

PLAIN = "/sync/"
EVERYTHING: messages.Grants = (("*", messages.RIGHT_READ | messages.RIGHT_WRITE),)


class Sessions:
    """``open_``: whether strangers are let in while this device is of no store."""

    def __init__(
        self,
        own: LocalPeer,
        members: Members,
        now: Callable[[], float],
        *,
        open_: bool,
        terms: Terms = NO_TERMS,
    ) -> None:
        self._own = own
        self._terms = terms
        self._members = members
        self._now = now
        self._open = open_

    @property
    def is_open(self) -> bool:
        """Whether whoever reaches this device is let in."""
        return self._open and self._members.is_open

    def called(self, address: str, path: str) -> Session:
        """For a link that somebody made. Raises ``PeerError`` if it is not to be served."""
        if path.startswith(PLAIN):
            member = None if self.is_open else self._members.token(token_of(path))
            name = name_from_path(path.removeprefix(PLAIN))
            return YSession(name, address, self._now(), member)
        admission = self._admit if self._members.is_open else self._members.accepting()
        return MeshSession(self._own, admission, address, self._now(), self._terms)

    def phone(self, address: str) -> Session:
        """For a link by Bluetooth. Raises ``PeerError`` while this device is of no store."""
        if self._members.is_open:
            raise PeerError(Code.UNAUTHORISED, "this gateway is of no store yet: claim it first")
        terms = replace(self._terms, slow=True)
        return MeshSession(self._own, self._members.accepting(), address, self._now(), terms)

    def calling(self, url: str) -> MeshSession:
        """For a link that we make."""
        bare = self._members.is_open
        admission = (messages.AUTH_NONE, b"") if bare else self._members.calling(url)
        return MeshSession(self._own, admission, url, self._now(), self._terms)

    def _admit(self, method: int, credential: bytes) -> messages.Grants:
        if method == messages.AUTH_NONE and self.is_open:
            return EVERYTHING
        raise PeerError(Code.UNAUTHORISED, "this gateway does not know you; pair first")

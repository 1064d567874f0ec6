"""Real Yjs edits for tests of the core."""

from typing import Any

from pycrdt import Doc, Map, Text

from gateway.core.guard import UpdateFacts, inspect_update


class Author:
    """A Yjs document somewhere else, with a fixed client id."""

    def __init__(self, client: int) -> None:
        self.doc: Doc = Doc(client_id=client)

    def set(self, key: str, value: object, root: str = "map") -> bytes:
        """Set a key of a root map; returns the update."""
        before = self.doc.get_state()
        self.doc.get(root, type=Map)[key] = value
        return self.doc.get_update(before)

    def write(self, text: str, root: str = "text") -> bytes:
        """Append to a root text; returns the update."""
        before = self.doc.get_state()
        self.doc.get(root, type=Text).insert(len(str(self.doc.get(root, type=Text))), text)
        return self.doc.get_update(before)

    def take(self, update: bytes) -> None:
        """Apply an update of somebody else."""
        self.doc.apply_update(update)

    def state(self) -> bytes:
        """Our state vector."""
        return self.doc.get_state()

    def whole(self) -> bytes:
        """Everything."""
        return self.doc.get_update()

    def read(self, root: str = "map") -> dict[str, Any]:
        """A root map as JSON."""
        content: dict[str, Any] = self.doc.get(root, type=Map).to_py()
        return content


def facts(update: bytes) -> UpdateFacts:
    """What the guard says of a sound update."""
    return inspect_update(update)

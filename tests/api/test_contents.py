"""Content is made once for a version."""

from contextlib import closing
from pathlib import Path

from gateway.api.contents import Contents
from gateway.core.records import StoredDocument
from tests.support.hub_api import SHOP, Hub


def test_content_is_kept_for_its_version_and_within_its_bytes(tmp_path: Path) -> None:
    hub = Hub(tmp_path)
    loads: list[str] = []
    for number in range(3):
        hub.put(SHOP, f"orders/{number}", text="x" * 100)
    contents = Contents(kept_bytes=500)
    with closing(hub.open()) as store:
        load = store.load

        def counted(space: str, document: str) -> StoredDocument:
            loads.append(document)
            return load(space, document)

        store.load = counted  # type: ignore[method-assign]
        first = contents.read(store, SHOP, "orders/0")
        assert first is not None and first.whole == b'{"fields":{"text":"%b"}}' % (b"x" * 100)
        assert first.fields == b'{"text":"%b"}' % (b"x" * 100)
        assert contents.read(store, SHOP, "orders/0") is first
        contents.read(store, SHOP, "orders/1")
        contents.read(store, SHOP, "orders/0")
        assert loads == ["orders/0", "orders/1"]
        # The one that was asked for longest ago goes.
        contents.read(store, SHOP, "orders/2")
        contents.read(store, SHOP, "orders/0")
        contents.read(store, SHOP, "orders/1")
        assert loads == ["orders/0", "orders/1", "orders/2", "orders/1"]
        hub.put(SHOP, "orders/1", text="new")
        newer = contents.read(store, SHOP, "orders/1")
        assert newer is not None and newer.version == 2 and b"new" in newer.whole
        assert contents.read(store, SHOP, "orders/none") is None
        assert contents.read(store, SHOP.replace("a", "b"), "orders/1") is None

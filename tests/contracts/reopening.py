"""What contracts of stores in a folder share: the same store is opened again after a close."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import pytest

from gateway.ports import Store

AnyStore = TypeVar("AnyStore", bound=Store)


class Reopening(Generic[AnyStore]):
    """``open_store(folder)`` opens the same store again after a close."""

    @staticmethod
    def open_store(folder: Path) -> AnyStore:
        raise NotImplementedError

    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Iterator[Callable[[], AnyStore]]:
        opened: list[AnyStore] = []

        def open_it() -> AnyStore:
            for store in opened:
                store.close()
            opened.append(self.open_store(tmp_path / "store"))
            return opened[-1]

        yield open_it
        for store in opened:
            store.close()

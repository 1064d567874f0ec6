"""The stock y-websocket client in two windows of a real browser, cut and killed."""

import functools
import http.server
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import GatewayProcess, eventually
from tests.support.node import SCRIPTS, NodeClient
from tests.support.proxy import Proxy

pytestmark = pytest.mark.browser

# A browser opens at most 255 WebSockets; each of the two windows takes its share.
DOCUMENTS = 100


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing."""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """The address of a page with the stock client."""
    folder = tmp_path / "page"
    subprocess.run(
        ["node_modules/.bin/esbuild", "stock_page.mjs", "--bundle", "--format=esm",
         "--log-level=error", f"--outfile={folder}/page.js"],
        cwd=SCRIPTS, check=True, timeout=60,
    )  # fmt: skip
    (folder / "index.html").write_text(
        "<!doctype html><link rel=icon href=data:,><script type=module src=page.js></script>"
    )
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, name="pages")
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
    server.shutdown()
    thread.join()
    server.server_close()


def test_two_windows_agree_through_cut_and_kill(page: str, tmp_path: Path) -> None:
    names = [f"orders/{number}" for number in range(DOCUMENTS)]
    with (
        GatewayProcess(tmp_path / "data") as gateway,
        Proxy(gateway.port) as proxy,
        NodeClient("windows.mjs") as node,
    ):

        def run(window: str, script: str) -> Any:
            return node.call("run", window=window, script=f"api.{script}")

        def agree() -> bool:
            first, second = run("one", "digests()"), run("two", "digests()")
            return bool(first == second) and not any(
                v.startswith("pending") for v in first.values()
            )

        for window, port in (("one", gateway.port), ("two", proxy.port)):
            node.call("open", window=window, url=page)
            run(window, f"open('ws://127.0.0.1:{port}/sync', {names})")
        eventually(lambda: run("one", "synced()") and run("two", "synced()"), 60)
        run("one", "edit(1, 3)")
        run("two", "edit(2, 3)")
        eventually(agree, 60)
        proxy.cut()
        run("one", "edit(3, 2)")
        run("two", "edit(4, 2)")
        assert not agree()
        proxy.mend()
        eventually(agree, 60)
        gateway.kill()
        run("one", "edit(5, 1)")
        run("two", "edit(6, 1)")
        gateway.start()
        eventually(agree, 60)

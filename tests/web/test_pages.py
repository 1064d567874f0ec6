"""The pages: what they serve, to whom, and that nothing inline is needed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.control.client import ControlClient
from gateway.control.messages import ControlError
from web.app import DEMO, create_app

PAGES = ["/", "/kiosk", "/kitchen", "/clinic", "/status"]


class Answering(ControlClient):
    """A door that answers without a gateway."""

    def __init__(self, answer: dict[str, Any] | None) -> None:
        self._answer = answer

    def request(self, verb: str, **arguments: Any) -> dict[str, Any]:
        if self._answer is None:
            raise ControlError("not-running", "no gateway is running")
        return self._answer


def client(answer: dict[str, Any] | None = None) -> Any:
    return create_app(Answering(answer), 8787).wsgi.test_client()


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_served_with_nothing_inline(path: str) -> None:
    response = client().get(path)
    text = response.get_data(as_text=True)
    assert response.status_code == 200
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on\w+=", text)
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy and "ws://localhost:8787" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8788", "127.0.0.1.evil.example"])
def test_a_foreign_host_is_refused(host: str) -> None:
    assert client().get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8788", "192.168.1.5", "[::1]:8788", "store.local"])
def test_our_own_names_are_welcome(host: str) -> None:
    assert client().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/demo/../app.py", "/demo/%2e%2e/app.py", "/client/../../x", "/x"]
)
def test_nothing_else_is_served(path: str) -> None:
    assert client().get(path).status_code == 404


def test_status_is_passed_on_and_its_absence_said() -> None:
    assert client({"state": "ok"}).get("/api/status").get_json() == {"state": "ok"}
    down = client().get("/api/status")
    assert down.status_code == 503 and down.get_json()["sentence"]


def test_the_status_page_has_a_place_for_all_that_it_shows() -> None:
    text = client().get("/status").get_data(as_text=True)
    shown = set(re.findall(r"byId\('([^']+)'\)", (DEMO / "status.js").read_text()))
    assert "name" in shown
    assert [place for place in shown if f'id="{place}"' not in text] == []


def test_metrics_are_passed_on_and_their_absence_said() -> None:
    text = "# HELP a B.\n# TYPE a gauge\na 1\n"
    answer = client({"text": text}).get("/metrics")
    assert answer.get_data(as_text=True) == text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    down = client().get("/metrics")
    assert down.status_code == 503 and down.get_json()["code"] == "not-running"


def test_the_worker_keeps_every_file_the_pages_need() -> None:
    worker = (DEMO / "worker.js").read_text()
    kept = set(re.findall(r"'(/[^']*)'", worker))
    app = client()
    for path in kept:
        with app.get(path) as response:
            assert response.status_code == 200, path
    for page in PAGES:
        text = app.get(page).get_data(as_text=True)
        for needed in re.findall(r'(?:src|href)="(/(?:demo|client)/[^"]+)"', text):
            assert needed in kept
    for script in DEMO.glob("*.js"):
        for needed in re.findall(r"from '([^']+)'", script.read_text()):
            path = needed if needed.startswith("/") else f"/demo/{Path(needed).name}"
            assert path in kept, needed


def test_the_manifest_is_whole() -> None:
    manifest = json.loads((DEMO / "manifest.webmanifest").read_text())
    for icon in manifest["icons"]:
        with client().get(icon["src"]) as response:
            assert response.status_code == 200

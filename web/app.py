"""The pages' app: demo apps, status page, and the files they are made of.

Pages hold no inline script or style; a browser is told to load nothing from elsewhere.
Everything shown of peers is escaped by the template engine or set as text.
"""

import ipaddress
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from gateway.control.client import ControlClient
from gateway.control.messages import ControlError
from gateway.http.app import App, file, page
from gateway.http.messages import Answer, HttpProblem, Request, Route, as_json

HERE = Path(__file__).parent
DEMO = HERE / "demo"
CLIENT = HERE / "client" / "dist"
APPS = ("kiosk", "kitchen", "clinic")
# The text form of Prometheus (docs/metrics.md).
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def create_app(control: ControlClient, sync_port: int) -> App:
    """The app; ``sync_port`` is where the gateway's sync listens on the same host."""
    routes = [
        Route("GET", "/", lambda _: page("start.html")),
        *(Route("GET", f"/{name}", partial(_demo, name, sync_port)) for name in APPS),
        Route("GET", "/status", lambda _: page("status.html")),
        Route("GET", "/api/status", lambda _: _status(control)),
        Route("GET", "/metrics", lambda _: _metrics(control)),
        Route("GET", "/healthz", lambda _: Answer(as_json({"ok": True}))),
        Route("GET", "/demo/<path:file>", lambda request: file(DEMO, request.parts["file"])),
        Route("GET", "/client/<path:file>", lambda request: file(CLIENT, request.parts["file"])),
        # Served from the root, so that it may answer for every page.
        Route("GET", "/worker.js", lambda _: file(DEMO, "worker.js")),
    ]
    return App(routes, _check_host, partial(_hardened, sync_port), templates=HERE / "templates")


def _check_host(request: Request) -> None:
    # A foreign name for our address is DNS rebinding.
    if not _our_host(_name(request.host)):
        raise HttpProblem(403, "foreign-host", "this gateway is not called so")


def _hardened(sync_port: int, request: Request) -> Mapping[str, str]:
    # A browser treats ws to the same host and another port as another origin.
    host = _name(request.host)
    sync = f"ws://{host}:{sync_port} wss://{host}:{sync_port}"
    return {
        "Content-Security-Policy": (
            f"default-src 'self'; connect-src 'self' {sync}; img-src 'self' data:;"
            " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }


def _demo(name: str, sync_port: int, _: Request) -> Answer:
    return page(f"{name}.html", name=name, sync_port=sync_port)


def _status(control: ControlClient) -> Answer:
    try:
        return Answer(as_json(control.request("status")))
    except ControlError as error:
        said = {"state": "down", "code": error.code, "sentence": error.sentence}
        return Answer(as_json(said), 503)


def _metrics(control: ControlClient) -> Answer:
    try:
        return Answer(control.request("metrics")["text"].encode(), type=METRICS_TYPE)
    except ControlError as error:
        raise HttpProblem(503, error.code, error.sentence) from error


def _name(host: str) -> str:
    return host.rsplit(":", 1)[0]


def _our_host(name: str) -> bool:
    if name in ("localhost", socket.gethostname()) or name.endswith(".local"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True

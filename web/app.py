"""The Flask app: demo apps, status page, and the files they are made of.

Pages hold no inline script or style; a browser is told to load nothing from elsewhere.
Everything shown of peers is escaped by the template engine or set as text.
"""

import ipaddress
import socket
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, render_template, request, send_from_directory

from gateway.control.client import ControlClient
from gateway.control.messages import ControlError

HERE = Path(__file__).parent
DEMO = HERE / "demo"
CLIENT = HERE / "client" / "dist"
APPS = ("kiosk", "kitchen", "clinic")


def create_app(control: ControlClient, sync_port: int) -> Flask:
    """The app; ``sync_port`` is where the gateway's sync listens on the same host."""
    app = Flask(__name__, static_folder="static", template_folder="templates")

    @app.before_request
    def check_host() -> None:
        # A foreign name for our address is DNS rebinding.
        if not _our_host(request.host.rsplit(":", 1)[0]):
            abort(403)

    @app.after_request
    def harden(response: Response) -> Response:
        # A browser treats ws to the same host and another port as another origin.
        host = request.host.rsplit(":", 1)[0]
        sync = f"ws://{host}:{sync_port} wss://{host}:{sync_port}"
        response.headers["Content-Security-Policy"] = (
            f"default-src 'self'; connect-src 'self' {sync}; img-src 'self' data:;"
            " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-cache")
        return response

    @app.get("/")
    def start() -> str:
        return render_template("start.html")

    @app.get("/<any(kiosk, kitchen, clinic):name>")
    def demo(name: str) -> str:
        return render_template(f"{name}.html", name=name, sync_port=sync_port)

    @app.get("/status")
    def status() -> str:
        return render_template("status.html")

    @app.get("/api/status")
    def api_status() -> tuple[Response, int]:
        return _answer(control)

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(ok=True)

    @app.get("/demo/<path:file>")
    def demo_file(file: str) -> Response:
        return send_from_directory(DEMO, file)

    @app.get("/client/<path:file>")
    def client_file(file: str) -> Response:
        return send_from_directory(CLIENT, file)

    @app.get("/worker.js")
    def worker() -> Response:
        # Served from the root, so that it may answer for every page.
        return send_from_directory(DEMO, "worker.js")

    return app


def _answer(control: ControlClient) -> tuple[Response, int]:
    try:
        answer: dict[str, Any] = control.request("status")
    except ControlError as error:
        return jsonify(state="down", code=error.code, sentence=error.sentence), 503
    return jsonify(answer), 200


def _our_host(name: str) -> bool:
    if name in ("localhost", socket.gethostname()) or name.endswith(".local"):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True

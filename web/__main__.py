"""``python -m web``: serve the pages until told to stop."""

import argparse
import errno
import json
import os
import sys
import threading
from pathlib import Path

from gateway.control.client import ControlClient
from gateway.http.server import Server
from web.app import create_app

EX_UNAVAILABLE = 69
THREADS = 4


def main() -> int:
    """Serve; returns the exit code."""
    options = _parser().parse_args()
    app = create_app(ControlClient(options.control), options.sync_port)
    try:
        server = Server(app.wsgi, options.host, options.port, THREADS)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "is taken by another program" if taken else f"cannot be used: {error.strerror}"
        sentence = f"port {options.port} for the pages {reason}; choose one with --pages-port"
        sys.stderr.write(f"{sentence}\n")
        return EX_UNAVAILABLE
    sys.stdout.write(json.dumps({"port": server.port}) + "\n")
    sys.stdout.flush()
    if options.watch_parent:
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    server.run()
    return 0


def _end_with_parent() -> None:
    """The parent holds our standard input open; its end, by whatever means, is ours."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m web", description=__doc__)
    parser.add_argument("--control", type=Path, required=True, help="the gateway's socket")
    parser.add_argument("--sync-port", type=int, required=True, help="the gateway's sync port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8788)
    parser.add_argument("--watch-parent", action="store_true", help="end when stdin ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())

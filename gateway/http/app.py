"""Makes a WSGI app of routes, on Flask: paths, templates, files, and what goes wrong.

Nothing that is in a request or in an answer gets into the log.
"""

import logging
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote_to_bytes

from flask import Flask, Response, render_template, request, send_from_directory
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from gateway.http.messages import Answer, Handler, HttpProblem, Request, Route, as_json

# Longer ones would cost more than they are worth; no name is so long.
MAX_QUERY_VALUES = 32
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")

log = logging.getLogger("gateway.http")

Check = Callable[[Request], None]
Harden = Callable[[Request], Mapping[str, str]]


class App:
    """``wsgi`` is the app. ``check`` raises ``HttpProblem`` for whom it lets not in; ``harden``
    says what headers an answer has besides its own; ``counted`` hears method and status of each.

    A body of more than ``body_bytes`` is refused. Templates are in ``templates``.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        check: Check,
        harden: Harden,
        *,
        templates: Path | None = None,
        body_bytes: int = 0,
        counted: Callable[[str, int], None] | None = None,
    ) -> None:
        folder = str(templates) if templates else None
        self.wsgi = Flask(__name__, static_folder=None, template_folder=folder)
        self.wsgi.config["MAX_CONTENT_LENGTH"] = body_bytes
        # A document's name is taken as it is, never mended.
        self.wsgi.url_map.merge_slashes = False
        self._check = check
        self._harden = harden
        self._counted = counted
        self.wsgi.before_request(self._before)
        self.wsgi.after_request(self._after)
        self.wsgi.register_error_handler(Exception, _problem)
        for route in routes:
            self.wsgi.add_url_rule(
                route.path,
                f"{route.method} {route.path}",
                _view(route.handler),
                methods=[route.method],
                provide_automatic_options=False,
            )

    def _before(self) -> None:
        self._check(_request())

    def _after(self, response: Response) -> Response:
        for name, value in self._harden(_request(checked=False)).items():
            response.headers.setdefault(name, value)
        if self._counted is not None:
            self._counted(request.method, response.status_code)
        return response


def page(template: str, **values: object) -> Answer:
    """A template of the app, filled; values are escaped."""
    return Answer(render_template(template, **values).encode(), type="text/html; charset=utf-8")


def file(folder: Path, name: str) -> Answer:
    """A file below a folder. Raises ``HttpProblem`` 404 for whatever is none there."""
    try:
        found = send_from_directory(folder, name)
    except HTTPException as error:
        raise _not_found() from error
    headers = {
        key: value for key, value in found.headers if key not in ("Content-Type", "Content-Length")
    }
    found.direct_passthrough = False
    try:
        return Answer(found.get_data(), found.status_code, found.headers["Content-Type"], headers)
    finally:
        found.close()


def _view(handler: Handler) -> Callable[..., Response]:
    def view(**parts: str) -> Response:
        return _response(handler(_request(parts, checked=False)))

    return view


def _response(answer: Answer) -> Response:
    body = answer.body if isinstance(answer.body, bytes) else _Pieces(answer.body)
    return Response(body, answer.status, dict(answer.headers), content_type=answer.type)


class _Pieces:
    """An answer that is made bit by bit; a mistake ends it, and is logged like any other."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except Exception as error:  # noqa: BLE001
            _tell(error)

    def close(self) -> None:
        """Called by the server once it is over."""
        if hasattr(self._pieces, "close"):
            self._pieces.close()


def _request(parts: Mapping[str, str] | None = None, *, checked: bool = True) -> Request:
    # What is asked later, while an answer is made bit by bit, is asked of this request too.
    environ, headers = request.environ, request.headers
    if checked:
        _check_encoding(environ)
    return Request(
        request.method,
        request.path,
        request.args.to_dict(),
        parts or {},
        request.host,
        request.remote_addr or "",
        lambda name: headers.get(name, ""),
        _body,
        environ.get("waitress.client_disconnected", lambda: False),
    )


def _body() -> bytes:
    try:
        return request.get_data()
    except RequestEntityTooLarge as error:
        most = request.max_content_length
        raise HttpProblem(413, "too-big", f"the body is larger than {most} bytes") from error


def _check_encoding(environ: Mapping[str, str]) -> None:
    """What is not UTF-8 would be mended silently, and be another name."""
    uri, query = environ.get("REQUEST_URI", "/"), environ.get("QUERY_STRING", "")
    try:
        environ["PATH_INFO"].encode("latin-1").decode()
        unquote_to_bytes(query.encode("latin-1")).decode()
        # With a host in it, it would go on to somewhere else: this is no proxy.
        is_sound = uri.startswith("/") and not _BAD_ESCAPE.search(uri)
    except UnicodeError:
        is_sound = False
    if not is_sound or query.count("&") >= MAX_QUERY_VALUES:
        sentence = "the URL is not percent-encoded UTF-8, or asks too much"
        raise HttpProblem(400, "bad-url", sentence)


def _problem(error: Exception) -> Response:
    """Whatever happened as JSON."""
    if isinstance(error, HTTPException):
        error = _known(error)
    if not isinstance(error, HttpProblem):
        _tell(error)
        error = HttpProblem(500, "internal", "the server made a mistake; see its log")
    body = as_json({"code": error.code, "error": error.sentence})
    return _response(Answer(body, error.status, headers=error.headers))


def _known(error: HTTPException) -> HttpProblem:
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        sentence = f"this path takes {allowed}"
        return HttpProblem(405, "bad-method", sentence, {"Allow": allowed})
    if error.code == 404:
        return _not_found()
    return HttpProblem(error.code or 500, "bad-request", "this is not a request that is taken here")


def _not_found() -> HttpProblem:
    return HttpProblem(404, "not-found", "there is nothing at this path")


def _tell(error: Exception) -> None:
    """Where it happened; the error's own words might quote what was sent."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("a request failed: %s\n%s", type(error).__name__, frames)

"""The local server: files of the page, answers as JSON, streams as server-sent events.

It listens on 127.0.0.1 only. Another site's page could still send it requests through the user's browser. So the path
begins with a token that only the user's page knows. ``Host`` must be this server, or else a foreign page could reach it
by a name that resolves to this machine; so must ``Origin`` if it is sent. A body must be JSON, which no form sends.
"""

import contextlib
import errno
import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from gencomp import __version__
from gencomp.errors import GencompError
from gencomp.play.desk import MAX_TEXT, Desk, RequestError, paper_record, position_of, text_of
from gencomp.play.examples import EXAMPLES
from gencomp.play.jobs import Compilations, Event, Jobs, failure

HOST = "127.0.0.1"
MAX_BODY = 1 << 18  # bytes of a request: a text in base64, and options
MAX_CONNECTIONS = 96
_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Server(ThreadingHTTPServer):
    """A page's server; ``start`` is what the page shows first: its text, a name for it, the models."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False
    request_queue_size = 64

    def __init__(self, desk: Desk, start: Mapping[str, Any], port: int = 0) -> None:
        self.desk = desk
        self.start = start
        self.token = secrets.token_urlsafe(16)
        self.compilations = Compilations()
        self.jobs = Jobs(self.compilations)
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise GencompError(f"port {port} cannot be used: {error.strerror}; port=0 finds a free one") from None
            raise

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """The page's address; whoever knows it may use this server."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Accept a connection, or turn it away if there are too many."""
        if not self._connections.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._sockets.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._sockets.discard(request)
            self._connections.release()

    def server_close(self) -> None:
        """Accept no more connections, and end those that a browser keeps open."""
        super().server_close()
        with self._lock:
            for request in self._sockets:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about a browser that has gone away."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = f"gencomp/{__version__}"
    sys_version = ""
    timeout = 30  # seconds for each read
    disable_nagle_algorithm: ClassVar[bool] = True

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return
        if path in ("", "index.html"):
            path = "index.html"
        if path == "api/start":
            self._send_json(self._start())
            return
        file = _STATIC / path
        if path not in _files() or not file.is_file():
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such page")
            return
        self._send(HTTPStatus.OK, file.read_bytes(), _TYPES[file.suffix] + "; charset=utf-8")

    def do_POST(self) -> None:
        path = self._path()
        if path is None:
            return
        try:
            request = self._body()
            if path in _STREAMS:
                self._stream(_STREAMS[path], request)
            elif path in _ANSWERS:
                self._answer(_ANSWERS[path], request)
            else:
                self._refuse(HTTPStatus.NOT_FOUND, "there is no such question")
        except _BodyError as error:
            self._refuse(error.status, str(error))

    def _answer(self, answer: "Answer", request: dict[str, Any]) -> None:
        try:
            record = answer(self.server.desk, request)
        except Exception as error:  # of a model, or a spec being typed: it is an answer, not the page's fault
            record = {"error": failure(error)}
        self._send_json(record)

    def _stream(self, stream: "Stream", request: dict[str, Any]) -> None:
        page, slot = str(request.get("page", ""))[:64], str(request.get("slot", ""))[:64]
        given = request.get("turn")
        turn = given if isinstance(given, int) else 0
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self._send_common()
        self.send_header("Connection", "close")
        self.end_headers()
        events = self.server.jobs.run(page, slot, lambda: stream(self.server.desk, request), turn)
        try:
            for event in events:
                self.wfile.write(f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode())
                self.wfile.flush()
        except OSError:  # the page has gone on
            pass
        finally:
            events.close()  # type: ignore[attr-defined]

    def _start(self) -> dict[str, Any]:
        names = self.server.desk.names()
        limits = {"text": MAX_TEXT}
        return {**self.server.start, "names": names, "limits": limits, "examples": EXAMPLES, "version": __version__}

    def _path(self) -> str | None:
        """Return the path after the token, or None if the request is refused."""
        hosts = {f"{name}:{self.server.port}" for name in (HOST, "localhost")}
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if host not in hosts or (origin is not None and origin not in {f"http://{name}" for name in hosts}):
            self._refuse(HTTPStatus.FORBIDDEN, "this server answers its own page alone")
            return None
        given, slash, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(given.encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "the address lacks its token; use the one that gencomp play printed")
            return None
        if site not in ("same-origin", "none") and rest not in ("", "index.html"):
            self._refuse(HTTPStatus.FORBIDDEN, "this server answers its own page alone")
            return None
        return rest

    def _body(self) -> dict[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise _BodyError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a question is JSON")
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal():
            raise _BodyError(HTTPStatus.LENGTH_REQUIRED, "a question has a length")
        if int(size) > MAX_BODY:
            raise _BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the page takes texts of up to {MAX_TEXT:,} bytes")
        try:
            request = json.loads(self.rfile.read(int(size)))
        except (ValueError, RecursionError):
            raise _BodyError(HTTPStatus.BAD_REQUEST, "a question is JSON") from None
        if not isinstance(request, dict):
            raise _BodyError(HTTPStatus.BAD_REQUEST, "a question is a JSON object")
        return request

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # the body may be unread
        self._send(status, json.dumps({"error": message}).encode(), "application/json")

    def _send_json(self, record: Mapping[str, Any]) -> None:
        self._send(HTTPStatus.OK, json.dumps(record, separators=(",", ":")).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self._send_common()
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

    def _send_common(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")

    def log_message(self, *arguments: Any) -> None:
        """Keep quiet: the address contains the token."""


class _BodyError(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


Answer = Callable[[Desk, dict[str, Any]], Event]
Stream = Callable[[Desk, dict[str, Any]], Iterator[Event]]


def _candidates(desk: Desk, request: dict[str, Any]) -> Event:
    text = text_of(request)
    return desk.candidates(_spec(request), text, position_of(request, text), _draw(request))


def _parse(desk: Desk, request: dict[str, Any]) -> Event:
    return desk.parse(_spec(request), text_of(request))


def _coder(desk: Desk, request: dict[str, Any]) -> Event:
    text = text_of(request)
    return desk.coder(_spec(request), text, position_of(request, text))


def _check(desk: Desk, request: dict[str, Any]) -> Event:
    opened = desk.open(_spec(request))
    return {"spec": opened.spec, "codec": opened.is_codec}


def _paper(desk: Desk, request: dict[str, Any]) -> Event:
    return paper_record()


def _costs(desk: Desk, request: dict[str, Any]) -> Iterator[Event]:
    text, normalized = text_of(request), request.get("normalized") is True
    return desk.costs(_spec(request), text, normalized=normalized, caret=position_of(request, text))


def _generate(desk: Desk, request: dict[str, Any]) -> Iterator[Event]:
    return desk.generate(_spec(request), text_of(request), _draw(request))


def _spec(request: dict[str, Any]) -> str:
    spec = request.get("spec")
    if not isinstance(spec, str):
        raise RequestError("the spec is missing")
    return spec


def _draw(request: dict[str, Any]) -> dict[str, Any]:
    draw = request.get("draw", {})
    if not isinstance(draw, dict):
        raise RequestError("how to draw is a JSON object")
    return draw


_ANSWERS: dict[str, Answer] = {
    "api/candidates": _candidates,
    "api/parse": _parse,
    "api/coder": _coder,
    "api/check": _check,
    "api/paper": _paper,
}
_STREAMS: dict[str, Stream] = {"api/costs": _costs, "api/generate": _generate}


def _files() -> set[str]:
    """Return the names of the page's files; any other path opens nothing."""
    return {file.name for file in _STATIC.iterdir() if file.suffix in _TYPES}

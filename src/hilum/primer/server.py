"""The primer on this computer's own address: pages, and training for one of them.

`App.answer` is the whole of it, a function from a request to an answer; a larger
server mounts it by passing requests on. `serve` runs it alone, on 127.0.0.1, and
answers to no other name, so that no page from elsewhere can reach it (DNS rebinding).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from hilum.errors import HilumError, InputError
from hilum.primer.pages import policy_of
from hilum.primer.runs import Runs

ADDRESS = "127.0.0.1"
MOST_BYTES = 4096
"""Of what a page may send."""

WAIT_S = 3
"""After which a browser asks again for a page that is being made."""

_HTML = "text/html; charset=utf-8"
_JSON = "application/json"


_WAITING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The hilum primer</title>
<meta http-equiv="refresh" content="{seconds}"></head>
<body><p>{text}</p></body></html>
"""


class NotReadyError(HilumError):
    """A page is being made."""


class Pages(Protocol):
    """Where pages come from."""

    def page(self, name: str) -> str | None:
        """Give a page by its file's name; None when there is none such."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the browser.

    Attributes:
        status: Of HTTP.
        body: Bytes.
        kind: Media type.
        headers: More of them.
    """

    status: int
    body: bytes
    kind: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)


class App:
    """Pages and runs behind one function."""

    def __init__(self, site: Pages, runs: Runs):
        """Put pages and runs together.

        Args:
            site: The pages.
            runs: Of lesson 11.
        """
        self._site = site
        self._runs = runs

    def answer(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Answer a request.

        Args:
            method: "GET" or "POST".
            path: Below the place where the primer is mounted, without a slash in
                front.
            body: Of a POST, JSON.
        """
        try:
            return self._answer(method, path, body)
        except NotReadyError as error:
            text = _WAITING.format(seconds=WAIT_S, text=html.escape(str(error)))
            return Answer(503, text.encode(), _HTML, {"Retry-After": str(WAIT_S)})
        except HilumError as error:
            return _json(400, {"error": str(error)})

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        asked = re.fullmatch(r"api/train(?:/(\d{1,4})/(stop|model\.keras))?", path)
        if asked is None:
            text = self._site.page(path or "index.html") if method == "GET" else None
            if text is None:
                return _json(404, {"error": "There is no such page."})
            policy = f"{policy_of(text)}; frame-ancestors 'none'"
            return Answer(
                200, text.encode(), _HTML, {"Content-Security-Policy": policy}
            )
        number, what = asked.groups()
        if what == "model.keras" and method == "GET":
            name = f'attachment; filename="primer-{number}.keras"'
            return Answer(
                200,
                self._runs.network(int(number)),
                "application/zip",
                {"Content-Disposition": name},
            )
        if what == "stop" and method == "POST":
            self._runs.stop(int(number))
            return _json(200, {"id": int(number)})
        if what is None and method == "POST":
            return _json(200, {"id": self._runs.start(_parsed(body))})
        if what is None:
            has = self._runs.nodules is not None
            return _json(200, {"runs": self._runs.all(), "nodules": has})
        return _json(405, {"error": "That is not how to ask for it."})


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise InputError("The network's description is no JSON.") from error


def _json(status: int, tree: Any) -> Answer:
    return Answer(status, json.dumps(tree).encode())


def make_server(app: App, port: int = 0) -> ThreadingHTTPServer:
    """Bind a server for the primer; `serve_forever` of it answers.

    Args:
        app: What answers.
        port: To listen on; 0 for any that is free.

    Raises:
        InputError: The port cannot be had.
    """
    handler = type("Handler", (_Handler,), {"app": app})
    try:
        server = ThreadingHTTPServer((ADDRESS, port), handler)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"Cannot listen on port {port}: {error}. Give another with --port, or "
            "leave it out."
        ) from error
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    """Pass requests to the app, if they come from this computer's own pages."""

    app: App
    server_version = "hilum"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a request for a page or a state."""
        self._pass_on("GET", b"")

    def do_POST(self) -> None:
        """Answer a request to do something."""
        size = self.headers.get("Content-Length", "0")
        if not size.isdigit() or int(size) > MOST_BYTES:
            self._send(_json(413, {"error": "That is too much."}))
            return
        body = self.rfile.read(int(size))
        if self.headers.get_content_type() != _JSON:
            self._send(_json(415, {"error": "Only JSON is taken."}))
            return
        self._pass_on("POST", body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is for messages to the user."""

    def _pass_on(self, method: str, body: bytes) -> None:
        port = self.connection.getsockname()[1]
        own = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        origin = self.headers.get("Origin")
        strange = origin is not None and origin.removeprefix("http://") not in own
        if self.headers.get("Host") not in own or strange:
            self._send(_json(403, {"error": "Ask by the address of this server."}))
            return
        path = self.path.split("?", 1)[0].removeprefix("/")
        self._send(self.app.answer(method, path, body))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            **answer.headers,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)


def serve(
    app: App,
    page: str,
    *,
    port: int = 0,
    ready: Callable[[str], None] | None = None,
) -> str:
    """Serve the primer until it is interrupted.

    Args:
        app: What answers.
        page: The first page to show.
        port: To listen on; 0 for any that is free.
        ready: Called with the page's address once it can be asked for.

    Returns:
        The address.
    """
    with make_server(app, port) as server:
        address = f"http://{ADDRESS}:{server.server_port}/{page}"
        if ready is not None:
            ready(address)
        with suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.2)
    return address

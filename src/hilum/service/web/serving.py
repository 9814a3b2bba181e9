"""Running it: one process that serves the page and carries the jobs."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from hilum._optional import require
from hilum.errors import InputError
from hilum.service.jobs import Jobs, JobSettings, Target
from hilum.service.records.tokens import Tokens
from hilum.service.web.settings import WebSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_KEEP_ALIVE_S = 15
_CONNECTIONS = 512
_WAITING = 128


def serve(
    web: WebSettings,
    settings: JobSettings,
    *,
    targets: Mapping[str, Target] | None = None,
    beside: Callable[[Jobs], AbstractContextManager[Any]] | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve the page and carry the jobs until the process is told to stop.

    Args:
        web: Where to listen, whom to let in, how much to take.
        settings: How jobs are run and kept.
        targets: Name to what takes documents.
        beside: What runs beside the page on the same jobs, such as a DICOM node.
        started: Called with the address once it can be asked.

    Raises:
        InputError: The address or the folder cannot be used, or nobody could get in
            because a token is needed and there is none.
        MissingDependencyError: The extra `serve` is not installed.
    """
    require("fastapi", extra="serve", to="to serve the page")
    uvicorn = require("uvicorn", extra="serve", to="to serve the page")
    from hilum.service.web.app import make_app  # noqa: PLC0415  needs the extra

    jobs = Jobs(settings, targets=targets)
    try:
        if web.needs_token and not Tokens(jobs.database).list():
            raise InputError(
                "A token is needed, and there is none. Make one first: "
                "hilum token DATA --add NAME"
            )
        with listen(web) as listener, jobs, beside(jobs) if beside else nullcontext():
            server = uvicorn.Server(configure(make_app(jobs, web), web))
            if started is not None:
                started(address_of(web, listener))
            with _ending_on_term():
                server.run(sockets=[listener])
    finally:
        jobs.close()


@contextmanager
def _ending_on_term() -> Iterator[None]:
    """Turn SIGTERM into an orderly end: uvicorn raises it anew once it has stopped."""

    def end(_number: int, _frame: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def configure(app: ASGIApp, web: WebSettings) -> Any:
    """Say how uvicorn is to serve the application.

    Args:
        app: Of `make_app`.
        web: How the page is served.
    """
    uvicorn = require("uvicorn", extra="serve", to="to serve the page")
    from hilum.service.web.connections import (  # noqa: PLC0415  needs the extra
        PromptProtocol,
        ProxiedProtocol,
    )

    return uvicorn.Config(
        app,
        http=ProxiedProtocol if web.behind_proxy else PromptProtocol,
        log_level="warning",
        access_log=False,  # the audit log says who did what
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
        limit_concurrency=_CONNECTIONS,
        ssl_certfile=web.tls_cert,
        ssl_keyfile=web.tls_key,
    )


def listen(web: WebSettings) -> socket.socket:
    """Take the address, before anything else is begun.

    Args:
        web: Where to listen.

    Raises:
        InputError: The address is taken or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((web.host, web.port))
        listener.listen(_WAITING)  # who comes before the server runs waits for it
    except OSError as error:
        listener.close()
        raise InputError(
            f"Cannot listen on {web.host}, port {web.port}: "
            f"{error.strerror or type(error).__name__}. Name another with --port."
        ) from error
    return listener


def address_of(web: WebSettings, listener: socket.socket) -> str:
    """Give the address of the page.

    Args:
        web: How it is served.
        listener: What it listens on.
    """
    host = f"[{web.host}]" if ":" in web.host else web.host
    kind = "https" if web.tls_cert else "http"
    return f"{kind}://{host}:{listener.getsockname()[1]}"

"""What stands before every request: who may ask, how, and how often.

In this order: the Host header (against DNS rebinding), requests of other sites (against
CSRF; the API sends no CORS header, so other sites cannot read either), who asks, how
often they ask, and whether their role suffices. Every answer gets the headers that
close the browser's doors. What people saw and did goes into the audit log.

Sources:
    OWASP Cheat Sheets on CSRF (Fetch Metadata) and on HTTP headers; Go's
    net/http CrossOriginProtection, whose rule on Sec-Fetch-Site and Origin this is.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hilum.service.records.audit import Audit
from hilum.service.records.tokens import LOCAL, Tokens, User
from hilum.service.web.limits import Limiter
from hilum.service.web.problems import ProblemError, problem_response
from hilum.service.web.sessions import COOKIE, Sessions
from hilum.service.web.settings import WebSettings

_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())

SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
ASKING = ("/api/", "/primer/api/")
"""Where patients are asked about and networks trained; else are pages, open to all."""

OPEN = frozenset(("/api/health", "/api/session"))
"""What may be asked without a token: whether it works, and to sign in."""

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: "
    "blob:; connect-src 'self' data: blob:; font-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_STUDY = re.compile(r"^/api/(?:studies|jobs)/([0-9a-f]{32})(?:/(.*))?$")
_UPLOAD_PART = re.compile(r"^/api/uploads/[^/]+/files/")
_UPLOAD = re.compile(rf"{_UPLOAD_PART.pattern}|^/api/studies$")
_NO_HOST = re.compile(r"[/?#@\\\s]")
_BODY_BYTES, _BODY_S = 65_536, 20.0
_HANG_UP = {"Connection": "close"}
_SIGN_INS_PER_S, _SIGN_INS = 1 / 12, 10
_REPEATS_S, _MOST_REPEATS = 60.0, 1000


@dataclass(frozen=True, slots=True)
class Keys:
    """What the guard asks about people.

    Attributes:
        tokens: Who has one.
        sessions: Who is signed in.
        audit: Where it is noted.
    """

    tokens: Tokens
    sessions: Sessions
    audit: Audit


class Guard:
    """The middleware.

    Args:
        app: What it guards.
        settings: Whom to let in.
        keys: Tokens, sessions and the audit log.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings, keys: Keys) -> None:
        self._app, self._settings, self._keys = app, settings, keys
        self._hosts = {"localhost", *(name.lower() for name in settings.allow_hosts)}
        rate = settings.requests_per_s
        self._rate = Limiter(rate, max(8 * rate, 100))
        self._refused = Limiter(_SIGN_INS_PER_S, _SIGN_INS)
        self._noted: OrderedDict[tuple[str, str, str | None], float] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with what is wrong."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope)
        status = [500]

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                message["headers"] = self._with_headers(message["headers"], scope)
            await send(message)

        user: User | None = None
        try:
            self._check_host(request)
            self._check_site(request)
            user = await self._admit(request)
            receive = await _whole(request, receive)
        except ProblemError as error:
            answer = problem_response(error.status, error.detail, error.headers)
            await answer(scope, receive, guarded_send)
        else:
            scope["hilum.user"] = user
            try:
                await self._app(scope, receive, guarded_send)
            except Exception as error:  # noqa: BLE001  it was answered with a problem
                _log.error("A request failed (%s).", type(error).__name__)
        await self._note(request, user, status[0])

    def _check_host(self, request: Request) -> None:
        """Refuse names that are not ours: a page elsewhere may point them at us."""
        host = request.headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if _NO_HOST.search(host):  # a name and more, which might pass for a path
            name = ""
        if name.lower() in self._hosts:
            return
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise ProblemError(
                421,
                "The service does not go by this name. Start it with --allow-host "
                "and the name that is to be used.",
            ) from None

    def _check_site(self, request: Request) -> None:
        """Refuse changes that another site asks a browser for."""
        if request.method in SAFE:
            return
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        own = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        if site not in (None, "same-origin", "none") or not own:
            raise ProblemError(
                403, "Another site asked for this. Use the page of the service itself."
            )

    async def _admit(self, request: Request) -> User | None:
        """Tell who asks, or refuse."""
        path, address = path_of(request), client_of(request, self._settings)
        if not path.startswith(ASKING):
            return None
        needed = self.needs_token()  # one quick look; a thread would cost more
        user = None if needed else LOCAL
        if needed:
            if self._refused.look(address) > 0:
                raise _too_many(self._refused.look(address))
            user, tried = await asyncio.to_thread(self._find_user, request)
            if user is None and tried:
                self._refused.take(address)
        if not _UPLOAD_PART.match(path):
            wait_s = self._rate.take(user.name if user else address)
            if wait_s > 0:
                raise _too_many(wait_s)
        if path in OPEN:  # signing out included: it takes nothing from anyone
            return user
        if user is None:
            raise ProblemError(
                401,
                "A token is needed. Sign in, or send it as `Authorization: Bearer`.",
                {"WWW-Authenticate": "Bearer"},
            )
        if request.method not in SAFE and not user.may_write:
            raise ProblemError(403, "This token may look and change nothing.")
        return user

    def needs_token(self) -> bool:
        """Whether nobody gets in without a token: as told, or because there are any."""
        return self._settings.needs_token or bool(self._keys.tokens.list())

    def refuse(self, request: Request) -> None:
        """Count a wrong token against the address that it came from."""
        self._refused.take(client_of(request, self._settings))

    def _find_user(self, request: Request) -> tuple[User | None, bool]:
        """Tell who asks by token or cookie, and whether anything was tried."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._keys.tokens.find(token.strip()), True
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            return None, False
        name = self._keys.sessions.read(cookie)
        return (None if name is None else self._keys.tokens.named(name)), False

    def _with_headers(
        self, headers: list[tuple[bytes, bytes]], scope: Scope
    ) -> list[tuple[bytes, bytes]]:
        """Add what closes the doors of a browser."""
        names = {name.lower() for name, _value in headers}
        more = [pair for pair in _HEADERS if pair[0] not in names]
        if b"content-security-policy" not in names:
            more.append((b"content-security-policy", _CSP.encode()))
        if b"cache-control" not in names:  # the page itself may be kept, if asked for
            kept = not scope["path"].startswith(ASKING)
            more.append((b"cache-control", b"no-cache" if kept else b"no-store"))
        if self._settings.tls_cert or self._settings.behind_proxy:
            more.append(_HSTS)
        return [*headers, *more]

    async def _note(self, request: Request, user: User | None, status: int) -> None:
        """Write into the audit log what was seen or done, or refused."""
        what, job_id = describe(request)
        refused = status in (401, 403, 421)
        if what is None and not refused:
            return
        who = user.name if user else "nobody"
        what = what or "ask"
        if request.method in SAFE or refused:  # a page asks again and again
            key, now = (who, what, job_id), time.monotonic()
            if now - self._noted.get(key, -math.inf) < _REPEATS_S:
                return
            self._noted[key] = now
            if len(self._noted) > _MOST_REPEATS:
                self._noted.popitem(last=False)
        await asyncio.to_thread(
            self._keys.audit.note,
            who=who,
            address=client_of(request, self._settings),
            what=what,
            job_id=job_id,
            status=status,
        )


async def _whole(request: Request, receive: Receive) -> Receive:
    """Read a small body before the app has it, and give what hands it on.

    Uploads are read by their receiver, which has limits of its own.

    Raises:
        ProblemError: It is too long, or does not come.
    """
    names = request.headers
    if _UPLOAD.match(path_of(request)) and request.method in ("POST", "PUT"):
        return receive
    if names.get("content-length", "0") == "0" and "transfer-encoding" not in names:
        return receive
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ProblemError(400, "The request ended early. Send it again.")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > _BODY_BYTES:
                    raise ProblemError(
                        413,
                        f"At most {_BODY_BYTES} bytes are taken here. Send studies "
                        "by POST to /api/studies.",
                        _HANG_UP,
                    )
    except TimeoutError:
        raise ProblemError(
            408, "The request stopped. Send it again.", _HANG_UP
        ) from None
    first: list[Message] = [{"type": "http.request", "body": bytes(body)}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


def path_of(request: Request) -> str:
    """Give the path that the routes go by, which no Host header has a part in.

    Args:
        request: The request.
    """
    return str(request.scope["path"])


def client_of(request: Request, settings: WebSettings) -> str:
    """Give the address that asks; behind a proxy the one that the proxy saw.

    Args:
        request: The request.
        settings: Say whether there is a proxy.
    """
    if settings.behind_proxy:
        seen = request.headers.get("x-forwarded-for", "")
        if seen:
            return seen.rpartition(",")[2].strip()[:64]
    return request.client.host if request.client else "unknown"


def describe(request: Request) -> tuple[str | None, str | None]:
    """Say in words what a request sees or does, and of which study; None: nothing.

    Args:
        request: The request.
    """
    method, path = request.method, path_of(request)
    if path.startswith("/primer/api/") and method == "POST":
        return "train or stop a network", None
    if not path.startswith("/api/"):
        return None, None
    match = _STUDY.match(path)
    if match:
        rest = (match[2] or "").split("/")[0]
        verb = {"GET": "see", "HEAD": "see", "DELETE": "remove"}.get(method, "change")
        if path.startswith("/api/jobs/"):
            return (f"{rest} job" if rest and method == "POST" else None), match[1]
        return f"{verb} {rest or 'study'}", match[1]
    if method in SAFE:
        named = {"/api/studies": "list studies", "/api/audit": "see audit log"}
        named["/api/annotations.csv"] = "export annotations"
        return named.get(path), None
    if _UPLOAD_PART.match(path):
        return None, None
    kind = path.split("/")[2]
    return {"session": "sign in or out", "uploads": "upload", "studies": "upload"}.get(
        kind, f"{method.lower()} {kind}"
    ), None


def _too_many(wait_s: float) -> ProblemError:
    return ProblemError(
        429,
        "Too many requests. Wait a little.",
        {"Retry-After": str(math.ceil(wait_s))},
    )


def user_of(request: Request) -> User:
    """Give who asks; the guard has let them in.

    Args:
        request: The request.

    Raises:
        ProblemError: Nobody was let in.
    """
    user: Any = request.scope.get("hilum.user")
    if not isinstance(user, User):
        raise ProblemError(401, "A token is needed.", {"WWW-Authenticate": "Bearer"})
    return user

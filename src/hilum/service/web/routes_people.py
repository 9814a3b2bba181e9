"""Who asks, whether the service can work, and what was noted of whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from hilum._version import __version__
from hilum.service.web.context import context_of
from hilum.service.web.guard import user_of
from hilum.service.web.models import (
    AuditEntry,
    AuditLog,
    Credentials,
    Health,
    JobId,
    Session,
)
from hilum.service.web.problems import ProblemError, described
from hilum.service.web.sessions import COOKIE

router = APIRouter(prefix="/api", tags=["people"])


@router.get("/health", responses=described())
def health(request: Request) -> Health:
    """Tell whether the service can work, and how many studies wait."""
    jobs = context_of(request).jobs
    trouble = jobs.trouble()
    return Health(
        status="ok" if trouble is None else "degraded",
        trouble=trouble,
        version=__version__,
        waiting=len(jobs.list(states=("queued", "running"))),
    )


@router.get("/session", responses=described())
def session(request: Request) -> Session:
    """Tell who asks."""
    user = request.scope.get("hilum.user")
    needed = request.app.state.needs_token()
    return Session(
        name=None if user is None else user.name,
        role=None if user is None else user.role,
        needs_token=needed,
    )


@router.post("/session", responses=described())
def sign_in(request: Request, credentials: Credentials, response: Response) -> Session:
    """Sign in with a token; a cookie then stands for it."""
    context = context_of(request)
    user = context.tokens.find(credentials.token)
    if user is None:
        request.app.state.refuse(request)
        raise ProblemError(
            401, "This is no token of this service.", {"WWW-Authenticate": "Bearer"}
        )
    settings = context.settings
    response.set_cookie(
        COOKIE,
        context.sessions.make(user.name),
        max_age=context.sessions.seconds,
        httponly=True,
        samesite="strict",
        secure=settings.tls_cert is not None or settings.behind_proxy,
        path="/",
    )
    return Session(name=user.name, role=user.role, needs_token=True)


@router.delete("/session", status_code=204, responses=described())
def sign_out(response: Response) -> None:
    """Sign out."""
    response.delete_cookie(COOKIE, path="/")


@router.get("/audit", responses=described())
def audit(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    study: Annotated[JobId | None, Query()] = None,
) -> AuditLog:
    """List who saw and did what, the newest first; needs the role "write"."""
    if not user_of(request).may_write:
        raise ProblemError(403, "The audit log needs a token with the role `write`.")
    entries = context_of(request).audit.list(limit=limit, job_id=study)
    return AuditLog(entries=[AuditEntry(**entry.to_json()) for entry in entries])

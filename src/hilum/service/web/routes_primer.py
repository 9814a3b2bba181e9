"""The primer on the service's own address, behind the same guard.

Its pages are of the synthetic chest and of no patient, so they are open like the page
itself; what trains a network lies below `/primer/api/` and needs what `/api/` needs.
"""

from __future__ import annotations

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from hilum.primer.server import MOST_BYTES, App
from hilum.service.web.problems import ProblemError

router = APIRouter(prefix="/primer", include_in_schema=False)


@router.get("")
def enter() -> Response:
    """Lead to the list of lessons, beside which the lessons are."""
    return RedirectResponse("/primer/")


@router.get("/{path:path}")
def look(request: Request, path: str) -> Response:
    """Give a page, how far a training is, or its network."""
    return _answered(request, "GET", path, b"")


@router.post("/{path:path}")
async def act(request: Request, path: str) -> Response:
    """Train a network, or stop it.

    Raises:
        ProblemError: It is no JSON, or too long.
    """
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise ProblemError(
            415, "Only JSON is taken. Send it as `Content-Type: application/json`."
        )
    body = await request.body()  # the guard has read it, and not too long
    if len(body) > MOST_BYTES:
        raise ProblemError(413, f"A network takes at most {MOST_BYTES} bytes.")
    return await run_sync(_answered, request, "POST", path, body)


def _answered(request: Request, method: str, path: str, body: bytes) -> Response:
    """Pass a request on to the primer."""
    primer: App = request.app.state.primer
    answer = primer.answer(method, path, body)
    return Response(
        answer.body, answer.status, headers=answer.headers, media_type=answer.kind
    )

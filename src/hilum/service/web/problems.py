"""Errors as JSON that says what is wrong and what to do (RFC 9457).

An answer never holds a traceback, a path or an identifier of a patient.

Sources:
    RFC 9457, "Problem Details for HTTP APIs".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from hilum.errors import HilumError, InputError
from hilum.service.jobs.store import explain

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """An answer that is an error.

    Args:
        status: HTTP status.
        detail: What is wrong, and what to do.
        headers: More headers, such as Retry-After.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Make the answer of a problem.

    Args:
        status: HTTP status.
        detail: What is wrong, and what to do.
        headers: More headers.
    """
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    return Response(
        json.dumps(body), status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def add_handlers(app: FastAPI) -> None:
    """Turn whatever a route raises into a problem.

    Args:
        app: Gets the handlers.
    """

    @app.exception_handler(ProblemError)
    async def problem(_request: Request, error: ProblemError) -> Response:
        return problem_response(error.status, error.detail, error.headers)

    @app.exception_handler(HilumError)
    async def known(_request: Request, error: HilumError) -> Response:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno:
            return _disk_problem(cause)
        status = 422 if isinstance(error, InputError) else 500
        return problem_response(status, str(error))

    @app.exception_handler(OSError)
    async def disk(_request: Request, error: OSError) -> Response:
        return _disk_problem(error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        return problem_response(error.status_code, str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        said = [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        return problem_response(422, "; ".join(said))

    @app.exception_handler(Exception)
    async def unknown(_request: Request, _error: Exception) -> Response:
        return problem_response(500, "The service failed. Look into its log.")


def _methods(request: Request) -> set[str]:
    """Name the methods of a path: each has a route of its own, and Allow wants all."""
    path = request.url.path
    found = set()
    for shape, route in request.app.openapi()["paths"].items():
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(shape))
        if re.fullmatch(pattern, path):
            found |= {method.upper() for method in route}
    return found


def _disk_problem(error: OSError) -> Response:
    detail = explain(error)
    status = 507 if "full" in detail else 503
    return problem_response(status, detail, {"Retry-After": "30"})


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route for OpenAPI.

    Args:
        statuses: Those beside the ones that every route may give.
    """
    common = (400, 401, 403, 408, 413, 421, 422, 429, 503)
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: schema},
        }
        for status in sorted({*common, *statuses})
    }

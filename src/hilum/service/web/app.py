"""The application: the routes, the page, and the guard before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from hilum._version import __version__
from hilum.primer.press import Press
from hilum.primer.runs import Runs
from hilum.primer.server import App
from hilum.service.jobs import Jobs
from hilum.service.jobs.aligning import Aligner
from hilum.service.records.annotations import Annotations
from hilum.service.records.audit import Audit
from hilum.service.records.tokens import Tokens
from hilum.service.web import (
    routes_people,
    routes_primer,
    routes_results,
    routes_studies,
)
from hilum.service.web.context import Context
from hilum.service.web.guard import Guard, Keys
from hilum.service.web.models import Problem
from hilum.service.web.problems import add_handlers
from hilum.service.web.receiving import Receiver
from hilum.service.web.sessions import Sessions
from hilum.service.web.settings import WebSettings

STATIC = Path(__file__).parents[1] / "static"


def make_app(jobs: Jobs, settings: WebSettings) -> ASGIApp:
    """Make the application of a service whose jobs run.

    Args:
        jobs: Within their `with` block.
        settings: Whom to let in, and how much to take.
    """
    keys = Keys(
        Tokens(jobs.database),
        Sessions(jobs.store.secret(), settings.session_hours),
        Audit(jobs.database),
    )
    runs, pages = Runs(), Press()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with runs, pages:
            yield

    app = FastAPI(
        lifespan=lifespan,
        title="hilum",
        version=__version__,
        description="Reads a chest CT. For research and teaching; no medical device.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # they load from a CDN
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.context = _context(jobs, settings, keys)
    app.state.primer = App(pages, runs)
    for routes in (routes_people, routes_studies, routes_results, routes_primer):
        app.include_router(routes.router)
    add_handlers(app)
    _add_problem_schema(app)
    _add_page(app)
    guard = Guard(app, settings, keys)
    app.state.needs_token = guard.needs_token
    app.state.refuse = guard.refuse
    return guard


def _context(jobs: Jobs, settings: WebSettings, keys: Keys) -> Context:
    """Gather what the routes work with."""
    return Context(
        jobs=jobs,
        settings=settings,
        receiver=Receiver(jobs.store, settings),
        annotations=Annotations(jobs.database),
        audit=keys.audit,
        tokens=keys.tokens,
        sessions=keys.sessions,
        aligner=Aligner(jobs.store),
    )


def _add_page(app: FastAPI) -> None:
    """Serve the page and its files."""
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")


def _add_problem_schema(app: FastAPI) -> None:
    """Put the schema of a problem where the routes point to."""
    whole = app.openapi

    def openapi() -> dict[str, object]:
        tree = whole()
        schemas = tree.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        return tree

    app.openapi = openapi  # type: ignore[method-assign]

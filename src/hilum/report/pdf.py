"""The page on paper: the same HTML, laid out as A4 by WeasyPrint.

Nothing is fetched: whatever is not inside the page is refused. The same assessment
and volume give the same bytes, on one computer: the typefaces are those installed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hilum._optional import require
from hilum.findings import Assessment
from hilum.formats.atomic import replacing, writing
from hilum.report.details import NoduleDetails
from hilum.report.page import render_page
from hilum.volume import CTVolume

EXTRA = "pdf"


def render_pdf(
    assessment: Assessment,
    volume: CTVolume,
    *,
    details: Sequence[NoduleDetails] = (),
) -> bytes:
    """Lay the page out on A4.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from.
        details: As for `render_page`.

    Returns:
        A PDF.

    Raises:
        InputError: The page cannot be made; see `render_page`.
        MissingDependencyError: WeasyPrint is not installed.
    """
    weasyprint = require("weasyprint", extra=EXTRA, to="to write PDF")
    urls = require("weasyprint.urls", extra=EXTRA, to="to write PDF")
    plain = tuple(map(_without_heat, details))
    html = render_page(assessment, volume, details=plain)
    fetcher = urls.URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    with _quiet():
        document = weasyprint.HTML(string=html, url_fetcher=fetcher)
        written: bytes = document.write_pdf(pdf_tags=True)
    return written


def write_pdf(
    assessment: Assessment,
    volume: CTVolume,
    path: Path,
    *,
    details: Sequence[NoduleDetails] = (),
) -> None:
    """Write the page as a PDF file.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from.
        path: The file, such as `report.pdf`; replaced when it exists.
        details: As for `render_page`.

    Raises:
        InputError: The page cannot be made, or the file cannot be written.
        MissingDependencyError: WeasyPrint is not installed.
    """
    written = render_pdf(assessment, volume, details=details)
    with writing(path), replacing(path) as file:
        file.write(written)


def _without_heat(known: NoduleDetails) -> NoduleDetails:
    """Leave out the colours, which paper cannot switch on."""
    if known.explanation is None:
        return known
    return replace(known, explanation=replace(known.explanation, heat=None))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user which styles for screens mean nothing on paper."""
    logger = logging.getLogger("weasyprint")

    def errors_alone(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger.addFilter(errors_alone)
    try:
        yield
    finally:
        logger.removeFilter(errors_alone)

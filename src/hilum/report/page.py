"""The report as one HTML page that needs nothing else.

Style and pictures are inside the page, it holds no script, and its policy
(Content-Security-Policy) forbids the browser to fetch anything. The same
assessment and volume give the same bytes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from hilum._names import name_of
from hilum.errors import InputError
from hilum.findings import Assessment
from hilum.formats.atomic import replacing
from hilum.report.figures import MARKED
from hilum.report.view import PICTURED, page_view
from hilum.volume import CTVolume


def render_page(assessment: Assessment, volume: CTVolume) -> str:
    """Write an assessment as a page for a radiologist's two minutes.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from; its key images go into the page.

    Returns:
        A complete HTML document.

    Raises:
        InputError: The assessment is of another series than the volume, or a
            nodule lies outside the volume.
    """
    if assessment.series_uid != volume.series_uid:
        raise InputError(
            f"The assessment is of series {assessment.series_uid}, the volume of "
            f"series {volume.series_uid}. Read the series that was assessed."
        )
    return _template().render(
        page=page_view(assessment, volume), pictured=PICTURED, marked=MARKED
    )


def write_page(assessment: Assessment, volume: CTVolume, path: Path) -> None:
    """Write the page to a file.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from.
        path: The file, such as `report.html`; replaced when it exists.

    Raises:
        InputError: The page cannot be made, or the file cannot be written.
    """
    text = render_page(assessment, volume)
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise InputError(
            f"Cannot write `{name_of(path)}`: {error.strerror}. "
            "Give a file in a folder that exists and may be written to."
        ) from error


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("hilum.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")

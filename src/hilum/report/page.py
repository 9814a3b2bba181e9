"""The report as one HTML page that needs nothing else.

Style, pictures and one script are inside the page, and its policy
(Content-Security-Policy) forbids the browser to fetch anything or to run another
script. The script sorts the table; without it the page says the same. The same
assessment and volume give the same bytes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from hilum._names import name_of
from hilum.errors import InputError
from hilum.findings import Assessment
from hilum.formats.atomic import replacing
from hilum.report.cards import PICTURED
from hilum.report.details import NoduleDetails
from hilum.report.figures import MARKED
from hilum.report.view import page_view
from hilum.volume import CTVolume


def render_page(
    assessment: Assessment,
    volume: CTVolume,
    *,
    details: Sequence[NoduleDetails] = (),
) -> str:
    """Write an assessment as a page for a radiologist's two minutes.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from; its key images go into the page.
        details: What else is known of the nodules, in the order of the assessment:
            outlines, why they were rated so, how they changed.

    Returns:
        A complete HTML document.

    Raises:
        InputError: The assessment is of another series than the volume, a nodule
            lies outside the volume, or the details are not of these nodules.
    """
    if assessment.series_uid != volume.series_uid:
        raise InputError(
            f"The assessment is of series {assessment.series_uid}, the volume of "
            f"series {volume.series_uid}. Read the series that was assessed."
        )
    script = _script()
    digest = b64encode(sha256(script.encode()).digest()).decode("ascii")
    return _template().render(
        page=page_view(assessment, volume, details),
        pictured=PICTURED,
        marked=MARKED,
        script=script,
        script_hash=f"sha256-{digest}",
    )


def write_page(
    assessment: Assessment,
    volume: CTVolume,
    path: Path,
    *,
    details: Sequence[NoduleDetails] = (),
) -> None:
    """Write the page to a file.

    Args:
        assessment: What was concluded.
        volume: What it was concluded from.
        path: The file, such as `report.html`; replaced when it exists.
        details: As for `render_page`.

    Raises:
        InputError: The page cannot be made, or the file cannot be written.
    """
    text = render_page(assessment, volume, details=details)
    try:
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise InputError(
            f"Cannot write `{name_of(path)}`: {error.strerror}. "
            "Give a file in a folder that exists and may be written to."
        ) from error


@cache
def _script() -> str:
    """Read the script of the page."""
    return (files("hilum.report") / "templates" / "page.js").read_text("utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("hilum.report"),
        autoescape=True,
        undefined=StrictUndefined,
        newline_sequence="\n",
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")

"""The folder that `hilum data check --out` writes: tables, plots and a page."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum._optional import require
from hilum.formats.atomic import replacing, writing

if TYPE_CHECKING:
    from hilum.datasets.checking import DataCheck, ScanFacts

PLOTS = {
    "slice_spacing_mm": "slice spacing, mm",
    "slice_thickness_mm": "slice thickness, mm",
    "pixel_mm": "pixel, mm",
    "slices": "slices",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2rem .6rem;"
    "text-align:left}img{max-width:100%}"
)


class Report:
    """A folder with what a check found, written as it goes."""

    def __init__(self, folder: Path):
        """Begin the table of scans.

        Raises:
            InputError: The folder cannot be written to.
            MissingDependencyError: Matplotlib is missing.
        """
        from hilum.datasets.checking import ScanFacts  # noqa: PLC0415  imports this

        require("matplotlib", extra="train", to="to draw the spread of spacings")
        self.folder = folder
        self.columns = [item.name for item in fields(ScanFacts)]
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "scans.csv").open("w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(self.columns)

    def add(self, scan: ScanFacts) -> None:
        """Add a line to scans.csv."""
        tree = scan.to_json()
        row = [tree[name] for name in self.columns]
        row = [" ".join(v) if isinstance(v, list) else v for v in row]
        with (
            writing(self.folder / "scans.csv"),
            (self.folder / "scans.csv").open("a", newline="", encoding="utf-8") as file,
        ):
            csv.writer(file, lineterminator="\n").writerow(row)

    def write(self, check: DataCheck, scans: Sequence[ScanFacts]) -> None:
        """Write check.json, spacing.png and check.html."""
        picture = draw_spreads(scans)
        page = _page(check, picture)
        text = json.dumps(check.to_json(), indent=2) + "\n"
        made = {"check.json": text.encode(), "spacing.png": picture, "check.html": page}
        for name, content in made.items():
            with writing(self.folder / name), replacing(self.folder / name) as file:
                file.write(content)


def draw_spreads(scans: Sequence[ScanFacts]) -> bytes:
    """Draw how spacing, thickness, pixels and slices spread over scans, as PNG.

    Raises:
        MissingDependencyError: Matplotlib is missing.
    """
    figures = require("matplotlib.figure", extra="train", to="to draw the spread")
    figure = figures.Figure(figsize=(8, 5.2), dpi=100, layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    for axes, (name, label) in zip(panels, PLOTS.items(), strict=True):
        values = [v for scan in scans if (v := getattr(scan, name)) is not None]
        axes.set_xlabel(label)
        axes.set_ylabel("scans")
        if values:
            axes.hist(values, bins=min(30, max(5, len(set(values)))), color="#35608f")
        else:
            axes.text(0.5, 0.5, "not told", ha="center", transform=axes.transAxes)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _page(check: DataCheck, picture: bytes) -> bytes:
    """Write the page; it needs nothing beside it."""
    verdict = "Nothing was found that is wrong." if check.ok else "Something is wrong."
    counts = {
        "scans": check.cases,
        "of patients": check.patients,
        "that can be read": check.readable,
        "nodules marked": check.nodules,
        "of them outside their scan": check.outside,
    }
    image = base64.b64encode(picture).decode()
    parts = [
        f"<h1>Data set of layout {check.layout}</h1><p><strong>{verdict}</strong></p>",
        _table("What is there", counts),
        _list("What is missing", [gap.message for gap in check.gaps]),
        _list(
            "What would spoil a split", [_leak(x.code, x.cases) for x in check.leaks]
        ),
        _list("The same pixels", [", ".join(names) for names in check.duplicates]),
        _list(
            "What cannot be read",
            [f"{len(ids)} scans: {reason}" for reason, ids in check.unreadable.items()],
        ),
        f'<h2>Spacing</h2><img alt="Histograms of slice spacing, slice thickness, '
        f'pixel and slices" src="data:image/png;base64,{image}">',
        _table("Parts of the split", check.folds),
        _table("Labels of patients", check.labels),
        _table("Reconstruction kernels", check.kernels),
        _table("Notices of reading", check.notices),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Check of a data set</title><style>{_STYLE}</style></head><body>"
        f"{''.join(parts)}</body></html>\n"
    ).encode()


def _leak(code: str, cases: Sequence[str]) -> str:
    return f"{code.replace('-', ' ')}: {', '.join(cases)}"


def _table(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{value}</td></tr>"
        for name, value in values.items()
    )
    return f"<h2>{title}</h2><table>{rows}</table>"


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return f"<h2>{title}</h2><ul>{items}</ul>"

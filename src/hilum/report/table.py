"""One assessment as one row, for tables of cohorts.

`COLUMNS` is the order and the meaning of every column. Lengths are mm, probabilities
lie in [0, 1], an empty cell is not known or not given. Out of scope the row has its
reasons and measurements, and no probability that was not asked for.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from hilum.findings import Assessment, Nodule, Probability
from hilum.formats.atomic import replacing, writing
from hilum.report.words import advice

COLUMNS = {
    "series_uid": "Series Instance UID",
    "in_scope": "yes, or no: the figures do not hold for this scan",
    "scope_reasons": "why not, or what was noted; parted by ' | '",
    "cancer_probability": "that the patient has lung cancer",
    "cancer_probability_low": "lower end of its interval",
    "cancer_probability_high": "upper end of its interval",
    "nodules": "how many were kept",
    "lung_rads": "category of Lung-RADS v2022, of the most suspicious nodule",
    "lung_rads_possible": "the range of categories where size or kind is in doubt",
    "fleischner": "recommendation of Fleischner 2017, or all where facts are missing, "
    "or why it does not apply",
    "brock_probability": "of the most suspicious nodule, by the Brock model",
    "mayo_probability": "of the most suspicious nodule, by the Mayo model",
    "top_x_mm": "centre of the most suspicious nodule, LPS",
    "top_y_mm": "see top_x_mm",
    "top_z_mm": "see top_x_mm",
    "top_type": "solid, part-solid, ground-glass or calcified",
    "top_side": "lung: left or right",
    "top_lobe": "lobe",
    "top_diameter_mm": "mean of long and short axis",
    "top_long_axis_mm": "longest diameter on the axial slice where it is largest",
    "top_short_axis_mm": "longest diameter at right angles to it",
    "top_volume_mm3": "volume, mm³",
    "top_solid_diameter_mm": "of the solid part; 0 for ground glass",
    "top_detection_score": "ranks; is no probability",
    "top_malignancy": "as radiologists would rate it",
    "top_malignancy_low": "lower end of its interval",
    "top_malignancy_high": "upper end of its interval",
    "notices": "codes of what there is to doubt, each once; parted by a space",
    "version": "of hilum",
}
"""Name of each column, in order, to what it holds."""


def to_row(assessment: Assessment) -> dict[str, str]:
    """Give the cells of one assessment.

    Args:
        assessment: What was concluded.

    Returns:
        The names of `COLUMNS`, in order, to text.
    """
    said = assessment.guidelines
    cells: dict[str, Any] = {
        "series_uid": assessment.series_uid,
        "in_scope": "yes" if assessment.scope.in_scope else "no",
        "scope_reasons": " | ".join(assessment.scope.reasons),
        **_probability("cancer_probability", assessment.cancer_probability),
        "nodules": len(assessment.nodules),
        "lung_rads": _said(said.lung_rads, "category"),
        "lung_rads_possible": _said(said.lung_rads, "possible"),
        "fleischner": advice(said.fleischner)
        or _said(said.fleischner, "not_applicable"),
        "brock_probability": _middle(said.brock),
        "mayo_probability": _middle(said.mayo),
        "notices": " ".join(dict.fromkeys(n.code for n in assessment.notices)),
        "version": assessment.provenance.version,
    }
    if assessment.nodules:
        cells |= _top(assessment.nodules[0])
    return {name: _text(cells.get(name)) for name in COLUMNS}


def write_csv(assessment: Assessment, path: Path) -> None:
    """Write the row of an assessment below its header.

    Args:
        assessment: What was concluded.
        path: The file, such as `assessment.csv`, UTF-8; replaced when it exists.

    Raises:
        InputError: The file cannot be written.
    """
    table = io.StringIO(newline="")
    rows = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    rows.writeheader()
    rows.writerow(to_row(assessment))
    with writing(path), replacing(path) as file:
        file.write(table.getvalue().encode())


def _top(nodule: Nodule) -> dict[str, Any]:
    """Describe the most suspicious nodule."""
    x, y, z = (round(value, 2) for value in nodule.center_mm)
    return {
        "top_x_mm": x,
        "top_y_mm": y,
        "top_z_mm": z,
        "top_type": nodule.type,
        "top_side": nodule.side,
        "top_lobe": nodule.lobe,
        "top_diameter_mm": round(nodule.diameter_mm, 2),
        "top_long_axis_mm": round(nodule.long_axis_mm, 2),
        "top_short_axis_mm": round(nodule.short_axis_mm, 2),
        "top_volume_mm3": round(nodule.volume_mm3, 1),
        "top_solid_diameter_mm": round(nodule.solid_diameter_mm, 2),
        "top_detection_score": round(nodule.detection_score, 4),
        **_probability("top_malignancy", nodule.malignancy),
    }


def _probability(name: str, said: Probability) -> dict[str, float | None]:
    """Give value and interval, under the name and with its ends."""
    return {name: said.value, f"{name}_low": said.low, f"{name}_high": said.high}


def _said(line: dict[str, Any] | None, *keys: str) -> Any:
    """Give the first of some entries that a guideline has."""
    found = (line.get(key) for key in keys) if line else ()
    return next((value for value in found if value is not None), None)


def _middle(line: dict[str, Any] | None) -> Any:
    """Give the probability of a model, with or without an interval."""
    value = _said(line, "probability")
    return value.get("value") if isinstance(value, dict) else value


def _text(value: Any) -> str:
    """Write a cell; probabilities with six decimals, nothing where nothing is known.

    A text that a spreadsheet would take for a formula is led by an apostrophe.
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text

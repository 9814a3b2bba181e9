"""The operations as a workbook with live formulas: change a cell and see.

One sheet an idea. Cells with a yellow ground are inputs; all else is computed by the
spreadsheet, with formulas that Excel and LibreOffice share. `RANGES` says where things
stand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hilum._optional import require
from hilum.errors import InputError
from hilum.formats.atomic import replacing, writing
from hilum.primer.lessons.deciding import BIAS, CLASSES, INPUTS, KERNEL
from hilum.primer.lessons.filters import EDGE, MATRIX, letter
from hilum.primer.lessons.norms import NODULES
from hilum.primer.lessons.pooling import MATRIX as TO_POOL

Rows = Sequence[Sequence[Any]]

RANGES: dict[str, dict[str, str]] = {
    "1D": {
        "signal": "D5:L5", "kernel": "B8:D8", "flipped": "B10:D10",
        "convolution": "B13:L13", "correlation": "B15:L15",
    },
    "2D": {"matrix": "B5:H11", "filter": "J5:L7", "bias": "J10", "result": "N5:R9"},
    "Letter": {"image": "B5:Q20", "filter": "S5:U7", "result": "B24:O37"},
    "Activations": {"slope": "J4", "alpha": "J5", "table": "A6:H46"},
    "Pooling": {"matrix": "B5:I12", "max": "K5:N8", "average": "K11:N14"},
    "Softmax": {
        "features": "B5:E5", "weights": "B8:D11", "bias": "B14:D14",
        "temperature": "G5", "scores": "B17:D17", "probabilities": "B20:D20",
    },
    "Batch norm": {
        "values": "B5:C10", "gamma": "F5", "beta": "F6", "epsilon": "F7",
        "mean": "B12:C12", "variance": "B13:C13", "normalised": "H5:I10",
    },
}  # fmt: skip
"""Cells of each sheet, by what they hold."""


def write_sheet(path: str | Path) -> Path:
    """Write the workbook.

    Args:
        path: Ends in .xlsx; replaced when it exists.

    Returns:
        The path.

    Raises:
        InputError: The name ends otherwise, or the file cannot be written.
        MissingDependencyError: openpyxl is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != ".xlsx":
        raise InputError(f"`{path.name}` is no name of a workbook; end it in .xlsx.")
    openpyxl = require("openpyxl", extra="primer", to="to write a workbook")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, (head, fill) in _SHEETS.items():
        sheet = _Sheet(book.create_sheet(name), RANGES[name])
        sheet.head(head)
        fill(sheet)
    with writing(path), replacing(path) as file:
        book.save(file)
    return path


class _Sheet:
    """A sheet with named ranges; inputs are yellow."""

    def __init__(self, sheet: Any, ranges: dict[str, str]):
        self._sheet = sheet
        self._ranges = ranges
        sheet.sheet_view.showGridLines = False
        sheet.column_dimensions["A"].width = 14

    def head(self, lines: Sequence[str]) -> None:
        """Write the title and what to do."""
        styles = require("openpyxl.styles", extra="primer", to="to write a workbook")
        for row, text in enumerate(lines, 1):
            cell = self._sheet.cell(row, 1, text)
            cell.font = styles.Font(bold=row == 1, size=14 if row == 1 else 11)

    def put(self, name: str, rows: Rows, *, label: str = "") -> None:
        """Write inputs, with a label in the row above."""
        styles = require("openpyxl.styles", extra="primer", to="to write a workbook")
        for cell, value in zip(self._cells(name, label), _flat(rows), strict=True):
            cell.value = value
            cell.fill = styles.PatternFill("solid", fgColor="FFF3C4")

    def compute(
        self, name: str, formula: Callable[[int, int], str], *, label: str = ""
    ) -> None:
        """Write formulas; `formula` gets row and column within the range, from 0."""
        cells = self._cells(name, label)
        first = cells[0]
        for cell in cells:
            cell.value = "=" + formula(cell.row - first.row, cell.column - first.column)
            cell.number_format = "0.000"

    def colour(self, name: str) -> None:
        """Colour a range by its values: blue low, white 0, orange high."""
        rules = require(
            "openpyxl.formatting.rule", extra="primer", to="to write a workbook"
        )
        scale = rules.ColorScaleRule(
            start_type="min", start_color="6FA8DC", mid_type="num", mid_value=0,
            mid_color="FFFFFF", end_type="max", end_color="F2A65A",
        )  # fmt: skip
        self._sheet.conditional_formatting.add(self._ranges[name], scale)

    def narrow(self, columns: str) -> None:
        """Make columns as narrow as their rows are high."""
        for letter_ in columns:
            self._sheet.column_dimensions[letter_].width = 6

    def at(
        self, name: str, row: int = 0, column: int = 0, *, fixed: bool = False
    ) -> str:
        """Name one cell of a range, with $ where formulas must not move it."""
        first = self._sheet[self._ranges[name].split(":")[0]]
        cell = self._sheet.cell(first.row + row, first.column + column)
        return f"${cell.column_letter}${cell.row}" if fixed else str(cell.coordinate)

    def box(self, name: str, row: int, column: int, size: tuple[int, int]) -> str:
        """Name a box of cells inside a range."""
        last = self.at(name, row + size[0] - 1, column + size[1] - 1)
        return f"{self.at(name, row, column)}:{last}"

    def whole(self, name: str) -> str:
        """Name all of a range, fixed."""
        first, last = self._ranges[name].split(":")
        return ":".join(
            f"${self._sheet[c].column_letter}${self._sheet[c].row}"
            for c in (first, last)
        )

    def note(self, place: str, said: str | int) -> None:
        """Write a few words, or a number that is no input."""
        self._sheet[place].value = said

    def _cells(self, name: str, label: str) -> list[Any]:
        found = self._sheet[self._ranges[name]]
        rows = found if isinstance(found, tuple) else ((found,),)
        if label:
            first = rows[0][0]
            self._sheet.cell(first.row - 1, first.column, label)
        return [cell for row in rows for cell in row]


def _flat(rows: Rows) -> list[Any]:
    return [value for row in rows for value in row]


def _one_dimension(sheet: _Sheet) -> None:
    sheet.put("signal", [[0, 0, 1, 1, 1, 1, 0, 0, 0]], label="signal, 0 on both sides")
    for place in ("B5", "C5", "M5", "N5"):
        sheet.note(place, 0)
    sheet.put("kernel", [[1, 2, 4]], label="kernel")
    sheet.compute("flipped", lambda _, c: sheet.at("kernel", 0, 2 - c), label="flipped")

    def window(column: int) -> str:  # the signal with two zeros in front starts at B5
        return f"{chr(66 + column)}$5:{chr(68 + column)}$5"

    sheet.compute(
        "convolution",
        lambda _, c: f"SUMPRODUCT({window(c)},{sheet.whole('flipped')})",
        label="convolution: with the flip",
    )
    sheet.compute(
        "correlation",
        lambda _, c: f"SUMPRODUCT({window(c)},{sheet.whole('kernel')})",
        label="cross-correlation: without, as in networks",
    )


def _two_dimensions(sheet: _Sheet) -> None:
    sheet.put("matrix", MATRIX, label="matrix")
    sheet.put("filter", EDGE, label="filter")
    sheet.put("bias", [[0]], label="bias")
    sheet.compute(
        "result",
        lambda r, c: (
            f"SUMPRODUCT({sheet.box('matrix', r, c, (3, 3))},{sheet.whole('filter')})"
            f"+{sheet.at('bias', fixed=True)}"
        ),
        label="result",
    )
    sheet.colour("result")
    sheet.narrow("BCDEFGHJKLNOPQR")


def _letter(sheet: _Sheet) -> None:
    sheet.put("image", letter(), label="the letter A")
    sheet.put(
        "filter",
        [[0.8, -0.3, 0.5], [-1.2, 0.4, 0.9], [0.1, -0.7, -0.6]],
        label="filter",
    )
    sheet.compute(
        "result",
        lambda r, c: (
            f"SUMPRODUCT({sheet.box('image', r, c, (3, 3))},{sheet.whole('filter')})"
        ),
        label="what the filter answers",
    )
    sheet.colour("image")
    sheet.colour("result")
    sheet.narrow("BCDEFGHIJKLMNOPQSTU")


def _activations(sheet: _Sheet) -> None:
    sheet.note("I4", "slope of leaky ReLU")
    sheet.note("I5", "alpha of ELU")
    sheet.put("slope", [[0.01]])
    sheet.put("alpha", [[1.0]])
    titles = (
        "x", "sigmoid", "its slope", "tanh", "2 sigmoid(2x) - 1", "ReLU", "leaky ReLU",
        "ELU",
    )  # fmt: skip
    for column, title in enumerate(titles):
        sheet.note(f"{chr(65 + column)}5", title)
    slope, alpha = (sheet.at(name, fixed=True) for name in ("slope", "alpha"))

    def formula(row: int, column: int) -> str:
        x = f"$A{row + 6}"
        return (
            f"{-5 + row / 4}",
            f"1/(1+EXP(-{x}))",
            f"B{row + 6}*(1-B{row + 6})",
            f"TANH({x})",
            f"2/(1+EXP(-2*{x}))-1",
            f"MAX(0,{x})",
            f"IF({x}>0,{x},{slope}*{x})",
            f"IF({x}>0,{x},{alpha}*(EXP({x})-1))",
        )[column]

    sheet.compute("table", formula)


def _pooling(sheet: _Sheet) -> None:
    sheet.put("matrix", TO_POOL, label="input")
    for name, function in (("max", "MAX"), ("average", "AVERAGE")):
        sheet.compute(
            name,
            lambda r, c, function=function: (  # type: ignore[misc]
                f"{function}({sheet.box('matrix', 2 * r, 2 * c, (2, 2))})"
            ),
            label=f"{name}, 2 x 2, stride 2: 75 % are gone",
        )
    sheet.colour("matrix")
    sheet.colour("max")
    sheet.colour("average")
    sheet.narrow("BCDEFGHIKLMN")


def _softmax(sheet: _Sheet) -> None:
    sheet.put("features", INPUTS, label="features")
    sheet.put("weights", KERNEL, label=f"weights: {', '.join(CLASSES)}")
    sheet.put("bias", BIAS, label="bias")
    sheet.put("temperature", [[1]], label="temperature")

    def score(_: int, column: int) -> str:
        products = [
            f"{sheet.at('features', 0, n, fixed=True)}*{sheet.at('weights', n, column)}"
            for n in range(4)
        ]
        return "+".join([*products, sheet.at("bias", 0, column)])

    sheet.compute("scores", score, label="scores")
    t, scores = sheet.at("temperature", fixed=True), sheet.whole("scores")
    sheet.compute(
        "probabilities",
        lambda _, c: (
            f"EXP({sheet.at('scores', 0, c)}/{t})/SUMPRODUCT(EXP({scores}/{t}))"
        ),
        label="probabilities; they add up to 1",
    )


def _batch_norm(sheet: _Sheet) -> None:
    sheet.put("values", NODULES, label="mm and HU of six nodules")
    for place, name, value in (("E5", "gamma", 1), ("E6", "beta", 0)):
        sheet.note(place, name)
        sheet.put(name, [[value]])
    sheet.note("E7", "epsilon")
    sheet.put("epsilon", [[0.001]])
    sheet.note("A12", "mean")
    sheet.note("A13", "variance")
    for name, function in (("mean", "AVERAGE"), ("variance", "VARP")):
        sheet.compute(
            name,
            lambda _, c, function=function: (  # type: ignore[misc]
                f"{function}({sheet.box('values', 0, c, (6, 1))})"
            ),
        )
    gamma, beta, epsilon = (
        sheet.at(name, fixed=True) for name in ("gamma", "beta", "epsilon")
    )
    sheet.compute(
        "normalised",
        lambda r, c: (
            f"{gamma}*({sheet.at('values', r, c)}-{sheet.at('mean', 0, c)})"
            f"/SQRT({sheet.at('variance', 0, c)}+{epsilon})+{beta}"
        ),
        label="normalised",
    )


_SHEETS: dict[str, tuple[tuple[str, ...], Callable[[_Sheet], None]]] = {
    "1D": (
        ("Convolution in one dimension", "Change a yellow cell and see what follows."),
        _one_dimension,
    ),
    "2D": (
        (
            "Convolution in two dimensions",
            "Each result is one SUMPRODUCT; look into it.",
        ),
        _two_dimensions,
    ),
    "Letter": (("The letter A and a filter", "Change the filter."), _letter),
    "Activations": (("Activations", "Columns D and E are equal."), _activations),
    "Pooling": (("Pooling", "Change a cell of the input."), _pooling),
    "Softmax": (("Fully connected and softmax", "Raise the temperature."), _softmax),
    "Batch norm": (
        ("Batch normalisation, training", "One outlier moves all the others."),
        _batch_norm,
    ),
}
"""Title and what to do, and who fills each sheet."""

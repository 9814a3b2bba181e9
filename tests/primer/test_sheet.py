"""The workbook: LibreOffice computes what NumPy does, and follows a change."""

import shutil
import subprocess

import numpy as np
import pytest
from needs import miss

from hilum.errors import InputError
from hilum.primer import ops
from hilum.primer.lessons.deciding import BIAS, INPUTS, KERNEL
from hilum.primer.lessons.filters import MATRIX, letter
from hilum.primer.lessons.norms import NODULES
from hilum.primer.lessons.pooling import MATRIX as TO_POOL
from hilum.primer.sheet import RANGES, write_sheet

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")


@pytest.fixture(scope="module")
def recalculated(tmp_path_factory):
    """The workbook as written and after changes, both computed by LibreOffice."""
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office is None:
        miss("LibreOffice is not installed")
    folder = tmp_path_factory.mktemp("sheets")
    write_sheet(folder / "first.xlsx")
    book = openpyxl.load_workbook(folder / "first.xlsx")
    book["2D"]["B5"], book["2D"]["J10"] = 50, 0.5
    book["Softmax"]["G5"] = 4
    book["1D"]["B8"] = -3
    book["Batch norm"]["F6"] = 2
    book.save(folder / "second.xlsx")
    profile = (folder / "profile").as_uri()
    subprocess.run(
        [
            office, f"-env:UserInstallation={profile}", "--headless", "--convert-to",
            "xlsx", "--outdir", str(folder / "out"), str(folder / "first.xlsx"),
            str(folder / "second.xlsx"),
        ],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    return [
        openpyxl.load_workbook(folder / "out" / f"{name}.xlsx", data_only=True)
        for name in ("first", "second")
    ]


def values(book, sheet, name):
    rows = book[sheet][RANGES[sheet][name]]
    return np.array([[c.value for c in row] for row in rows], float)


def convolved(image, kernel):
    x, k = np.asarray(image, float), np.asarray(kernel, float)
    return ops.convolve(x[None, ..., None], k[..., None, None])[0, ..., 0]


@pytest.mark.slow
def test_libreoffice_computes_what_numpy_does(recalculated):
    close = np.testing.assert_allclose
    book = recalculated[0]
    x, k = (values(book, "1D", name)[0] for name in ("signal", "kernel"))
    close(values(book, "1D", "convolution")[0], ops.slide(x, k))
    close(values(book, "1D", "correlation")[0], ops.slide(x, k, flip=False))
    edge = values(book, "2D", "filter")
    close(values(book, "2D", "result"), convolved(MATRIX, edge))
    kernel = values(book, "Letter", "filter")
    close(values(book, "Letter", "result"), convolved(letter(), kernel), atol=1e-12)
    x, *columns = values(book, "Activations", "table").T
    wanted = (
        ops.sigmoid(x), ops.sigmoid_derivative(x), ops.tanh(x),
        2 * ops.sigmoid(2 * x) - 1, ops.relu(x), ops.leaky_relu(x), ops.elu(x),
    )  # fmt: skip
    close(columns, wanted, atol=1e-12)
    close(x, np.arange(-5, 5.1, 0.25))
    image = np.reshape(TO_POOL, (1, 8, 8, 1))
    close(values(book, "Pooling", "max"), ops.max_pool(image)[0, ..., 0])
    close(values(book, "Pooling", "average"), ops.average_pool(image)[0, ..., 0])
    scores = ops.dense(INPUTS, KERNEL, BIAS[0])
    close(values(book, "Softmax", "scores"), scores, atol=1e-12)
    close(values(book, "Softmax", "probabilities"), ops.softmax(scores))
    y, _ = ops.batch_norm_training(NODULES, ([0, 0], [1, 1]))
    close(values(book, "Batch norm", "normalised"), y, rtol=1e-9)


@pytest.mark.slow
def test_a_changed_cell_changes_the_result(recalculated):
    first, second = recalculated
    matrix = np.array(MATRIX, float)
    matrix[0, 0] = 50
    edge = values(first, "2D", "filter")
    np.testing.assert_allclose(
        values(second, "2D", "result"), convolved(matrix, edge) + 0.5
    )
    scores = ops.dense(INPUTS, KERNEL, BIAS[0])
    np.testing.assert_allclose(
        values(second, "Softmax", "probabilities"), ops.softmax(scores, 4)
    )
    x = values(first, "1D", "signal")[0]
    np.testing.assert_allclose(
        values(second, "1D", "convolution")[0], ops.slide(x, [-3, 2, 4])
    )
    moved = values(second, "Batch norm", "normalised")
    np.testing.assert_allclose(
        moved, values(first, "Batch norm", "normalised") + 2, rtol=1e-9
    )


def test_inputs_are_values_and_results_are_formulas(tmp_path):
    book = openpyxl.load_workbook(write_sheet(tmp_path / "a.xlsx"))
    assert set(book.sheetnames) == set(RANGES)
    assert book["2D"]["N5"].value == "=SUMPRODUCT(B5:D7,$J$5:$L$7)+$J$10"
    assert book["Pooling"]["K5"].value == "=MAX(B5:C6)"
    assert book["2D"]["B5"].value == 3


def test_a_workbook_has_its_ending(tmp_path):
    with pytest.raises(InputError, match=r"end it in \.xlsx"):
        write_sheet(tmp_path / "a.csv")
    with pytest.raises(InputError, match="Cannot write"):
        write_sheet(tmp_path / "nowhere" / "a.xlsx")

"""What networks say of a nodule, turned into ratings and a probability."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError, WeightsError
from hilum.findings import Attributes
from hilum.runtime.ratings import (
    Calibration,
    rate_nodule,
    rate_nodules,
    rating_inputs,
    read_calibration,
)
from hilum.space import Grid
from hilum.volume import CTVolume, Mask

LOOKS = tuple(Attributes.__dataclass_fields__)


def ball(diameter_mm=10.0, spacing_mm=(1.0, 0.8, 0.8), shift=0.0):
    grid = Grid.axial((40, 44, 44), spacing_mm)
    index = np.moveaxis(np.indices(grid.shape), 0, -1) * spacing_mm
    middle = (np.array(grid.shape) - 1) / 2 * spacing_mm + shift
    inside = np.linalg.norm(index - middle, axis=-1) <= diameter_mm / 2
    hu = np.where(inside, 40, -850).astype(np.int16)
    return CTVolume(hu, grid, "ball"), Mask(inside, grid)


def answer(malignancy, *, kinds=((0.1, 0.2, 0.7),), look=0.5):
    """Give what a network of some members would give of one nodule."""
    shares = np.array(malignancy, np.float32)[None]
    members = shares.shape[1]
    found = {name: np.full((1, members, 4), look, np.float32) for name in LOOKS}
    kind = np.array(kinds, np.float32)[None]
    return lambda _: {**found, "malignancy": shares, "kind": kind}


def test_ratings_by_hand():
    # expected ratings 1 + 4 * 0.25 = 2, 1 + 4 * 0.5 = 3, 1 + 4 * 0.75 = 4
    predict = answer([[share] * 4 for share in (0.25, 0.5, 0.75)])
    said = rate_nodule(*ball(), predict=predict, calibration=Calibration(2.0, -6.0))
    assert said.malignancy.value == pytest.approx(0.5)
    # members 2, 3, 4 have the spread sqrt(2/3); 1.96 * 2 * 0.8165 = 3.2007
    # 0.01 + 0.98 / (1 + e^3.2007) = 0.04836
    assert said.malignancy.low == pytest.approx(0.04836, abs=1e-5)
    assert said.malignancy.high == pytest.approx(1 - 0.04836, abs=1e-5)
    assert said.attributes == Attributes(**dict.fromkeys(LOOKS, 3.0))
    assert said.kind == 2


def test_each_nodule_gets_its_own_rating():
    volume, large = ball(14.0)
    small = ball(6.0)[1]  # has less to measure, and is begun last

    def predict(inputs):
        # the wider the mask, the more malignant
        width = inputs["mask"].sum(axis=(1, 2, 3, 4))
        parts = [answer([[float(w > 500) * 0.8] * 4])(None) for w in width]
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    said = rate_nodules(
        volume, [small, large], predict=predict, calibration=Calibration(2.0, -6.0)
    )
    assert said[0].malignancy.value < 0.1 < said[1].malignancy.value


def test_a_network_without_members_is_one_member():
    def flat(_):
        given = answer([[0.5] * 4])(None)
        return {name: value[:, 0] for name, value in given.items()}

    said = rate_nodule(*ball(), predict=flat, calibration=Calibration(1.0, -3.0))
    assert said.malignancy.low == said.malignancy.value == said.malignancy.high == 0.5


@given(st.floats(0.1, 20), st.floats(-60, 60), st.floats(1, 5), st.floats(1, 5))
def test_no_rating_is_certain_and_more_is_more(slope, offset, one, other):
    calibration = Calibration(slope, offset)
    low, high = sorted((one, other))
    assert 0.01 <= calibration(low) <= calibration(high) <= 0.99


def test_the_doubt_of_the_calibration_by_hand():
    # at rating 3: 9 * 0.6 - 6 * 1.75 + 5.2 = 0.1; 1.96 * sqrt(0.1) = 0.61981
    # 0.01 + 0.98 / (1 + e^0.61981) = 0.35282
    calibration = Calibration(2.0, -6.0, (0.6, -1.75, 5.2))
    said = calibration.doubted(np.array([3.0, 3.0]))
    assert said.value == pytest.approx(0.5)
    assert said.low == pytest.approx(0.35282, abs=1e-5)
    assert said.high == pytest.approx(1 - 0.35282, abs=1e-5)


def test_inputs_have_the_shapes_that_the_networks_take():
    inputs = rating_inputs(*ball())
    assert inputs["features"].shape == (1, 87)
    assert inputs["hu"].shape == inputs["mask"].shape == (1, 32, 32, 32, 1)
    assert all(values.dtype == np.float32 for values in inputs.values())


def test_the_seventh_digit_of_a_spacing_changes_nothing():
    # 8 / 0.8 is 10 voxels of margin, or 11 where the spacing is a hair smaller
    exact = rating_inputs(*ball())["features"]
    noisy = rating_inputs(*ball(spacing_mm=(1.0, 0.8 - 3e-8, 0.8 + 3e-8)))["features"]
    np.testing.assert_allclose(noisy, exact, rtol=1e-4, atol=1e-4)


def test_an_empty_mask_is_refused():
    volume, mask = ball()
    empty = Mask(np.zeros_like(mask.voxels), mask.grid)
    with pytest.raises(InputError, match="no voxel set"):
        rate_nodule(
            volume, empty, predict=answer([[0.5] * 4]), calibration=Calibration(1, 0)
        )


def test_a_network_for_another_task_is_refused():
    with pytest.raises(WeightsError, match="gives no ratings"):
        rate_nodule(
            *ball(),
            predict=lambda _: np.zeros((1, 16, 32, 32, 1)),
            calibration=Calibration(1, 0),
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "Copy it beside"),
        ("{", "Copy it beside"),
        ("[1, 2]", "Copy it beside"),
        ('{"slope": 1}', "Copy it beside"),
        ('{"slope": -1, "offset": 0}', "slope above 0"),
        ('{"slope": 1, "offset": NaN}', "slope above 0"),
        ('{"slope": 1, "offset": 0, "covariance": [1]}', "Copy it beside"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_refused(tmp_path, text, said):
    if text is not None:
        (tmp_path / "net.calibration.json").write_text(text)
    with pytest.raises(WeightsError, match=said):
        read_calibration(tmp_path / "net.xml")


def test_a_calibration_is_read_as_written(tmp_path):
    path = tmp_path / "net.calibration.json"
    table = {"slope": 2.5, "offset": -7.0, "covariance": [0.5, -1.5, 5.0]}
    path.write_text(json.dumps(table))
    found = read_calibration(tmp_path / "net.xml")
    assert found == Calibration(2.5, -7.0, (0.5, -1.5, 5.0))
    assert found(2.8) == pytest.approx(0.5)
    assert math.isfinite(found(-1e6))

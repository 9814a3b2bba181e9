"""Explanations of nodules in a volume, by the shipped network."""

from dataclasses import replace

import numpy as np
import pytest

from hilum.errors import InputError
from hilum.findings import Nodule, Probability
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import rating_inputs
from hilum.space import Grid
from hilum.stages import explain
from hilum.stages.explain import Explainer
from hilum.stages.malignancy import MalignancyModel
from hilum.volume import CTVolume, Mask


@pytest.fixture(scope="module")
def seen():
    """Make two balls in lung, measured and rated: 9 and 20 mm."""
    grid = Grid.axial((40, 60, 90), (1.5, 0.8, 0.8), origin_mm=(-30.0, 10.0, -200.0))
    index = np.moveaxis(np.indices(grid.shape), 0, -1) * grid.spacing_mm
    hu, masks = np.full(grid.shape, -850, np.int16), []
    for middle, diameter in (((30, 24, 14), 9.0), ((30, 24, 48), 20.0)):
        inside = np.linalg.norm(index - middle, axis=-1) <= diameter / 2
        hu[inside] = 40
        masks.append(Mask(inside, grid))
    nodules = tuple(
        Nodule(
            center_mm=tuple(grid.to_world(np.argwhere(m.voxels).mean(axis=0)).tolist()),
            diameter_mm=9.0,
            long_axis_mm=9.0,
            short_axis_mm=9.0,
            volume_mm3=m.volume_mm3,
            type="solid",
            solid_diameter_mm=9.0,
            side="left",
            detection_score=0.9,
        )
        for m in masks
    )
    volume = CTVolume(hu, grid, "balls")
    return volume, MalignancyModel()(volume, nodules, masks), tuple(masks)


@pytest.fixture(scope="module")
def told(seen):
    return Explainer(shown=1)(*seen)


def test_the_rating_is_the_one_that_the_malignancy_came_from(seen, told):
    volume, _, masks = seen
    predict = load_predictor("malignancy")
    for explanation, mask in zip(told, masks, strict=True):
        found = predict(rating_inputs(volume, mask))["malignancy"]
        expected = 1 + found.sum(axis=-1).mean()
        assert explanation.rating == pytest.approx(expected, abs=1e-4)
        total = explanation.typical + sum(explanation.shares.values())
        assert explanation.rating == pytest.approx(total)


def test_size_speaks_for_the_large_ball_and_not_for_the_small_one(told):
    small, large = told
    assert large.shares["size"] > 0.3
    assert large.shares["size"] > small.shares["size"]


def test_again_is_the_same(seen, told):
    again = Explainer(shown=1)(*seen)
    assert [e.shares for e in again] == [e.shares for e in told]
    np.testing.assert_array_equal(again[0].heat.points, told[0].heat.points)


def test_heat_lies_over_the_nodule(seen, told):
    _, nodules, masks = seen
    heat = told[0].heat
    assert told[1].heat is None  # only one was asked for
    middle = (np.array(heat.grid.shape) - 1) / 2
    # the blocks lie around the middle of the nodule, to a voxel of the patch
    apart = heat.grid.to_world(middle) - nodules[0].center_mm
    assert np.abs(apart).max() <= 1.5
    # and what it covers holds the nodule, 3 mm around it included
    points = masks[0].grid.to_world(np.argwhere(masks[0].voxels))
    assert heat.grid.contains(points).all()
    assert np.abs(heat.points).max() > 0


def test_only_the_first_are_explained(seen):
    first, second = Explainer(most=1, shown=0)(*seen)
    assert second is None
    assert first.heat is None
    assert Explainer(most=0)(*seen) == (None, None)


def test_where_no_malignancy_is_given_none_is_explained(seen):
    volume, nodules, masks = seen
    unknown = tuple(replace(n, malignancy=Probability.UNKNOWN) for n in nodules)
    assert Explainer()(volume, unknown, masks) == (None, None)
    assert Explainer()(volume, (), ()) == ()


def test_weights_that_tell_nothing_typical_explain_nothing(seen, monkeypatch):
    monkeypatch.setattr(explain, "read_typical", lambda _: None)
    assert Explainer()(*seen) == (None, None)


def test_counts_below_nothing_are_refused():
    with pytest.raises(InputError, match="at least 0"):
        Explainer(most=-1)

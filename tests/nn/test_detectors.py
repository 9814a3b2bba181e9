"""The network that finds nodules, and its loss, by hand."""

import math

import keras
import numpy as np
import pytest

from hilum.nn.losses import marks_loss
from hilum.nn.models import detection_net
from hilum.nn.models.detectors import SIZE_MULTIPLE, STRIDE
from hilum.runtime.predictor import load_predictor
from hilum.stages.nodules import marks


def small():
    keras.utils.set_random_seed(0)
    return detection_net(filters=(4, 4, 8, 8))


def test_each_cell_of_4_voxels_answers():
    model = small()
    found = np.asarray(model(np.full((1, 16, 32, 48, 1), -850.0)))
    assert found.shape == (1, 4, 8, 12, 5)
    assert (found[..., 0] > 0).all()
    assert (found[..., 0] < 1).all()
    assert (marks.STRIDE, marks.SIZE_MULTIPLE) == (STRIDE, SIZE_MULTIPLE)


def test_at_first_nothing_is_likely_a_nodule():
    found = np.asarray(small()(np.full((1, 32, 32, 32, 1), -850.0)))
    assert found[..., 0].mean() < 0.05


def test_four_levels_are_needed():
    with pytest.raises(ValueError, match=r"Received: filters=\(8, 8\)"):
        detection_net(filters=(8, 8))


def test_it_survives_save_and_load(tmp_path):
    model = small()
    model.save(tmp_path / "m.keras")
    hu = np.random.default_rng(0).normal(-700, 200, (1, 32, 32, 32, 1))
    again = load_predictor(tmp_path / "m.keras")(hu.astype(np.float32))
    np.testing.assert_allclose(again, model(hu), atol=1e-5)


def test_far_away_changes_nothing():
    # so that a scan may be looked at in parts: a change in one corner of 192 voxels
    # does not reach cells more than 100 voxels away
    model = small()
    hu = np.full((1, 16, 16, 192, 1), -850.0, np.float32)
    changed = hu.copy()
    changed[..., :8, 0] = 100
    a, b = np.asarray(model(hu)), np.asarray(model(changed))
    np.testing.assert_array_equal(a[:, :, :, 27:], b[:, :, :, 27:])
    assert np.abs(a - b)[:, :, :, :4].max() > 0


def answer(near, counts, middle, *place):
    out = np.zeros((1, 1, 1, 1, 7), np.float32)
    out[...] = [near, counts, middle, *(place or (0, 0, 0, 0))]
    return out


def said(chance, *place):
    out = np.zeros((1, 1, 1, 1, 5), np.float32)
    out[...] = [chance, *(place or (0, 0, 0, 0))]
    return out


@pytest.mark.parametrize(
    ("truth", "found", "loss"),
    [
        # a middle: -(1 - 0.75)^2 log 0.75
        (answer(1, 1, 1), said(0.75), -(0.25**2) * math.log(0.75)),
        # none, far from one: -0.25^2 log(1 - 0.25)
        (answer(0, 1, 0), said(0.25), -(0.25**2) * math.log(0.75)),
        # none, near one: times (1 - 0.5)^4
        (answer(0.5, 1, 0), said(0.25), -(0.5**4) * 0.25**2 * math.log(0.75)),
        # what nobody knows does not count
        (answer(0, 0, 0), said(0.9), 0.0),
        # a middle that is surely found, 0.5 + 0.25 off: 0.3 * 0.75
        (answer(1, 1, 1, 0.5, 0, 0, 2), said(1, 0, 0, 0, 2.25), 0.3 * 0.75),
    ],
)
def test_the_loss_by_hand(truth, found, loss):
    got = np.asarray(marks_loss(truth, keras.ops.array(found)))
    np.testing.assert_allclose(got, [loss], rtol=1e-4, atol=1e-7)


def test_the_loss_is_by_nodule():
    truth = np.repeat(answer(1, 1, 1), 4, axis=0)
    found = np.repeat(said(0.75), 4, axis=0)
    one = np.asarray(marks_loss(truth[:1], keras.ops.array(found[:1])))
    four = np.asarray(marks_loss(truth, keras.ops.array(found)))
    np.testing.assert_allclose(four.mean(), one.mean(), rtol=1e-6)

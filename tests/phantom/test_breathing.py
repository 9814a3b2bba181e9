"""Another depth of breath: what moves, how far, and what does not change."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.phantom import Lesion, PhantomSettings, make_phantom
from hilum.phantom.breathing import breath_shift
from hilum.phantom.person import Person

SEED = 7
SMALL = PhantomSettings(seed=SEED, shape=(70, 128, 128), spacing_mm=(5, 3, 3))
PERSON = replace(Person.from_seed(SEED), scale=(1.0, 1.0, 1.0))
BALL = Lesion(center_mm=(75.0, 20.0, 0.0), diameter_mm=30.0)


@pytest.fixture(scope="module")
def breaths():
    return [make_phantom(replace(SMALL, breath_mm=b), (BALL,)) for b in (0.0, 25.0)]


def test_the_shift_by_hand():
    # at the dome (z = -75 mm), in the middle between front and back: all of it
    assert breath_shift(PERSON, (60.0, 0.0, -75.0), 10.0).tolist() == [0, 0, -10]
    # half way to the apex at 125 mm: half of it
    assert breath_shift(PERSON, (60.0, 0.0, 25.0), 10.0).tolist() == [0, 0, -5]
    # 60 mm behind the middle a fifth of one half more
    assert breath_shift(PERSON, (0.0, 60.0, -75.0), 10.0)[2] == pytest.approx(-11)


@pytest.mark.parametrize("z", [125.0, 200.0, -205.0, -300.0])
def test_apex_and_pelvis_stay(z):
    assert breath_shift(PERSON, (60.0, 40.0, z), 20.0).tolist() == [0, 0, 0]


@given(st.floats(-30, 30), st.floats(-250, 250), st.floats(-120, 120))
def test_nothing_folds(breath_mm, z, y):
    below, above = (
        np.add((0, y, h), breath_shift(PERSON, (0, y, h), breath_mm))
        for h in (z, z + 1)
    )
    assert above[2] > below[2]


@pytest.mark.slow
def test_lesions_move_and_keep_their_shape(breaths):
    first, second = (b.truths[0] for b in breaths)
    person = Person.from_seed(SEED)
    moved = np.add(first.center_mm, breath_shift(person, first.center_mm, 25.0))
    np.testing.assert_allclose(second.center_mm, moved)
    assert second.volume_mm3 == first.volume_mm3
    for phantom in breaths:  # and the picture shows it there, and nowhere else
        grid = phantom.volume.grid
        z, y, x = np.rint(grid.to_index(phantom.truths[0].center_mm)).astype(int)
        assert phantom.volume.hu[z, y, x] > -100
    z, y, x = np.rint(grid.to_index(first.center_mm + np.array([0, 0, 14]))).astype(int)
    assert breaths[1].volume.hu[z, y, x] < -600


def test_a_deeper_breath_makes_larger_lungs(breaths):
    first, second = ((b.lungs.voxels > 0).sum(axis=(1, 2)) for b in breaths)
    assert second.sum() > 1.05 * first.sum()
    lowest = [np.flatnonzero(n)[0] * 5.0 for n in (first, second)]
    assert 15 <= lowest[0] - lowest[1] <= 35  # mm that the lung reaches further down


def test_the_spine_and_the_skin_stay(breaths):
    grid = breaths[0].volume.grid
    first, second = (b.volume.hu.astype(float) for b in breaths)
    spine = first > 120
    spine[:, :, np.abs(grid.to_world([[0, 0, n] for n in range(128)])[:, 0]) > 12] = 0
    assert spine.sum() > 500
    assert np.abs(first - second)[spine].mean() < 60  # noise, and no moved edges
    body = [h[grid.shape[0] // 2] > -500 for h in (first, second)]
    assert (body[0].any(axis=0) == body[1].any(axis=0)).all()


@pytest.mark.parametrize("bad", [31, -40, float("nan")])
def test_impossible_breaths_are_refused(bad):
    with pytest.raises(InputError, match="breath_mm"):
        PhantomSettings(breath_mm=bad)


def test_the_day_of_a_scan():
    # three months of 30.4375 days after 2020-01-15: 91 days, 2020 being a leap year
    assert PhantomSettings().acquired == "20200115"
    assert PhantomSettings(scan=2).acquired == "20200415"

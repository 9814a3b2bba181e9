"""One scan onto the other: how far off, the same each time, and of whom."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import map_coordinates

from hilum.compare.quality import judge_alignment
from hilum.compare.registration import Register
from hilum.errors import InputError
from hilum.phantom import PhantomSettings, default_lesions, make_phantom
from hilum.volume import Mask

pytestmark = pytest.mark.slow

SEED = 7
SETTINGS = PhantomSettings(seed=SEED, shape=(90, 128, 128), spacing_mm=(3.5, 2.8, 2.8))


def scan(**changes):
    phantom = make_phantom(replace(SETTINGS, **changes), default_lesions(SEED))
    return phantom, (phantom.volume, phantom.lungs)


@pytest.fixture(scope="module")
def current():
    return scan()


@pytest.fixture(scope="module")
def prior():
    return scan(scan=2, breath_mm=-20.0, shift_mm=(6.0, -9.0, 20.0))


@pytest.fixture(scope="module")
def registration(current, prior):
    return Register()(current[1], prior[1])


def points(phantom):
    return np.array([t.center_mm for t in phantom.truths])


def test_a_breath_and_a_shift_are_found(current, prior, registration):
    here, there = points(current[0]), points(prior[0])
    moved = np.linalg.norm(here - there, axis=1)
    assert moved.min() > 15  # so a map that does nothing would fail
    off = np.linalg.norm(registration.to_prior(here) - there, axis=1)
    assert np.median(off) < 1.5
    assert off.max() < 4


def test_there_and_back_is_the_same_place(current, registration):
    here = points(current[0])
    again = registration.to_current(registration.to_prior(here))
    np.testing.assert_allclose(again, here, atol=0.05)


def test_a_lattice_for_the_viewer_keeps_the_map(current, registration):
    aligning = pytest.importorskip("hilum.service.jobs.aligning")
    tree = aligning.describe_map(registration, judge_alignment(registration))
    assert (tree["trusted"], tree["why"]) == (True, None)
    shifts = np.reshape(tree["shifts_mm"], (*tree["shape"], 3))
    here = points(current[0])
    at = (here - tree["origin_mm"]) / tree["step_mm"]  # x, y, z
    found = [
        here[:, axis] + map_coordinates(shifts[..., axis], at.T[::-1], order=1)
        for axis in range(3)
    ]
    off = np.linalg.norm(np.stack(found, -1) - registration.to_prior(here), axis=1)
    assert off.max() < 0.7


def test_the_alignment_says_so(registration):
    alignment = judge_alignment(registration)
    assert alignment.overlap > 0.95
    assert alignment.likeness > 0.8
    assert alignment.doubt_mm < 4


def test_the_same_scans_give_the_same_map(current, prior):
    register = Register(coarse_steps=6, fine_steps=3)
    once = register(current[1], prior[1])
    cores = SimpleITK.ProcessObject.GetGlobalDefaultNumberOfThreads()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        again = register(current[1], prior[1])
    finally:
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(cores)
    np.testing.assert_array_equal(again.affine, once.affine)
    np.testing.assert_array_equal(again.shift_mm, once.shift_mm)
    assert np.abs(once.shift_mm).max() > 1  # so a map that does nothing would fail


def test_a_scan_lies_on_itself(current):
    registration = Register(coarse_steps=5, fine_steps=2)(current[1], current[1])
    here = points(current[0])
    np.testing.assert_allclose(registration.to_prior(here), here, atol=0.2)
    assert judge_alignment(registration).likeness > 0.99


def test_another_person_is_unlike(current):
    other = make_phantom(replace(SETTINGS, seed=8))
    registration = Register()(current[1], (other.volume, other.lungs))
    alignment = judge_alignment(registration)
    assert alignment.overlap > 0.9  # the lungs fit, what is in them does not
    assert alignment.likeness < 0.65


def test_a_scan_without_lungs_is_refused(current):
    volume, lungs = current[1]
    none = Mask(np.zeros_like(lungs.voxels), lungs.grid)
    with pytest.raises(InputError, match="prior shows no lungs"):
        Register()((volume, lungs), (volume, none))
    with pytest.raises(InputError, match="current scan shows no lungs"):
        Register()((volume, none), (volume, lungs))


@pytest.mark.parametrize("bad", [{"voxel_mm": 1.0}, {"voxel_mm": 9.0}])
def test_cubes_of_another_size_are_refused(bad):
    with pytest.raises(InputError, match="cubes of 2 to 8 mm"):
        Register(**bad)


@pytest.mark.parametrize("bad", [{"fine_steps": 0}, {"coarse_steps": 0}, {"smooth": 0}])
def test_a_field_without_steps_or_smoothness_is_refused(bad):
    with pytest.raises(InputError, match="at least one step"):
        Register(**bad)

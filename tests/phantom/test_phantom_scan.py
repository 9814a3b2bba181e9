"""Scans of the synthetic chest: what must be where, and what must not change."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hilum.errors import InputError
from hilum.phantom import (
    Lesion,
    PhantomSettings,
    default_lesions,
    make_phantom,
)
from hilum.phantom.person import Person
from hilum.phantom.settings import CENTER_MM

SEED = 7
SMALL = PhantomSettings(seed=SEED, shape=(70, 128, 128), spacing_mm=(5, 3, 3))
QUIET = replace(SMALL, dose=math.inf)


@pytest.fixture(scope="module")
def lesions():
    return default_lesions(SEED)


@pytest.fixture(scope="module")
def quiet(lesions):
    return make_phantom(QUIET, lesions)


@pytest.fixture(scope="module")
def healthy():
    return make_phantom(QUIET, ())


def around(settings, center_mm, *, spacing_mm, width_mm=48.0):
    """Settings of a small field of view about a point of the person."""
    shape = tuple(int(width_mm / s) | 1 for s in spacing_mm)
    shift = tuple(c - p for c, p in zip(CENTER_MM, center_mm, strict=True))
    return replace(settings, shape=shape, spacing_mm=spacing_mm, shift_mm=shift)


def test_same_input_same_scan(lesions, quiet):
    again = make_phantom(QUIET, lesions)
    np.testing.assert_array_equal(again.volume.hu, quiet.volume.hu)
    np.testing.assert_array_equal(again.lungs.voxels, quiet.lungs.voxels)
    assert again.volume.series_uid == quiet.volume.series_uid
    assert again.truths == quiet.truths
    noisy = [make_phantom(SMALL, ()).volume.hu for _ in range(2)]
    np.testing.assert_array_equal(*noisy)


def test_default_lesions_are_the_seeds_own(lesions, quiet):
    assert make_phantom(QUIET).truths == quiet.truths
    assert {lesion.kind for lesion in lesions} == {
        "solid",
        "part-solid",
        "ground-glass",
        "calcified",
    }
    assert {lesion.form for lesion in lesions} == {"round", "lobulated", "spiculated"}
    assert {lesion.site for lesion in lesions} == {"lung", "pleura", "vessel"}


def test_truth_does_not_depend_on_the_scan(lesions, quiet):
    other = PhantomSettings(
        seed=SEED,
        shape=(9, 64, 40),
        spacing_mm=(30, 6, 9),
        kernel="sharp",
        dose=0.1,
        tilt_deg=12,
    )
    assert make_phantom(other, lesions).truths == quiet.truths


@pytest.mark.parametrize(
    "scan",
    [
        {},
        {"kernel": "sharp"},
        {"tilt_deg": 18.0},
        {"slice_thickness_mm": 5.0},
    ],
)
@pytest.mark.parametrize("form", ["round", "lobulated"])
def test_density_added_is_volume_times_contrast(lesions, scan, form):
    # sum over voxels of (with - without) * voxel = volume * (lesion - lung), for
    # any kernel, tilt and thickness: they blur, but add and take nothing
    center = lesions[1].center_mm
    lesion = Lesion(center_mm=center, diameter_mm=10, form=form, seed=4)
    spacing = (2.5, 0.8, 0.8)
    settings = replace(around(QUIET, center, spacing_mm=spacing), **scan)
    with_it, without = (make_phantom(settings, x) for x in ((lesion,), ()))
    change = with_it.volume.hu.astype(float) - without.volume.hu
    added = change.sum() * with_it.volume.grid.voxel_mm3
    index = np.stack(np.indices(settings.shape), -1)
    world = with_it.volume.grid.to_world(index)
    off = np.linalg.norm(world - with_it.truths[0].center_mm, axis=-1)
    lung = without.volume.hu[off < 5].mean()
    contrast = lesion.bodies()[0].hu - lung
    assert added == pytest.approx(lesion.volume_mm3 * contrast, rel=0.03)


@pytest.mark.parametrize(("number", "tilt"), [(0, 0.0), (3, 15.0), (5, 0.0)])
def test_each_lesion_is_where_its_truth_says(lesions, number, tilt):
    lesion = lesions[number]
    settings = around(QUIET, lesion.center_mm, spacing_mm=(1.5, 1.0, 1.0))
    settings = replace(settings, tilt_deg=tilt)
    with_it, without = (make_phantom(settings, x) for x in ((lesion,), ()))
    change = with_it.volume.hu.astype(float) - without.volume.hu
    index = np.stack(np.indices(settings.shape), -1)
    world = with_it.volume.grid.to_world(index)
    center = (world * change[..., None]).sum((0, 1, 2)) / change.sum()
    # spicules and a vessel that was there before pull a little
    assert np.linalg.norm(center - with_it.truths[0].center_mm) < 0.8
    assert change.max() > 100


def test_lesions_lie_in_the_lungs(quiet):
    index = np.stack(np.indices(quiet.volume.hu.shape), -1)
    world = quiet.volume.grid.to_world(index)
    for truth in quiet.truths:
        off = np.linalg.norm(world - truth.center_mm, axis=-1)
        ball = off < max(truth.diameter_mm / 2, 3)
        assert ball.any()
        assert (quiet.lungs.voxels[ball] > 0).mean() > 0.9
        side = 1 if truth.center_mm[0] < 0 else 2
        assert quiet.lungs.at(truth.center_mm) == side


@pytest.mark.slow
def test_another_seed_is_another_chest(lesions, quiet):
    # few slices: enough to tell
    flat = replace(QUIET, shape=(5, 128, 128), spacing_mm=(60, 3, 3))
    mine, other = (make_phantom(replace(flat, seed=s), ()) for s in (SEED, 8))
    assert (mine.volume.hu != other.volume.hu).mean() > 0.3
    assert mine.volume.series_uid != other.volume.series_uid
    assert default_lesions(8) != lesions


@pytest.mark.parametrize(
    "seed", [SEED, *(pytest.param(s, marks=pytest.mark.slow) for s in range(4))]
)
def test_an_adults_chest(seed):
    phantom = make_phantom(replace(QUIET, seed=seed), ())
    voxel = phantom.volume.grid.voxel_mm3 / 1e6
    right, left = (float((phantom.lungs.voxels == k).sum()) * voxel for k in (1, 2))
    assert 3.5 < right + left < 6.5
    assert 1.0 < right / left < 1.4
    hu = phantom.volume.hu
    lung = hu[phantom.lungs.voxels > 0]
    assert -905 < np.median(lung) < -840
    assert 0.04 < (lung > -700).mean() < 0.2  # vessels and edges
    assert np.median(hu[:, 0, :]) == pytest.approx(-1000, abs=3)  # room air
    assert 300 < np.percentile(hu, 99.9) < 900  # bone
    # the back of the lung, where a patient lies on it, is denser than the front
    y = np.broadcast_to(np.arange(128)[None, :, None], hu.shape)
    inner = (phantom.lungs.voxels > 0) & (hu < -800)
    front, back = (np.median(hu[inner & part]) for part in (y < 50, y > 78))
    assert 5 < back - front < 70


def test_soft_tissues_have_their_densities(healthy):
    # by the anatomy's own frame, in the standard adult: heart, liver, windpipe
    scale = np.array(Person.from_seed(SEED).scale)[::-1]
    grid = healthy.volume.grid

    def hu_at(point):
        z, y, x = np.rint(grid.to_index(np.array(point) * scale)).astype(int)
        return healthy.volume.hu[z, y, x]

    assert 20 < hu_at((20, -40, -60)) < 70
    assert 30 < hu_at((-70, -10, -140)) < 90
    assert hu_at((0, 3, 90)) < -800
    assert 60 < hu_at((0, 41, -15)) < 700


def noise_of(settings):
    a, b = (
        make_phantom(replace(settings, scan=scan), ()).volume.hu.astype(float)
        for scan in (1, 2)
    )
    return ((a - b) / math.sqrt(2))[:, 28:-28, 28:-28]


CENTRAL = PhantomSettings(seed=SEED, shape=(9, 96, 96), spacing_mm=(2.5, 0.7, 0.7))


def test_noise_falls_with_the_root_of_dose_and_thickness():
    # 4 times the dose: half; half the thickness: 1.41 times
    noise = noise_of(CENTRAL).std()
    assert noise == pytest.approx(CENTRAL.noise_hu, rel=0.08)
    assert noise_of(replace(CENTRAL, dose=4)).std() == pytest.approx(
        noise / 2, rel=0.05
    )
    thin = replace(CENTRAL, slice_thickness_mm=1.25)
    assert noise_of(thin).std() == pytest.approx(noise * math.sqrt(2), rel=0.05)
    assert replace(CENTRAL, dose=math.inf).noise_hu == 0


def test_the_sharp_kernel_is_noisier_with_finer_grain():
    def neighbours(noise):
        return float((noise[..., 1:] * noise[..., :-1]).mean() / noise.var())

    soft, sharp = (noise_of(replace(CENTRAL, kernel=k)) for k in ("soft", "sharp"))
    assert sharp.std() > 2 * soft.std()
    # soft kernels of LIDC-IDRI scans have 0.3 to 0.6 at this pixel size
    assert 0.3 < neighbours(soft) < 0.6
    assert neighbours(sharp) < neighbours(soft) - 0.2


def test_overlapping_slices_share_noise_and_others_do_not():
    def between(noise):
        return float((noise[1:] * noise[:-1]).mean() / noise.var())

    apart = noise_of(CENTRAL)
    overlapping = noise_of(replace(CENTRAL, slice_thickness_mm=5.0))
    assert abs(between(apart)) < 0.1
    assert between(overlapping) == pytest.approx(0.5, abs=0.1)  # half of each


def test_a_thick_slice_dilutes_a_small_nodule(lesions):
    lesion = Lesion(center_mm=lesions[1].center_mm, diameter_mm=4)
    thin = around(QUIET, lesion.center_mm, spacing_mm=(1.0, 0.7, 0.7))
    thick = replace(thin, slice_thickness_mm=8.0)
    peak_thin, peak_thick = (
        int(make_phantom(s, (lesion,)).volume.hu[20:28, 30:40, 30:40].max())
        for s in (thin, thick)
    )
    assert peak_thick < peak_thin - 250


def test_a_shifted_person_is_the_same_image_elsewhere(lesions, quiet):
    # 2 columns of 3 mm to the left, 1 slice of 5 mm to the feet
    moved = make_phantom(replace(QUIET, shift_mm=(6.0, 0.0, -5.0)), lesions)
    a = quiet.volume.hu[1:, :, 10:-12].astype(int)
    b = moved.volume.hu[:-1, :, 12:-10].astype(int)
    assert np.abs(a - b).max() <= 2
    assert moved.truths[0].center_mm[0] == pytest.approx(
        quiet.truths[0].center_mm[0] + 6
    )


def test_contrast_brightens_blood_alone(healthy):
    bright = make_phantom(replace(QUIET, blood_hu=300), ())
    change = bright.volume.hu.astype(int) - healthy.volume.hu
    assert change.max() == pytest.approx(255, abs=6)
    assert 0.005 < (change > 100).mean() < 0.08
    assert (np.abs(change) <= 1).mean() > 0.85


def test_no_couch_when_not_wanted(healthy):
    bare = make_phantom(replace(QUIET, couch=False), ())
    change = bare.volume.hu.astype(int) - healthy.volume.hu
    behind = change[:, 105:, :]
    assert (np.abs(behind) > 20).sum() > 1000
    assert (np.abs(change[:, :90, :]) <= 2).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"shape": (0, 5, 5)},
        {"spacing_mm": (1.0, -0.7, 0.7)},
        {"spacing_mm": (1.0, math.nan, 0.7)},
        {"slice_thickness_mm": 0.0},
        {"kernel": "medium"},
        {"dose": 0.0},
        {"tilt_deg": 45.0},
        {"blood_hu": -5},
        {"scan": 0},
        {"shift_mm": (0.0, math.inf, 0.0)},
    ],
)
def test_settings_that_no_scanner_has_are_refused(wrong):
    with pytest.raises(InputError, match=f"`{next(iter(wrong))}`"):
        PhantomSettings(**wrong)


def test_tilted_grid_by_hand():
    # 30 degrees: one row of 0.8 mm goes 0.8 cos 30 = 0.6928 mm back, 0.4 mm up;
    # slices still advance along the table
    grid = PhantomSettings(spacing_mm=(2, 0.8, 0.5), tilt_deg=30).grid
    origin = grid.to_world([0, 0, 0])
    np.testing.assert_allclose(
        grid.to_world([0, 1, 0]) - origin, (0, 0.692820, 0.4), atol=1e-6
    )
    np.testing.assert_allclose(grid.to_world([1, 0, 0]) - origin, (0, 0, 2))
    np.testing.assert_allclose(grid.to_world([0, 0, 1]) - origin, (0.5, 0, 0))
    assert grid.is_canonical

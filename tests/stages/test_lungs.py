import csv
from dataclasses import replace

import numpy as np
import pytest
from edt import edt
from hypothesis import given
from hypothesis import strategies as st

from hilum.dicom import read_dicom
from hilum.errors import InputError
from hilum.phantom import PhantomSettings, make_phantom
from hilum.space import Grid
from hilum.stages.lungs import LungSegmenter, lung_notices
from hilum.stages.lungs._lung_kernels import flood
from hilum.stages.lungs.pleura import fill_lungs
from hilum.stages.lungs.thorax import Thorax
from hilum.volume import CTVolume, Mask

# A chest of ellipsoids in mm: x to the left, y to the back, z to the head.
SPACING_MM = (4.0, 2.5, 2.5)
SHAPE = (76, 92, 124)
CENTER = {1: (-70.0, 0.0, 0.0), 2: (70.0, 0.0, 0.0)}
RADII = (52.0, 75.0, 110.0)
LUNG_HU, TISSUE_HU, BONE_HU, AIR_HU = -850, 30, 700, -1000


def points(grid):
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    return np.moveaxis(grid.to_world(index), -1, 0)


def ball(where, center, radii):
    return (
        sum(
            ((w - c) / r) ** 2
            for w, c, r in zip(where, center, np.broadcast_to(radii, 3), strict=True)
        ).astype(np.float64)
        <= 1
    )


class Chest:
    """Body, two lungs, spine, ribs as thin plates outside the lungs, couch."""

    def __init__(self, spacing_mm=SPACING_MM, shape=SHAPE, gap_mm=0.0, scale=1.0):
        z, y, x = ((n - 1) * s / 2 for n, s in zip(shape, spacing_mm, strict=True))
        self.grid = Grid.axial(shape, spacing_mm, origin_mm=(-x, -y, -z))
        self.at = points(self.grid)
        self.hu = np.full(shape, AIR_HU, np.int16)
        self.hu[((self.at[0] / 142) ** 2 + (self.at[1] / 100) ** 2) <= 1] = TISSUE_HU
        radii = tuple(r * scale for r in RADII)
        self.truth = np.zeros(shape, np.uint8)
        for side, (cx, cy, cz) in CENTER.items():
            shifted = (cx + (gap_mm if side == 1 else -gap_mm), cy, cz)
            self.truth[ball(self.at, shifted, radii) & (self.truth == 0)] = side
        self.hu[self.truth > 0] = LUNG_HU
        spine = ball(self.at, (0, 70, 0), (16, 16, 1e4))
        self.hu[spine & (self.truth == 0)] = BONE_HU
        self.hu[(self.at[1] > 106) & (self.at[1] < 109)] = 100

    @property
    def volume(self):
        return CTVolume(self.hu.astype(np.int16), self.grid, "chest")


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def codes(notices):
    return [notice.code for notice in notices]


@pytest.fixture(scope="module")
def chest():
    return Chest()


@pytest.fixture(scope="module")
def lungs(chest):
    return LungSegmenter()(chest.volume)


def test_both_lungs_are_found_and_told_apart(chest, lungs):
    assert lungs.grid is chest.grid
    assert lungs.voxels.dtype == np.uint8
    for side in (1, 2):
        assert dice(lungs.voxels == side, chest.truth == side) > 0.98


def test_volume_is_that_of_the_ellipsoids(lungs):
    # two ellipsoids, 4/3 pi 52 * 75 * 110 mm3 = 1.797 l each
    assert lungs.volume_mm3 / 1e6 == pytest.approx(3.594, rel=0.02)


def test_whole_lungs_earn_no_notice(chest, lungs):
    assert lung_notices(chest.volume, lungs) == ()


def test_two_runs_agree(chest, lungs):
    np.testing.assert_array_equal(LungSegmenter()(chest.volume).voxels, lungs.voxels)


def test_place_in_the_room_does_not_matter(chest, lungs):
    # whole multiples of 0.5 mm are exact in binary, so not a voxel may change
    affine = chest.grid.affine.copy()
    affine[:3, 3] += (128.0, -64.5, 1024.0)
    moved = CTVolume(chest.volume.hu, Grid(chest.grid.shape, affine), "moved")
    np.testing.assert_array_equal(LungSegmenter()(moved).voxels, lungs.voxels)


def test_flipped_patient_has_swapped_lungs(chest, lungs):
    flipped = CTVolume(
        np.ascontiguousarray(chest.volume.hu[..., ::-1]), chest.grid, "flipped"
    )
    back = LungSegmenter()(flipped).voxels[..., ::-1]
    assert dice(back == 2, lungs.voxels == 1) > 0.99
    assert dice(back == 1, lungs.voxels == 2) > 0.99


@pytest.mark.parametrize("gap_mm", [19.0, 22.0])
def test_lungs_that_touch_are_parted_in_the_middle(gap_mm):
    # half width 52 mm; at +-51 mm the neck is 29 mm thick, and erosion parts it;
    # at +-48 mm it is 58 mm thick, and only the midline does
    chest = Chest(gap_mm=gap_mm)
    lungs = LungSegmenter()(chest.volume).voxels
    right, left = chest.at[0] < -8, chest.at[0] > 8
    assert np.count_nonzero(lungs[right] == 2) == 0
    assert np.count_nonzero(lungs[left] == 1) == 0
    assert np.count_nonzero(lungs) / np.count_nonzero(chest.truth) > 0.97


@pytest.mark.parametrize("diameter_mm", [10, 20, 40, 60])
def test_mass_on_the_chest_wall_belongs_to_the_lung(chest, diameter_mm):
    # it touches the outermost point of the right lung, at x = -122 mm
    other = Chest()
    mass = ball(other.at, (-122 + diameter_mm / 2, 0, 0), diameter_mm / 2)
    other.hu[mass] = 40
    lungs = LungSegmenter()(other.volume).voxels
    assert np.mean(lungs[mass] == 1) > 0.95
    assert dice(lungs > 0, other.truth > 0) > 0.97


def test_calcified_nodule_is_in_and_rib_is_out():
    chest = Chest()
    nodule = ball(chest.at, (-95, 0, 10), 8)
    rib = ball(chest.at, (-124, 0, 0), (6, 30, 8)) & (chest.truth == 0)
    chest.hu[nodule | rib] = 900
    lungs = LungSegmenter()(chest.volume).voxels
    assert np.mean(lungs[nodule] == 1) > 0.95
    assert np.mean(lungs[rib] > 0) < 0.1


def test_trachea_bowel_gas_and_couch_stay_out():
    chest = Chest()
    x, y, z = chest.at
    trachea = ((x / 9) ** 2 + ((y + 20) / 9) ** 2 <= 1) & (z > 0)
    # main bronchi run out and down from the carina into both lungs
    bronchi = ((np.abs(x) + z) ** 2 + (y + 20) ** 2 <= 36) & (np.abs(x) < 40)
    gas = ball(chest.at, (60, -40, -135), (40, 30, 16))
    chest.hu[trachea | bronchi | gas] = AIR_HU
    couch = (y > 104) & (y < 112)
    chest.hu[couch] = -900
    lungs = LungSegmenter()(chest.volume).voxels
    assert np.count_nonzero(lungs[trachea]) == 0
    assert np.count_nonzero(lungs[gas]) == 0
    assert np.count_nonzero(lungs[couch]) == 0
    for side in (1, 2):
        assert dice(lungs == side, chest.truth == side) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("slice_mm", [0.75, 8.0])
def test_thin_and_thick_slices_give_the_same_lungs(slice_mm):
    chest = Chest(spacing_mm=(slice_mm, 3.5, 3.5), shape=(int(304 / slice_mm), 66, 88))
    lungs = LungSegmenter()(chest.volume).voxels
    for side in (1, 2):
        assert dice(lungs == side, chest.truth == side) > 0.96


def test_noise_and_emphysema_are_still_lung(chest):
    rng = np.random.default_rng(0)
    hu = chest.hu + rng.normal(0, 80, chest.hu.shape)
    hu[chest.truth == 1] -= 90
    volume = CTVolume(np.clip(hu, -1024, 3071).astype(np.int16), chest.grid, "noisy")
    lungs = LungSegmenter()(volume).voxels
    assert dice(lungs > 0, chest.truth > 0) > 0.95


def test_effusion_leaves_the_lung_above_it(chest):
    other = Chest()
    fluid = (other.truth == 1) & (other.at[1] > 20)
    other.hu[fluid] = 10
    lungs = LungSegmenter()(other.volume).voxels
    assert dice(lungs == 1, (other.truth == 1) & ~fluid) > 0.93
    assert dice(lungs == 2, other.truth == 2) > 0.97


def test_missing_slices_earn_a_notice(chest):
    upper = chest.volume.crop((40, 0, 0), chest.grid.shape)
    (notice,) = (
        n
        for n in lung_notices(upper, LungSegmenter()(upper))
        if n.code == "lungs-cropped"
    )
    assert "first slice" in notice.message
    assert "last slice" not in notice.message
    assert "at most 5.0 cm2" in notice.message


def test_lungs_that_fill_a_tight_field_of_view_are_kept_and_noticed(chest):
    # 20 mm less than the lungs reach, so that no outside air is in sight
    tight = chest.volume.crop((0, 18, 20), (SHAPE[0], 74, 104))
    lungs = LungSegmenter()(tight)
    truth = chest.truth[:, 18:74, 20:104]
    for side in (1, 2):
        assert dice(lungs.voxels == side, truth == side) > 0.95
    (notice,) = lung_notices(tight, lungs)
    assert notice.code == "lungs-cropped"
    assert "right edge" in notice.message
    assert "left edge" in notice.message


def test_lungs_open_to_a_round_field_of_view_are_kept_and_noticed(chest):
    hu = chest.volume.hu.copy()
    seen = chest.at[0] ** 2 + chest.at[1] ** 2 < 95**2
    hu[~seen] = -2000
    volume = CTVolume(hu, chest.grid, "round")
    lungs = LungSegmenter()(volume)
    assert dice(lungs.voxels > 0, (chest.truth > 0) & seen) > 0.9
    (notice,) = lung_notices(volume, lungs)
    assert "rim of the field of view" in notice.message


def test_one_lung_earns_a_notice(chest):
    hu = chest.volume.hu.copy()
    hu[chest.truth == 1] = TISSUE_HU
    volume = CTVolume(hu, chest.grid, "one")
    lungs = LungSegmenter()(volume)
    assert dice(lungs.voxels == 2, chest.truth == 2) > 0.97
    found = lung_notices(volume, lungs)
    assert codes(found) == ["one-lung"]
    assert found[0].message.startswith("The right lung holds 0.00 l, 0%")


def test_lungs_of_a_child_earn_a_notice():
    # 3.594 l * 0.7^3 = 1.23 l, below 1.5 l
    chest = Chest(scale=0.7)
    found = lung_notices(chest.volume, LungSegmenter()(chest.volume))
    assert codes(found) == ["lung-volume-implausible"]
    assert "1.2" in found[0].message
    assert "1.5 to 9.0 l" in found[0].message


def water(chest):
    return np.where(chest.hu > -500, np.int16(0), chest.hu)


def bowel_gas(chest):
    return np.where(chest.truth > 0, np.int16(AIR_HU), chest.hu)


def solid_body(chest):
    return np.where(chest.truth > 0, np.int16(TISSUE_HU), chest.hu)


def nothing_but_air(chest):
    return np.full_like(chest.hu, AIR_HU)


@pytest.mark.parametrize("make", [bowel_gas, solid_body, nothing_but_air])
def test_what_is_no_chest_has_no_lungs(chest, make):
    volume = CTVolume(make(chest).astype(np.int16), chest.grid, "other")
    lungs = LungSegmenter()(volume)
    assert np.count_nonzero(lungs.voxels) == 0
    found = lung_notices(volume, lungs)
    assert codes(found) == ["no-lungs"]
    assert "0.00 l" in found[0].message
    assert "0.1 l" in found[0].message


def test_couch_alone_is_no_lung(chest):
    # a hollow slab as wide as the field of view, foam of lung density inside
    volume = CTVolume(solid_body(chest).copy(), chest.grid, "couch")
    hu = volume.hu
    slab = (chest.at[1] > 102) & (chest.at[1] < 113)
    hu[slab] = 100
    hu[(chest.at[1] > 105) & (chest.at[1] < 110)] = -850
    assert np.count_nonzero(LungSegmenter()(volume).voxels) == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 40), (3, 4, 5)])
def test_volumes_of_a_few_voxels_do_not_fail(shape):
    volume = CTVolume(
        np.full(shape, LUNG_HU, np.int16), Grid.axial(shape, (2.0, 1.0, 1.0)), "tiny"
    )
    assert codes(lung_notices(volume, LungSegmenter()(volume))) == ["no-lungs"]


def test_notices_need_the_mask_of_the_volume(chest, lungs):
    with pytest.raises(InputError, match="another grid"):
        lung_notices(chest.volume.crop((1, 0, 0), SHAPE), lungs)


@pytest.mark.parametrize("spacing_mm", [0.5, 6.0, float("nan")])
def test_cubes_of_another_size_are_refused(spacing_mm):
    with pytest.raises(InputError, match="1 to 5 mm"):
        LungSegmenter(spacing_mm=spacing_mm)


def filled(labels, spacing_mm=2.5):
    none = np.zeros(labels.shape, np.bool_)
    thorax = Thorax(
        np.where(labels > 0, LUNG_HU, TISSUE_HU).astype(np.int16),
        Grid.axial(labels.shape, (spacing_mm,) * 3),
        spacing_mm,
        none,
        none,
    )
    return fill_lungs(thorax, labels, none, bone_hu=250)


@given(
    st.tuples(*[st.integers(4, 9)] * 3),
    st.tuples(*[st.integers(10, 15)] * 3),
)
def test_nothing_is_added_around_a_box(half, center):
    # no chord leaves a convex body, so the wall behind it is never taken in
    labels = np.zeros((26, 26, 26), np.uint8)
    box = tuple(slice(c - h, c + h) for c, h in zip(center, half, strict=True))
    labels[box] = 1
    np.testing.assert_array_equal(filled(labels), labels)


def test_what_two_lungs_enclose_together_is_not_lung():
    labels = np.zeros((20, 20, 30), np.uint8)
    labels[:, :, :10] = 1
    labels[:, :, 20:] = 2
    np.testing.assert_array_equal(filled(labels), labels)


def test_a_hole_is_filled_by_its_own_lung():
    labels = np.full((20, 20, 20), 2, np.uint8)
    labels[8:12, 8:12, 8:12] = 0
    np.testing.assert_array_equal(filled(labels), np.full_like(labels, 2))


def test_flood_crosses_the_lower_pass():
    # a wall of level 9 with a gate of level 1 in a floor of level 0, seeds at
    # both ends nearer to the wall's left: all left of the wall goes to seed 1
    levels = np.zeros((1, 3, 9), np.uint8)
    levels[:, :, 3] = 9
    labels = np.zeros((1, 3, 9), np.uint8)
    labels[0, 1, 0], labels[0, 1, 8] = 1, 2
    flood(levels, labels)
    assert (labels[..., :3] == 1).all()
    assert (labels[..., 4:] == 2).all()


def test_flood_keeps_out_of_what_is_shut():
    labels = np.zeros((1, 1, 5), np.uint8)
    labels[0, 0] = [1, 0, 255, 0, 0]
    flood(np.zeros_like(labels), labels)
    np.testing.assert_array_equal(labels[0, 0], [1, 1, 255, 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_phantom_agrees_with_its_truth(seed):
    phantom = make_phantom(
        PhantomSettings(seed=seed, shape=(140, 256, 256), spacing_mm=(2.5, 1.4, 1.4))
    )
    lungs = LungSegmenter()(phantom.volume)
    for side in (1, 2):
        assert dice(lungs.voxels == side, phantom.lungs.voxels == side) >= 0.95
    assert lung_notices(phantom.volume, lungs) == ()


def covered(mask, center_mm, diameter_mm, *, within_mm):
    """Share of a sphere that lies in a mask or near it."""
    step = np.arange(-diameter_mm / 2, diameter_mm / 2 + 0.5, 0.75)
    offsets = np.stack(np.meshgrid(step, step, step), -1).reshape(-1, 3)
    sphere = offsets[np.linalg.norm(offsets, axis=1) <= diameter_mm / 2] + center_mm
    index = np.rint(mask.grid.to_index(sphere)).astype(int)
    low = np.maximum(index.min(axis=0) - 8, 0)
    high = np.minimum(index.max(axis=0) + 9, mask.grid.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    outside = np.ascontiguousarray(mask.voxels[box] == 0)
    distance = edt(outside, anisotropy=mask.grid.spacing_mm)
    return float(np.mean(distance[tuple((index - low).T)] <= within_mm))


@pytest.mark.real
@pytest.mark.slow
def test_every_annotated_nodule_is_in_the_lungs(real_data):
    with (real_data / "annotations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 28
    missed = []
    for patient in sorted({row["patient"] for row in rows}):
        mine = [row for row in rows if row["patient"] == patient]
        volume = read_dicom(real_data / "ct" / patient, series_uid=mine[0]["seriesuid"])
        lungs = LungSegmenter()(volume)
        assert lung_notices(volume, lungs) == ()
        for row in mine:
            center = [float(row[f"coord{axis}"]) for axis in "XYZ"]
            share = covered(lungs, center, float(row["diameter_mm"]), within_mm=3)
            if share < 0.95:
                missed.append((patient, row["nodule"], share))
    assert missed == []


def test_covered_counts_by_hand():
    # half space x < 0: the sphere at 0 mm is half in, at -10 mm all in, and
    # 3 mm beyond the last voxel centre (-0.5 mm) a cap of 2.5 mm counts too
    grid = Grid.axial((40, 40, 40), (1.0,) * 3, origin_mm=(-19.5, -19.5, -19.5))
    voxels = (points(grid)[0] < 0).astype(np.uint8)
    mask = Mask(voxels, grid)
    assert covered(mask, (-10, 0, 0), 10, within_mm=0) == 1
    assert covered(mask, (0, 0, 0), 16, within_mm=0) == pytest.approx(0.5, abs=0.06)
    assert 0.5 < covered(mask, (0, 0, 0), 16, within_mm=3) < 0.9


def test_stage_is_its_settings():
    assert replace(LungSegmenter(), air_hu=-500).air_hu == -500
    assert LungSegmenter() == LungSegmenter(spacing_mm=2.5)

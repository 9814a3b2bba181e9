"""What is laid over key images lies where it is in the patient."""

import re

import numpy as np
import pytest
from report_examples import make_mask, make_volume

from hilum.report.images import PLANES, key_image
from hilum.report.overlays import FAINT, heat_pixels, outline_path
from hilum.space import Grid
from hilum.stages.explain import Heat
from hilum.volume import Mask

CENTER_MM = (20.0, 10.0, -150.0)
# radii of `make_mask` along x, y, z; what a picture shows across and down
SEEN = {"axial": (8.0, 13.0), "coronal": (8.0, 10.0), "sagittal": (13.0, 10.0)}


@pytest.fixture(scope="module")
def volume():
    return make_volume()


def points_of(path):
    return np.array(re.findall(r"([\d.]+) ([\d.]+)", path), float)


@pytest.mark.parametrize("plane", PLANES)
def test_the_outline_of_an_ellipsoid_is_an_ellipse(volume, plane):
    image = key_image(volume, CENTER_MM, plane, 60.0)
    path = outline_path(make_mask(volume), image)
    assert path.count("M") == 1
    points = points_of(path) - 30.0
    np.testing.assert_allclose(points[0], points[-1])  # it closes
    across, down = SEEN[plane]
    # voxels are 1 x 1 x 2 mm, so edges are true to about one of them
    assert points[:, 0].max() == pytest.approx(across, abs=1.1)
    assert points[:, 0].min() == pytest.approx(-across, abs=1.1)
    assert points[:, 1].max() == pytest.approx(down, abs=2.1)
    assert points[:, 1].min() == pytest.approx(-down, abs=2.1)


def test_an_outline_off_the_middle_is_drawn_off_the_middle(volume):
    # the mask lies 5 mm to the left and 4 mm above the middle of the pictures
    x, y, z = CENTER_MM
    for plane, off in (("axial", (5, 0)), ("coronal", (5, -4)), ("sagittal", (0, -4))):
        image = key_image(volume, (x - 5, y, z - 4), plane, 60.0)
        points = points_of(outline_path(make_mask(volume), image)) - 30.0
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        np.testing.assert_allclose(middle, off, atol=1.1)


def test_two_parts_have_two_outlines_and_a_far_plane_has_none(volume):
    grid = volume.grid
    inside = np.zeros(grid.shape, bool)
    inside[25, 45:50, 50:55] = inside[25, 45:50, 65:70] = True
    image = key_image(volume, (15.0, 7.0, -150.0), "axial", 60.0)
    assert outline_path(Mask(inside, grid), image).count("M") == 2
    far = key_image(volume, (15.0, 7.0, -130.0), "axial", 60.0)
    assert outline_path(Mask(inside, grid), far) == ""


def heat(points, origin_mm=(10.0, 0.0, -160.0)):
    grid = Grid.axial((3, 3, 3), (10.0, 10.0, 10.0), origin_mm=origin_mm)
    return Heat(np.asarray(points, np.float32), grid)


def test_what_raises_is_orange_and_what_lowers_is_blue_where_they_are(volume):
    points = np.zeros((3, 3, 3))
    points[1, 1, 0], points[1, 1, 2] = 0.4, -0.2  # at x = 10 and 30 mm, z = -150
    image = key_image(volume, CENTER_MM, "axial", 60.0)
    pixels = heat_pixels(heat(points), image, 0.4)
    assert pixels.shape == (48, 48, 4)
    # 60 mm in 48 pixels of 1.25 mm; x = 10 is 10 mm left of the middle: pixel 16
    left, right = pixels[24, 16], pixels[24, 31]
    assert left[0] > left[2]
    assert right[2] > right[0]
    assert left[3] == pytest.approx(255 * FAINT, rel=0.15)
    assert right[3] == pytest.approx(255 * FAINT / 2, rel=0.15)
    assert pixels[0, 0, 3] == 0  # beyond the patch nothing is claimed


def test_coronal_heat_has_the_head_above(volume):
    points = np.zeros((3, 3, 3))
    points[2, 1, 1] = 1.0  # z = -140: 10 mm above the middle
    pixels = heat_pixels(heat(points), key_image(volume, CENTER_MM, "coronal", 60.0), 1)
    row, _ = np.unravel_index(pixels[..., 3].argmax(), (48, 48))
    assert row * 1.25 == pytest.approx(20, abs=1.5)


def test_next_to_nothing_is_not_stretched_to_look_like_something(volume):
    image = key_image(volume, CENTER_MM, "axial", 60.0)
    pixels = heat_pixels(heat(np.full((3, 3, 3), 1e-4)), image, 1e-4)
    assert pixels[..., 3].max() <= 1

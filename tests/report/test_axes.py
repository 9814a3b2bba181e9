"""Where long and short axis lie: on shapes that tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import make_mask, make_nodule, make_volume

from hilum.report.axes import axes_of
from hilum.space import Grid
from hilum.volume import Mask


def box(rows, columns, spacing_mm=(2.0, 0.5, 1.0)):
    """Make a box of rows and columns on two of six slices, the second larger."""
    grid = Grid.axial((6, 40, 40), spacing_mm, origin_mm=(-10.0, 5.0, 100.0))
    inside = np.zeros(grid.shape, bool)
    inside[3, 10 : 10 + rows, 20 : 20 + columns] = True
    inside[2, 10 : 10 + rows // 2, 20 : 20 + columns // 2] = True
    return Mask(inside, grid)


def length(ends):
    return float(np.linalg.norm(np.subtract(*ends)))


def test_axes_lie_on_the_largest_slice():
    axes = axes_of(make_nodule(), box(6, 4))
    # slice 3 of 2 mm from z = 100 mm
    assert axes.height_mm == pytest.approx(106.0)
    assert {end[2] for end in (*axes.long_mm, *axes.short_mm)} == {106.0}


def test_the_long_axis_of_a_bar_runs_along_it():
    # 4 rows of 0.5 mm by 12 columns of 1 mm: columns 20 to 31, x = 10 to 21 mm
    axes = axes_of(make_nodule(long_axis_mm=12.0, short_axis_mm=2.0), box(4, 12))
    (x0, y0, _), (x1, y1, _) = axes.long_mm
    # from edge to edge, x = 9.5 to 21.5; corner to opposite corner is a little more
    assert sorted((x0, x1)) == pytest.approx([9.5, 21.5], abs=0.1)
    assert abs(y1 - y0) <= 2.0
    middle = np.mean(axes.short_mm, axis=0)
    assert 9.5 <= middle[0] <= 21.5
    assert 5 + 4.75 <= middle[1] <= 5 + 6.75


@given(st.floats(1, 60), st.floats(0.2, 1))
def test_what_is_drawn_is_as_long_as_what_is_said(long_mm, share):
    nodule = make_nodule(long_axis_mm=long_mm, short_axis_mm=long_mm * share)
    axes = axes_of(nodule, box(5, 9))
    assert length(axes.long_mm) == pytest.approx(long_mm)
    assert length(axes.short_mm) == pytest.approx(long_mm * share)
    along, across = (np.subtract(*e) for e in (axes.long_mm, axes.short_mm))
    assert np.dot(along, across) == pytest.approx(0, abs=1e-6)


def test_an_ellipse_is_measured_through_its_middle():
    volume = make_volume()
    # radii 8 mm along x and 13 mm along y
    axes = axes_of(make_nodule(), make_mask(volume))
    for ends in (axes.long_mm, axes.short_mm):
        np.testing.assert_allclose(np.mean(ends, axis=0)[:2], (20.0, 10.0), atol=1.1)
    (x0, y0, _), (x1, y1, _) = axes.long_mm
    assert abs(y1 - y0) > 3 * abs(x1 - x0)


def test_one_voxel_has_axes_and_nothing_has_none():
    grid = Grid.axial((3, 3, 3), (1.0, 1.0, 1.0))
    inside = np.zeros(grid.shape, bool)
    assert axes_of(make_nodule(), Mask(inside, grid)) is None
    inside[1, 1, 1] = True
    axes = axes_of(make_nodule(long_axis_mm=1.0, short_axis_mm=1.0), Mask(inside, grid))
    assert np.abs(np.subtract((*axes.long_mm, *axes.short_mm), 1.0)).max() <= 0.75

"""The grid: hand-derived values, laws, and the errors a user can meet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.space import Grid

finite = st.floats(-500, 500, allow_nan=False)
points = st.tuples(finite, finite, finite)
spacings = st.tuples(*[st.floats(0.1, 10)] * 3)
shapes = st.tuples(*[st.integers(1, 9)] * 3)


def rotation(a, b, c):
    def turn(angle, i, j):
        m = np.eye(3)
        m[i, i] = m[j, j] = np.cos(angle)
        m[i, j], m[j, i] = -np.sin(angle), np.sin(angle)
        return m

    return turn(a, 0, 1) @ turn(b, 1, 2) @ turn(c, 0, 2)


@st.composite
def grids(draw):
    """Any grid: every orientation, right- and left-handed."""
    angles = draw(st.tuples(*[st.floats(-3.2, 3.2)] * 3))
    signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    affine = np.eye(4)
    affine[:3, :3] = rotation(*angles) * np.array(draw(spacings)) * signs
    affine[:3, 3] = draw(points)
    return Grid(draw(shapes), affine)


def test_to_world_by_hand():
    # index (z=2, y=3, x=4), spacing (2.5, 0.5, 0.25) mm
    # x = 4 * 0.25 = 1.0;  y = 3 * 0.5 = 1.5;  z = 2 * 2.5 = 5.0
    grid = Grid.axial((10, 10, 10), spacing_mm=(2.5, 0.5, 0.25))
    np.testing.assert_allclose(grid.to_world([2, 3, 4]), [1.0, 1.5, 5.0])
    assert grid.spacing_mm == (2.5, 0.5, 0.25)
    assert grid.voxel_mm3 == pytest.approx(2.5 * 0.5 * 0.25)
    assert grid.extent_mm == (25.0, 5.0, 2.5)


@given(grids(), points)
def test_world_and_index_are_inverse(grid, point):
    np.testing.assert_allclose(grid.to_world(grid.to_index(point)), point, atol=1e-6)


@given(grids())
def test_canonical_moves_no_voxel(grid):
    canonical = grid.to_canonical()
    assert canonical.is_canonical
    order, flips = grid.canonical_axes()
    for index in np.ndindex(canonical.shape):
        original = [0, 0, 0]
        for axis in range(3):
            n = canonical.shape[axis]
            original[order[axis]] = n - 1 - index[axis] if flips[axis] else index[axis]
        np.testing.assert_allclose(
            canonical.to_world(index), grid.to_world(original), atol=1e-6
        )


@given(grids())
def test_canonical_twice_is_canonical_once(grid):
    once = grid.to_canonical()
    assert once.to_canonical().same_as(once, atol_mm=1e-9)


def test_feet_first_coronal_by_hand():
    # slices to the back (+y), rows to the feet (-z), columns to the left (+x)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = [0, 5, 0], [0, 0, -2], [1, 0, 0]
    grid = Grid((3, 4, 6), affine)
    assert not grid.is_canonical
    assert grid.canonical_axes() == ((1, 0, 2), (True, False, False))
    canonical = grid.to_canonical()
    assert canonical.shape == (4, 3, 6)
    assert canonical.spacing_mm == (2.0, 5.0, 1.0)
    # the lowest row was the last one: z = 3 * -2 = -6
    np.testing.assert_allclose(canonical.to_world([0, 0, 0]), [0, 0, -6])


@given(grids(), st.data())
def test_crop_moves_no_voxel(grid, data):
    start = tuple(data.draw(st.integers(0, n - 1)) for n in grid.shape)
    stop = tuple(
        data.draw(st.integers(a + 1, n)) for a, n in zip(start, grid.shape, strict=True)
    )
    cropped = grid.crop(start, stop)
    np.testing.assert_allclose(
        cropped.to_world([0, 0, 0]), grid.to_world(start), atol=1e-6
    )
    np.testing.assert_allclose(
        cropped.to_world([1, 2, 3]), grid.to_world(np.add(start, [1, 2, 3])), atol=1e-6
    )


@pytest.mark.parametrize(
    ("start", "stop"),
    [((0, 0, 0), (5, 4, 4)), ((-1, 0, 0), (2, 2, 2)), ((2, 0, 0), (2, 4, 4))],
)
def test_crop_outside_is_refused(start, stop):
    with pytest.raises(InputError, match="Cannot crop"):
        Grid.axial((4, 4, 4), (1, 1, 1)).crop(start, stop)


@given(grids(), spacings)
def test_regrid_keeps_the_first_edge_and_covers_the_box(grid, spacing):
    new = grid.regrid(spacing)
    np.testing.assert_allclose(new.spacing_mm, spacing)
    np.testing.assert_allclose(
        new.to_world([-0.5] * 3), grid.to_world([-0.5] * 3), atol=1e-6
    )
    extra = np.array(new.extent_mm) - grid.extent_mm
    # a thousandth of a voxel more is not worth another voxel
    assert (extra >= -1.001e-3 * np.array(spacing) - 1e-9).all()
    assert (extra <= np.array(spacing) + 1e-9).all()


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_regrid_refuses_bad_spacing(bad):
    with pytest.raises(InputError, match="must be > 0"):
        Grid.axial((4, 4, 4), (1, 1, 1)).regrid((1, bad, 1))


@given(grids(), st.tuples(*[st.floats(-0.49, 0.49)] * 3), st.data())
def test_contains_every_point_of_every_voxel(grid, offset, data):
    index = [data.draw(st.integers(0, n - 1)) for n in grid.shape]
    assert grid.contains(grid.to_world(np.add(index, offset)))
    outside = [grid.shape[0] + 0.01, 0, 0]
    assert not grid.contains(grid.to_world(outside))


@given(grids(), grids(), points)
def test_index_map_agrees_with_the_way_through_the_world(a, b, index):
    by_world = a.to_index(b.to_world(index))
    by_map = (a.index_map_from(b) @ [*index, 1])[:3]
    np.testing.assert_allclose(by_map, by_world, rtol=1e-6, atol=1e-4)


def test_known_different_frames_never_match():
    a = Grid((2, 2, 2), np.eye(4), frame_uid="1.2.3")
    b = Grid((2, 2, 2), np.eye(4), frame_uid="1.2.4")
    assert not a.same_as(b)
    assert a.same_as(Grid((2, 2, 2), np.eye(4)))  # unknown frame: geometry decides


def test_same_as_looks_at_the_far_corner():
    # 0.001 mm a voxel is within 1e-3 for one voxel, not for a hundred
    a = Grid.axial((100, 4, 4), (1, 1, 1))
    b = Grid.axial((100, 4, 4), (1.001, 1, 1))
    assert not a.same_as(b)
    assert a.same_as(b, atol_mm=0.1)
    assert not a.same_as(Grid.axial((99, 4, 4), (1, 1, 1)))


def test_repeated_slice_positions_are_refused():
    affine = np.diag([0.0, 1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="repeated slice positions"):
        Grid((2, 2, 2), affine)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e-30, 1e30])
def test_absurd_spacing_is_refused(bad):
    with pytest.raises(InputError, match="not invertible"):
        Grid((2, 2, 2), np.diag([bad, 1.0, 1.0, 1.0]))


def test_affine_shape_is_checked():
    with pytest.raises(InputError, match=r"shape \(3, 3\); expected \(4, 4\)"):
        Grid((2, 2, 2), np.eye(3))


@pytest.mark.parametrize("bad", [(2, 2), (0, 2, 2), (2, 2, -1)])
def test_empty_shapes_are_refused(bad):
    with pytest.raises(InputError, match="three counts of at least 1"):
        Grid(bad, np.eye(4))


def test_affine_is_owned():
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 0] = 9
    assert grid.affine[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 9


def test_anchored_by_hand():
    # centres at x = 0.3, 1.3, 2.3, 3.3 mm: to have one at 7, move 0.7 further
    grid = Grid.axial((4, 4, 4), (1.0, 1.0, 1.0), origin_mm=(0.3, 2.0, -1.5))
    moved = grid.anchored((7.0, 3.0, 0.0))
    np.testing.assert_allclose(moved.to_world([0, 0, 0]), [1.0, 2.0, -1.0])
    assert moved.shape == (3, 4, 3)  # slice, row, column
    assert moved.nearest_index((7.0, 3.0, 0.0)) == (1, 1, 6)


@given(
    st.tuples(*[st.floats(-200, 200)] * 3),
    st.tuples(*[st.floats(0.3, 5)] * 3),
    st.floats(0, 0.6),
    st.tuples(*[st.floats(-50, 50)] * 3),
)
def test_grids_of_one_spacing_share_a_lattice_once_anchored(
    origin, spacing, turn, point
):
    affine = np.eye(4)
    affine[:3, :3] = np.array(
        [[0, -np.sin(turn), np.cos(turn)], [0, np.cos(turn), np.sin(turn)], [1, 0, 0]]
    ) * np.array(spacing)
    affine[:3, 3] = origin
    grid = Grid((6, 7, 8), affine)
    moved = grid.anchored(point)
    np.testing.assert_allclose(
        moved.to_index(point), moved.nearest_index(point), atol=2e-3
    )
    inside = grid.to_index(moved.to_world([[0, 0, 0], [n - 1 for n in moved.shape]]))
    assert (inside > -2e-3).all()
    assert (inside < np.array(grid.shape) - 1 + 2e-3).all()
    assert moved.anchored(point).same_as(moved, atol_mm=1e-2)


def test_plain_lengths_do_not_hang_on_float32():
    exact = Grid.axial((3, 4, 5), (1.6, 0.7031, 0.7031), origin_mm=(-161.3, 22.1, -7.7))
    single = Grid(exact.shape, exact.affine.astype(np.float32).astype(np.float64))
    assert not np.array_equal(single.affine, exact.affine)
    np.testing.assert_array_equal(single.plain().affine, exact.plain().affine)
    assert single.plain().same_as(single, atol_mm=1e-3)

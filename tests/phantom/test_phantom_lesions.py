"""Truth of lesions: against counting fine points, by hand, and as painted."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.phantom import Lesion, Truth
from hilum.phantom._lesion_kernels import cover_with_body
from hilum.phantom.shapes import _chord
from hilum.space import Grid

HERE = (3.3, -2.1, 5.7)
FORMS = ("round", "lobulated", "spiculated")


def inside(shape, step_mm):
    """Points (n, 3) of a fine lattice that lie in a shape, from its formula."""
    reach = np.abs(shape.surface(2000)).max() * 1.1
    axis = np.arange(-reach, reach, step_mm)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    rays = points - shape.origin_mm
    length = np.linalg.norm(rays, axis=1) + 1e-12
    return points[length < shape.reach(rays / length[:, None])]


def painted_mm3(lesion, spacing_mm, tilt_deg=0.0):
    """Volume of the outer body as the kernel paints it on a grid."""
    tilt = math.radians(tilt_deg)
    dz, dy, dx = spacing_mm
    half = 0.8 * lesion.diameter_mm + 2 * max(spacing_mm)
    shape = [int(2 * half * (1.6 if tilt else 1) / s) for s in spacing_mm]
    body = lesion.bodies()[0]
    packed = body.packed((0.0, 0.0, 0.0))
    steps = np.array(
        [[0, 0, dx], [0, dy * math.cos(tilt), 0], [dz, dy * math.sin(tilt), 0]]
    )
    corner = np.array(lesion.center_mm) - steps @ [(n - 1) / 2 for n in shape]
    total = 0.0
    for k in range(shape[0]):
        cover = np.zeros(shape[1:], np.float32)
        frame = np.column_stack([steps, corner + k * steps[:, 0]])
        cuts = np.array([4, 4, 4])
        cover_with_body(packed, body.shape.bumps, frame, cuts, cover)
        total += float(cover.sum())
    return total * dx * dy * math.cos(tilt) * dz


def test_a_ball_by_hand():
    # 12 mm: volume pi / 6 * 12^3 = 288 pi = 904.779 mm3, every diameter 12 mm
    truth = Lesion(center_mm=HERE, diameter_mm=12).truth()
    assert truth.volume_mm3 == pytest.approx(904.779, abs=1e-3)
    assert truth.center_mm == HERE
    assert (truth.long_axis_mm, truth.short_axis_mm) == pytest.approx((12, 12))
    assert truth.solid_diameter_mm == pytest.approx(12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", [0, pytest.param(5, marks=pytest.mark.slow)])
def test_truth_agrees_with_counting_fine_points(form, seed):
    lesion = Lesion(center_mm=HERE, diameter_mm=10, form=form, seed=seed)
    truth = lesion.truth()
    points = inside(lesion.shape(), 0.15)
    assert len(points) * 0.15**3 == pytest.approx(truth.volume_mm3, rel=0.005)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=0.02)
    widest = 0.0
    turns = np.arange(180) * (math.pi / 180)
    for z in np.unique(points[:, 2]):
        flat = points[points[:, 2] == z][:, :2]
        along = flat @ np.stack([np.cos(turns), np.sin(turns)])
        widest = max(widest, float((along.max(0) - along.min(0)).max()))
    # counted points miss up to one step of 0.15 mm
    assert truth.long_axis_mm == pytest.approx(widest + 0.07, abs=0.15)
    assert truth.short_axis_mm <= truth.long_axis_mm + 1e-9


def test_the_short_axis_of_an_outline_known_by_hand():
    # an ellipse of 14 x 6 mm, turned by 30 degrees: the longest chord at right
    # angles to its long axis is its short axis
    t = np.arange(720) * (2 * math.pi / 720)
    ellipse = np.column_stack([7 * np.cos(t), 3 * np.sin(t)])
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    turned = ellipse @ np.array([[c, s], [-s, c]])
    assert _chord(turned, math.pi / 6) == pytest.approx(6, abs=0.01)
    assert _chord(turned, math.pi / 6 + math.pi / 2) == pytest.approx(14, abs=0.05)


@given(st.floats(3, 45), st.sampled_from(FORMS), st.integers(0, 50))
@settings(max_examples=8, deadline=None)
def test_a_lesion_twice_as_wide_is_alike(diameter, form, seed):
    small = Lesion(center_mm=HERE, diameter_mm=diameter / 2, form=form, seed=seed)
    large = Lesion(center_mm=HERE, diameter_mm=diameter, form=form, seed=seed)
    a, b = small.truth(), large.truth()
    assert b.volume_mm3 == pytest.approx(8 * a.volume_mm3)
    assert b.long_axis_mm == pytest.approx(2 * a.long_axis_mm)
    assert b.short_axis_mm == pytest.approx(2 * a.short_axis_mm)
    assert a.short_axis_mm <= a.long_axis_mm * (1 + 1e-9)


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.7), (2.5, 0.6, 0.6), (5, 3, 3)])
@pytest.mark.parametrize("form", FORMS)
def test_the_painted_volume_is_the_true_one(spacing, form):
    for kind in ("solid", "ground-glass"):
        lesion = Lesion(center_mm=HERE, diameter_mm=11, kind=kind, form=form, seed=3)
        assert painted_mm3(lesion, spacing) == pytest.approx(
            lesion.volume_mm3, rel=0.01
        )


def test_a_tilted_gantry_paints_the_true_volume():
    lesion = Lesion(center_mm=HERE, diameter_mm=14, form="lobulated", seed=3)
    painted = painted_mm3(lesion, (1.5, 0.7, 0.7), tilt_deg=20)
    assert painted == pytest.approx(lesion.volume_mm3, rel=0.01)


def test_each_kind_says_what_of_it_is_solid():
    part = Lesion(
        center_mm=HERE, diameter_mm=20, kind="part-solid", solid_diameter_mm=7
    )
    assert part.truth().solid_diameter_mm == 7
    assert Lesion(
        center_mm=HERE, diameter_mm=20, kind="part-solid"
    ).truth().solid_diameter_mm == pytest.approx(10)
    glass = Lesion(center_mm=HERE, diameter_mm=20, kind="ground-glass").truth()
    assert glass.solid_diameter_mm == 0
    chalk = Lesion(center_mm=HERE, diameter_mm=5, kind="calcified")
    assert max(body.hu for body in chalk.bodies()) > 400
    assert all(-760 < body.hu < -500 for body in glass_bodies())


def glass_bodies():
    return [
        Lesion(center_mm=HERE, diameter_mm=9, kind="ground-glass", seed=seed).bodies()[
            0
        ]
        for seed in range(20)
    ]


def test_spicules_leave_the_body_and_belong_to_spiculated_lesions_alone():
    lesion = Lesion(center_mm=HERE, diameter_mm=15, form="spiculated", seed=1)
    ends = lesion.spicules().data[:, 3:6] - HERE
    # every other end is a tip
    assert np.linalg.norm(ends[1::2], axis=1).min() > 7.5
    assert len(Lesion(center_mm=HERE, diameter_mm=15).spicules().kind) == 0


def test_truth_moves_with_the_person_and_survives_json():
    lesion = Lesion(center_mm=(1, 2, 3), diameter_mm=8, form="lobulated")
    truth = lesion.truth((10.0, -20.0, 0.5))
    assert truth.center_mm == (11, -18, 3.5)
    assert truth.long_axis_mm == lesion.truth().long_axis_mm
    assert Truth.from_json(truth.to_json()) == truth
    assert Lesion.from_json(lesion.to_json()) == lesion


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"diameter_mm": 0.5}, "1 to 80 mm"),
        ({"diameter_mm": float("nan")}, "1 to 80 mm"),
        ({"diameter_mm": 10, "solid_diameter_mm": 4}, "only a part-solid one"),
        (
            {"diameter_mm": 10, "kind": "part-solid", "solid_diameter_mm": 10},
            "smaller than itself",
        ),
        ({"diameter_mm": 10, "kind": "semi-solid"}, "ground-glass"),
        ({"diameter_mm": 10, "form": "square"}, "lobulated"),
        ({"diameter_mm": 10, "site": "liver"}, "pleura"),
        ({"diameter_mm": 10, "center_mm": (0.0, float("inf"), 0.0)}, "finite"),
    ],
)
def test_what_is_not_a_nodule_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        Lesion(**{"center_mm": HERE, **wrong})


def test_grid_and_kernel_agree_where_a_lesion_is():
    # the voxel that holds the centre is full, one a radius and a bit off is empty
    lesion = Lesion(center_mm=(0.0, 0.0, 0.0), diameter_mm=10)
    grid = Grid.axial((21, 21, 21), (1, 1, 1), origin_mm=(-10, -10, -10))
    cover = np.zeros((21, 21), np.float32)
    body = lesion.bodies()[0]
    frame = np.ascontiguousarray(grid.affine[:3]).copy()
    frame[:, 3] = grid.to_world([10, 0, 0])
    cover_with_body(
        body.packed((0, 0, 0)), body.shape.bumps, frame, np.array([3, 3, 3]), cover
    )
    assert cover[10, 10] == 1
    assert cover[10, 15] == pytest.approx(0.5, abs=0.1)
    assert cover[10, 16] == 0

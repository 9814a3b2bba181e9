"""Places of lesions: in the lung, at the pleura, on a vessel; and growth."""

import numpy as np
import pytest

from hilum.errors import InputError
from hilum.phantom import Plan, default_lesions, grow_lesions, place_lesions
from hilum.phantom.anatomy import build_anatomy
from hilum.phantom.person import Person
from hilum.phantom.placing import CLEAR_MM, DIP, GAP_MM
from hilum.phantom.vessels import lung_trees

SEED = 7


@pytest.fixture(scope="module")
def anatomy():
    return build_anatomy(Person.from_seed(SEED))


def sticking_out(anatomy, lesion):
    """Share of a lesion's volume outside of the lung, by counting points."""
    shape = lesion.shape()
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (60000, 3)) * lesion.diameter_mm
    rays = points - shape.origin_mm
    length = np.linalg.norm(rays, axis=1)
    points = points[length < shape.reach(rays / length[:, None])]
    return float((anatomy.at("lung", points + lesion.center_mm) > 0).mean())


def test_lesions_keep_off_the_wall_and_each_other(anatomy):
    plans = [Plan(diameter_mm=d) for d in (40, 12, 8, 6, 6, 4, 4, 3)]
    lesions = place_lesions(SEED, plans)
    assert [lesion.diameter_mm for lesion in lesions] == [40, 12, 8, 6, 6, 4, 4, 3]
    for i, a in enumerate(lesions):
        edge = a.shape().surface(500) + a.center_mm
        assert anatomy.at("lung", edge).max() < -CLEAR_MM + 0.3
        for b in lesions[:i]:
            apart = np.linalg.norm(np.subtract(a.center_mm, b.center_mm))
            assert apart >= (a.diameter_mm + b.diameter_mm) / 2 + GAP_MM


@pytest.mark.parametrize("form", ["round", "lobulated"])
def test_one_at_the_pleura_touches_it(anatomy, form):
    plans = [Plan(diameter_mm=d, form=form, site="pleura") for d in (6, 12, 40)]
    for lesion in place_lesions(SEED, plans):
        assert sticking_out(anatomy, lesion) == pytest.approx(DIP, abs=0.008)


def test_one_on_a_vessel_is_pierced_by_it():
    (lesion,) = place_lesions(SEED, [Plan(diameter_mm=9, site="vessel")])
    tubes = lung_trees(Person.from_seed(SEED)).of("vessel").data
    thick = tubes[tubes[:, 6] > 0.9]
    gap = np.linalg.norm(thick[:, :3] - lesion.center_mm, axis=1)
    assert gap.min() < 4.5
    (free,) = place_lesions(SEED, [Plan(diameter_mm=9)])
    thick = tubes[tubes[:, 6] > 1.3]
    assert np.linalg.norm(thick[:, :3] - free.center_mm, axis=1).min() > 4.5


def test_one_more_lesion_moves_none_before_it():
    plans = [Plan(diameter_mm=8), Plan(diameter_mm=5, site="pleura")]
    assert place_lesions(SEED, [*plans, Plan(diameter_mm=6)])[:2] == place_lesions(
        SEED, plans
    )


def test_growth_by_volume(anatomy):
    # a volume 2 times as large is a diameter 2^(1/3) = 1.259921 times as wide
    before = default_lesions(SEED)
    after = grow_lesions(SEED, before, 2.0)
    for a, b in zip(before, after, strict=True):
        assert b.truth().volume_mm3 == pytest.approx(2 * a.truth().volume_mm3)
        assert b.diameter_mm == pytest.approx(1.259921 * a.diameter_mm, rel=1e-6)
        assert b.truth().long_axis_mm == pytest.approx(
            1.259921 * a.truth().long_axis_mm, rel=1e-6
        )
        assert (b.kind, b.form, b.site, b.seed) == (a.kind, a.form, a.site, a.seed)
        if a.kind == "part-solid":
            assert b.solid_diameter_mm == pytest.approx(
                1.259921 * a.solid_diameter_mm, rel=1e-6
            )
        if a.site == "pleura":
            assert sticking_out(anatomy, b) == pytest.approx(DIP, abs=0.008)
            moved = np.linalg.norm(np.subtract(a.center_mm, b.center_mm))
            assert 0.05 * a.diameter_mm < moved < 0.25 * a.diameter_mm
        else:
            assert sticking_out(anatomy, b) < 0.002


def test_growth_of_each_its_own_and_none():
    before = default_lesions(SEED)[:2]
    same, half = grow_lesions(SEED, before, (1, 0.5))
    assert same == before[0]
    assert half.volume_mm3 == pytest.approx(0.5 * before[1].volume_mm3)
    assert half.center_mm == before[1].center_mm


@pytest.mark.parametrize("factor", [(1.0,), 0.0, (2.0, -1.0), (1.0, float("nan"))])
def test_growth_that_does_not_fit_is_refused(factor):
    with pytest.raises(InputError, match="cannot grow"):
        grow_lesions(SEED, default_lesions(SEED)[:2], factor)


def test_too_many_masses_find_no_room():
    with pytest.raises(InputError, match=r"No room for lesion \d+ of 40"):
        place_lesions(SEED, [Plan(diameter_mm=45)] * 40)


def test_a_plan_is_checked_like_a_lesion():
    with pytest.raises(InputError, match="1 to 80 mm"):
        Plan(diameter_mm=200)
    with pytest.raises(InputError, match="form"):
        Plan(diameter_mm=20, form="square")

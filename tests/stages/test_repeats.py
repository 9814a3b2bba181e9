"""One nodule found twice is one nodule."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hilum.findings import Nodule
from hilum.space import Grid
from hilum.stages.measure import Measurement, drop_repeats
from hilum.volume import Mask

EMPTY = Mask(np.zeros((1, 1, 1), bool), Grid.axial((1, 1, 1), (1.0, 1.0, 1.0)))


def found(x, diameter, score):
    nodule = Nodule(
        center_mm=(x, 0.0, 0.0),
        diameter_mm=diameter,
        long_axis_mm=diameter,
        short_axis_mm=diameter,
        volume_mm3=0.5236 * diameter**3,
        type="solid",
        solid_diameter_mm=diameter,
        side=None,
        detection_score=score,
    )
    return Measurement(nodule, EMPTY)


def test_a_lobule_inside_a_mass_is_dropped():
    mass, lobule, beside = found(0, 24, 0.8), found(6, 16, 0.5), found(13, 5, 0.3)
    kept = drop_repeats([lobule, beside, mass])
    assert [m.nodule.center_mm[0] for m in kept] == [0, 13]


def test_a_small_one_with_a_better_score_keeps_its_place():
    small, engulfing = found(0, 5, 0.9), found(3, 20, 0.2)
    assert drop_repeats([engulfing, small]) == (small,)


@given(
    st.lists(
        st.builds(found, st.floats(-50, 50), st.floats(3, 40), st.floats(0, 1)),
        max_size=6,
    )
)
def test_twice_is_once_and_nothing_new(measurements):
    kept = drop_repeats(measurements)
    assert drop_repeats(kept) == kept
    assert set(map(id, kept)) <= set(map(id, measurements))
    assert bool(kept) == bool(measurements)

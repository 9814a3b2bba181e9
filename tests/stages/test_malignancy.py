"""The Brock stage: order, calcification, masses and missing facts."""

import pytest

from hilum.clinical.facts import Facts
from hilum.findings import Nodule
from hilum.stages.malignancy import BrockModel, brock_notices


def nodule(diameter, kind="solid", score=0.9):
    return Nodule(
        center_mm=(0.0, 0.0, 0.0),
        diameter_mm=diameter,
        long_axis_mm=diameter,
        short_axis_mm=diameter,
        volume_mm3=0.5236 * diameter**3,
        type=kind,
        solid_diameter_mm=diameter,
        side="left",
        detection_score=score,
    )


def test_the_most_suspicious_comes_first():
    small, large, doubtful = nodule(5), nodule(20), nodule(22, score=0.05)
    result = BrockModel()((small, doubtful, large), Facts())
    assert [n.diameter_mm for n in result] == [20, 22, 5]
    assert all(n.malignancy.value is not None for n in result)


def test_count_is_that_of_the_series():
    facts = Facts(age_years=62, sex="male", family_history=False, emphysema=False)
    alone = BrockModel()((nodule(8),), facts)[0].malignancy
    among = BrockModel()((nodule(8), nodule(8)), facts)[0].malignancy
    assert among.value < alone.value  # -0.0803 a nodule


def test_calcified_stays_below_one_percent_with_a_wide_interval():
    solid, calcified = (
        BrockModel()((nodule(20, kind),), Facts())[0].malignancy
        for kind in ("solid", "calcified")
    )
    assert calcified.value == 0.01
    assert (calcified.low, calcified.high) == (0.0, solid.high)


def test_notices_name_what_is_stretched():
    notices = brock_notices((nodule(41), nodule(8)), Facts(age_years=60))
    assert [n.code for n in notices] == [
        "malignancy-by-brock",
        "facts-missing",
        "brock-mass",
    ]
    assert (
        "Not known: sex, family history of lung cancer, emphysema" in notices[1].message
    )
    assert "1 finding(s) of 41 mm" in notices[2].message


def test_nothing_to_say_of_masses_where_there_is_none():
    codes = [n.code for n in brock_notices((nodule(8),), Facts())]
    assert "brock-mass" not in codes


@pytest.mark.parametrize("kind", ["solid", "part-solid", "ground-glass", "calcified"])
def test_every_kind_gets_a_malignancy(kind):
    assert BrockModel()((nodule(9, kind),), Facts())[0].malignancy.value > 0

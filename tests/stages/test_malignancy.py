"""Malignancy: what the shipped network says, and the Brock model."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from hilum.clinical.facts import Facts
from hilum.errors import WeightsError
from hilum.findings import Attributes, Nodule, Probability
from hilum.runtime.weights import weights_folder
from hilum.space import Grid
from hilum.stages.malignancy import (
    BrockModel,
    MalignancyModel,
    brock_notices,
    kind_notices,
    rating_notices,
)
from hilum.volume import CTVolume, Mask

U = Probability.UNKNOWN


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


def test_the_order_is_kept():
    small, large, doubtful = nodule(5), nodule(20), nodule(22, score=0.05)
    result = BrockModel()((small, doubtful, large), Facts())
    assert [n.diameter_mm for n in result] == [5, 22, 20]
    assert all(n.malignancy.value is not None for n in result)


@pytest.mark.parametrize(
    ("kind", "texture", "said"),
    [
        ("solid", 3.9, "call it part-solid."),
        ("solid", 2.9, "call it part-solid or ground-glass."),
        ("solid", 4.0, None),
        ("solid", None, None),
        ("ground-glass", 4.7, "call it solid."),
        ("part-solid", 4.7, "call it solid."),
        ("part-solid", 4.6, None),
        ("ground-glass", 1.0, None),
        ("calcified", 1.0, None),
    ],
)
def test_two_opinions_on_the_kind_are_said(kind, texture, said):
    rated = replace(nodule(9, kind), attributes=Attributes(texture=texture))
    notices = kind_notices((nodule(9), rated))
    assert [n.code for n in notices] == ["nodule-kind-in-doubt"] * (said is not None)
    if said:
        assert said in notices[0].message
        assert notices[0].message.startswith(f"Nodule 2 is {kind} by its density")


def test_the_interval_covers_the_kinds_that_a_rating_speaks_for():
    facts = Facts(age_years=62, sex="male", family_history=False, emphysema=False)

    def risk(kind, texture=None):
        rated = replace(
            nodule(9, kind),
            upper_lobe_probability=0.99,
            attributes=Attributes(texture=texture),
        )
        return BrockModel()((rated,), facts)[0].malignancy

    solid, part, glass = (risk(k) for k in ("solid", "part-solid", "ground-glass"))
    assert solid.low == solid.value == solid.high
    doubtful = risk("solid", 3.5)
    assert (doubtful.low, doubtful.value) == (solid.low, solid.value)
    assert doubtful.high == part.high > solid.high
    assert risk("solid", 2.0).low == glass.low < solid.low
    assert risk("ground-glass", 4.9).high == solid.high


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
        "probability-by-brock",
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


def seen(diameter_mm, hu=40):
    """Make a ball in lung, measured."""
    grid = Grid.axial((48, 60, 60), (1.0, 0.8, 0.8))
    index = np.moveaxis(np.indices(grid.shape), 0, -1) * grid.spacing_mm
    middle = (np.array(grid.shape) - 1) / 2 * grid.spacing_mm
    inside = np.linalg.norm(index - middle, axis=-1) <= diameter_mm / 2
    volume = CTVolume(np.where(inside, hu, -850).astype(np.int16), grid, "1.2")
    return volume, (nodule(diameter_mm),), (Mask(inside, grid),)


def test_the_shipped_network_finds_a_large_ball_more_malignant_than_a_small_one():
    small, large = (MalignancyModel()(*seen(d))[0] for d in (4.0, 24.0))
    assert small.malignancy.value < 0.2 < 0.8 < large.malignancy.value
    assert small.malignancy.low < small.malignancy.value < small.malignancy.high


def test_attributes_are_on_their_scales_and_tell_dense_from_faint():
    solid, faint, bony = (
        MalignancyModel()(*seen(12.0, hu))[0].attributes for hu in (40, -600, 700)
    )
    for look in (solid, faint, bony):
        for item in fields(look):
            assert 1 <= getattr(look, item.name) <= 6
    assert faint.texture + 0.7 < solid.texture > 4.3
    assert bony.calcification < 4.5 < 5.5 < solid.calcification  # 6: none


def test_order_and_measurements_are_kept():
    volume, nodules, masks = seen(10.0)
    given = (nodules[0], replace(nodules[0], detection_score=0.1))
    rated = MalignancyModel()(volume, given, masks * 2)
    assert [n.detection_score for n in rated] == [0.9, 0.1]
    back = [replace(n, malignancy=U, attributes=Attributes()) for n in rated]
    assert tuple(back) == given


def test_nothing_to_rate_loads_nothing():
    volume, _, _ = seen(10.0)
    assert MalignancyModel(weights="absent")(volume, (), ()) == ()
    assert rating_notices(()) == ()


@pytest.mark.parametrize(
    ("weights", "said"),
    [("absent", "No weights are named"), ("segmentation", "calibration.json")],
)
def test_weights_that_do_not_rate_are_refused(weights, said):
    with pytest.raises(WeightsError, match=said):
        MalignancyModel(weights=weights)(*seen(10.0))


def test_the_digests_are_those_of_the_index():
    index = json.loads((weights_folder() / "index.json").read_text())
    assert MalignancyModel().digests() == index["malignancy"]["sha256"]


def test_who_is_unlike_those_of_the_study_is_told():
    def said(**facts):
        notices = brock_notices((nodule(8),), Facts(**facts))
        return [n.message for n in notices if n.code == "population"]

    (both,) = said(age_years=40, smoker="never")
    assert "40 years old; PanCan had people of 50 to 75" in both
    assert "never smoked" in both
    assert said(age_years=60, smoker="former") == []

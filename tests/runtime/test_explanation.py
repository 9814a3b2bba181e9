"""Why a network rates so: by hand on networks that are known, and by law."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import WeightsError
from hilum.features import FEATURES
from hilum.features.groups import GROUPS, members_of
from hilum.features.patches import BLANK_HU
from hilum.runtime.explanation import (
    IMAGE,
    Typical,
    expected_rating,
    occlude,
    read_typical,
    shares_of,
)
from hilum.runtime.weights import find_weights

points = st.floats(-0.2, 0.2)


def rated(rating):
    """Give what a network gives that expects these ratings, (batch,)."""
    shares = (np.asarray(rating, np.float64)[:, None, None] - 1) / 4
    return {"malignancy": np.repeat(shares, 4, axis=-1)}


def inputs(features=0.0, hu=0.0, size=(8, 8, 8)):
    patch = np.full((1, *size, 1), BLANK_HU, np.float32)
    mask = np.zeros_like(patch)
    patch[:, 2:6, 2:6, 2:6], mask[:, 2:6, 2:6, 2:6] = hu, 1.0
    row = np.full((1, len(FEATURES)), features, np.float32)
    return {"features": row, "hu": patch, "mask": mask}


def linear(weights, both=0.0):
    """Make a network that adds for each group, and for the first two together."""
    members = [members_of(group) for group in GROUPS]

    def predict(given):
        means = [given["features"][:, m].mean(axis=1) for m in members]
        rating = 3 + sum(w * m for w, m in zip(weights, means, strict=True))
        return rated(rating + both * means[0] * means[1])

    return predict


TYPICAL = Typical(np.zeros(len(FEATURES), np.float32), 3.0)


def test_expected_rating_by_hand():
    # 1 + 4 * 0.25 = 2 and 1 + 4 * 0.75 = 4, on the average 3
    members = np.array([[[0.25] * 4, [0.75] * 4]])
    assert expected_rating({"malignancy": members}).tolist() == [3.0]


def test_shares_of_a_network_that_adds_are_what_it_adds():
    shares = shares_of(inputs(1.0), TYPICAL, linear((0.5, -0.25, 0.125, 0.0)))
    expected = dict(zip(GROUPS, (0.5, -0.25, 0.125, 0.0), strict=True)) | {IMAGE: 0.0}
    assert shares == pytest.approx(expected, abs=1e-9)


def test_what_two_groups_do_together_is_halved_between_them():
    shares = shares_of(inputs(1.0), TYPICAL, linear((0, 0, 0, 0), both=0.5))
    assert [shares[g] for g in GROUPS] == pytest.approx([0.25, 0.25, 0, 0], abs=1e-9)


@given(st.tuples(points, points, points, points), points, st.floats(-1, 1))
def test_shares_add_up_to_the_rating_less_the_typical_one(weights, both, feature):
    predict, nodule = linear(weights, both), inputs(feature)
    shares = shares_of(nodule, TYPICAL, predict)
    rating = expected_rating(predict(nodule))[0]
    assert sum(shares.values()) == pytest.approx(rating - TYPICAL.rating, abs=1e-6)
    assert shares == shares_of(nodule, TYPICAL, predict)


def test_a_typical_nodule_has_no_shares():
    shares = shares_of(inputs(0.0), TYPICAL, linear((0.5, 0.5, 0.5, 0.5), 0.5))
    assert set(shares.values()) == {0.0}


def test_the_image_gets_what_the_features_leave():
    shares = shares_of(
        inputs(0.0), Typical(TYPICAL.features, 2.75), linear((0, 0, 0, 0))
    )
    assert shares[IMAGE] == pytest.approx(0.25)


def seeing(z, y, x):
    """Make a network that looks at one voxel: 0.001 points for each HU above blank."""

    def predict(given):
        return rated(2 + 0.001 * (given["hu"][:, z, y, x, 0] - BLANK_HU))

    return predict


def test_occlusion_finds_the_one_place_that_counts():
    # shown are voxels 2 to 5; of two blocks of two each, voxel 5 is in the second
    found = occlude(inputs(hu=150.0), seeing(5, 2, 3), blocks=2)
    assert (found.first, found.size) == ((2, 2, 2), (2, 2, 2))
    expected = np.zeros((2, 2, 2))
    expected[1, 0, 0] = 0.001 * (150 + 850)
    np.testing.assert_allclose(found.points, expected, atol=1e-6)


def test_occluding_nothing_changes_nothing():
    asked = []

    def predict(given):
        asked.append(len(given["hu"]))
        return rated(2 + given["hu"].mean(axis=(1, 2, 3, 4)) / 1e4)

    blank = inputs()
    blank["hu"][:], blank["mask"][:] = BLANK_HU, 0
    np.testing.assert_array_equal(occlude(blank, predict).points, 0)
    assert asked == [1]  # and costs nothing
    # a network that sees nothing is told nothing by any block
    np.testing.assert_array_equal(occlude(inputs(), linear((1,) * 4)).points, 0)


def test_the_inputs_are_left_as_they_were():
    nodule = inputs(1.0, hu=40.0)
    before = {name: array.copy() for name, array in nodule.items()}
    occlude(nodule, seeing(4, 4, 4))
    shares_of(nodule, TYPICAL, linear((0.1,) * 4))
    for name, array in nodule.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("side", [1, 3, 5, 8])
def test_blocks_cover_all_that_is_shown(side):
    nodule = inputs()
    nodule["hu"][:], nodule["mask"][:] = BLANK_HU, 0
    nodule["hu"][:, :side, :side, :side] = 0

    def mean(given):  # each voxel counts alike, so the blocks add up to the whole
        return rated(1 + (given["hu"] - BLANK_HU).mean(axis=(1, 2, 3, 4)) / 1000)

    found = occlude(nodule, mean)
    whole = 850 * side**3 / 512 / 1000
    assert found.points.sum() == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("found", [{}, np.zeros((1, 4)), None])
def test_a_network_for_another_task_is_refused(found):
    with pytest.raises(WeightsError, match="nothing to explain"):
        occlude(inputs(), lambda _: found)


def write(folder, **changes):
    features = dict.fromkeys(FEATURES, 1.0)
    tree = {"rating": 3.0, "nodules": 8, "features": features, **changes}
    (folder / "net.typical.json").write_text(json.dumps(tree))
    return folder / "net.xml"


def test_typical_is_read_in_the_order_of_the_features(tmp_path):
    features = {name: float(n) for n, name in enumerate(FEATURES)}
    shuffled = dict(sorted(features.items()))
    found = read_typical(write(tmp_path, features=shuffled, rating=2.5))
    np.testing.assert_array_equal(found.features, np.arange(len(FEATURES)))
    assert found.rating == 2.5


def test_weights_without_a_typical_nodule_are_not_explained(tmp_path):
    assert read_typical(tmp_path / "net.xml") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": {}}, "Cannot read"),
        ({"rating": "high"}, "Cannot read"),
        ({"rating": 7.0}, "Train again"),
        ({"features": dict.fromkeys(FEATURES, float("nan"))}, "Train again"),
    ],
)
def test_a_damaged_typical_nodule_is_refused(tmp_path, changes, said):
    with pytest.raises(WeightsError, match=said):
        read_typical(write(tmp_path, **changes))


def test_the_shipped_typical_nodule_is_one():
    typical = read_typical(find_weights("malignancy"))
    named = dict(zip(FEATURES, typical.features.tolist(), strict=True))
    # medians of LIDC nodules: about 8 mm wide, and neither benign nor malignant
    assert 5 < named["long_axial_mm"] < 15
    assert 2.5 < typical.rating < 3.5

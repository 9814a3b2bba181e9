"""Features in groups that a reader can judge."""

import numpy as np
import pytest

from hilum.features import FEATURES
from hilum.features import groups as module
from hilum.features.groups import GROUPS, group_of, members_of


def test_every_feature_is_in_one_group():
    members = np.stack([members_of(group) for group in GROUPS])
    np.testing.assert_array_equal(members.sum(axis=0), np.ones(len(FEATURES)))
    assert (members.sum(axis=1) >= 10).all()


def test_the_lists_name_features_that_exist():
    named = [*module._OF_SIZE, *module._OF_SHAPE, *module._OF_SURROUNDINGS]
    assert len(named) == len(set(named))
    assert set(named) <= set(FEATURES)


@pytest.mark.parametrize(
    ("feature", "group"),
    [
        ("log_volume", "size"),
        ("log_mass_mg", "size"),
        ("sphericity", "shape"),
        ("share_calcified", "density"),
        ("band_in_1_hu", "density"),
        ("band_out_1_hu", "surroundings"),
        ("touching_share", "surroundings"),
    ],
)
def test_groups_are_what_their_names_say(feature, group):
    assert group_of(feature) == group

"""One small CT and its pages, shared by the tests of the primer."""

from dataclasses import replace

import numpy as np
import pytest
from chromium import FLAT, launched

from hilum.phantom import PhantomSettings, make_phantom
from hilum.primer.scene import scan_scene


@pytest.fixture(scope="session")
def scene():
    """A small phantom with a slice of 512 x 512, and its truth."""
    phantom = make_phantom(
        PhantomSettings(seed=7, shape=(64, 128, 128), spacing_mm=(4.5, 2.8, 2.8))
    )
    first = phantom.truths[0]
    small = scan_scene(phantom.volume, first.center_mm, first.diameter_mm)
    return replace(
        small,
        slice_hu=np.kron(small.slice_hu, np.ones((4, 4), np.int16)),
        slice_mm=(0.7, 0.7),
        place=(small.place[0] * 4, small.place[1] * 4),
        truths=lambda: phantom.truths,
    )


@pytest.fixture(scope="module")
def chromium():
    """A browser for the tests of a module; its event loop must not outlive them."""
    with launched(*FLAT) as browser:
        yield browser

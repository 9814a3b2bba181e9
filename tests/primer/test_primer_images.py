"""Histogram, equalisation, blur, edges: by hand, by law, and as OpenCV has them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.errors import InputError
from hilum.primer import ops

seeds = st.integers(0, 2**32 - 1)


def image(seed, *, grey=False):
    rng = np.random.default_rng(seed)
    shape = rng.integers(30, 50, 2)
    if grey:
        return (rng.integers(0, 256, shape) // rng.integers(1, 9)).astype(np.uint8)
    return rng.normal(0, 300, shape)


@given(seeds)
def test_histogram_counts_every_value_once(seed):
    x = image(seed)
    counts = ops.histogram(x, -200, 200, 16)
    assert counts.sum() == x.size
    inside = np.histogram(x, bins=16, range=(-200, 200))[0]
    np.testing.assert_array_equal(counts[1:-1], inside[1:-1])


@pytest.mark.parametrize("options", [(0, 1, 0), (1, 1, 5), (2, 1, 5)])
def test_a_histogram_needs_bins_and_a_range(options):
    with pytest.raises(InputError, match="bins and a range"):
        ops.histogram([1.0], *options)


def test_blur_keeps_a_flat_image_and_the_width_is_the_spread():
    np.testing.assert_allclose(ops.blur(np.full((20, 20), 7.0), 2.0), 7.0)
    point = np.zeros((61, 61))
    point[30, 30] = 1
    spread = ops.blur(point, 3.0).sum(axis=0)
    variance = (spread * (np.arange(61) - 30) ** 2).sum()
    assert variance == pytest.approx(9, rel=0.04)  # cut off at three widths


def test_edges_of_a_ramp_are_its_slope():
    # Sobel: (1 + 2 + 1) times the difference over two pixels, 2 a step
    ramp = np.tile(np.arange(9.0) * 2, (9, 1))
    np.testing.assert_allclose(ops.edges(ramp)[1:-1, 1:-1], 4 * 2 * 2)


def test_a_blur_of_no_width_is_refused():
    with pytest.raises(InputError, match="> 0 pixels"):
        ops.gaussian_kernel(0.0)


def test_one_grey_alone_stays():
    np.testing.assert_array_equal(ops.equalise(np.full((3, 3), 9)), 9)


@settings(max_examples=25)
@given(seeds)
def test_opencv_gives_the_same(seed):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    x, grey = image(seed), image(seed, grey=True)
    sigma = float(np.random.default_rng(seed).uniform(0.4, 4))
    size = len(ops.gaussian_kernel(sigma))
    theirs = cv2.equalizeHist(grey).astype(float)
    off = np.abs(ops.equalise(grey) - theirs)
    assert off.max() <= 1  # it rounds in float32, where a half may fall the other way
    assert (off > 0).mean() < 0.05
    np.testing.assert_allclose(
        ops.blur(x, sigma), cv2.GaussianBlur(x, (size, size), sigma), atol=1e-8
    )
    across, down = cv2.Sobel(x, cv2.CV_64F, 1, 0), cv2.Sobel(x, cv2.CV_64F, 0, 1)
    np.testing.assert_allclose(ops.edges(x), np.hypot(across, down), atol=1e-8)


@given(seeds, st.booleans())
def test_sliding_is_numpys_convolution(seed, flip):
    rng = np.random.default_rng(seed)
    x, kernel = (
        rng.normal(size=rng.integers(1, 20)),
        rng.normal(size=rng.integers(1, 9)),
    )
    wanted = np.convolve(x, kernel if flip else kernel[::-1])
    np.testing.assert_allclose(ops.slide(x, kernel, flip=flip), wanted, atol=1e-12)

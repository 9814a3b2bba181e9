"""What layers cost and see, and what is made of scores: against Keras and hilum."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops as keras_ops
from keras_reference import gradient

from hilum.errors import InputError
from hilum.primer import ops
from hilum.stages.patient import leaky_noisy_or

seeds = st.integers(0, 2**32 - 1)
steps = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=4
)


@settings(max_examples=15, deadline=None)
@given(st.integers(8, 20), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_size_and_parameters_are_those_of_keras(size, kernel, stride, same):
    padding = "same" if same else "valid"
    layer = keras.layers.Conv2D(5, kernel, strides=stride, padding=padding)
    shape = layer.compute_output_shape((1, size, size, 3))
    layer.build((1, size, size, 3))
    outputs = (ops.output_size(size, kernel, stride, padding),) * 2
    assert shape[1:3] == outputs
    parameters, work = ops.convolution_cost(outputs, (kernel, kernel), 3, 5)
    assert parameters == layer.count_params()
    assert work == outputs[0] ** 2 * kernel**2 * 15


def test_a_kernel_beyond_the_input_has_no_size():
    with pytest.raises(InputError, match="spans 5 voxels does not fit into 4"):
        ops.output_size(4, 3, dilation=2)


def test_a_dense_layer_counts_as_in_keras():
    layer = keras.layers.Dense(7)
    layer.build((None, 11))
    assert ops.dense_cost(11, 7) == (layer.count_params(), 77)


@settings(max_examples=25, deadline=None)
@given(steps, st.integers(20, 40), seeds)
def test_only_what_an_output_reads_from_changes_it(layers, size, seed):
    def run(x):
        for kernel, stride in layers:
            ones = np.ones((kernel, 1, 1))
            x = ops.convolve(x, ones, stride=stride, padding="same")
        return x[0, :, 0]

    outputs = len(run(np.zeros((1, size, 1))))
    place = int(np.random.default_rng(seed).integers(outputs))
    impulses = [run(row[None, :, None])[place] for row in np.eye(size)]
    touched = np.flatnonzero(impulses)
    first, last = ops.reads_from(layers, size, place)
    assert (touched[0], touched[-1]) >= (max(first, 0), 0)
    assert touched[0] >= first
    assert touched[-1] <= last
    assert last - first + 1 == ops.receptive_field(layers)[0]
    if first >= 0 and last < size and all(k >= s for k, s in layers):
        assert (touched[0], touched[-1]) == (first, last)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "elu"])
def test_gradient_through_a_stack_is_that_of_keras(name):
    rng = np.random.default_rng(4)
    x, kernels = rng.normal(size=(3, 6)), rng.normal(size=(5, 6, 6)) / 2
    activation = keras.activations.get(name)

    def run(a):
        for kernel in kernels.astype("float32"):
            a = activation(keras_ops.matmul(a, kernel))
        return a

    of_first = np.sqrt((gradient(run, x) ** 2).sum() / 3)
    own = getattr(ops, name), getattr(ops, f"{name}_derivative")
    spreads, norms = ops.gradient_by_depth(x, kernels, *own)
    assert norms[0] == pytest.approx(of_first, rel=1e-4)
    last = keras_ops.convert_to_numpy(run(x.astype("float32")))
    assert spreads[-1] == pytest.approx(last.std(), rel=1e-4)


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0, 0.99))
def test_noisy_or_is_that_of_the_product(malignancy, leak):
    wanted = leaky_noisy_or(malignancy, leak=leak)
    assert ops.noisy_or(malignancy, leak) == pytest.approx(wanted, abs=1e-12)


@given(seeds)
def test_log_loss_is_scikit_learns(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    p, truth = rng.random(50), rng.integers(0, 2, 50)
    wanted = metrics.log_loss(truth, p, labels=[0, 1])
    assert ops.log_loss(p, truth) == pytest.approx(wanted)


@given(seeds, st.floats(0.1, 3), st.floats(-2, 2))
def test_recalibration_is_undone_by_its_inverse_and_keeps_order(seed, slope, offset):
    p = np.random.default_rng(seed).uniform(0.05, 0.95, 20)
    bent = ops.recalibrate(p, slope, offset)
    back = ops.recalibrate(bent, 1 / slope, -offset / slope)
    np.testing.assert_allclose(back, p, rtol=1e-6)
    np.testing.assert_array_equal(np.argsort(bent), np.argsort(p))


def test_reliability_by_hand():
    # bin 0 to 0.5: 0.1 and 0.3, one came true; bin 0.5 to 1: 0.9, came true
    said, came, count = ops.reliability([0.1, 0.3, 0.9], [0, 1, 1], bins=2)
    np.testing.assert_allclose(said, [0.2, 0.9])
    np.testing.assert_allclose(came, [0.5, 1.0])
    np.testing.assert_array_equal(count, [2, 1])
    # (2 |0.2 - 0.5| + 1 |0.9 - 1|) / 3
    error = ops.calibration_error([0.1, 0.3, 0.9], [0, 1, 1], bins=2)
    assert error == pytest.approx(0.7 / 3)
    assert np.isnan(ops.reliability([0.1], [0], bins=2)[0][1])


def test_the_cohort_of_lesson_nine_bends_back():
    from hilum.primer.lessons.deciding import (  # noqa: PLC0415
        SHARPENED,
        SHIFTED,
        cohort,
    )

    said, truth = cohort()
    best = ops.recalibrate(said, 1 / SHARPENED, -SHIFTED / SHARPENED)
    assert ops.calibration_error(best, truth) < 0.03
    assert ops.calibration_error(said, truth) > 0.1
    assert ops.log_loss(best, truth) < ops.log_loss(said, truth) - 0.05


def test_froc_by_hand():
    # marks by falling score: hit 0.9, miss 0.8, hit 0.3; 4 nodules in 2 scans
    threshold, found, wrong = ops.froc([0.3, 0.9, 0.8], [True, True, False], 4, 2)
    np.testing.assert_allclose(threshold, [0.9, 0.8, 0.3])
    np.testing.assert_allclose(found, [0.25, 0.25, 0.5])
    np.testing.assert_allclose(wrong, [0, 0.5, 0.5])

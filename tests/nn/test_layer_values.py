"""What each layer computes: by hand, and against the primer's NumPy."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from hilum.nn import layers
from hilum.primer import ops as primer

EXAMPLES = 30 if keras.backend.backend() == "tensorflow" else 6
HARD = ["hard_tanh", "hard_sigmoid"]


def value(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def normal(*shape, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape, scale=scale).astype("float32")


def drawn(shape, seed, draw=keras.random.normal):
    """The numbers that a layer with this seed draws first."""
    return value(draw(shape, seed=keras.random.SeedGenerator(seed)))


def gradient_of(function, x):
    """Gradient of the sum of the outputs."""
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415 - only where it is the backend

        return np.asarray(jax.grad(lambda x: ops.sum(function(x)))(x))
    import tensorflow as tf  # noqa: PLC0415 - only where it is the backend

    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        total = ops.sum(function(variable))
    return tape.gradient(total, variable).numpy()


# --- the HU window


def test_window_by_hand():
    # level 0, width 400: -200 -> 0, 0 -> 0.5, 100 -> 0.75, 300 -> clipped to 1
    out = layers.HUWindow(level_hu=0, width_hu=400)(np.float32([-200, 0, 100, 300]))
    np.testing.assert_allclose(value(out), [0, 0.5, 0.75, 1])


@settings(max_examples=EXAMPLES)
@given(st.floats(-1000, 1000), st.floats(1, 3000))
def test_the_window_is_that_of_the_primer(level, width):
    hu = normal(50, scale=1000)
    ours = value(layers.HUWindow(level, width)(hu))
    np.testing.assert_allclose(ours, primer.hu_window(hu, level, width), atol=1e-4)


def test_int16_goes_in_as_it_is():
    hu = np.array([[-1350, -600, 150]], dtype="int16")
    np.testing.assert_allclose(value(layers.HUWindow()(hu)), [[0, 0.5, 1]])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_a_half_precision_policy_does_not_round_hu(policy):
    # -599 and -600 are one number in bfloat16 (steps of 4 there), a width of 4 HU
    # tells them apart: 0.5 and 0.75
    window = layers.HUWindow(-600, 4, dtype=policy)
    hu = np.float32([[-600, -599]])
    np.testing.assert_array_equal(value(window(hu)), [[0.5, 0.75]])
    inputs = keras.Input((2,))
    np.testing.assert_array_equal(
        value(keras.Model(inputs, window(inputs))(hu)), [[0.5, 0.75]]
    )


# --- randomized leaky ReLU


def test_rrelu_is_that_of_the_primer_for_the_same_numbers():
    x = normal(3, 4, 5, scale=4)
    divisor = value(
        keras.random.uniform(x.shape, 3, 8, seed=keras.random.SeedGenerator(9))
    )
    layer = layers.RandomizedLeakyReLU(seed=9)
    np.testing.assert_allclose(
        value(layer(x, training=True)), primer.rrelu(x, divisor), rtol=1e-5
    )
    np.testing.assert_allclose(value(layer(x)), primer.rrelu(x), rtol=1e-6)


def test_rrelu_draws_one_divisor_for_each_element_from_the_whole_range():
    x = np.full((200, 300), -1.0, dtype="float32")
    divisor = -1 / value(layers.RandomizedLeakyReLU(3, 8, seed=1)(x, training=True))
    assert divisor.min() >= 3
    assert divisor.max() <= 8
    assert len(np.unique(divisor)) > 50_000
    # uniform: mean 5.5, variance 25 / 12
    np.testing.assert_allclose(divisor.mean(), 5.5, atol=0.03)
    np.testing.assert_allclose(divisor.var(), 25 / 12, rtol=0.02)
    # and so the mean slope is ln(8/3) / 5, not 1 / 5.5
    np.testing.assert_allclose((1 / divisor).mean(), math.log(8 / 3) / 5, rtol=3e-3)


def test_rrelu_with_one_divisor_is_leaky_relu():
    x = normal(4, 5)
    fixed = layers.RandomizedLeakyReLU(4, 4, seed=1)
    leaky = keras.layers.LeakyReLU(negative_slope=0.25)
    for training in (False, True):
        np.testing.assert_allclose(value(fixed(x, training=training)), value(leaky(x)))


@pytest.mark.parametrize(
    ("lower", "upper"), [(0.125, 0.33), (8, 3), (0, 1), (3, math.inf)]
)
def test_divisors_that_are_slopes_or_swapped_are_refused(lower, upper):
    with pytest.raises(ValueError, match=rf"Received: lower={lower}, upper={upper}$"):
        layers.RandomizedLeakyReLU(lower, upper)


# --- noisy rectifier


@pytest.mark.parametrize("stddev", [None, 0.3])
def test_noisy_relu_is_that_of_the_primer_for_the_same_numbers(stddev):
    x = normal(3, 4, 5, scale=3)
    layer = layers.NoisyReLU(stddev, seed=9)
    np.testing.assert_allclose(
        value(layer(x, training=True)),
        primer.noisy_relu(x, drawn(x.shape, 9), stddev),
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_array_equal(value(layer(x)), np.maximum(x, 0))


def test_noisy_relu_on_average():
    x = np.full((400, 400), -0.5, dtype="float32")
    mean = value(layers.NoisyReLU(seed=2)(x, training=True)).mean()
    np.testing.assert_allclose(mean, primer.noisy_relu_expected(-0.5), atol=5e-3)


def test_the_gradient_of_noisy_relu_is_finite_far_out():
    # sigmoid(-200) is 0 in float32, where sqrt has an infinite slope
    x = np.float32([-200, -1, 0.5, 200])
    noise = drawn(x.shape, 4)
    layer = layers.NoisyReLU(seed=4)
    slope = gradient_of(lambda x: layer(x, training=True), x)
    np.testing.assert_allclose(slope, primer.noisy_relu_derivative(x, noise), atol=1e-4)


def test_a_negative_deviation_is_refused():
    with pytest.raises(ValueError, match=r"Received: stddev=-0\.1$"):
        layers.NoisyReLU(-0.1)


# --- noisy activations of Gulcehre et al.


@pytest.mark.parametrize("activation", HARD)
@pytest.mark.parametrize("alpha", [0.9, 1.0, 1.15])
@pytest.mark.parametrize("half_normal", [True, False])
def test_a_noisy_activation_is_that_of_the_primer(activation, alpha, half_normal):
    x = normal(3, 5, 4, scale=4)
    layer = layers.NoisyActivation(activation, alpha, 0.8, half_normal, seed=9)
    layer.build(x.shape)
    p = np.float32([-2, 0.5, 1, 3])
    layer.p.assign(p)
    noise = drawn(x.shape, 9)
    options = {"activation": activation, "p": p, "alpha": alpha, "scale": 0.8}
    trained = primer.noisy_activation(
        x, np.abs(noise) if half_normal else noise, **options
    )
    np.testing.assert_allclose(value(layer(x, training=True)), trained, atol=1e-5)
    inferred = primer.noisy_activation_expected(x, half_normal=half_normal, **options)
    np.testing.assert_allclose(value(layer(x)), inferred, atol=1e-5)


@pytest.mark.parametrize("activation", HARD)
def test_gradients_pass_a_saturated_unit(activation):
    x = np.float32([[-7, -3, 0.3, 3]])
    noise = np.abs(drawn(x.shape, 4))
    layer = layers.NoisyActivation(activation, seed=4)
    slope = gradient_of(lambda x: layer(x, training=True), x)
    expected, _ = primer.noisy_activation_derivatives(x, noise, activation=activation)
    np.testing.assert_allclose(slope, expected, atol=1e-5)
    assert (np.abs(slope) > 1e-3).all()


def test_p_is_learnt():
    x = np.float32([[-7, -3, 0.3, 3]])
    noise = np.abs(drawn(x.shape, 4))
    _, expected = primer.noisy_activation_derivatives(x, noise)

    def with_p(p):
        layer = layers.NoisyActivation(seed=4)
        layer.build(x.shape)
        layer.p.assign(p)
        return value(layer(x, training=True))

    # one channel each, so the difference by all p at once is elementwise
    step = (with_p(np.full(4, 1.01)) - with_p(np.full(4, 0.99))) / 0.02
    np.testing.assert_allclose(step, expected, atol=1e-4)
    layer = layers.NoisyActivation()
    layer.build((None, 4))
    assert [weight.shape for weight in layer.trainable_weights] == [(4,)]


def test_noisy_activations_refuse_nonsense():
    with pytest.raises(ValueError, match=r"Received: activation=tanh$"):
        layers.NoisyActivation("tanh")
    with pytest.raises(ValueError, match=r"Received: scale=-1$"):
        layers.NoisyActivation(scale=-1)
    with pytest.raises(ValueError, match=r"Received: input_shape=\(None, None\)$"):
        layers.NoisyActivation().build((None, None))


# --- pyramids


@settings(max_examples=EXAMPLES)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=3),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.sampled_from(["max", "average"]),
)
def test_the_pyramid_is_that_of_the_primer(sizes, levels, pooling):
    x = normal(2, *sizes, 3)
    kinds = {2: layers.SpatialPyramidPooling2D, 3: layers.SpatialPyramidPooling3D}
    ours = value(kinds[len(sizes)](levels, pooling)(x))
    expected = primer.spatial_pyramid_pool(x, levels, pooling)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_pyramid_has_levels_and_two_poolings():
    for levels in ([], [2, 0]):
        with pytest.raises(ValueError, match=r"Received: levels=\["):
            layers.SpatialPyramidPooling2D(levels)
    with pytest.raises(ValueError, match=r"Received: pooling=min$"):
        layers.SpatialPyramidPooling3D(pooling="min")
    with pytest.raises(ValueError, match=r"Received: input_shape=\(None, 4, 4, None\)"):
        layers.SpatialPyramidPooling2D().compute_output_shape((None, 4, 4, None))


def test_a_pyramid_refuses_other_dimensions():
    with pytest.raises(ValueError, match="expected ndim=5, found ndim=4"):
        layers.SpatialPyramidPooling3D()(np.zeros((1, 4, 4, 2), "float32"))


# --- space to depth


@settings(max_examples=EXAMPLES)
@given(st.tuples(*[st.integers(1, 3)] * 4), st.integers(1, 3))
def test_space_to_depth_is_that_of_the_primer(blocks, block):
    *sizes, channels = blocks
    x = normal(2, *[block * n for n in sizes], channels)
    ours = value(layers.SpaceToDepth3D(block)(x))
    np.testing.assert_array_equal(ours, primer.space_to_depth(x, block).astype("f4"))


def test_space_to_depth_refuses_what_it_cannot_cut():
    with pytest.raises(ValueError, match=r"block_size=2.*\(None, 4, 5, None, 1\)$"):
        layers.SpaceToDepth3D().compute_output_shape((None, 4, 5, None, 1))
    with pytest.raises(ValueError, match=r"Received: block_size=0$"):
        layers.SpaceToDepth3D(0)
    inputs = keras.Input((None, None, None, 1))
    model = keras.Model(inputs, layers.SpaceToDepth3D()(inputs))
    with pytest.raises(ValueError, match="block_size=2"):
        model(np.zeros((1, 4, 5, 4, 1), "float32"))


# --- blocks


def weights_of(layer):
    return [value(weight.value) for weight in layer.weights]


def test_squeeze_excite_is_that_of_the_primer():
    x = normal(2, 3, 4, 5, 8)
    layer = layers.SqueezeExcite(ratio=4)
    layer.build(x.shape)
    w1, b1, w2, b2 = weights_of(layer)
    assert (w1.shape, w2.shape) == ((8, 2), (2, 8))
    expected = primer.squeeze_excite(x, (w1, b1), (w2, b2))
    np.testing.assert_allclose(value(layer(x)), expected, rtol=1e-4, atol=1e-5)


def test_excitation_adds_up_many_voxels_in_half_precision():
    # 40^3 voxels of 2 add up to 128,000, beyond float16; gates of 0 kernels are 1/2
    layer = layers.SqueezeExcite(ratio=1, dtype="mixed_float16")
    x = np.full((1, 40, 40, 40, 1), 2.0, dtype="float16")
    layer.build(x.shape)
    layer.squeeze.kernel.assign([[1.0]])
    layer.excite.kernel.assign([[0.0]])
    np.testing.assert_array_equal(value(layer(x)), np.ones(x.shape))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("strides", [1, 2])
def test_a_residual_block_is_its_formula(rank, strides):
    # act(shortcut(x) + norm(conv(act(norm(conv(x))))))
    x = normal(1, *[5, 4, 6][:rank], 3, scale=2)
    block = layers.ResidualBlock(3, strides=strides, activation="elu")
    block.build(x.shape)
    assert (block.project is None) == (strides == 1)

    def norm(layer, y):
        gamma, beta, mean, variance = weights_of(layer)
        return primer.batch_norm(y, mean, variance, gamma, beta)

    for layer in (block.first_norm, block.second_norm):
        layer.moving_mean.assign([0.1, -0.2, 0.3])
        layer.moving_variance.assign([0.5, 1.5, 2.5])
    (first,), (second,) = weights_of(block.first), weights_of(block.second)
    y = norm(
        block.first_norm,
        primer.convolve(x, first, stride=strides, padding="same"),
    )
    y = primer.convolve(primer.elu(y), second, padding="same")
    shortcut = x
    if block.project:
        (kernel,) = weights_of(block.project)
        shortcut = norm(
            block.project_norm,
            primer.convolve(x, kernel, stride=strides, padding="same"),
        )
    expected = primer.elu(shortcut + norm(block.second_norm, y))
    np.testing.assert_allclose(value(block(x)), expected, rtol=1e-4, atol=1e-4)


def test_a_residual_block_tells_its_layers_the_phase():
    block = layers.ResidualBlock(3, activation="noisy_relu", seed=1)
    x = normal(2, 4, 4, 3)
    quiet = value(block(x))
    block(x, training=True)
    assert not np.array_equal(value(block(x)), quiet)  # statistics have moved
    assert block.inside.seed != block.outside.seed


def test_blocks_refuse_nonsense():
    with pytest.raises(ValueError, match=r"filters=0, kernel_size=3, strides=1$"):
        layers.ResidualBlock(0)
    with pytest.raises(ValueError, match=r"Received: name=swishy$"):
        layers.ResidualBlock(4, activation="swishy")
    with pytest.raises(ValueError, match=r"Received: ratio=0$"):
        layers.SqueezeExcite(0)
    with pytest.raises(ValueError, match=r"Received: input_shape=\(None, 4, None\)$"):
        layers.SqueezeExcite().build((None, 4, None))


# --- the names


@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_every_name_makes_its_activation(name):
    x = normal(2, 3, 4, 2, scale=3)
    ours = value(layers.activation_layer(name, rank=2)(x))
    expected = {
        "leaky_relu": lambda x: primer.leaky_relu(x, 1 / 100),
        "very_leaky_relu": lambda x: primer.leaky_relu(x, 1 / 5.5),
        "prelu": lambda x: primer.prelu(x, 0.25),
        "noisy_relu": primer.relu,
        "noisy_hard_tanh": primer.noisy_activation_expected,
        "noisy_hard_sigmoid": lambda x: primer.noisy_activation_expected(
            x, activation="hard_sigmoid"
        ),
    }.get(name) or getattr(primer, name)
    np.testing.assert_allclose(ours, expected(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_prelu_learns_one_slope_a_channel_for_any_size(rank):
    layer = layers.activation_layer("prelu", rank=rank)
    layer.build((None, *[None] * rank, 5))
    assert layer.count_params() == 5


def test_initializers_suit_the_activation():
    # the variance of the sum of n inputs: He 2 / n, Glorot (here) and LeCun 1 / n
    for name, variance in [("relu", 2), ("tanh", 1), ("selu", 1)]:
        keras.utils.set_random_seed(0)
        make = keras.initializers.get(layers.initializer_for(name))
        kernel = value(make((500, 500)))
        np.testing.assert_allclose(kernel.var() * 500, variance, rtol=0.02)
    assert {layers.initializer_for(name) for name in layers.ACTIVATIONS} == {
        "he_normal",
        "glorot_normal",
        "lecun_normal",
    }


@pytest.mark.parametrize("size", [1, 3, 5])
def test_both_convolutions_of_a_residual_block_have_the_size_asked_for(size):
    block = layers.ResidualBlock(4, kernel_size=size, strides=2)
    block.build((None, 8, 8, 8, 2))
    assert block.first.kernel.shape == (size, size, size, 2, 4)
    assert block.second.kernel.shape == (size, size, size, 4, 4)
    assert block.project.kernel.shape == (1, 1, 1, 2, 4)


@pytest.mark.parametrize("sizes", [(3, 5, 4), (1, 2, 7)])
def test_the_mark_is_a_gaussian_about_the_middle(sizes):
    x = normal(2, *sizes, 2)
    y = value(layers.CenterMark3D(0.4)(x))
    np.testing.assert_array_equal(y[..., :2], x)
    places = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in sizes]
    r2 = sum(p**2 for p in np.meshgrid(*places, indexing="ij"))
    expected = np.broadcast_to(np.exp(-r2 / (2 * 0.4**2)), y.shape[:-1])
    np.testing.assert_allclose(y[..., 2], expected, rtol=1e-5, atol=1e-6)


def test_a_mark_without_width_is_refused():
    with pytest.raises(ValueError, match=r"Received: width=0$"):
        layers.CenterMark3D(0)

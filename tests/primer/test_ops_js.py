"""The operations of the pages equal those in NumPy, over random inputs."""

import re

import numpy as np
import pytest
from ops_script import STATIC, run_ops

from hilum.primer import ops

pytestmark = pytest.mark.browser
RNG = np.random.default_rng(8)
ALIKE = {"rtol": 1e-10, "atol": 1e-10}
POINTWISE = (
    "sigmoid", "sigmoid_derivative", "tanh", "tanh_derivative", "relu",
    "relu_derivative", "selu", "selu_derivative", "softplus", "softplus_derivative",
    "hard_tanh", "hard_tanh_derivative",
)  # fmt: skip
CONSTANTS = {"SELU_ALPHA", "SELU_SCALE", "SOBEL", "prelu_derivatives"}
WITH_A_NUMBER = (
    "leaky_relu", "leaky_relu_derivative", "prelu", "elu", "elu_derivative", "rrelu",
    "rrelu_derivative", "noisy_relu", "noisy_relu_derivative", "hu_window",
    "noisy_activation",
)  # fmt: skip


def normal(*shape):
    return RNG.normal(size=shape)


def sent(value):
    if isinstance(value, np.ndarray):
        return {"shape": value.shape, "data": value.ravel().tolist()}
    return value


def pick(*values):
    return values[RNG.integers(len(values))]


class Cases:
    """Calls of JavaScript, each with what NumPy gives."""

    def __init__(self):
        self.calls, self.wanted = [], []

    def add(self, name, args, wanted, *, each=False):
        self.calls.append([name, [sent(a) for a in args], each])
        self.wanted.append(wanted)


def convolutions(cases):
    for _ in range(80):
        rank = RNG.integers(1, 4)
        sizes, taps = RNG.integers(4, 8, rank), RNG.integers(1, 4, rank)
        channels, filters = RNG.integers(1, 4, 2)
        stride, dilation = (tuple(map(int, RNG.integers(1, 4, rank))) for _ in "ab")
        if RNG.random() < 0.5:
            dilation = (1,) * rank
        reach = [(k - 1) * d + 1 for k, d in zip(taps, dilation, strict=True)]
        padding = "same" if max(reach) > 4 else pick("same", "valid")
        x = normal(2, *sizes, channels)
        kernel, bias = normal(*taps, channels, filters), normal(filters)
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        cases.add(
            "convolve", (x, kernel, bias, options),
            ops.convolve(x, kernel, bias, **options),
        )  # fmt: skip
        kernel = normal(*taps, filters, channels)
        options["output_padding"] = pick(None, 0 if padding == "valid" else None)
        cases.add(
            "convolve_transposed", (x, kernel, bias, options),
            ops.convolve_transposed(x, kernel, bias, **options),
        )  # fmt: skip


def poolings(cases):
    for _ in range(30):
        rank = RNG.integers(1, 4)
        x = normal(2, *RNG.integers(3, 8, rank), int(RNG.integers(1, 3)))
        size, stride, padding = *map(int, RNG.integers(1, 4, 2)), pick("valid", "same")
        for name in ("max_pool", "average_pool"):
            wanted = getattr(ops, name)(x, size, stride, padding)
            cases.add(name, (x, size, stride, padding), wanted)
        for kind in ("max", "average"):
            wanted = ops.spatial_pyramid_pool(x, (1, 2, 3), kind)
            cases.add("spatial_pyramid_pool", (x, (1, 2, 3), kind), wanted)


def numbers(cases):
    x = np.concatenate([normal(60) * 3, [0.0, -1.0, 1.0, -40.0, 40.0]])
    for name in POINTWISE:
        cases.add(name, (x,), getattr(ops, name)(x), each=True)
    for name in WITH_A_NUMBER:
        for value in RNG.uniform(0.1, 4, 3):
            given = float(value)
            noise = np.full_like(x, given) if "noisy" in name else given
            cases.add(name, (x, given), getattr(ops, name)(x, noise), each=True)
    cases.add("rrelu_expected", (x, 3.0, 8.0), ops.rrelu_expected(x), each=True)
    for t in (0.3, 1.0, 5.0):
        cases.add("softmax", (x.tolist(), t), ops.softmax(x, t))
    kernel, bias, rows = normal(4, 3), normal(3), normal(5, 4)
    cases.add("dense", (rows, kernel, bias), ops.dense(rows, kernel, bias))
    x, mean, variance = normal(3, 4, 2), normal(2), normal(2) ** 2
    wanted = ops.batch_norm(x, mean, variance, 1.5, -0.5)
    cases.add("batch_norm", (x, mean.tolist(), variance.tolist(), 1.5, -0.5), wanted)
    y, moving = ops.batch_norm_training(x, (mean, variance), momentum=0.9)
    of_batch = {"mean": x.mean((0, 1)), "variance": x.var((0, 1))}
    found = {"y": y, "moving": moving, **of_batch}
    given = (x, [mean.tolist(), variance.tolist()], 1.0, 0.0, {"momentum": 0.9})
    cases.add("batch_norm_training", given, found)


def depths(cases):
    x, kernels = normal(5, 6), normal(7, 6, 6) / 2
    cases.add(
        "gradient_by_depth", (x, kernels, "elu"),
        ops.gradient_by_depth(x, kernels, ops.elu, ops.elu_derivative),
    )  # fmt: skip


def pictures(cases):
    for _ in range(6):
        image = normal(*RNG.integers(12, 30, 2)) * 100
        grey = RNG.integers(0, 256, image.shape).astype(float) // pick(1, 9)
        kernel = normal(int(pick(1, 3, 5)), int(pick(1, 3, 5)))
        sigma = float(RNG.uniform(0.3, 3))
        cases.add("equalise", (grey,), ops.equalise(grey))
        cases.add("filter_image", (image, kernel), ops.filter_image(image, kernel))
        cases.add("blur", (image, sigma), ops.blur(image, sigma))
        cases.add("edges", (image,), ops.edges(image))
        cases.add("gaussian_kernel", (sigma,), ops.gaussian_kernel(sigma))
        given = (image.ravel().tolist(), -150, 150, 17)
        cases.add("histogram", given, ops.histogram(image, -150, 150, 17))
        a, b, flip = normal(9).tolist(), normal(4).tolist(), bool(pick(0, 1))
        cases.add("slide", (a, b, {"flip": flip}), ops.slide(a, b, flip=flip))


def sizes_and_decisions(cases):
    for _ in range(30):
        n, k, s, d = map(int, RNG.integers((9, 1, 1, 1), (30, 5, 4, 3)))
        for padding in ("valid", "same"):
            wanted = ops.output_size(n, k, s, padding, d)
            cases.add("output_size", (n, k, s, padding, d), wanted)
            options = {"stride": s, "padding": padding, "dilation": d}
            wanted = ops.transposed_size(n, k, **options)
            cases.add("transposed_size", (n, k, options), wanted)
        cases.add("same_padding", (n, k, s, d), ops.same_padding(n, k, s, d))
        layers = [tuple(map(int, RNG.integers((1, 1), (6, 4)))) for _ in range(4)]
        cases.add("receptive_field", (layers,), ops.receptive_field(layers))
        cases.add("dense_cost", (n, k), ops.dense_cost(n, k))
        cases.add("reads_from", (layers, 64, k), ops.reads_from(layers, 64, k))
        given = ([n, n, k], [3, k, 1], s, d)
        cases.add("convolution_cost", given, ops.convolution_cost(*given))
    p = np.concatenate([RNG.random(300), [0.0, 1.0]])
    truth = (RNG.random(302) < p).astype(int)
    lists = p.tolist(), truth.tolist()
    cases.add("log_loss", lists, ops.log_loss(p, truth))
    cases.add("recalibrate", (lists[0], 0.7, -0.2), ops.recalibrate(p, 0.7, -0.2))
    for bins in (5, 40):
        cases.add("reliability", (*lists, bins), ops.reliability(p, truth, bins))
        wanted = ops.calibration_error(p, truth, bins)
        cases.add("calibration_error", (*lists, bins), wanted)
    cases.add("noisy_or", (lists[0][:5], 0.1), ops.noisy_or(p[:5], 0.1))
    score, hits = np.round(p[:40], 1), truth[:40].astype(bool)
    wanted = ops.froc(score, hits, 9, 3)
    cases.add("froc", (score.tolist(), hits.tolist(), 9, 3), wanted)


def compare(found, wanted):
    if isinstance(wanted, dict):
        assert set(found) == set(wanted)
        for key, value in wanted.items():
            compare(found[key], value)
    elif isinstance(wanted, tuple):
        for one, other in zip(found, wanted, strict=True):
            compare(one, other)
    elif isinstance(found, dict):
        assert tuple(found["shape"]) == wanted.shape
        np.testing.assert_allclose(found["data"], wanted.ravel(), **ALIKE)
    else:  # JSON has no NaN: Node writes null
        np.testing.assert_allclose(np.array(found, float), wanted, **ALIKE)


def test_pages_compute_what_numpy_does():
    cases = Cases()
    for fill in (
        convolutions,
        poolings,
        numbers,
        depths,
        pictures,
        sizes_and_decisions,
    ):
        fill(cases)
    found = run_ops(cases.calls)
    assert len(found) > 400
    for call, one, wanted in zip(cases.calls, found, cases.wanted, strict=True):
        try:
            compare(one, wanted)
        except AssertionError as error:
            raise AssertionError(f"{call[0]} differs") from error
    untested = set(re.findall(r"export (?:function|const) (\w+)", source()))
    untested -= {call[0] for call in cases.calls}
    helpers = {"tensor", "from_rows", "to_rows", "reshaped", "mapped"}
    assert untested - helpers - CONSTANTS == set()


def source():
    return (STATIC / "ops.js").read_text()


def test_every_operation_of_the_pages_is_one_of_ours():
    names = set(re.findall(r"export function (\w+)", source()))
    extra = {"tensor", "from_rows", "to_rows", "reshaped", "mapped"}
    assert names - extra <= set(ops.__all__)

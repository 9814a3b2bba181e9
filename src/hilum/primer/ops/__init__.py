"""Every operation of the networks in plain NumPy, written to be read.

Slow on purpose: a loop over the few things that matter, arrays for the rest, all
in float64. Each function is tested against the Keras layer of the same meaning,
so what is read here is what runs there.

Arrays are channels last, (batch, *spatial, channels), with one to three spatial
axes. The folder: `convolution`, `activations` (the deterministic ones), `noisy`
(the random ones, with their noise as an argument), `pooling`, `normalisation`,
`dense`; `signals` and `images` (before networks), `shapes` (what a layer costs),
`decisions` (what is made of scores), `depth` (what is left of a gradient).
"""

from hilum.primer.ops.activations import (
    elu,
    elu_derivative,
    hard_sigmoid,
    hard_sigmoid_derivative,
    hard_tanh,
    hard_tanh_derivative,
    leaky_relu,
    leaky_relu_derivative,
    prelu,
    prelu_derivatives,
    relu,
    relu_derivative,
    selu,
    selu_derivative,
    sigmoid,
    sigmoid_derivative,
    softplus,
    softplus_derivative,
    tanh,
    tanh_derivative,
)
from hilum.primer.ops.convolution import (
    convolve,
    convolve_transposed,
    same_padding,
    transposed_size,
)
from hilum.primer.ops.decisions import (
    calibration_error,
    froc,
    log_loss,
    noisy_or,
    recalibrate,
    reliability,
)
from hilum.primer.ops.dense import (
    dense,
    hu_window,
    softmax,
    softmax_derivative,
    squeeze_excite,
)
from hilum.primer.ops.depth import gradient_by_depth
from hilum.primer.ops.images import (
    SOBEL,
    blur,
    edges,
    equalise,
    filter_image,
    gaussian_kernel,
    histogram,
)
from hilum.primer.ops.noisy import (
    noisy_activation,
    noisy_activation_derivatives,
    noisy_activation_expected,
    noisy_relu,
    noisy_relu_derivative,
    noisy_relu_expected,
    rrelu,
    rrelu_derivative,
    rrelu_expected,
)
from hilum.primer.ops.normalisation import (
    batch_norm,
    batch_norm_training,
)
from hilum.primer.ops.pooling import (
    average_pool,
    max_pool,
    space_to_depth,
    spatial_pyramid_pool,
)
from hilum.primer.ops.shapes import (
    convolution_cost,
    dense_cost,
    output_size,
    reads_from,
    receptive_field,
)
from hilum.primer.ops.signals import slide

__all__ = [
    "SOBEL",
    "average_pool",
    "batch_norm",
    "batch_norm_training",
    "blur",
    "calibration_error",
    "convolution_cost",
    "convolve",
    "convolve_transposed",
    "dense",
    "dense_cost",
    "edges",
    "elu",
    "elu_derivative",
    "equalise",
    "filter_image",
    "froc",
    "gaussian_kernel",
    "gradient_by_depth",
    "hard_sigmoid",
    "hard_sigmoid_derivative",
    "hard_tanh",
    "hard_tanh_derivative",
    "histogram",
    "hu_window",
    "leaky_relu",
    "leaky_relu_derivative",
    "log_loss",
    "max_pool",
    "noisy_activation",
    "noisy_activation_derivatives",
    "noisy_activation_expected",
    "noisy_or",
    "noisy_relu",
    "noisy_relu_derivative",
    "noisy_relu_expected",
    "output_size",
    "prelu",
    "prelu_derivatives",
    "reads_from",
    "recalibrate",
    "receptive_field",
    "reliability",
    "relu",
    "relu_derivative",
    "rrelu",
    "rrelu_derivative",
    "rrelu_expected",
    "same_padding",
    "selu",
    "selu_derivative",
    "sigmoid",
    "sigmoid_derivative",
    "slide",
    "softmax",
    "softmax_derivative",
    "softplus",
    "softplus_derivative",
    "space_to_depth",
    "spatial_pyramid_pool",
    "squeeze_excite",
    "tanh",
    "tanh_derivative",
    "transposed_size",
]

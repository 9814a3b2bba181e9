"""Activations with chance in them: random in training, fixed in inference.

A seed makes the numbers repeatable; without one they follow
`keras.utils.set_random_seed`. As with Keras's own layers, the seed is saved and
where its numbers stood is not: a loaded model draws them from the start.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

MEAN_OF_HALF_NORMAL = math.sqrt(2 / math.pi)
"""E|n| for n from N(0, 1)."""


@keras.saving.register_keras_serializable(package="hilum")
class RandomizedLeakyReLU(keras.layers.Layer):  # type: ignore[misc]
    """Randomized leaky ReLU (RReLU): x, or x / a with a drawn for each element.

    Follows the experiments of the paper: the leak is x / a with a in (1, inf), a
    is drawn from U(lower, upper) for each element in training, and inference takes
    its mean, x / ((lower + upper) / 2). For the default U(3, 8), of the winner of
    the National Data Science Bowl, inference has slope 1 / 5.5 = 0.182.

    PyTorch draws the slope instead, from U(1/8, 1/3), and takes its mean 0.229; on
    average over training ours is ln(8/3) / 5 = 0.196. The two are not the same
    distribution.

    Args:
        lower: Smallest divisor, >= 1.
        upper: Largest divisor, finite and >= lower; equal gives a leaky ReLU of
            slope 1 / lower.
        seed: For the random numbers, or None.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        Any.

    Output shape:
        Same as the input.

    Source:
        Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional
        Network", arXiv:1505.00853, section 2.4.

    Example:
        >>> y = RandomizedLeakyReLU()(ops.array([-11.0, 4.0]))
        >>> ops.convert_to_numpy(y).tolist()
        [-2.0, 4.0]
    """

    def __init__(
        self,
        lower: float = 3.0,
        upper: float = 8.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 1 <= lower <= upper < math.inf:
            raise ValueError(
                "`lower` and `upper` divide, so 1 <= lower <= upper < inf; slopes "
                "between 1/8 and 1/3 are divisors between 3 and 8. "
                f"Received: lower={lower}, upper={upper}"
            )
        self.lower = float(lower)
        self.upper = float(upper)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, x: Any, training: bool = False) -> Any:
        if training and self.lower < self.upper:
            divisor = keras.random.uniform(
                ops.shape(x),
                self.lower,
                self.upper,
                dtype=self.compute_dtype,
                seed=self.seed_generator,
            )
        else:
            divisor = (self.lower + self.upper) / 2
        return ops.where(x > 0, x, x / divisor)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {"lower": self.lower, "upper": self.upper, "seed": self.seed}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="hilum")
class NoisyReLU(keras.layers.Layer):  # type: ignore[misc]
    """Noisy rectifier: max(0, x + n) with n from N(0, sigmoid(x)) in training.

    sigmoid(x) is the variance. Inference is without noise: max(0, x).

    Args:
        stddev: Standard deviation of the noise, >= 0, the same everywhere; None
            takes the paper's sqrt(sigmoid(x)), which fades where x is negative.
        seed: For the random numbers, or None.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        Any.

    Output shape:
        Same as the input.

    Source:
        Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann
        Machines", ICML 2010, equation 3.

    Example:
        >>> y = NoisyReLU()(ops.array([-1.0, 2.0]))
        >>> ops.convert_to_numpy(y).tolist()
        [0.0, 2.0]
    """

    def __init__(
        self, stddev: float | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if stddev is not None and not stddev >= 0:
            raise ValueError(f"`stddev` must be >= 0. Received: stddev={stddev}")
        self.stddev = None if stddev is None else float(stddev)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            noise = keras.random.normal(
                ops.shape(x), dtype=self.compute_dtype, seed=self.seed_generator
            )
            # sqrt(sigmoid(x)), in the form whose gradient is finite everywhere
            paper = ops.exp(-ops.softplus(-x) / 2)
            x = x + (paper if self.stddev is None else self.stddev) * noise
        return ops.relu(x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


@keras.saving.register_keras_serializable(package="hilum")
class NoisyActivation(keras.layers.Layer):  # type: ignore[misc]
    """Hard tanh or hard sigmoid with noise where it saturates, and there only.

    h is the hard activation, u the line that it clips (x, or x / 4 + 1/2),
    delta = h - u what was clipped off, which is 0 inside. Then

        y = alpha h + (1 - alpha) u + d * scale * (sigmoid(p delta) - 1/2)^2 * noise

    with a learnt p for each channel and d = -sign(x) sign(1 - alpha), or -sign(x)
    for alpha = 1. In training the noise is |N(0, 1)| or N(0, 1); in inference its
    mean, sqrt(2 / pi) or 0.

    Args:
        activation: "hard_tanh" or "hard_sigmoid"; this hard sigmoid has slope 1/4,
            that of the sigmoid at 0 (Keras's own has 1/6).
        alpha: Share of h; above 1 the output bends back beyond the corner.
        scale: c of the paper, >= 0; the deviation of the noise stays below scale/4.
        half_normal: Noise to one side, or else to both.
        seed: For the random numbers, or None.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        `(batch, ..., channels)`.

    Output shape:
        Same as the input.

    Source:
        Gulcehre et al., "Noisy Activation Functions", arXiv:1603.00391, section 4
        and algorithm 1; defaults and the case alpha = 1 from the authors' code.

    Example:
        >>> y = NoisyActivation(half_normal=False)(ops.array([[0.5, 3.0]]))
        >>> ops.convert_to_numpy(y).round(4)  # 1.15 * 1 - 0.15 * 3 = 0.7
        array([[0.5, 0.7]], dtype=float32)
    """

    def __init__(
        self,
        activation: str = "hard_tanh",
        alpha: float = 1.15,
        scale: float = 0.5,
        half_normal: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if activation not in ("hard_tanh", "hard_sigmoid"):
            raise ValueError(
                '`activation` must be "hard_tanh" or "hard_sigmoid". '
                f"Received: activation={activation}"
            )
        if not scale >= 0:
            raise ValueError(f"`scale` must be >= 0. Received: scale={scale}")
        self.activation = activation
        self.alpha = float(alpha)
        self.scale = float(scale)
        self.half_normal = half_normal
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] is None:
            raise ValueError(
                "The number of channels must be known, for each has its own p. "
                f"Received: input_shape={input_shape}"
            )
        self.p = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="p")

    def call(self, x: Any, training: bool = False) -> Any:
        if self.activation == "hard_tanh":
            line, hard = x, ops.clip(x, -1.0, 1.0)
        else:
            line = x / 4 + 0.5
            hard = ops.clip(line, 0.0, 1.0)
        sigma = self.scale * (ops.sigmoid(self.p * (hard - line)) - 0.5) ** 2
        outwards = 1.0 if self.alpha > 1 else -1.0
        noise = self._noise(x) if training else self._mean_noise
        clipped = self.alpha * hard + (1 - self.alpha) * line
        return clipped + outwards * ops.sign(x) * sigma * noise

    def _noise(self, x: Any) -> Any:
        """Draw noise for each element."""
        noise = keras.random.normal(
            ops.shape(x), dtype=self.compute_dtype, seed=self.seed_generator
        )
        return ops.abs(noise) if self.half_normal else noise

    @property
    def _mean_noise(self) -> float:
        """What the noise is on average; the output is linear in it."""
        return MEAN_OF_HALF_NORMAL if self.half_normal else 0.0

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {
            "activation": self.activation,
            "alpha": self.alpha,
            "scale": self.scale,
            "half_normal": self.half_normal,
            "seed": self.seed,
        }
        return {**super().get_config(), **config}

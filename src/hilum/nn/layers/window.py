"""Hounsfield units to network intensities, inside the network."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="hilum")
class HUWindow(keras.layers.Layer):  # type: ignore[misc]
    """Map a Hounsfield window linearly to [0, 1] and clip.

    Computes `clip((hu - level_hu) / width_hu + 0.5, 0, 1)`. Living inside the
    model, it makes training and inference see the same intensities. Under mixed
    precision the input stays as it is and the window is computed in float32:
    bfloat16 steps are 4 HU near -600. Only the result is rounded.

    Args:
        level_hu: Centre of the window. Defaults to -600, a lung window.
        width_hu: Width of the window, > 0. Defaults to 1500.
        **kwargs: Base layer arguments, such as `name` and `dtype`.

    Input shape:
        Any, in HU, integer or float.

    Output shape:
        Same as the input.

    Source:
        DICOM PS3.3 C.11.2.1.3.2 (LINEAR_EXACT), output range [0, 1].

    Example:
        >>> y = HUWindow(level_hu=0, width_hu=400)(ops.array([-200.0, 0.0, 300.0]))
        >>> ops.convert_to_numpy(y).tolist()
        [0.0, 0.5, 1.0]
    """

    def __init__(
        self, level_hu: float = -600.0, width_hu: float = 1500.0, **kwargs: Any
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if not width_hu > 0:
            raise ValueError(f"`width_hu` must be > 0. Received: width_hu={width_hu}")
        self.level_hu = float(level_hu)
        self.width_hu = float(width_hu)

    def call(self, hu: Any) -> Any:
        exact = keras.backend.result_type(self.variable_dtype, "float32")
        shifted = (ops.cast(hu, exact) - self.level_hu) / self.width_hu + 0.5
        return ops.cast(ops.clip(shifted, 0.0, 1.0), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {"level_hu": self.level_hu, "width_hu": self.width_hu}
        return {**super().get_config(), **config}

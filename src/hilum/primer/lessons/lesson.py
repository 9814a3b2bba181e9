"""What a lesson is: one idea in a few steps, each with something to move.

Texts are in a small part of Markdown (paragraphs, lists, `code`, **strong**,
*emphasis*, links), so that a page and a notebook are made of the same words.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.primer.scene import Scene

Data = dict[str, Any]

KERAS = "https://keras.io/api/"
LAYERS = {
    "Activation": "layers/core_layers/activation/",
    "AveragePooling2D": "layers/pooling_layers/average_pooling2d/",
    "BatchNormalization": "layers/normalization_layers/batch_normalization/",
    "Conv1D": "layers/convolution_layers/convolution1d/",
    "Conv2D": "layers/convolution_layers/convolution2d/",
    "Conv2DTranspose": "layers/convolution_layers/convolution2d_transpose/",
    "Conv3D": "layers/convolution_layers/convolution3d/",
    "Dense": "layers/core_layers/dense/",
    "ELU": "layers/activation_layers/elu/",
    "LeakyReLU": "layers/activation_layers/leaky_relu/",
    "MaxPooling2D": "layers/pooling_layers/max_pooling2d/",
    "PReLU": "layers/activation_layers/prelu/",
    "ReLU": "layers/activation_layers/relu/",
    "Softmax": "layers/activation_layers/softmax/",
}
"""Keras's pages on the layers that the lessons name."""

OURS = {
    "CropLike", "HUWindow", "NoisyActivation", "NoisyReLU", "RandomizedLeakyReLU",
    "ResidualBlock", "SpatialPyramidPooling2D",
}  # fmt: skip
"""Layers of `hilum.nn.layers`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to try.

    Attributes:
        key: Name of its view in the lesson's module of JavaScript.
        title: A few words.
        text: What to do and what to see, in Markdown.
        code: The same in Python, for the notebook; it runs after the steps before.
    """

    key: str
    title: str
    text: str
    code: str


def no_data(_: Scene | None) -> Data:
    """Give nothing: the lesson computes all from what the reader sets."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One idea.

    Attributes:
        number: Place in the order, from 1.
        key: Short name, as in `hilum primer KEY`.
        title: Of the page.
        idea: One or two sentences, in Markdown.
        why: Why it matters in CT, in Markdown.
        steps: What to try.
        functions: Out of `hilum.primer.ops`; their source stands on the page.
        layers: Keras's or hilum's layers that do the same.
        needs_scan: Whether its data is made from a CT.
        data: What Python computes when the page is made.
    """

    number: int
    key: str
    title: str
    idea: str
    why: str
    steps: tuple[Step, ...]
    functions: tuple[Callable[..., Any], ...] = ()
    layers: tuple[str, ...] = ()
    needs_scan: bool = False
    data: Callable[[Any], Data] = no_data

    @property
    def file(self) -> str:
        """Name of the page."""
        return f"{self.number:02d}-{self.key}.html"


def pack(values: npt.ArrayLike, kind: str = "float32") -> Data:
    """Pack an array for a page: shape, type and bytes.

    Args:
        values: Any shape; rounded when the kind is one of whole numbers.
        kind: "int16", "uint8", "float32" or "float64".

    Example:
        >>> pack([[1, 2]], "uint8")
        {'shape': [1, 2], 'type': 'uint8', 'base64': 'AQI='}
    """
    array = np.asarray(values)
    if np.issubdtype(np.dtype(kind), np.integer):
        limits = np.iinfo(kind)
        array = np.clip(np.rint(array), limits.min, limits.max)
    raw = np.ascontiguousarray(array, dtype=np.dtype(kind).newbyteorder("<"))
    text = base64.b64encode(raw.tobytes()).decode("ascii")
    return {"shape": list(array.shape), "type": kind, "base64": text}


def pack_coarsely(values: npt.ArrayLike) -> Data:
    """Pack an array in 256 steps between its least and its largest value.

    Example:
        >>> pack_coarsely([0.0, 510.0])["step"]
        2.0
    """
    array = np.asarray(values, np.float64)
    low, high = float(array.min()), float(array.max())
    step = (high - low) / 255 or 1.0
    return {**pack((array - low) / step, "uint8"), "low": low, "step": step}


def to_html(text: str) -> str:
    """Turn the small Markdown of the lessons into HTML.

    Example:
        >>> to_html("A **bold** `x < y`.")
        '<p>A <strong>bold</strong> <code>x &lt; y</code>.</p>'
    """
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in block.splitlines()]
        if lines[0].startswith("- "):
            items = re.split(r"\n- ", "\n" + "\n".join(lines))[1:]
            inside = "".join(f"<li>{_inline(' '.join(i.split()))}</li>" for i in items)
            blocks.append(f"<ul>{inside}</ul>")
        else:
            blocks.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "".join(blocks)


def _inline(text: str) -> str:
    """Mark up one paragraph; what stands in backticks is left as it is."""
    parts = html.escape(text, quote=False).split("`")
    for n in range(0, len(parts), 2):
        part = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", parts[n])
        part = re.sub(r"\*(.+?)\*", r"<em>\1</em>", part)
        parts[n] = re.sub(r"\[(.+?)\]\((.+?)\)", r'<a href="\2">\1</a>', part)
    return "".join(
        f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts)
    )

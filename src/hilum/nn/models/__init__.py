"""Networks as functions that build them: plain Keras models, of any size.

`keras.utils.set_random_seed` before building makes the weights repeatable. Every
model takes HU, with the window inside, and saves to `.keras` and to OpenVINO IR.

The folder: `classifiers` (the article's networks, in 2D and 3D), `nodules` (the
small 3D networks that look at one nodule), `detectors` (the one that finds them).
"""

from hilum.nn.models.classifiers import elu_network, simple_cnn
from hilum.nn.models.detectors import detection_net
from hilum.nn.models.nodules import (
    NODULE_WINDOW_HU,
    RATING_CATEGORIES,
    malignancy_net,
    segmentation_net,
)

__all__ = [
    "NODULE_WINDOW_HU",
    "RATING_CATEGORIES",
    "detection_net",
    "elu_network",
    "malignancy_net",
    "segmentation_net",
    "simple_cnn",
]

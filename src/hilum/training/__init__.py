"""Training the networks on data of one's own, on two processor cores.

The folder: `fit` (one training run that survives a kill), `augment` (random views of
a nodule), `progress` (bar, learning curves), `segmentation` (the outline of a
nodule), `malignancy` (its ratings). Needs the extra `train`; each module is imported
by itself, for Keras is slow to import.
"""

from hilum._optional import prepare_backend

prepare_backend()  # before the modules here load Keras

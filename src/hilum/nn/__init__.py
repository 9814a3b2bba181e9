"""Networks: `layers` that Keras lacks, and the `models` built from them.

They know tensors and Hounsfield units, not patients. Import `hilum.nn.layers`
before loading a `.keras` file: that registers the layers with Keras.
"""

from hilum._optional import prepare_backend

prepare_backend()  # before the modules here load Keras

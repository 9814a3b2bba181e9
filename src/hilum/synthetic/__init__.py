"""Small synthetic copies of data sets: each layout, filled with phantoms.

The folder: `layouts` writes them, `readers` lets four readers of LIDC look at a
phantom. Everything follows from the seed.
"""

from hilum.synthetic.layouts import EXAMPLES, ExampleSettings, write_example

__all__ = ["EXAMPLES", "ExampleSettings", "write_example"]

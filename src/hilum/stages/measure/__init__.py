"""Measure nodules: outline, diameters, volume, kind and side.

How, how well, and where it fails: docs/explanation/measurement.md.
"""

from hilum.stages.measure.measurer import Measurement, NoduleMeasurer, segment_nodule
from hilum.stages.measure.repeats import drop_repeats

__all__ = ["Measurement", "NoduleMeasurer", "drop_repeats", "segment_nodule"]

"""Places that may be nodules: a classical detector of bright dots in the lungs."""

from hilum.stages.nodules.detector import NoduleDetector

__all__ = ["NoduleDetector"]

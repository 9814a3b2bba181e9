"""Where the lungs are, right and left, and whether the scan shows all of them."""

from hilum.stages.lungs.notices import lung_notices
from hilum.stages.lungs.segmenter import LungSegmenter

__all__ = ["LungSegmenter", "lung_notices"]

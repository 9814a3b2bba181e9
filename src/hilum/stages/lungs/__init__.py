"""Where the lungs are, right and left, and whether the scan shows all of them."""

from hilum.stages.lungs.look import LungLook
from hilum.stages.lungs.notices import lung_notices, notices_of
from hilum.stages.lungs.segmenter import LungSegmenter

__all__ = ["LungLook", "LungSegmenter", "lung_notices", "notices_of"]

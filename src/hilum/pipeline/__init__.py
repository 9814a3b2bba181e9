"""The stages in one visible function body, and the commands over one series.

The folder: `assessing` (the pipeline and `assess`), `scope` (whether the figures
hold, and what is said of them), `files` (one stage, one file), `clock` (their times).
"""

from hilum.pipeline.assessing import (
    Pipeline,
    Reading,
    Selection,
    assess,
    describe_source,
    read_and_assess,
    read_and_outline,
)
from hilum.pipeline.files import COLUMNS, detect, segment, write_candidates
from hilum.pipeline.scope import judge_scope, scope_notices

__all__ = [
    "COLUMNS",
    "Pipeline",
    "Reading",
    "Selection",
    "assess",
    "describe_source",
    "detect",
    "judge_scope",
    "read_and_assess",
    "read_and_outline",
    "scope_notices",
    "segment",
    "write_candidates",
]

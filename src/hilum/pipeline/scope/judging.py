"""All checks of a series, and the verdict."""

from __future__ import annotations

from hilum.findings import Notice, Scope
from hilum.pipeline.scope.anatomy import check_anatomy
from hilum.pipeline.scope.intensities import check_intensities
from hilum.pipeline.scope.stacking import check_stack
from hilum.pipeline.scope.texture import check_texture
from hilum.stages.lungs import LungLook
from hilum.volume import CTVolume, Mask


def judge_scope(
    volume: CTVolume, lungs: Mask, *, look: LungLook | None = None
) -> Scope:
    """Decide whether the figures hold for a series.

    Args:
        volume: The CT.
        lungs: 1 right lung, 2 left lung, on its grid.
        look: Of the two, where it was taken before.

    Raises:
        InputError: The mask lies on another grid than the volume.
    """
    look = look or LungLook.of(volume, lungs)
    checks = (
        *check_stack(volume),
        *check_anatomy(volume, look),
        *check_intensities(volume, look),
        *check_texture(volume, lungs),
    )
    reasons = tuple(c.message for c in checks if c.decides and not c.passed)
    return Scope(in_scope=not reasons, reasons=reasons, checks=checks)


def scope_notices(scope: Scope) -> tuple[Notice, ...]:
    """Say what leaves a doubt without putting the series out of scope.

    Args:
        scope: The verdict.
    """
    return tuple(
        Notice(check.code, check.message, "scope")
        for check in scope.checks
        if not check.passed and not check.decides
    )

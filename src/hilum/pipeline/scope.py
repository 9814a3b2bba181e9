"""Whether the figures hold for a series, and what may be said when they do not."""

from __future__ import annotations

from hilum.findings import Notice, Scope
from hilum.volume import CTVolume

THICKEST_SLICES_MM = 5.0
"""Above this spacing nodules fall between slices: no probability is given."""

OUT_OF_SCOPE_NOTICES = ("no-lungs", "lungs-cropped", "one-lung")
"""Notices of the lungs stage after which the figures do not hold."""


def judge_scope(volume: CTVolume, doubts: tuple[Notice, ...]) -> Scope:
    """Decide whether the figures hold for a series.

    Args:
        volume: The CT.
        doubts: Notices of the lungs stage.
    """
    reasons = [n.message for n in doubts if n.code in OUT_OF_SCOPE_NOTICES]
    spacing_mm = max(volume.grid.spacing_mm)  # coronal slices lie along another axis
    if spacing_mm > THICKEST_SLICES_MM:
        reasons.append(
            f"Slices are {spacing_mm:.1f} mm apart; the limit is "
            f"{THICKEST_SLICES_MM:.1f} mm. Nodules can fall between them."
        )
    return Scope(in_scope=not reasons, reasons=tuple(reasons))


def patient_notices(
    scope: Scope, *, force: bool, calibrated: bool = False
) -> tuple[Notice, ...]:
    """Say how far the patient's probability can be trusted, or why there is none.

    Args:
        scope: Whether the figures hold.
        force: The probability was asked for all the same.
        calibrated: A calibration of the user's was applied.
    """
    if not scope.in_scope and not force:
        text = "The series is out of scope, so no probability is given."
        return (Notice("probability-suppressed", text, "patient"),)
    doubts = []
    if calibrated:
        text = (
            "The patient's probability was brought to the cohort of the calibration "
            "that the settings name; it holds for patients like those."
        )
        doubts.append(Notice("probability-recalibrated", text, "patient"))
    else:
        doubts.append(_not_calibrated())
    if not scope.in_scope:
        doubts.append(
            Notice(
                "forced",
                "The series is out of scope; the probability was asked for all the "
                "same and need not hold.",
                "patient",
            )
        )
    return tuple(doubts)


def _not_calibrated() -> Notice:
    return Notice(
        "probability-not-calibrated",
        "The patient's probability combines the nodules' Brock probabilities by a "
        "leaky noisy-or and has not been calibrated on patients. Its interval covers "
        "what is not known of the patient; it does not cover errors of detection, of "
        "measurement or of the model.",
        "patient",
    )

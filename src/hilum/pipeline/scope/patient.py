"""What is said of a probability of a patient, and why there may be none."""

from __future__ import annotations

from hilum.findings import Notice, Scope


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

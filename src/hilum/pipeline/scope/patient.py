"""What is said of a probability of a patient, and why there may be none."""

from __future__ import annotations

from hilum.findings import Notice, Scope

NOT_CALIBRATED = (
    "The patient's probability has not been calibrated on patients with a known "
    "outcome. It combines the Brock probabilities of the findings (built on 1,871 "
    "people who smoked, with 102 malignant nodules), the chance that each is a nodule "
    "(learned from 20 nodules in 11 scans) and a leak for cancers that no nodule "
    "explains (2 of 43 of LIDC-IDRI). Its interval covers what is not known of the "
    "patient, which findings are nodules, and how they look to the networks, with "
    "their spread; not what was missed or measured wrongly, and not that a patient may "
    "be unlike those of the Brock model."
)


def patient_notices(
    scope: Scope, *, force: bool, calibrated_on: str | None = None
) -> tuple[Notice, ...]:
    """Say what the patient's probability was calibrated on, or why there is none.

    Args:
        scope: Whether the figures hold.
        force: The probability was asked for all the same.
        calibrated_on: What a calibration of the user's says of itself; None: there is
            none.
    """
    if not scope.in_scope and not force:
        text = "The series is out of scope, so no probability is given."
        return (Notice("probability-suppressed", text, "patient"),)
    doubts = []
    if calibrated_on is not None:
        text = f"The patient's probability was recalibrated. {calibrated_on}"
        doubts.append(Notice("probability-recalibrated", text, "patient"))
    else:
        doubts.append(Notice("probability-not-calibrated", NOT_CALIBRATED, "patient"))
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

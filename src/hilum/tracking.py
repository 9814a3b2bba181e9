"""One name for one nodule, in every document and from study to study.

A nodule's UID follows from its series and its place, so that the same assessment
always gives the same UID. Where a nodule was followed from an earlier study, it
carries that study's UID instead (`Nodule.tracking_uid`), and so does the next one.

Sources:
    DICOM PS3.5 B.2 (UIDs made of a UUID, root 2.25); RFC 9562, section 5.5 (UUID of
    a name); DICOM PS3.3 C.8.20.2 (Tracking UID).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace

from hilum.errors import InputError
from hilum.findings import Assessment, Nodule

_NAMESPACE = uuid.UUID("5d1c7b5e-2b1f-5d0e-9a57-6f2c1d6f1a10")


def tracking_uid(series_uid: str, nodule: Nodule) -> str:
    """Give the UID under which a nodule is followed.

    Args:
        series_uid: The series that it was found in.
        nodule: Its place is taken to a tenth of a millimetre.

    Returns:
        The UID it was given in an earlier study, or one of its own under 2.25.

    Example:
        >>> nodule = Nodule(
        ...     center_mm=(1.0, 2.0, 3.0), diameter_mm=8.0, long_axis_mm=9.0,
        ...     short_axis_mm=7.0, volume_mm3=260.0, type="solid",
        ...     solid_diameter_mm=8.0, side="left", detection_score=0.9)
        >>> one, other = (tracking_uid(uid, nodule) for uid in ("1.2.3", "1.2.4"))
        >>> one[:5], one == other
        ('2.25.', False)
    """
    if nodule.tracking_uid is not None:
        return nodule.tracking_uid
    place = " ".join(f"{round(value, 1) + 0.0:.1f}" for value in nodule.center_mm)
    return f"2.25.{uuid.uuid5(_NAMESPACE, f'{series_uid} {place}').int}"


def patient_uid(series_uid: str) -> str:
    """Give the UID of what is concluded of the patient as a whole.

    Args:
        series_uid: The series that was assessed.
    """
    return f"2.25.{uuid.uuid5(_NAMESPACE, series_uid).int}"


def follow(
    current: Assessment, prior: Assessment, matches: Mapping[int, int]
) -> Assessment:
    """Let nodules keep the UIDs that they had in an earlier study.

    Args:
        current: The later assessment.
        prior: The earlier one.
        matches: Place of a nodule in `current`, from 0, to its place in `prior`.

    Returns:
        The later assessment with the UIDs of the earlier one where they match.

    Raises:
        InputError: A place is not in the assessment, or a prior nodule is followed
            by two.
    """
    if len(set(matches.values())) < len(matches):
        raise InputError(
            "A nodule of the prior is matched to two of the current study; one UID "
            "can follow one of them."
        )
    nodules = list(current.nodules)
    for now, before in matches.items():
        if not 0 <= now < len(nodules) or not 0 <= before < len(prior.nodules):
            raise InputError(
                f"Nodule {now} of {len(nodules)} cannot be matched to nodule {before} "
                f"of {len(prior.nodules)} in the prior; places count from 0."
            )
        uid = tracking_uid(prior.series_uid, prior.nodules[before])
        nodules[now] = replace(nodules[now], tracking_uid=uid)
    return replace(current, nodules=tuple(nodules))

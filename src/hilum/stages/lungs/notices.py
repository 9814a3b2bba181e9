"""What to doubt about a lung mask: lungs cut off, missing, or of no likely size."""

from __future__ import annotations

from hilum.findings import Notice
from hilum.stages.lungs.look import LungLook
from hilum.volume import CTVolume, Mask

STAGE = "lungs"
# less than this is no lung, whatever it is
LEAST_LITRES = 0.1
# adults at inspiration; tall patients with emphysema come near 9 l
LITRES = (1.5, 9.0)
ONE_LUNG_SHARE = 0.1
# what may touch an edge of the scan without a word
EDGE_CM2 = 5.0
EDGES = (
    "first slice (towards the feet)",
    "last slice (towards the head)",
    "front edge",
    "back edge",
    "right edge",
    "left edge",
)


def lung_notices(volume: CTVolume, mask: Mask) -> tuple[Notice, ...]:
    """Say what is doubtful about the lungs that were found.

    Codes: "no-lungs", "lungs-cropped", "one-lung", "lung-volume-implausible".

    Args:
        volume: The CT.
        mask: 1 right lung, 2 left lung, on the grid of the volume.

    Returns:
        Notices of stage "lungs", each with what was measured and the limit;
        none when nothing is doubtful.

    Raises:
        InputError: The mask lies on another grid than the volume.
    """
    return notices_of(LungLook.of(volume, mask))


def notices_of(look: LungLook) -> tuple[Notice, ...]:
    """Say what is doubtful about lungs that were looked at; as `lung_notices`."""
    total = look.total_l
    if total < LEAST_LITRES:
        text = (
            f"No aerated lungs were found: {total:.2f} l, at least "
            f"{LEAST_LITRES} l are needed. Is this a chest CT?"
        )
        return (Notice("no-lungs", text, STAGE),)
    notices = (
        _cropped(look),
        _one_lung(look.right_l, look.left_l),
        _implausible(total),
    )
    return tuple(notice for notice in notices if notice)


def _one_lung(right: float, left: float) -> Notice | None:
    """Doubt a scan in which one side has next to no aerated lung."""
    side, less = ("right", right) if right <= left else ("left", left)
    share = less / (right + left)
    if share >= ONE_LUNG_SHARE:
        return None
    text = (
        f"The {side} lung holds {less:.2f} l, {share:.0%} of the aerated lung; at "
        f"least {ONE_LUNG_SHARE:.0%} is expected. It may be removed, collapsed, "
        "full of fluid, or outside the scan."
    )
    return Notice("one-lung", text, STAGE)


def _implausible(total: float) -> Notice | None:
    """Doubt lungs that no adult has."""
    low, high = LITRES
    if low <= total <= high:
        return None
    text = (
        f"Both lungs together hold {total:.2f} l; {low} to {high} l is expected of "
        "an adult at inspiration. The scan may show a part, a child, or no chest."
    )
    return Notice("lung-volume-implausible", text, STAGE)


def _cropped(look: LungLook) -> Notice | None:
    """Doubt lungs that reach an edge of the scan or of its round field of view."""
    found = [
        f"{area:.1f} cm2 at the {name}"
        for area, name in zip(look.cut_cm2, EDGES, strict=True)
        if area > EDGE_CM2
    ]
    if look.open_cm2 > EDGE_CM2:
        found.append(f"{look.open_cm2:.1f} cm2 at the rim of the field of view")
    if not found:
        return None
    text = (
        f"The lungs reach the edge of the scan: {', '.join(found)} (at most "
        f"{EDGE_CM2:.1f} cm2 is expected). What lies beyond was not assessed."
    )
    return Notice("lungs-cropped", text, STAGE)

"""One nodule found twice is one nodule."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hilum.stages.measure.measurer import Measurement


def drop_repeats(measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """Keep the best scored of measurements that lie in each other.

    A large nodule is often found once more at its lobules. Two findings are the
    same when the centre of one lies inside the other, taken as a ball of its mean
    diameter.

    Args:
        measurements: Of one series, in any order.

    Returns:
        Those kept, by falling detection score.
    """
    kept: list[Measurement] = []
    for one in sorted(
        measurements, key=lambda m: m.nodule.detection_score, reverse=True
    ):
        if not any(_overlap(one, other) for other in kept):
            kept.append(one)
    return tuple(kept)


def _overlap(one: Measurement, other: Measurement) -> bool:
    a, b = one.nodule, other.nodule
    apart_mm = math.dist(a.center_mm, b.center_mm)
    return apart_mm < max(a.diameter_mm, b.diameter_mm) / 2

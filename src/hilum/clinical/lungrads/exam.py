"""The category of a whole screening CT: that of its most suspicious finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hilum.clinical.lungrads.finding import ScreeningFinding
from hilum.clinical.lungrads.rules import ORDER, Category, Verdict, judge_finding
from hilum.clinical.lungrads.untold import possible_of, untold_of
from hilum.clinical.rounding import check_size
from hilum.errors import InputError
from hilum.findings import Record

POPULATION = "people who take part in lung cancer screening with low-dose CT"
_FROM_8_MM = "with a solid nodule or part of 8 mm (268 mm³) or more"
_WORK_UP = f"diagnostic CT, PET/CT {_FROM_8_MM}, tissue sampling, or referral"
MANAGEMENT: dict[Category, str] = {
    "0": "compare with the prior CT, complete the examination, or low-dose CT in 1 to "
    "3 months",
    "1": "low-dose CT in 12 months",
    "2": "low-dose CT in 12 months",
    "3": "low-dose CT in 6 months",
    "4A": f"low-dose CT in 3 months; PET/CT may be considered {_FROM_8_MM}",
    "4B": _WORK_UP,
    "4X": _WORK_UP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LungRads(Record):
    """What Lung-RADS v2022 says of an examination.

    Attributes:
        category: 0 to 4X, with "S" behind it for another significant finding.
        rule: The rule that fired, with the numbers.
        management: What it advises.
        possible: The categories over all that is missing, and where volumes that were
            given beside diameters would give another one, as a range; empty where
            there is but one.
        findings: The verdict on each finding, in their order.
        population: For whom it is meant.
        missing: Names of what the category hangs on and was not told.
    """

    category: str
    rule: str
    management: str
    possible: str = ""
    findings: tuple[Verdict, ...] = ()
    population: str = POPULATION
    missing: tuple[str, ...] = ()


def judge_exam(
    findings: Sequence[ScreeningFinding],
    *,
    incomplete: str = "",
    other_finding: bool = False,
) -> LungRads:
    """Give the category of an examination by its most suspicious finding.

    Args:
        findings: Those of the scan; none is category 1.
        incomplete: Why it cannot be judged yet, such as "prior CT awaited", "lungs not
            wholly evaluable" or "likely infection"; then category 0, which says what
            the findings alone would be.
        other_finding: A significant finding other than nodules: modifier S.

    Example:
        >>> judge_exam([]).category
        '1'
    """
    incomplete = incomplete.strip()
    verdicts = tuple(judge_finding(f) for f in findings)
    worst = max(
        verdicts,
        key=lambda v: ORDER.index(v.category),
        default=Verdict("1", "no nodule -> 1"),
    )
    if incomplete:
        worst = Verdict(
            "0", f"{incomplete} -> 0; the findings alone would be {worst.category}"
        )
    return LungRads(
        category=worst.category + ("S" if other_finding else ""),
        rule=worst.rule,
        management=MANAGEMENT[worst.category],
        possible="" if incomplete else _range(findings, verdicts),
        findings=verdicts,
        missing=tuple(dict.fromkeys(name for f in findings for name in untold_of(f))),
    )


def _range(findings: Sequence[ScreeningFinding], verdicts: Sequence[Verdict]) -> str:
    """Give the categories of an examination over what is not told, and by volumes."""
    if not verdicts:
        return ""
    each = [
        sorted(ORDER.index(c) for c in possible_of(f, v) | {v.by_volume or v.category})
        for f, v in zip(findings, verdicts, strict=True)
    ]
    low, high = max(e[0] for e in each), max(e[-1] for e in each)
    return "" if low == high else f"{ORDER[low]} to {ORDER[high]}"


def judge_range(
    finding: ScreeningFinding, *, error_mm: float
) -> tuple[Category, Category]:
    """Give the lowest and the highest category within the error of measurement.

    Args:
        finding: Measured by diameter.
        error_mm: Half the width of the interval of the diameter.

    Raises:
        InputError: The finding has no diameter, or the error is below 0.

    Example:
        >>> judge_range(ScreeningFinding(kind="solid", diameter_mm=7.9), error_mm=0.5)
        ('3', '4A')
    """
    found = [ORDER.index(v.category) for v in judge_sizes(finding, error_mm=error_mm)]
    return ORDER[min(found)], ORDER[max(found)]


def judge_sizes(
    finding: ScreeningFinding, *, error_mm: float
) -> tuple[Verdict, Verdict, Verdict]:
    """Judge a finding as measured, as small and as large as the error lets it be.

    Args:
        finding: Measured by diameter.
        error_mm: Half the width of the interval of the diameter.

    Raises:
        InputError: The finding has no diameter, or the error is below 0.

    Example:
        >>> seven = ScreeningFinding(kind="solid", diameter_mm=7.0)
        >>> [v.category for v in judge_sizes(seven, error_mm=1.2)]
        ['3', '2', '4A']
    """
    if finding.diameter_mm is None:
        raise InputError("A range needs a finding that was measured by diameter.")
    if error_mm:
        check_size(error_mm, "The error of measurement", "mm")

    def judge(off_mm: float) -> Verdict:
        size = max((finding.diameter_mm or 0.0) + off_mm, 0.1)
        part = finding.solid_mm
        if part:  # a solid part that cannot be measured stays so
            part = min(max(part + off_mm, 0.1), size)
        return judge_finding(
            replace(
                finding,
                diameter_mm=size,
                solid_mm=part,
                volume_mm3=None,  # its error is not that of the diameter
                solid_volume_mm3=finding.solid_volume_mm3 if part is None else None,
            )
        )

    return judge(0.0), judge(-error_mm), judge(error_mm)

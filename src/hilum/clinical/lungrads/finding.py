"""What Lung-RADS asks of one finding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from hilum.clinical.rounding import check_size
from hilum.errors import InputError
from hilum.findings import Record

Kind = Literal["solid", "part-solid", "ground-glass", "benign", "airway", "cyst"]
Change = Literal["baseline", "new", "growing", "slowly-growing", "stable", "decreased"]
Airway = Literal["subsegmental", "segmental"]
Cyst = Literal["thin-walled", "thick-walled", "multilocular"]
CystChange = Literal["none", "lumen", "wall", "loculation", "multilocular"]

_MAY_BE_ZERO = ("solid_mm", "solid_volume_mm3", "prior_solid_mm", "prior_months")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningFinding(Record):
    """One finding of a screening CT.

    Attributes:
        kind: Of nodule, with "benign" for one of complete, central, popcorn or
            concentric-ring calcification or with fat; or an airway nodule; or a cyst.
        status: What became of it: first seen at baseline, new since the prior, grown
            by more than 1.5 mm within 12 months, grown more slowly over several
            screens, stable, or smaller.
        diameter_mm: Mean of long and short axis of the whole nodule; of a cyst none.
        solid_mm: Mean diameter of the solid part of a part-solid nodule; 0: too small
            to measure. Not needed below 6 mm in all.
        volume_mm3: In place of the diameter; where both are given the diameter decides,
            and the rule says so and what the volume would give.
        solid_volume_mm3: In place of the diameter of the solid part, likewise.
        juxtapleural: At the pleura, smooth, and oval, lentiform or triangular.
        suspicious: What makes it more suspicious, such as "spiculation".
        prior_category: Its category at the prior; None: not known.
        prior_months: Months since the prior; None: not known.
        prior_diameter_mm: Mean diameter at the prior; None: not known.
        prior_solid_mm: That of the solid part at the prior; None: not known.
        proven_benign: A 4B finding that work-up showed to be benign.
        airway: Where an airway nodule lies; "segmental" or more proximal.
        cyst: Kind of cyst.
        cyst_change: What of the cyst grew or changed.

    Raises:
        InputError: What the kind needs is missing, or a size cannot be.
    """

    kind: Kind
    status: Change = "baseline"
    diameter_mm: float | None = None
    solid_mm: float | None = None
    volume_mm3: float | None = None
    solid_volume_mm3: float | None = None
    juxtapleural: bool = False
    suspicious: tuple[str, ...] = ()
    prior_category: str | None = None
    prior_months: float | None = None
    prior_diameter_mm: float | None = None
    prior_solid_mm: float | None = None
    proven_benign: bool = False
    airway: Airway | None = None
    cyst: Cyst | None = None
    cyst_change: CystChange = "none"

    def __post_init__(self) -> None:
        """Refuse what cannot be, or cannot be judged."""
        for name, choices in (
            ("kind", Kind),
            ("status", Change),
            ("cyst_change", CystChange),
        ):
            if getattr(self, name) not in get_args(choices):
                raise InputError(
                    f"`{name}` must be one of {', '.join(get_args(choices))}; got "
                    f"{getattr(self, name)!r}."
                )
        for name in ("diameter_mm", "volume_mm3", "prior_diameter_mm"):
            check_size(getattr(self, name), f"`{name}`", name.rsplit("_", 1)[1])
        for name in _MAY_BE_ZERO:
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"`{name}` must be 0 or more; got {value}.")
        if self.prior_months:
            check_size(self.prior_months, "`prior_months`", "months")
        self._check_kind()
        self._check_prior()

    @property
    def seen_first(self) -> bool:
        """Whether there was nothing to compare with."""
        return self.status in ("baseline", "new")

    def _check_kind(self) -> None:
        """Refuse a finding without what its kind is judged by."""
        if self.kind == "airway" and self.airway not in get_args(Airway):
            raise InputError(
                "An airway nodule needs where it lies: subsegmental or segmental (or "
                f"more proximal); got {self.airway!r}."
            )
        if self.kind == "cyst" and self.cyst not in get_args(Cyst):
            raise InputError(
                f"A cyst must be one of {', '.join(get_args(Cyst))}; got {self.cyst!r}."
            )
        if self.kind == "cyst" and self.seen_first and self.cyst_change != "none":
            raise InputError(
                f"A cyst that is seen for the first time ({self.status}) has not "
                "changed. Give the status: growing, slowly-growing, stable or "
                "decreased."
            )
        if self.kind not in ("solid", "part-solid", "ground-glass"):
            return
        if self.diameter_mm is None and self.volume_mm3 is None:
            raise InputError(
                f"A {self.kind} nodule needs its mean diameter in mm or its volume in "
                "mm³."
            )
        for whole, part, unit in (
            (self.diameter_mm, self.solid_mm, "mm"),
            (self.volume_mm3, self.solid_volume_mm3, "mm³"),
        ):
            if whole is not None and part is not None and part > whole:
                raise InputError(
                    f"The solid part ({part:g} {unit}) is larger than the whole "
                    f"({whole:g} {unit})."
                )

    def _check_prior(self) -> None:
        """Refuse a prior that contradicts the status."""
        if self.prior_category not in (None, "1", "2", "3", "4A", "4B", "4X"):
            raise InputError(
                "The prior category must be 1, 2, 3, 4A, 4B or 4X; got "
                f"{self.prior_category!r}."
            )
        if self.seen_first and self.prior_category is not None:
            raise InputError(
                f"A finding that is seen for the first time ({self.status}) has no "
                "prior category. Give the status: growing, slowly-growing, stable or "
                "decreased."
            )
        sized = self.kind in ("solid", "part-solid", "ground-glass")
        if sized and self.status == "stable" and self.prior_category == "1":
            raise InputError(
                f"A {self.kind} nodule that is stable was none of category 1 before: "
                "that is no nodule, or a benign one. Give the category that it had, or "
                "the kind `benign`."
            )

"""What is known of the patient beside the scan; everything may be unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from hilum.errors import InputError
from hilum.findings import Record

Sex = Literal["female", "male"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Record):
    """Facts that the clinical models ask for; None: not known.

    Attributes:
        age_years: Age at the time of the scan, 18 to 120.
        sex: "female" or "male", as the models were built on.
        family_history: Lung cancer in a first-degree relative.
        emphysema: Emphysema on CT, by a reader.

    Raises:
        InputError: An age or sex that the models cannot take.
    """

    age_years: float | None = None
    sex: Sex | None = None
    family_history: bool | None = None
    emphysema: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what no adult patient can be."""
        if self.age_years is not None and not (
            math.isfinite(self.age_years) and 18 <= self.age_years <= 120
        ):
            raise InputError(
                f"Age must lie in 18 to 120 years; got {self.age_years}. "
                "The models hold for adults."
            )
        if self.sex not in (None, "female", "male"):
            raise InputError(f"Sex must be female or male; got {self.sex!r}.")

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the facts that are not known."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) is None)

"""What is known of the patient beside the scan; everything may be unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hilum.errors import InputError
from hilum.findings import Record

Sex = Literal["female", "male"]
Smoker = Literal["never", "former", "current"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(Record):
    """Facts that the clinical models ask for; None: not known.

    Attributes:
        age_years: Age at the time of the scan, 18 to 120.
        sex: "female" or "male", as the models were built on.
        family_history: Lung cancer in a first-degree relative.
        emphysema: Emphysema on CT, by a reader.
        smoker: "never", "former" or "current".
        extrathoracic_cancer: A cancer outside the chest, more than 5 years ago.
        known_cancer: A cancer now, or within the last 5 years.
        immunosuppressed: By illness or drugs.

    Raises:
        InputError: An age or sex that the models cannot take.
    """

    age_years: float | None = None
    sex: Sex | None = None
    family_history: bool | None = None
    emphysema: bool | None = None
    smoker: Smoker | None = None
    extrathoracic_cancer: bool | None = None
    known_cancer: bool | None = None
    immunosuppressed: bool | None = None

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
        if self.smoker not in (None, "never", "former", "current"):
            raise InputError(
                f"Smoker must be never, former or current; got {self.smoker!r}."
            )

    @property
    def ever_smoker(self) -> bool | None:
        """Whether the patient smokes or smoked; None when not known."""
        return None if self.smoker is None else self.smoker != "never"

    def missing_of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Give those of some facts that are not known.

        Args:
            names: Of attributes.
        """
        return tuple(name for name in names if getattr(self, name) is None)

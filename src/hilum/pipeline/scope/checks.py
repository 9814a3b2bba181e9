"""One measured value against its limits, as a sentence and as a record."""

from __future__ import annotations

from dataclasses import dataclass

from hilum.findings import ScopeCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is asked of a value.

    Attributes:
        code: Stable name of what is measured.
        unit: Of the value; "" for a ratio.
        at_least: Lower limit, or None.
        at_most: Upper limit, or None.
        decides: Whether a value beyond puts the series out of scope.
        why: What follows when it is beyond, as a sentence.
        digits: Of the value after the point, in words.
    """

    code: str
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    decides: bool = True
    why: str
    digits: int = 1

    def __call__(self, said: str, value: float) -> ScopeCheck:
        """Hold a value against the limits.

        Args:
            said: What was measured, with `{}` where the value goes.
            value: What was measured.

        Example:
            >>> rule = Rule(code="slice-spacing", unit="mm", at_most=5, why="Thick.")
            >>> rule("Slices are {} apart", 8).message
            'Slices are 8.0 mm apart; the limit is 5.0 mm. Thick.'
        """
        low, high = self.at_least, self.at_most
        passed = (low is None or value >= low) and (high is None or value <= high)
        message = f"{said.format(self._say(value))}; {self._limits()}."
        return ScopeCheck(
            code=self.code,
            value=round(float(value), 4),
            at_least=None if low is None else float(low),  # as once read from JSON
            at_most=None if high is None else float(high),
            unit=self.unit,
            passed=passed,
            decides=self.decides,
            message=message if passed else f"{message} {self.why}",
        )

    def _limits(self) -> str:
        if self.at_least is None:
            return f"the limit is {self._say(self.at_most or 0.0)}"
        if self.at_most is None:
            return f"at least {self._say(self.at_least)} is expected"
        return f"{self.at_least:g} to {self.at_most:g} {self.unit} is expected".replace(
            "  ", " "
        )

    def _say(self, value: float) -> str:
        text = f"{value:.{self.digits}f}"
        return f"{text} {self.unit}" if self.unit else text


def named(code: str, *, message: str, passed: bool) -> ScopeCheck:
    """Note what a tag says, which is a word and has no limit; a doubt at most.

    Args:
        code: Stable name.
        message: A sentence.
        passed: Whether the word is one that is known.
    """
    return ScopeCheck(
        code=code,
        value=None,
        at_least=None,
        at_most=None,
        unit="",
        passed=passed,
        decides=False,
        message=message,
    )

"""Numbers and records in the words of a report.

Minus signs are U+2212, ranges have an en dash, a number and its unit are held
together by a no-break space, thousands are parted by a narrow one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from hilum.findings import Nodule, Probability

NOT_GIVEN = "not given"
NOT_ESTIMATED = "not estimated"
NO_BREAK = "\u00a0"
TIMES = " \u00d7 "
MINUS = "\u2212"
_UNITS = {
    "mm": "mm",
    "mm3": "mm³",
    "hu": "HU",
    "s": "s",
    "ml": "ml",
    "kv": "kV",
    "years": "years",
}


def number(value: float, decimals: int = 1) -> str:
    """Write a number with a true minus and narrow gaps between thousands.

    Example:
        >>> number(-190.71).replace(MINUS, "minus ")
        'minus 190.7'
        >>> number(-0.04)
        '0.0'
    """
    text = f"{value:,.{decimals}f}".replace(",", "\u202f").replace("-", MINUS)
    return text if text.strip(f"{MINUS}0.") else text.lstrip(MINUS)


def millimetres(value: float) -> str:
    """Write a length with one decimal and its unit.

    Example:
        >>> millimetres(22.88).replace(NO_BREAK, " ")
        '22.9 mm'
    """
    return f"{number(value)}{NO_BREAK}mm"


def percent(probability: float) -> str:
    """Write a probability in percent, never rounded to nothing or to certainty.

    Args:
        probability: In [0, 1].

    Example:
        >>> [percent(p) for p in (0.0004, 0.034, 0.0996, 0.349, 0.996, 0.9999)]
        ['<0.1%', '3.4%', '10%', '35%', '99.6%', '>99.9%']
    """
    if probability < 0.001:
        return "<0.1%"
    if probability > 0.999:
        return ">99.9%"
    decimals = 1 if probability < 0.0995 or probability > 0.99 else 0
    return f"{100 * probability:.{decimals}f}%"


def interval(probability: Probability) -> str:
    """Write the interval of a known probability; empty when it is not known.

    Example:
        >>> interval(Probability(0.34, 0.12, 0.61))
        '12% to 61%'
    """
    if probability.low is None or probability.high is None:
        return ""
    return span(probability.low, probability.high)


def span(low: float, high: float) -> str:
    """Write the ends of an interval of probabilities.

    Example:
        >>> span(0.012, 0.5)
        '1.2% to 50%'
    """
    return f"{percent(low)} to {percent(high)}"


def chance(item: Any) -> str:
    """Write a probability that JSON holds, as a number or with its interval.

    Example:
        >>> chance(0.349)
        '35%'
        >>> chance({"value": 0.349, "low": 0.12, "high": 0.61})
        '35% (12% to 61%)'
        >>> chance({"value": None, "low": None, "high": None})
        'not estimated'
    """
    if isinstance(item, dict):
        item = Probability.from_json(item)
        if item.value is None:
            return NOT_ESTIMATED
        return f"{percent(item.value)} ({interval(item)})"
    return percent(float(item))


def advice(line: Mapping[str, Any] | None) -> str | None:
    """Write what Fleischner recommends; all that it may where that hangs on a fact.

    Example:
        >>> advice({"recommendation": "PET/CT", "possible": ["PET/CT", "CT"]})
        'PET/CT'
        >>> advice({"recommendation": None, "possible": ["PET/CT", "CT"]})
        'PET/CT | CT'
    """
    if not line or line.get("not_applicable") is not None:
        return None
    possible = line.get("possible")
    several = " | ".join(map(str, possible)) if isinstance(possible, list) else ""
    return line.get("recommendation") or several or None


def meaning(probability: Probability) -> str:
    """Say in natural frequencies what a patient's probability means.

    Example:
        >>> meaning(Probability(0.34, 0.12, 0.61))
        'If the estimate is right, about 34 of 100 patients with findings like these have lung cancer. Its interval runs from 12 to 61 of 100.'
    """  # noqa: E501  the sentence is one line
    if probability.value is None:
        return ""
    of = 100 if probability.value >= 0.01 else 1000
    low, high = (_count(p or 0.0, of) for p in (probability.low, probability.high))
    return (
        f"If the estimate is right, {_about(probability.value, of)} of {of} patients "
        f"with findings like these have lung cancer. "
        f"Its interval runs from {low} to {high} of {of}."
    )


def place(nodule: Nodule) -> str:
    """Say which lung and lobe a nodule lies in, as far as it is known."""
    if nodule.lobe is None:
        return f"{nodule.side} lung" if nodule.side else "side not known"
    if nodule.side is None or nodule.side in nodule.lobe:
        return nodule.lobe
    return f"{nodule.side} {nodule.lobe}"


def label(name: str) -> str:
    """Turn a field's name into words, its unit in brackets.

    Example:
        >>> label("slice_spacing_mm")
        'slice spacing (mm)'
    """
    words = name.replace("-", "_").split("_")
    if len(words) > 1 and words[-1] in _UNITS:
        return f"{' '.join(words[:-1])} ({_UNITS[words[-1]]})"
    return " ".join(words)


def date(text: str) -> str:
    """Write a DICOM date with hyphens; leave what is none.

    Example:
        >>> date("20000131")
        '2000-01-31'
    """
    if len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text


def sentence(text: str) -> str:
    """Begin with a capital letter, leaving the rest as it is."""
    return text[:1].upper() + text[1:]


def value(item: Any) -> str:
    """Write one value of a JSON tree; of a path to a file, its name alone.

    Example:
        >>> value([2.5, 0.703125, 0.703125]).replace(TIMES, " by ")
        '2.5 by 0.7031 by 0.7031'
        >>> value("/home/someone/weights.xml")
        'weights.xml'
    """
    if item is None:
        return "not known"
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return f"{item:.4g}".replace("-", MINUS)
    if isinstance(item, int):
        return str(item).replace("-", MINUS)
    if isinstance(item, list | tuple):
        numbers = all(isinstance(part, int | float) for part in item)
        if numbers:  # two are a range, three are the sides of something
            return (" to " if len(item) == 2 else TIMES).join(map(value, item))
        return ", ".join(map(value, item))
    if isinstance(item, dict):
        return ", ".join(f"{label(str(k))} {value(v)}" for k, v in item.items())
    return signs(_without_folders(str(item)))


def signs(text: str) -> str:
    """Write the comparisons of a rule as they are printed.

    Example:
        >>> signs("solid: >= 8 and < 15 mm -> 4A").encode("ascii", "xmlcharrefreplace")
        b'solid: &#8805; 8 and < 15 mm &#8594; 4A'
    """
    for typed, printed in (("->", "\u2192"), (">=", "\u2265"), ("<=", "\u2264")):
        text = text.replace(typed, printed)
    return text


def rows(tree: dict[str, Any], above: str = "") -> tuple[tuple[str, str], ...]:
    """Flatten a JSON tree to lines of a label and a value.

    Args:
        tree: Name to value; values may be trees.
        above: Label of the tree itself, put before those inside.
    """
    lines: list[tuple[str, str]] = []
    for key, item in tree.items():
        name = f"{above}, {label(str(key))}" if above else label(str(key))
        if isinstance(item, dict) and item:
            lines += rows(item, name)
        else:
            lines.append((name, "none" if item in ([], {}, ()) else value(item)))
    return tuple(lines)


def _without_folders(text: str) -> str:
    """Keep the name of a file whose full path is given; leave other text."""
    if PurePosixPath(text).is_absolute() or text.startswith("~/"):
        return PurePosixPath(text).name or text
    if PureWindowsPath(text).is_absolute():
        return PureWindowsPath(text).name or text
    return text


def _count(probability: float, of: int) -> str:
    count = round(probability * of)
    if count == 0:
        return "fewer than 1"
    return f"more than {of - 1}" if count == of else str(count)


def _about(probability: float, of: int) -> str:
    count = _count(probability, of)
    return f"about {count}" if count.isdigit() else count

"""Values that change: dates, descriptions, codes, ages.

A value that cannot be understood is not passed on: the functions give None.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

CODING_SCHEMES = frozenset(
    ("DCM", "SCT", "SRT", "SNM3", "UCUM", "FMA", "LN", "RADLEX", "NCIt")
)
_DATE = re.compile(r"^(\d{4})\.?(\d{2})\.?(\d{2})$")
_DATETIME = re.compile(r"^(\d{4})(\d{2})(\d{2})(\d{0,6}(?:\.\d{1,6})?)(?:[+-]\d{4})?$")
_TIME = re.compile(r"^[\d:]{2,8}(?:\.\d{1,6})?$")
_AGE = re.compile(r"^(\d{3})([DWMY])$")
_OLDEST = 90
_SPLIT = re.compile(r"[^A-Za-z0-9.+]+")
_MEASURE = re.compile(r"^\d{1,2}(?:\.\d{1,3}){0,2}(?:mm|s|kv|cm)?$", re.IGNORECASE)
_HUMP = re.compile(r"[A-Z]?[a-z]+")
_KERNEL = re.compile(r"^(?:[A-Z][a-z]?\d{2}[a-z]?\d?|FC\d{2}|Q\d{3})$")
_WORDS = frozenset(
    (
        *("abd", "abdomen", "abdominal", "bone", "body", "cardiac", "cardio", "chest"),
        *("chst", "heart", "head", "liver", "lung", "lungs", "mediast", "mediastinal"),
        *("mediastinum", "neck", "nodule", "nodules", "parenchyma", "pelvis", "pulm"),
        *("pulmonary", "spine", "thorax", "thoracic", "tissue", "torax", "trunk"),
        *("vein", "venous", "vessel", "adrenal", "airway", "upper", "lower", "base"),
        *("apex", "basal", "left", "right", "prone", "supine", "native", "oral"),
        *("angio", "arterial", "bolus", "calcium", "contrast", "cont", "cta", "delay"),
        *("delayed", "iodine", "iv", "nc", "noncontrast", "portal", "pre", "post"),
        *("unenhanced", "with", "without", "wo", "w", "phase", "plain", "non"),
        *("acq", "ax", "axial", "cor", "coronal", "sag", "sagittal", "oblique", "mpr"),
        *("mip", "minip", "average", "ave", "vrt", "reformat", "reformatted", "recon"),
        *("reconstruction", "vol", "volume", "isotropic", "multiplanar", "rec"),
        *("helical", "helix", "spiral", "flash", "fast", "dose", "low", "ld", "ldct"),
        *("hr", "hrct", "ct", "mdct", "pet", "mr", "high", "resolution", "exp", "insp"),
        *("expiration", "expiratory", "inspiration", "inspiratory", "breath", "hold"),
        *("kernel", "filter", "filtered", "lossy", "edge", "detail", "sharp", "soft"),
        *("smooth", "medium", "std", "stnd", "standard", "ultra", "hard", "fine"),
        *("boneplus", "asir", "safire", "admire", "idose", "imr", "fbp", "noise"),
        *("thick", "thin", "slice", "slices", "mm", "cm", "kv", "kvp", "s", "sec"),
        *("diagnostic", "screen", "screening", "followup", "follow", "baseline"),
        *("protocol", "routine", "research", "study", "series", "scan", "image"),
        *("imaging", "images", "survey", "surview", "scout", "topo", "topogram"),
        *("localizer", "localiser", "only", "and", "of", "the", "for", "on", "at"),
        *("to", "no", "original", "primary", "derived", "compressed", "synthetic"),
        *("phantom", "test", "control", "extended", "full", "partial", "single"),
    )
)
"""Words of anatomy and technique; none that is also a name."""


def shift_date(text: str, days: int) -> str | None:
    """Move a date; YYYYMMDD, or with dots as in old files.

    Example:
        >>> shift_date("20200301", -1)
        '20200229'
    """
    match = _DATE.match(text)
    return _move(match.groups(), days) if match else None


def shift_datetime(text: str, days: int) -> str | None:
    """Move a date with a time; the time stays, the time zone goes.

    Example:
        >>> shift_datetime("20200301123000.5+0100", -1)
        '20200229123000.5'
    """
    match = _DATETIME.match(text)
    if not match:
        return None
    *parts, time = match.groups()
    moved = _move(tuple(parts), days)
    return moved and moved + time


def _move(parts: tuple[str, ...], days: int) -> str | None:
    try:
        moved = date(*map(int, parts)) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}"


def keep_time(text: str) -> str | None:
    """Keep a time of day, if it is one."""
    return text if _TIME.match(text) else None


def cap_age(text: str) -> str | None:
    """Keep an age, at most 90 years, for the oldest are few.

    Example:
        >>> cap_age("063Y"), cap_age("094Y"), cap_age("Rosalinde")
        ('063Y', '090Y', None)
    """
    match = _AGE.match(text)
    if not match:
        return None
    return "090Y" if match[2] == "Y" and int(match[1]) > _OLDEST else text


def clean_description(text: str) -> str:
    """Keep the words of a description that are technical; the rest goes.

    Example:
        >>> clean_description("CHEST 1.25 mm B30f")
        'CHEST 1.25 mm B30f'
        >>> clean_description("Thorax Fr. Wunderlich, Tel. 030-123456")
        'Thorax'
    """
    words = [word for word in _SPLIT.split(text) if word]
    fine = [word for word in words if _is_technical(word)]
    return (
        text.strip()
        if fine == words and text.isascii() and text.isprintable()
        else " ".join(fine)
    )


def _is_technical(word: str) -> bool:
    if word.lower().strip(".") in _WORDS or _MEASURE.match(word) or _KERNEL.match(word):
        return True
    humps = _HUMP.findall(word)  # such as `ThoraxRoutine`
    return "".join(humps) == word and all(hump.lower() in _WORDS for hump in humps)

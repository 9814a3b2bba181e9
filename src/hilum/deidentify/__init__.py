"""Copies of images without the person: PS3.15 Annex E, keyed and repeatable.

`deidentify` reads images and writes copies. Pixels and geometry stay as they are, to
the byte; whatever may name a person goes: by the rules of the standard, and beyond
them by keeping only what is known to be technical. The same key gives the same new
UIDs, pseudonyms and shift of dates, in every run and on every machine; without the
key nobody can find the way back. What cannot be made safe is refused, never guessed.

Sources:
    DICOM PS3.15 Annex E (Attribute Confidentiality Profiles), edition 2026c.
"""

from __future__ import annotations

from hilum.deidentify.keys import Key, read_key
from hilum.deidentify.profile import Options
from hilum.deidentify.runs import Summary, deidentify

__all__ = ["Key", "Options", "Summary", "deidentify", "read_key"]

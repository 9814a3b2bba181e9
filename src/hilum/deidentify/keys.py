"""The secret, and what follows from it: new UIDs, pseudonyms and shifts of dates.

All three are HMAC-SHA256 under the key, so they are the same in every run, and
nobody without the key can tell which original they stand for. The key is never
shown: not in messages, not in `repr`, not in any file.

Sources:
    RFC 2104 (HMAC); DICOM PS3.5 B.2 (UIDs under 2.25).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hilum.errors import InputError

VARIABLE = "HILUM_DEIDENTIFY_KEY"
LEAST_BYTES = 16
LEAST_DISTINCT = 6
"""Shortest key, and fewest different bytes in it: `aaaaaaaaaaaaaaaa` is no secret."""
MOST_BYTES = 4096
MOST_DAYS = 3650
"""Dates move back by 1 to this many days."""
_ADVICE = "Make one with: head -c 32 /dev/urandom | base64 > key.txt"


@dataclass(frozen=True, slots=True)
class Key:
    """A secret.

    Attributes:
        secret: At least 16 bytes; hidden from `repr`.

    Raises:
        InputError: It is too short or too regular to keep anything secret.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what can be guessed."""
        if len(self.secret) < LEAST_BYTES:
            raise InputError(
                f"The key has {len(self.secret)} bytes; it needs at least "
                f"{LEAST_BYTES}, for whoever guesses it can undo the work. {_ADVICE}"
            )
        if len(set(self.secret)) < LEAST_DISTINCT:
            raise InputError(
                f"The key repeats fewer than {LEAST_DISTINCT} different characters, "
                f"so it is easy to guess. {_ADVICE}"
            )

    def uid(self, original: str) -> str:
        """Give the UID that stands for another: 2.25 and 128 bits of its HMAC.

        Example:
            >>> key = Key(b"an example of a key")
            >>> key.uid("1.2.3") == key.uid("1.2.3") != key.uid("1.2.4")
            True
        """
        return f"2.25.{int.from_bytes(self._digest(original)[:16])}"

    def pseudonym(self, patient: str) -> str:
        """Give the name that stands for a patient: 16 hexadecimal digits."""
        return self._digest(f"patient {patient}")[:8].hex().upper()

    def days(self, patient: str) -> int:
        """Tell by how many days all dates of a patient move; -3650 to -1."""
        number = int.from_bytes(self._digest(f"days {patient}")[:8])
        return -1 - number % MOST_DAYS

    def short(self, original: str) -> str:
        """Give a short name for a file or folder: 16 hexadecimal digits."""
        return self._digest(f"name {original}")[:8].hex()

    def _digest(self, text: str) -> bytes:
        return hmac.digest(
            self.secret, text.encode("utf-8", "surrogateescape"), "sha256"
        )


def read_key(path: Path | None, *, ask: Callable[[], str] | None = None) -> Key:
    """Read the key from a file, from the environment, or by asking for it.

    Args:
        path: A file that holds the key and nothing else; a line break at its end
            does not count. None: the environment variable HILUM_DEIDENTIFY_KEY, and
            where that is not set, `ask`.
        ask: Asks the user without showing what is typed; None where nobody can be
            asked.

    Raises:
        InputError: There is no key, or it can be guessed. No message shows the key
            or the path, for people give the key where the path belongs.
    """
    if path is not None:
        return Key(_read_file(path))
    if os.environ.get(VARIABLE):
        return Key(os.environb[VARIABLE.encode()])
    if ask is None:
        raise InputError(
            f"There is no key. Name a file with --key, or set {VARIABLE}. {_ADVICE}"
        )
    return Key(ask().encode("utf-8", "surrogateescape"))


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            secret = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise InputError(
            f"The key file cannot be read ({reason}). --key names a file that holds "
            "the key; it is not the key itself."
        ) from None
    if len(secret) > MOST_BYTES:
        raise InputError(
            f"The key file holds more than {MOST_BYTES} bytes. Is it another file?"
        )
    return secret.rstrip(b"\r\n")

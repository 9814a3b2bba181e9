"""The border where whatever goes wrong with one file becomes a sentence."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hilum.dicom.elements import DamagedError


@contextmanager
def guarded(report: Callable[[str], None]) -> Iterator[None]:
    """Run a block that reads one file or frame; report what goes wrong with it.

    Args:
        report: Called with the reason, in words that end "cannot be used: ...".
    """
    try:
        yield
    except DamagedError as error:
        report(str(error))
    except (zipfile.BadZipFile, zlib.error, EOFError):
        report("it is damaged inside the zip")
    except OSError as error:
        report(f"it cannot be opened ({error.strerror or type(error).__name__})")
    except Exception as error:  # noqa: BLE001  damaged bytes may raise anything below
        report(f"it is damaged ({type(error).__name__})")

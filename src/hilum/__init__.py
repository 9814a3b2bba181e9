"""Read a chest CT, find nodules, estimate the probability of lung cancer.

The names of everyday work are here, loaded when they are first used:

    >>> import hilum
    >>> volume = hilum.read_ct("folder with DICOM files")  # doctest: +SKIP
    >>> hilum.assess(volume).cancer_probability.value  # doctest: +SKIP
    0.21

For research and teaching; not a medical device.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hilum._version import __version__ as __version__

if TYPE_CHECKING:
    from hilum.clinical.facts import Facts
    from hilum.dicom import choose_series, find_studies, read_series
    from hilum.errors import HilumError, InputError
    from hilum.findings import Assessment, Candidate, Nodule, Notice, Probability
    from hilum.formats import read_volume, write_volume
    from hilum.phantom import PhantomSettings, make_phantom, write_phantom
    from hilum.pipeline import Pipeline, assess
    from hilum.report.documents import read_assessment, write_documents
    from hilum.sources import convert, read_ct
    from hilum.space import Grid
    from hilum.volume import CTVolume, Mask

_HOMES = {
    "hilum.clinical.facts": ("Facts",),
    "hilum.dicom": ("choose_series", "find_studies", "read_series"),
    "hilum.errors": ("HilumError", "InputError"),
    "hilum.findings": ("Assessment", "Candidate", "Nodule", "Notice", "Probability"),
    "hilum.formats": ("read_volume", "write_volume"),
    "hilum.phantom": ("PhantomSettings", "make_phantom", "write_phantom"),
    "hilum.pipeline": ("Pipeline", "assess"),
    "hilum.report.documents": ("read_assessment", "write_documents"),
    "hilum.sources": ("convert", "read_ct"),
    "hilum.space": ("Grid",),
    "hilum.volume": ("CTVolume", "Mask"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022  as in the imports above
    "Facts", "choose_series", "find_studies", "read_series", "HilumError",
    "InputError", "Assessment", "Candidate", "Nodule", "Notice", "Probability",
    "read_volume", "write_volume", "PhantomSettings", "make_phantom",
    "write_phantom", "Pipeline", "assess", "read_assessment", "write_documents",
    "convert", "read_ct", "Grid", "CTVolume", "Mask",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'hilum' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

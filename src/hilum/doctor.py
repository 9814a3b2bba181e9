"""Whether an installation can do its work, and what to mend where it cannot.

Each check says what it found. "ok" needs nothing; "note" is something that hilum works
without; "broken" is something that it does not. Nothing is sent or fetched.
"""

from __future__ import annotations

import math
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Literal

from hilum._cgroup import memory_limit_bytes
from hilum._cores import count_cores, gains_by_bf16
from hilum._optional import report_to_nobody
from hilum.errors import HilumError, MissingDependencyError, WeightsError
from hilum.records import Record

State = Literal["ok", "note", "broken"]

NEEDED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "numba": "numba",
    "openvino": "openvino",
    "pydicom": "pydicom",
    "highdicom": "highdicom",
    "cc3d": "connected-components-3d",
    "edt": "edt",
    "nibabel": "nibabel",
    "SimpleITK": "SimpleITK",
    "PIL": "pillow",
    "jinja2": "jinja2",
    "rich": "rich",
}
"""Module to the package that brings it."""

EXTRAS = {
    "train": ("keras", "tensorflow", "matplotlib", "nncf"),
    "serve": ("dbos", "fastapi", "uvicorn", "pynetdicom", "sqlalchemy"),
    "ray": ("ray",),
    "pdf": ("weasyprint",),
    "fhir": ("fhir.resources",),
    "primer": ("openpyxl", "cv2"),
}
"""Extra to the modules that it brings."""

_PYTHON = (3, 11)
_LEAST_GB, _USUAL_GB, _DISK_GB = 2.0, 4.0, 1.0
_WEIGHTS_MB = 20.0
_SELF_TEST_S = 10.0
_AGAIN = "Install hilum again: pip install --force-reinstall hilum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Record):
    """One thing that was looked at.

    Attributes:
        name: Of it.
        state: "ok", "note" or "broken".
        found: What was found, in words.
        mend: What to do; "" where nothing is to be done.
    """

    name: str
    state: State
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(Record):
    """All that was looked at.

    Attributes:
        healthy: Whether nothing that is needed is broken.
        checks: In the order in which they were made.
        seconds: That it took.
    """

    healthy: bool
    checks: tuple[Check, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        """0 when healthy; 4 for a missing package, 5 for weights, 3 for the rest."""
        broken = {check.name for check in self.checks if check.state == "broken"}
        if not broken:
            return 0
        if "packages" in broken:
            return MissingDependencyError.exit_code
        return WeightsError.exit_code if "weights" in broken else 3


def examine(*, progress: Callable[[Check], None] | None = None) -> Diagnosis:
    """Look at an installation, and try it on a phantom.

    Args:
        progress: Called with each check as it is made.
    """
    start, made = perf_counter(), []
    for check in _checks():
        made.append(check)
        if progress is not None:
            progress(check)
    healthy = all(check.state != "broken" for check in made)
    seconds = round(perf_counter() - start, 3)
    return Diagnosis(healthy=healthy, checks=tuple(made), seconds=seconds)


def _checks() -> Iterator[Check]:
    yield check_python(sys.version_info[:3], sys.maxsize)
    packages = check_packages(NEEDED)
    yield packages
    yield from check_machine(count_cores(), _total_gb(), _processor())
    yield check_folders(Path(tempfile.gettempdir()))
    if packages.state == "broken":
        return  # the rest would only say the same again
    yield check_codecs()
    yield check_weights()
    yield check_networks()
    yield from (check_extra(name, modules) for name, modules in EXTRAS.items())
    yield check_phantom()


def check_python(found: tuple[int, ...], largest: int) -> Check:
    """Check the interpreter.

    Args:
        found: Its version.
        largest: `sys.maxsize`, which tells 64 from 32 bits.
    """
    text = ".".join(map(str, found))
    if found[:2] < _PYTHON:
        need = ".".join(map(str, _PYTHON))
        mend = f"Install Python {need} or newer, and hilum into it."
        return Check(name="python", state="broken", found=text, mend=mend)
    if largest < 2**32:
        mend = "Install Python of 64 bits: a CT does not fit into 32."
        return Check(name="python", state="broken", found=f"{text}, 32 bits", mend=mend)
    return Check(name="python", state="ok", found=f"{text} on {platform.system()}")


def check_packages(needed: dict[str, str]) -> Check:
    """Check that what hilum needs can be imported.

    Args:
        needed: Module to the package that brings it.
    """
    report_to_nobody()
    lacks = []
    for module, package in needed.items():
        try:
            import_module(module)
        except Exception as error:  # noqa: BLE001  whatever a broken package does
            lacks.append(f"{package} ({type(error).__name__})")
    if lacks:
        found = f"cannot be imported: {', '.join(lacks)}"
        return Check(name="packages", state="broken", found=found, mend=_AGAIN)
    known = ", ".join(f"{name} {_version(name)}" for name in ("numpy", "openvino"))
    return Check(name="packages", state="ok", found=f"{len(needed)}, {known}")


def check_machine(cores: int, memory_gb: float, processor: str) -> Iterator[Check]:
    """Check cores, memory and the units for networks.

    Args:
        cores: That this process may use.
        memory_gb: Of the machine or container; NaN where the system does not tell.
        processor: What Linux says of it.
    """
    slow = "A scan takes longer with one core." if cores < 2 else ""
    state: State = "note" if slow else "ok"
    yield Check(name="cores", state=state, found=str(cores), mend=slow)
    if math.isnan(memory_gb):
        yield Check(name="memory", state="note", found="the system does not tell")
    else:
        state = "ok" if memory_gb >= _USUAL_GB else "note"
        state = "broken" if memory_gb < _LEAST_GB else state
        more = "close other programs, or use a machine or container with more"
        mend = "" if state == "ok" else f"A scan needs up to {_LEAST_GB:g} GB: {more}."
        yield Check(name="memory", state=state, found=f"{memory_gb:.1f} GB", mend=mend)
    if gains_by_bf16(processor):
        yield Check(name="bf16", state="ok", found="the processor has units for it")
    else:
        mend = "Networks in bf16 run in fp32 here, which is slower and as exact."
        yield Check(name="bf16", state="note", found="no fast units", mend=mend)


def check_folders(folder: Path) -> Check:
    """Check that there is room to work.

    Args:
        folder: For temporary files.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            free_gb = shutil.disk_usage(folder).free / 1e9
    except OSError as error:
        mend = "Set TMPDIR to a folder that may be written to."
        found = f"cannot be written to ({error.strerror})"
        return Check(name="temporary files", state="broken", found=found, mend=mend)
    low = free_gb < _DISK_GB
    return Check(
        name="temporary files",
        state="note" if low else "ok",
        found=f"{free_gb:.1f} GB free",
        mend="Make room, or set TMPDIR to a folder with room." if low else "",
    )


def check_codecs() -> Check:
    """Check that compressed DICOM can be decoded, by a known image."""
    from hilum.dicom.trial import try_codecs  # noqa: PLC0415  after the packages

    tried = try_codecs()
    bad = [f"{codec} ({what})" for codec, what in tried.items() if what is not None]
    if bad:
        mend = (
            "Install them again: pip install --force-reinstall pylibjpeg "
            "pylibjpeg-libjpeg pylibjpeg-openjpeg pylibjpeg-rle pyjpegls"
        )
        found = f"do not work: {', '.join(bad)}"
        return Check(name="codecs", state="broken", found=found, mend=mend)
    return Check(name="codecs", state="ok", found=", ".join(tried))


def check_weights() -> Check:
    """Check that the shipped weights are whole, by their digests."""
    from hilum.runtime.weights import (  # noqa: PLC0415  after the packages
        find_weights,
        parts_of,
        shipped_names,
    )

    try:
        paths = [find_weights(name) for name in shipped_names()]
        size_mb = sum(p.stat().st_size for x in paths for p in parts_of(x)) / 1e6
    except (HilumError, OSError) as error:
        return Check(name="weights", state="broken", found=str(error), mend=_AGAIN)
    return Check(
        name="weights",
        state="ok",
        found=f"{len(paths)} as they were shipped, {size_mb:.1f} MB",
    )


def check_networks() -> Check:
    """Check that the networks can be loaded, and say in what they compute."""
    from hilum.runtime.predictor import load_predictor  # noqa: PLC0415
    from hilum.runtime.weights import shipped_names  # noqa: PLC0415

    try:
        found = [f"{n} {load_predictor(n).precision}" for n in shipped_names()]
    except (HilumError, OSError, RuntimeError) as error:
        return Check(name="networks", state="broken", found=str(error), mend=_AGAIN)
    return Check(name="networks", state="ok", found=", ".join(found))


def check_extra(name: str, modules: tuple[str, ...]) -> Check:
    """Check whether an extra is installed; hilum works without.

    Args:
        name: Of the extra.
        modules: That it brings.
    """
    lacks = [module for module in modules if not _is_there(module)]
    if not lacks:
        return Check(name=f"extra {name}", state="ok", found="installed")
    found = "not installed" if len(lacks) == len(modules) else f"lacks {lacks[0]}"
    mend = f"pip install 'hilum[{name}]', where you need it"
    return Check(name=f"extra {name}", state="note", found=found, mend=mend)


def check_phantom() -> Check:
    """Assess a small phantom, and check that its nodules are found."""
    from hilum.phantom import PhantomSettings, make_phantom  # noqa: PLC0415
    from hilum.pipeline import assess  # noqa: PLC0415

    settings = PhantomSettings(seed=5, shape=(60, 96, 96), spacing_mm=(5, 3.8, 3.8))
    try:
        phantom = make_phantom(settings)
        start = perf_counter()
        result = assess(phantom.volume)
        seconds = perf_counter() - start
    except Exception as error:  # noqa: BLE001  a broken package may raise anything
        found = f"cannot be assessed: {type(error).__name__}"
        return Check(name="self-test", state="broken", found=found, mend=_AGAIN)
    met = sum(
        any(
            math.dist(truth.center_mm, nodule.center_mm) < truth.diameter_mm
            for nodule in result.nodules
        )
        for truth in phantom.truths
    )
    if not met:
        found = "none of the nodules of the phantom is found"
        return Check(name="self-test", state="broken", found=found, mend=_AGAIN)
    late = seconds > _SELF_TEST_S
    mend = (
        "Kernels may have been compiled, or the machine is busy: run it again."
        if late
        else ""
    )
    return Check(
        name="self-test",
        state="note" if late else "ok",
        found=f"{met} of {len(phantom.truths)} lesions found in {seconds:.1f} s",
        mend=mend,
    )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _total_gb() -> float:
    """Read the memory of the machine, or of the container where that is less.

    NaN where the system does not tell.
    """
    limit = memory_limit_bytes()
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return limit / 1e9 if math.isfinite(limit) else math.nan
    return min(there, limit) / 1e9


def _processor(info: Path = Path("/proc/cpuinfo")) -> str:
    try:
        return info.read_text()
    except OSError:
        return ""

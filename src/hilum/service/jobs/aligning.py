"""The map from one study to another of the patient, for a viewer that shows both.

    python -m hilum.service.jobs.aligning CURRENT PRIOR OUT

registers, in a process of its own, the smaller CT and the lungs that the viewer loads,
as `hilum compare` registers two scans, and writes the shift of points on a lattice.
Cubes of 3.5 mm are registered, so the half resolution of the viewer takes nothing
away. Points are LPS mm.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from hilum.compare.pairs import check_alignment
from hilum.compare.quality import judge_alignment
from hilum.compare.registration import Register, Registration
from hilum.errors import InputError
from hilum.findings import Alignment
from hilum.formats import read_mask, read_volume
from hilum.formats.atomic import replacing
from hilum.service.jobs.store import WORKERS_LOG, Store
from hilum.service.jobs.views import VIEW_FILES
from hilum.volume import CTVolume, Mask

EVERY = 3
"""Points of the lattice are so many cubes of the registration apart."""

NICE = 5
LIMIT_S = 120.0
_FOLDER = "aligned"


class BusyError(Exception):
    """Another pair is being aligned."""


class Aligner:
    """Aligns pairs of studies, one at a time; each once.

    Args:
        store: Where the studies are.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._one = store, Lock()

    def align(self, study: str, prior: str) -> dict[str, Any]:
        """Give the map of a pair, as `describe_map` has it.

        Args:
            study: Id of the current study.
            prior: Id of the other.

        Raises:
            BusyError: Another pair is being aligned.
            InputError: One of them has no images to view, or it took too long.
        """
        path = self._store.folder(study) / _FOLDER / f"{prior}.json"
        if not path.exists():
            if not self._one.acquire(blocking=False):
                raise BusyError("Another pair of studies is being aligned.")
            try:
                self._run(study, prior, path)
            finally:
                self._one.release()
        tree: dict[str, Any] = json.loads(path.read_text())
        return tree

    def _run(self, study: str, prior: str, path: Path) -> None:
        """Let a process write the file."""
        sides = [str(self._store.views(one)) for one in (study, prior)]
        if not all(Path(side, VIEW_FILES["small"]).is_file() for side in sides):
            raise InputError(
                "One of the two studies has no images to view. Wait until it is done, "
                "or send it again."
            )
        path.parent.mkdir(exist_ok=True)
        with (self._store.data / WORKERS_LOG).open("ab") as log:
            try:
                done = subprocess.run(
                    _command(*sides, str(path)),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=LIMIT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise InputError(
                    "To align the two studies took too long. Open them again when the "
                    "service has less to do."
                ) from None
        if done.returncode != 0 or not path.exists():
            raise InputError(
                f"The two studies could not be aligned; `{WORKERS_LOG}` in the data "
                "folder says why. Open them again to try once more."
            )


def describe_map(registration: Registration, alignment: Alignment) -> dict[str, Any]:
    """Say where points go, on a lattice that a viewer interpolates.

    Args:
        registration: Of two scans.
        alignment: How good it is.

    Returns:
        `trusted` and, where not, `why`; `doubt_mm`; and of the lattice `origin_mm` and
        `step_mm` (x, y, z), `shape` (z, y, x), and `shifts_mm`: x, y, z of each point,
        in that order of the points.
    """
    doubts = check_alignment(alignment, (None, None), same_patient=True)
    grid = registration.grid
    shape = [-(-n // EVERY) for n in grid.shape]
    index = np.moveaxis(np.indices(shape), 0, -1) * EVERY
    points = grid.to_world(index)
    shifts = registration.to_prior(points) - points
    return {
        "trusted": not doubts,
        "why": doubts[0].message if doubts else None,
        "doubt_mm": alignment.doubt_mm,
        "origin_mm": points[0, 0, 0].tolist(),
        "step_mm": [EVERY * mm for mm in grid.spacing_mm[::-1]],
        "shape": shape,
        "shifts_mm": np.round(shifts, 1).ravel().tolist(),
    }


def read_side(views: Path) -> tuple[CTVolume, Mask]:
    """Read the smaller CT and its lungs.

    The lungs are of every second voxel, the CT is of the means of two; so they are
    half a voxel apart, in both scans alike.

    Args:
        views: Folder of what the viewer loads.
    """
    volume = read_volume(views / VIEW_FILES["small"])
    lungs = read_mask(views / VIEW_FILES["lungs"]).voxels
    z, y, x = volume.grid.shape
    inside = np.ascontiguousarray(lungs[:z, :y, :x] > 0)
    return volume, Mask(inside, volume.grid)


def main(argv: list[str]) -> None:
    """Align two studies and write the map."""
    os.nice(NICE)
    current, prior, out = map(Path, argv)
    try:
        registration = Register()(read_side(current), read_side(prior))
        tree = describe_map(registration, judge_alignment(registration))
    except InputError as error:  # no lungs: there is no map, now or later
        tree = {"trusted": False, "why": str(error), "doubt_mm": None} | {
            name: [] for name in ("origin_mm", "step_mm", "shape", "shifts_mm")
        }
    with replacing(out) as file:
        file.write(json.dumps(tree).encode())


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hilum.service.jobs.aligning", *arguments]


if __name__ == "__main__":
    main(sys.argv[1:])

"""Handing the documents over once they are written.

A target is a callable; its name stands in `Job.deliver_to`. It is called in a thread,
may block, and says that it failed by raising: an `InputError` at once, anything else
after `delivery_attempts` tries with growing pauses. Each target of a job is tried on
its own, so one that is down holds up no other and no other study.

Exactly once: a target that returned is noted and never called again for that job. If
the process dies between its return and the note (a few milliseconds) it is called a
second time with the same `Delivery.key`; so a target must do the same thing twice
without harm. Sending the same SOP instances again is such a thing, and so is
`FolderTarget`, which renames a finished folder into place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a target gets.

    Attributes:
        key: The same for each try of this job and target, and for no other.
        job_id: The job; see `Jobs.get`.
        documents: Format, such as "json" or "sr", to the file or folder.
        source: The study as it arrived: a folder, or one file.
        study_uid: StudyInstanceUID, or None.
        series_uid: The series that was assessed.
        origin: As it was submitted.
    """

    key: str
    job_id: str
    documents: Mapping[str, Path]
    source: Path
    study_uid: str | None
    series_uid: str | None
    origin: str


Target = Callable[[Delivery], None]


@dataclass(frozen=True, slots=True)
class FolderTarget:
    """Copies the documents into a folder named by the job, whole or not at all.

    Attributes:
        folder: Where; made when it is not there.
    """

    folder: Path

    def __call__(self, delivery: Delivery) -> None:
        """Copy the documents, unless they are there.

        Raises:
            OSError: They cannot be written; tried again later.
            InputError: There is a file in the way.
        """
        place = self.folder / delivery.job_id
        if place.is_dir():
            return
        if place.exists():
            raise InputError(
                f"`{place.name}` in the folder for documents is a file. Move it away."
            )
        part = self.folder / f".{delivery.job_id}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for path in delivery.documents.values():
            copy = shutil.copytree if path.is_dir() else shutil.copyfile
            copy(path, part / path.name)
        os.replace(part, place)  # noqa: PTH105  a folder, in one step

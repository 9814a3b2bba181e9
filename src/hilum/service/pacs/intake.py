"""From a complete study to a job, with the patient's prior fetched first.

A prior that an archive has is handed over as a job of its own, whose documents go
nowhere; so it is there when the current study is compared. A prior that cannot be had
is no reason to hold up a study.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hilum.errors import HilumError
from hilum.service.pacs.peers import Peer
from hilum.service.pacs.priors import fetch_study, find_priors

LOG = logging.getLogger(__name__)
LOG.addHandler(logging.NullHandler())

ORIGIN = "dicom"
ORIGIN_OF_PRIORS = "prior"


class TakesStudies(Protocol):
    """What is needed of `hilum.service.jobs.Jobs`."""

    def spool(self) -> Path:
        """Make an empty folder to receive into."""

    def submit(
        self,
        source: Path,
        *,
        origin: str = "upload",
        deliver_to: Sequence[str] | None = None,
        move: bool = False,
    ) -> str:
        """Take a study over."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Makes a job of each complete study; what an `Inbox` calls.

    Attributes:
        jobs: Takes studies over.
        archive: Where priors are asked for; None: nowhere.
        title: AE title that the archive knows us by.
        accepted: Called with the id of each job.
    """

    jobs: TakesStudies
    archive: Peer | None = None
    title: str = "HILUM"
    accepted: Callable[[str], None] | None = None

    def __call__(self, folder: Path) -> None:
        """Hand a study over, its prior first.

        Raises:
            InputError: The study cannot be taken now.
        """
        if self.archive is not None:
            try:
                self._fetch_prior(folder, self.archive)
            except (HilumError, OSError) as error:
                LOG.warning("no prior could be fetched (%s)", type(error).__name__)
        job = self.jobs.submit(folder, origin=ORIGIN, move=True)
        if self.accepted is not None:
            self.accepted(job)

    def _fetch_prior(self, folder: Path, archive: Peer) -> None:
        patient, day = _read_patient(folder)
        if not patient or not day:
            return
        found = find_priors(archive, patient, before=day, title=self.title)
        for prior in found[:1]:  # the newest
            place = self.jobs.spool()
            if fetch_study(archive, prior.study_uid, place, title=self.title):
                self.jobs.submit(
                    place, origin=ORIGIN_OF_PRIORS, deliver_to=(), move=True
                )


def _read_patient(folder: Path) -> tuple[str, str]:
    """Read PatientID and StudyDate from any file of a study; "" where they lack."""
    from pydicom import dcmread  # noqa: PLC0415  slow

    path = min(folder.iterdir())
    tags = ["PatientID", "StudyDate"]
    dataset = dcmread(path, specific_tags=tags, stop_before_pixels=True)
    patient, day = (str(dataset.get(tag) or "").strip() for tag in tags)
    return patient, day if day.isdigit() and len(day) == 8 else ""

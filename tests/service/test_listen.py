"""`hilum listen`, and what it makes of a study, with jobs that only take notes."""

import os
import signal
import sys
import threading
import types
from dataclasses import dataclass, field, replace
from pathlib import Path

import pydicom
import pytest
from dicom_maker import IDENTITY, PATIENT_ID, STUDY, SeriesSpec, make_series
from orthanc import free_port, need
from pacs_peers import Kept, run

from hilum import cli
from hilum.errors import InputError
from hilum.service.pacs import Intake, Peer, Prior, StoreTarget, StowTarget, intake

SMALL = SeriesSpec(shape=(4, 16, 20))


@dataclass
class NotedJobs:
    """Takes studies as `Jobs` does, and keeps them."""

    place: Path
    taken: list = field(default_factory=list)

    def spool(self):
        folder = self.place / f"spool{len(list(self.place.iterdir()))}"
        folder.mkdir(parents=True)
        return folder

    def submit(self, source, *, origin="upload", deliver_to=None, move=False):
        assert move
        kept = self.place / f"job{len(self.taken)}"
        source.rename(kept)
        self.taken.append((origin, deliver_to, len(list(kept.iterdir()))))
        return f"{len(self.taken):032x}"


@pytest.fixture
def jobs(tmp_path):
    (tmp_path / "jobs").mkdir()
    return NotedJobs(tmp_path / "jobs")


def test_the_newest_prior_comes_before_the_study(tmp_path, jobs, monkeypatch):
    asked = []

    def find(archive, patient, *, before, title):
        asked.append((patient, before, title))
        return (Prior("1.2.3", "20020101"), Prior("1.2.2", "20010101"))

    def fetch(archive, study_uid, folder, *, title):
        asked.append(study_uid)
        (folder / "0.dcm").write_bytes(b"")
        return 1

    monkeypatch.setattr(intake, "find_priors", find)
    monkeypatch.setattr(intake, "fetch_study", fetch)
    spec = replace(SMALL, tags={"StudyDate": "20030102"})
    accepted = []
    take = Intake(jobs, Peer("PACS", "127.0.0.1", 104), "US", accepted.append)
    take(make_series(tmp_path / "in", spec))
    assert asked == [(PATIENT_ID, "20030102", "US"), "1.2.3"]
    assert jobs.taken == [("prior", (), 1), ("dicom", None, 4)]
    assert accepted == [f"{2:032x}"]


@pytest.mark.parametrize("tags", [{"PatientID": ""}, {"StudyDate": ""}])
def test_without_a_patient_or_a_day_no_prior_is_asked_for(tmp_path, jobs, tags):
    nobody = Peer("PACS", "127.0.0.1", free_port(), timeout_s=1)
    Intake(jobs, nobody)(make_series(tmp_path / "in", replace(SMALL, tags=tags)))
    assert jobs.taken == [("dicom", None, 4)]


@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
def test_an_archive_that_is_down_holds_up_no_study(tmp_path, jobs, caplog):
    nobody = Peer("PACS", "127.0.0.1", free_port(), timeout_s=1)
    Intake(jobs, nobody)(make_series(tmp_path / "in", SMALL))
    assert jobs.taken == [("dicom", None, 4)]
    assert "no prior could be fetched (PeerError)" in caplog.text
    assert not any(word in caplog.text for word in IDENTITY)


def test_a_study_that_cannot_be_taken_stays_with_the_inbox(tmp_path, jobs):
    def refuse(*args, **options):
        raise InputError("no room")

    jobs.submit = refuse
    folder = make_series(tmp_path / "in", SMALL)
    with pytest.raises(InputError):
        Intake(jobs)(folder)
    assert len(list(folder.iterdir())) == 4


class FakeJobs:
    """Stands for the module `hilum.service.jobs`."""

    def __init__(self, place):
        self.kept, self.targets, self.settings = Kept(place), None, None

    def module(self):
        outer = self

        class Jobs:
            def __init__(self, settings, *, targets):
                outer.settings, outer.targets = settings, targets

            def __enter__(self):
                return self

            def __exit__(self, *error):
                return None

            def submit(self, source, *, origin, deliver_to=None, move):
                outer.kept(source)
                return "0" * 32

        return types.SimpleNamespace(
            Jobs=Jobs, JobSettings=lambda **options: options, __name__="jobs"
        )


def test_the_command_listens_until_it_is_told_to_stop(tmp_path, capsys, monkeypatch):
    fake = FakeJobs(tmp_path)
    monkeypatch.setitem(sys.modules, "hilum.service.jobs", fake.module())
    source, port = make_series(tmp_path / "in", SMALL), free_port()
    storescu, echoscu = need("storescu"), need("echoscu")
    where = ("-aec", "CHEST", "127.0.0.1", port)

    def send():
        try:
            while run(echoscu, "-to", "1", *where, check=False).returncode:
                pass
            run(storescu, "+sd", *where, source)
            fake.kept.wait()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()
    code = cli.main(
        [
            *("listen", "--data", str(tmp_path / "data"), "--port", str(port)),
            *("--title", "CHEST", "--quiet-seconds", "3", "--format", "html,sr"),
            *("--send-to", "ORTHANC@127.0.0.1:4242"),
            *("--send-to", "dicomwebs://pacs.example.org/dicom-web"),
        ]
    )
    sender.join()
    shown = capsys.readouterr()
    assert code == 0
    assert f"listening as CHEST at 127.0.0.1:{port}" in shown.err
    assert "has arrived" in shown.err
    assert not any(word in shown.err for word in (*IDENTITY, STUDY))
    assert fake.settings["formats"] == ("json", "html", "sr")
    assert [type(t) for t in fake.targets.values()] == [StoreTarget, StowTarget]
    (study,) = fake.kept.studies
    files = [pydicom.dcmread(p) for p in study.iterdir()]
    assert {ds.StudyInstanceUID for ds in files} == {STUDY}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--bind", "0.0.0.0"], "Anybody who reaches"),
        (["--send-to", "ORTHANC"], "names no DICOM node"),
        (["--send-to", "A@host:0"], "names no DICOM node"),
        (["--send-to", "A\\B@host:104"], "AE title"),
        (["--send-to", "dicomweb://host/a b"], "no path"),
        (["--priors", "dicomweb://host/a"], "names no DICOM node"),
        (["--title", "SEVENTEEN LETTERS"], "AE title"),
        (["--port", "70000"], "0 to 65535"),
        (["--quiet-seconds", "0"], "above 0"),
    ],
)
def test_odd_options_are_exit_3(tmp_path, capsys, monkeypatch, argv, message):
    fake = FakeJobs(tmp_path)
    monkeypatch.setitem(sys.modules, "hilum.service.jobs", fake.module())
    assert cli.main(["listen", "--data", str(tmp_path / "data"), *argv]) == 3
    assert message in capsys.readouterr().err


def test_without_the_extra_it_says_how_to_install_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "hilum.service.jobs", None)
    assert cli.main(["listen", "--data", str(tmp_path)]) == 4
    assert "pip install 'hilum[serve]'" in capsys.readouterr().err

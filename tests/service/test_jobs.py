"""Jobs: once each, whatever happens to the process."""

import errno
import os
import random
import shutil
import subprocess
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hilum.errors import InputError
from hilum.service.jobs import Delivery, FolderTarget, Jobs, JobSettings, process
from hilum.service.jobs.digest import digest_study
from hilum.service.jobs.job import USUAL_S, Job
from hilum.service.jobs.keeping import expire_old
from hilum.service.jobs.store import Store, explain
from hilum.service.jobs.worker import Order
from hilum.service.records.database import JOBS, sqlalchemy_url

HERE = Path(__file__).parent


def make_study(folder, commands):
    folder.mkdir(parents=True)
    (folder / "commands.txt").write_text(commands)
    return folder


class Target:
    """A target that fails as often as it is told, and keeps what it got."""

    def __init__(self):
        self.got, self.failures, self.error = [], 0, OSError

    def __call__(self, delivery):
        if self.failures:
            self.failures -= 1
            raise self.error("the peer is down")
        self.got.append(delivery)


@pytest.fixture(scope="module")
def target():
    return Target()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, target):
    settings = JobSettings(
        data=tmp_path_factory.mktemp("data"),
        assessor="fake_assessor:assess",
        poll_s=0.05,
        delivery_attempts=3,
        delivery_pause_s=0.05,
        worker_gb=0.6,
        worker_nice=0,
        free_gb=0.001,
    )
    with Jobs(settings, targets={"pacs": target}) as running:
        yield running


def test_study_is_assessed_and_delivered_once(jobs, target, tmp_path):
    job_id = jobs.submit(make_study(tmp_path / "s", "sleep 0\nfirst"), origin="dicom")
    job = jobs.wait(job_id)
    assert (job.state, job.error, job.origin) == ("done", None, "dicom")
    assert (job.study_uid, job.nodules, job.probability) == ("1.2.3", 1, 0.25)
    assert job.delivered == ("pacs",)
    mine = [d for d in target.got if d.job_id == job_id]
    assert [d.key for d in mine] == [f"{job_id}.pacs"]
    assert mine[0].documents["json"].is_file()
    assert job in jobs.of_study("1.2.3")
    assert not jobs.of_study("1.2.4")
    assert (tmp_path / "s" / "commands.txt").exists()  # not ours to take


def test_same_study_twice_is_one_job(jobs, tmp_path):
    first = make_study(tmp_path / "a", "same")
    second = tmp_path / "b" / "deeper"
    second.mkdir(parents=True)
    (second / "other name.txt").write_text("same")
    packed = tmp_path / "c.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x/y.txt", "same")
    ids = {jobs.submit(path) for path in (first, second, packed)}
    assert len(ids) == 1
    job_id = ids.pop()
    assert jobs.wait(job_id).attempt == 1
    runs = (jobs.store.results(job_id) / "runs.log").read_text()
    assert runs == "begin\nend\n"
    other = jobs.submit(make_study(tmp_path / "d", "another"))
    assert other != job_id
    jobs.wait(other)


def test_moved_study_leaves_its_spool(jobs):
    spool = jobs.spool()
    (spool / "one.txt").write_text("moved")
    job_id = jobs.submit(spool, move=True)
    assert not spool.exists()
    again = jobs.spool()
    (again / "two.txt").write_text("moved")
    assert jobs.submit(again, move=True) == job_id
    assert not again.exists()
    jobs.wait(job_id)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ("fail Only 3 slices.", "Only 3 slices."),
        ("bug", "ZeroDivisionError"),
        ("crash", "signal 9. It was tried 2 times"),
        ("memory 2", "more than 0.6 GB"),
    ],
)
def test_failing_study_keeps_its_error_and_holds_up_nothing(
    jobs, tmp_path, commands, said
):
    bad = jobs.submit(make_study(tmp_path / "bad", commands))
    good = jobs.submit(make_study(tmp_path / "good", f"good after {commands}"))
    assert jobs.wait(good).state == "done"
    job = jobs.wait(bad)
    assert job.state == "failed"
    assert said in job.error


def test_failed_study_can_be_tried_again(jobs, tmp_path):
    job_id = jobs.submit(make_study(tmp_path / "s", "fail Again."))
    assert jobs.wait(job_id).state == "failed"
    (jobs.store.source(job_id)).write_text("sleep 0")
    assert jobs.retry(job_id).attempt == 2
    assert jobs.wait(job_id).state == "done"
    with pytest.raises(InputError, match="only one that failed"):
        jobs.retry(job_id)


@pytest.mark.slow
def test_target_that_is_down_is_tried_again_and_then_said_to_be(jobs, target, tmp_path):
    target.failures = 2
    job_id = jobs.submit(make_study(tmp_path / "a", "down twice"))
    assert jobs.wait(job_id).delivered == ("pacs",)
    target.failures = 3
    job_id = jobs.submit(make_study(tmp_path / "b", "down for good"))
    job = jobs.wait(job_id)
    assert (job.state, job.delivered) == ("failed", ())
    assert "Delivery to pacs failed (OSError)" in job.error
    assert "the peer is down" not in job.error  # may name a patient
    jobs.retry(job_id)
    assert jobs.wait(job_id).delivered == ("pacs",)
    runs = (jobs.store.results(job_id) / "runs.log").read_text()
    assert runs.count("end") == 2  # the fake does not look at what is done
    assert [d.job_id for d in target.got].count(job_id) == 1


def test_target_that_refuses_is_not_asked_again(jobs, target, tmp_path):
    target.failures, target.error = 1, InputError
    job_id = jobs.submit(make_study(tmp_path / "a", "refused"))
    job = jobs.wait(job_id)
    target.error = OSError
    assert (job.state, job.error) == ("failed", "the peer is down")


def test_cancelled_while_it_runs_and_while_it_waits(jobs, tmp_path):
    running = jobs.submit(make_study(tmp_path / "a", "sleep 30"))
    waiting = jobs.submit(make_study(tmp_path / "b", "sleep 31"))
    wait_for(lambda: jobs.get(running).stage == "read")
    (progress,) = jobs.progress([jobs.get(waiting)])
    assert progress.done == 0
    assert progress.left_s > sum(USUAL_S.values())
    assert jobs.cancel(waiting).state == "cancelled"
    assert jobs.cancel(running).state == "cancelled"
    after = jobs.submit(make_study(tmp_path / "c", "after the cancelled"))
    assert jobs.wait(after, timeout_s=60).state == "done"
    assert jobs.get(running).state == "cancelled"
    assert not jobs.documents(running)


def test_full_disk_holds_work_back_and_work_goes_on(jobs, tmp_path, monkeypatch):
    full = threading.Event()
    full.set()
    whole = Store.trouble
    monkeypatch.setattr(
        Store,
        "trouble",
        lambda self: "The disk is full." if full.is_set() else whole(self),
    )
    job_id = jobs.submit(make_study(tmp_path / "a", "full"))
    wait_for(lambda: jobs.get(job_id).error == "The disk is full.")
    assert not jobs.get(job_id).is_final
    full.clear()
    job = jobs.wait(job_id)
    assert (job.state, job.error) == ("done", None)


@pytest.mark.slow
def test_job_that_lost_its_workflow_is_begun_again(jobs, tmp_path):
    study = make_study(tmp_path / "a", "orphan")
    digest, size = digest_study(study)
    jobs.store.place(study, digest[:32], move=False)
    row = Job(id=digest[:32], state="queued", created_s=time.time(), size_bytes=size)
    jobs.table.add(row)  # and the process died before it was queued
    assert jobs.wait(digest[:32], timeout_s=30).state == "done"


@pytest.mark.slow
def test_job_whose_workflow_ended_without_a_word_is_begun_anew(
    jobs, tmp_path, monkeypatch
):
    monkeypatch.setattr("hilum.service.jobs.engine._ORPHAN_S", 0.1)
    job_id = jobs.submit(make_study(tmp_path / "a", "forgotten"))
    jobs.wait(job_id)
    table = JOBS.update().where(JOBS.c.id == job_id)
    with jobs.database.begin() as connection:  # as if the last note had been lost
        connection.execute(table.values(state="running", finished_s=None))
    job = jobs.wait(job_id)
    assert (job.state, job.error, job.attempt) == ("done", None, 2)
    runs = (jobs.store.results(job_id) / "runs.log").read_text()
    assert runs.count("end") == 2  # not taken for done without a look


def test_removed_study_is_gone_and_may_come_again(jobs, tmp_path):
    study = make_study(tmp_path / "a", "removed")
    job_id = jobs.submit(study)
    jobs.wait(job_id)
    jobs.remove(job_id)
    assert not jobs.store.folder(job_id).exists()
    with pytest.raises(InputError, match="no such study"):
        jobs.get(job_id)
    assert jobs.submit(study) == job_id
    assert jobs.wait(job_id).state == "done"


def test_old_studies_expire_the_oldest_first(jobs, tmp_path):
    def settings(**changes):
        return JobSettings(data=tmp_path, **changes)

    ids = [jobs.submit(make_study(tmp_path / str(i), f"old {i}")) for i in range(2)]
    for job_id in ids:
        jobs.wait(job_id)
    assert not expire_old(settings(), jobs.store, jobs.table)
    assert not expire_old(settings(keep_days=1), jobs.store, jobs.table)
    total = sum(map(jobs.store.size_bytes, jobs.store.placed()))
    kept_gb = (total - 1) / 1e9
    oldest = min(jobs.list(states=("done", "failed")), key=lambda j: j.finished_s)
    removed = expire_old(settings(keep_gb=kept_gb), jobs.store, jobs.table)
    assert [job.id for job in removed] == [oldest.id]
    assert jobs.get(oldest.id).state == "expired"
    assert not jobs.store.folder(oldest.id).exists()
    gone = expire_old(settings(keep_days=1e-9), jobs.store, jobs.table)
    assert ids[1] in {job.id for job in gone}
    assert not list(jobs.store.placed())
    with pytest.raises(InputError, match="Send it again"):
        jobs.retry(removed[0].id)


def test_second_service_on_the_same_data_is_refused(jobs):
    with pytest.raises(InputError, match="Another service"):
        Store(jobs.store.data, 0)


def test_target_is_named_when_it_is_not_there(jobs, tmp_path):
    with pytest.raises(InputError, match="no target `fax`"):
        jobs.submit(make_study(tmp_path / "a", "x"), deliver_to=("fax",))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no files"):
        jobs.submit(tmp_path / "empty")


def test_patients_other_studies_are_its_priors(jobs, tmp_path):
    first = jobs.submit(make_study(tmp_path / "a", "prior one"))
    second = jobs.submit(make_study(tmp_path / "b", "prior two"))
    jobs.wait(first), jobs.wait(second)
    assert first in {job.id for job in jobs.of_patient(second)}
    assert second not in {job.id for job in jobs.of_patient(second)}


def test_two_services_in_one_process_are_refused(jobs, tmp_path):
    other = Jobs(JobSettings(data=tmp_path / "other"))
    try:
        with pytest.raises(InputError, match="not running"):
            other.submit(make_study(tmp_path / "a", "x"))
        with pytest.raises(InputError, match="in this process already"):
            other.__enter__()
    finally:
        other.close()


def test_waiting_ends_at_its_time(jobs, tmp_path):
    job_id = jobs.submit(make_study(tmp_path / "a", "sleep 5"))
    with pytest.raises(TimeoutError, match="still"):
        jobs.wait(job_id, timeout_s=0.05)
    jobs.cancel(job_id)


def test_nothing_is_lost_when_it_cannot_be_stored(jobs, tmp_path, monkeypatch):
    def full(*_args, **_named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    study = make_study(tmp_path / "a", "no room")
    monkeypatch.setattr(Store, "place", full)
    monkeypatch.setattr(Store, "spool", full)
    with pytest.raises(InputError, match="disk is full"):
        jobs.submit(study, move=True)
    with pytest.raises(InputError, match="disk is full"):
        jobs.spool()
    monkeypatch.undo()
    assert (study / "commands.txt").exists()
    assert jobs.wait(jobs.submit(study, move=True)).state == "done"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_study_moves_from_another_disk(jobs, tmp_path, monkeypatch, kind):
    study = make_study(tmp_path / kind, f"from another disk, a {kind}")
    source = study if kind == "folder" else study / "commands.txt"
    whole = Path.rename

    def rename(path, target):
        if path == source:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return whole(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    assert jobs.wait(jobs.submit(source, move=True)).state == "done"
    assert not source.exists()


def wait_for(condition, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_digest_counts_images_not_their_meta(tmp_path):
    def image(meta, pixels):
        group = b"\x02\x00\x10\x00UI" + len(meta).to_bytes(2, "little") + meta
        head = b"\x02\x00\x00\x00UL\x04\x00" + len(group).to_bytes(4, "little")
        return bytes(128) + b"DICM" + head + group + pixels

    def folder(name, *files):
        (tmp_path / name).mkdir()
        for number, content in enumerate(files):
            (tmp_path / name / f"{number}").write_bytes(content)
        return digest_study(tmp_path / name)[0]

    one = folder("one", image(b"1.2", b"pixels"), b"README")
    assert folder("meta", image(b"1.2.840.1 ", b"pixels"), b"LICENCE") == one
    assert folder("twice", *2 * [image(b"1.2", b"pixels")]) == one
    assert folder("pixels", image(b"1.2", b"Pixels")) != one
    assert folder("more", image(b"1.2", b"pixels"), image(b"1.2", b"next")) != one


def test_digest_refuses_a_zip_that_is_damaged_inside(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"0123456789" * 10)
    path.write_bytes(path.read_bytes().replace(b"0123456789", b"0123456780", 1))
    with pytest.raises(InputError, match=r"damaged \(BadZipFile\)"):
        digest_study(path)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "may not be written"),
        (errno.EIO, "cannot be used"),
    ],
)
def test_disk_error_is_explained(code, said):
    assert said in explain(OSError(code, os.strerror(code)))


def test_store_says_what_troubles_it(tmp_path):
    store = Store(tmp_path / "data", 0)
    try:
        assert store.trouble() is None
        with pytest.raises(InputError, match="32 hexadecimal"):
            store.folder("../../etc")
        store._free_bytes = 1e18
        assert "nearly full" in store.trouble()
        store._free_bytes = 0
        shutil.rmtree(tmp_path / "data")
        assert "cannot be used" in store.trouble()
    finally:
        store.close()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Name a folder"):
        Store(tmp_path / "file" / "data", 0)


def test_many_may_ask_what_troubles_the_store_at_once(tmp_path):
    store = Store(tmp_path, 0)
    with ThreadPoolExecutor(16) as pool:
        said = set(pool.map(lambda _n: store.trouble(), range(400)))
    store.close()
    assert said == {None}
    assert not list(tmp_path.glob(".probe*"))


def test_sweep_removes_what_an_interruption_left(tmp_path):
    store = Store(tmp_path, 0)
    old = store.spool("upload-")
    new, node = store.spool("upload-"), store.spool()
    slow = store.spool("upload-")  # one file, sent for days, and still growing
    (slow / "part-0").touch()
    for path in (old, node, slow):
        os.utime(path, (1, 1))
    half = tmp_path / "studies" / ".0.part"
    half.mkdir()
    with (tmp_path / "workers.log").open("wb") as log:
        log.truncate(10_000_001)
    store.sweep()
    assert not (tmp_path / "workers.log").exists()
    assert (tmp_path / "workers.log.1").exists()
    store.close()
    there = [p.exists() for p in (old, new, node, slow, half)]
    assert there == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"workers": 0}, "workers"),
        ({"worker_gb": 0}, "worker_gb"),
        ({"keep_days": -1}, "keep_days"),
        ({"delivery_attempts": 0}, "delivery_attempts"),
        ({"worker_nice": 20}, "worker_nice"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        JobSettings(data=tmp_path, **changes)


@pytest.mark.parametrize(
    ("changes", "targets", "said"),
    [
        ({"formats": ("docx",)}, {}, "Unknown format"),
        ({}, {"a b": print}, "may not be called"),
        ({"database": "mysql://x"}, {}, "must be postgresql"),
        ({"database": "postgresql://127.0.0.1:9/x"}, {}, "server runs"),
    ],
)
def test_jobs_that_cannot_work_are_refused(tmp_path, changes, targets, said):
    with pytest.raises(InputError, match=said):
        Jobs(JobSettings(data=tmp_path, **changes), targets=targets)


def test_sqlite_is_the_default_database(tmp_path):
    assert sqlalchemy_url(tmp_path / "a", None) == f"sqlite:///{tmp_path}/a"


def test_folder_target_copies_once_and_whole(tmp_path):
    document = tmp_path / "assessment.json"
    document.write_text("one")
    folder = tmp_path / "seg"
    folder.mkdir()
    (folder / "1.dcm").write_text("1")
    delivery = Delivery(
        key="0.out",
        job_id="0",
        documents={"json": document, "seg": folder},
        source=tmp_path,
        study_uid=None,
        series_uid=None,
        origin="upload",
    )
    target = FolderTarget(tmp_path / "out")
    target(delivery)
    document.write_text("two")
    target(delivery)
    assert (tmp_path / "out" / "0" / "assessment.json").read_text() == "one"
    assert (tmp_path / "out" / "0" / "seg" / "1.dcm").read_text() == "1"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["0"]
    (tmp_path / "out" / "1").touch()
    with pytest.raises(InputError, match="Move it away"):
        FolderTarget(tmp_path / "out")(
            Delivery(
                key="1.out",
                job_id="1",
                documents={},
                source=tmp_path,
                study_uid=None,
                series_uid=None,
                origin="",
            )
        )


@pytest.mark.slow
def test_every_study_is_done_once_though_the_service_is_killed_five_times(
    tmp_path, python
):
    count, kills, chance = 40, 5, random.Random(20)
    for number in range(count):
        make_study(tmp_path / "in" / f"{number:02}", f"sleep 0.2\nstudy {number}")
    out = tmp_path / "out"
    out.mkdir()
    command = [python, HERE / "serving.py", tmp_path / "data", tmp_path / "in", out]
    killed = 0
    for _ in range(kills + 1):
        service = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert service.stdout.readline() == b"started\n"
        if killed < kills:
            try:
                service.wait(timeout=chance.uniform(0.2, 2.5))
            except subprocess.TimeoutExpired:
                service.kill()
                killed += 1
        assert service.wait(timeout=120) in (0, -9)
        service.stdout.close()
    assert killed == kills
    assert service.returncode == 0
    delivered = [p.name for p in out.iterdir() if p.is_dir()]
    calls = (out / "calls.log").read_text().split()
    assert len(delivered) == count
    assert {f"{name}.out" for name in delivered} == set(calls)
    # killed between the return of a target and the note of it, it is called again
    # with the same key; the folder is there then, and nothing is delivered twice
    assert len(calls) <= count + kills
    runs = [
        path.read_text().count("end")
        for path in (tmp_path / "data" / "studies").glob("*/results/runs.log")
    ]
    # each was finished; what was interrupted, two at a time, may have ended twice
    assert len(runs) == count
    assert all(runs)
    assert sum(runs) <= count + 2 * kills


def workers_that(monkeypatch, tmp_path, error):
    """Workers on a machine that has no room for one more thread or process."""

    def refuse(*_, **__):
        raise error

    if isinstance(error, OSError):
        monkeypatch.setattr(process.subprocess, "Popen", refuse)
    else:
        monkeypatch.setattr(process.threading.Thread, "start", refuse)
    return process.Workers(limit_gb=4, limit_s=60, log=tmp_path / "workers.log")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "could not be started"),
        (RuntimeError("can't start new thread"), "could not be watched"),
    ],
)
def test_a_machine_without_room_is_no_error_of_the_study(
    monkeypatch, tmp_path, error, said
):
    workers = workers_that(monkeypatch, tmp_path, error)
    order = Order(
        assessor="fake:none", source="a", results="b", views="c", formats=(), secret="0"
    )
    outcome = workers.run("job", order, lambda _: None)
    assert outcome.kind == "system"  # tried again
    assert said in outcome.error
    assert workers._running == {}


def test_a_study_is_tried_again_when_there_is_room(jobs, tmp_path, monkeypatch):
    start, refused = subprocess.Popen, []

    def refuse_once(*args, **options):
        if not refused:
            refused.append(args)
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return start(*args, **options)

    monkeypatch.setattr(process.subprocess, "Popen", refuse_once)
    job_id = jobs.submit(make_study(tmp_path / "s", "sleep 0\nroom"))
    assert jobs.wait(job_id).state == "done"
    assert refused

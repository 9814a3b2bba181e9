"""Runs with a stand-in for the assessor: every engine, every mishap, every stop."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cohort_runs import STAND_IN, rows_of, run, works_of

from hilum.batch import BatchSettings, hand, running
from hilum.batch.hand import GoneError, Hand, HandSettings
from hilum.batch.order import Order, Scan
from hilum.batch.running import share_cores
from hilum.errors import InputError, WeightsError


@pytest.mark.slow
def test_a_bad_a_hanging_and_a_huge_scan_are_failures_and_not_the_end(cohort, tmp_path):
    table, out = (
        cohort("ok", "bad", "hang", "ok", "huge", "crash", "ok"),
        tmp_path / "out",
    )
    result = run(table, out, time_limit_s=4, memory_limit_gb=0.3)
    assert (result.scans, result.assessed, result.failed) == (7, 3, 4)
    assert [row["scan"] for row in rows_of(out / "summary.csv")] == ["1", "4", "7"]
    failures = rows_of(out / "failures.csv")
    assert [(f["scan"], f["kind"], f["stage"]) for f in failures] == [
        ("2", "input", "lungs"),
        ("3", "time", "lungs"),
        ("5", "memory", "lungs"),
        ("6", "lost", "read"),
    ]
    assert "--time-limit" in failures[1]["reason"]
    assert "--memory-limit" in failures[2]["reason"]
    assert "signal 9" in failures[3]["reason"]


def test_results_are_the_same_whatever_the_engine_and_the_workers(cohort, tmp_path):
    table = cohort("ok", "slow", "ok", "bad", "ok", "slow", "ok", "ok")
    for name, how in (
        ("one", {"engine": "local"}),
        ("two", {"engine": "processes", "workers": 2}),
        ("three", {"engine": "processes", "workers": 3}),
    ):
        result = run(table, tmp_path / name, **how)
        assert (result.assessed, result.failed) == (7, 1)
    for file in ("summary.csv", "failures.csv", "luna16.csv", "submission.csv"):
        first = (tmp_path / "one" / file).read_bytes()
        assert first.count(b"\n") > 1
        assert (tmp_path / "two" / file).read_bytes() == first, file
        assert (tmp_path / "three" / file).read_bytes() == first, file


def test_a_worker_that_dies_once_costs_nothing(cohort, tmp_path):
    table = cohort("ok", "once", "ok")
    result = run(table, tmp_path / "out")
    assert (result.assessed, result.failed) == (3, 0)
    assert sorted(works_of(table)) == ["ok-1", "ok-3", "once-2", "once-2"]


@pytest.mark.parametrize("engine", ["local", "processes"])
def test_a_worker_that_does_not_come_up_at_once_is_started_again(
    cohort, tmp_path, monkeypatch, engine
):
    monkeypatch.setattr(hand, "_START_AGAIN_S", (0.0, 0.0))
    mark = tmp_path / "tired"
    mark.write_text("xx")
    monkeypatch.setenv("TIRED", str(mark))
    how = {"assessor": "stand_in:Tired", "engine": engine}
    result = run(cohort("ok", "ok"), tmp_path / "out", **how)
    assert (result.assessed, result.failed) == (2, 0)


def test_where_no_worker_comes_up_any_more_what_is_done_stays(
    cohort, tmp_path, monkeypatch
):
    monkeypatch.setattr(hand, "_START_AGAIN_S", (0.0, 0.0))
    mark, out = tmp_path / "tired", tmp_path / "out"
    monkeypatch.setenv("TIRED", str(mark))
    mark.write_text("")
    how = {"assessor": "stand_in:Tired"}
    run(cohort("ok"), out, **how)
    mark.write_text("x" * 30)
    table = cohort("ok", "ok")
    with pytest.raises(
        InputError, match=r"in 3 tries; .* it ended by exit code 7\. .*"
    ):
        run(table, out, **how)
    assert mark.read_text() == "x" * 27
    mark.write_text("")
    again = run(table, out, **how)
    assert (again.resumed, again.assessed) == (1, 2)


def test_a_worker_that_takes_too_long_to_come_up_is_ended(cohort, monkeypatch):
    cohort("ok")  # where the stand-in is found
    monkeypatch.setattr(hand, "_START_AGAIN_S", ())
    monkeypatch.setattr(hand, "START_S", 0.0)
    order = Order(number=1, scan=Scan(name="a", source="a"), out="/nowhere")
    worker = Hand(HandSettings(assessor=STAND_IN))
    with pytest.raises(GoneError, match=r"in 1 tries; .* it was not ready in 0 s\."):
        worker.run(order, None)
    assert worker._process is None


def test_a_system_without_room_for_a_worker_is_told(tmp_path, monkeypatch):
    def full(*_args, **_named):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(hand, "_START_AGAIN_S", (0.0,))
    monkeypatch.setattr(hand.subprocess, "Popen", full)
    order = Order(number=1, scan=Scan(name="a", source="a"), out=str(tmp_path / "o"))
    with pytest.raises(GoneError, match=r"2 tries; .* temporarily unavailable"):
        Hand(HandSettings()).run(order, None)


def test_a_system_without_room_for_a_thread_is_asked_again(
    cohort, tmp_path, monkeypatch
):
    """As `Thread.start` says it; the process that nobody would hear is ended."""
    refused, started = [], []

    class Thread(threading.Thread):
        def start(self):
            if len(refused) < wanted:
                refused.append(self)
                raise RuntimeError("can't start new thread")
            super().start()

    class Popen(subprocess.Popen):
        def __init__(self, *args, **named):
            super().__init__(*args, **named)
            started.append((self, Path(args[0][-1])))

    cohort("ok")  # where the stand-in is found
    monkeypatch.setattr(hand, "_START_AGAIN_S", (0.0, 0.0))
    monkeypatch.setattr(hand.threading, "Thread", Thread)
    monkeypatch.setattr(hand.subprocess, "Popen", Popen)
    scan = Scan(name="a", source=str(tmp_path / "ok-1"))
    order = Order(number=1, scan=scan, out=str(tmp_path / "o"))
    wanted = 2  # the third try has room
    worker = Hand(HandSettings(assessor=STAND_IN))
    outcome = worker.run(order, None)
    worker.close()
    assert (outcome.failure, len(refused)) == (None, 2)
    wanted, worker = 9, Hand(HandSettings(assessor=STAND_IN))
    with pytest.raises(GoneError, match=r"3 tries; .* can't start new thread\. Is"):
        worker.run(order, None)
    assert worker._process is None
    assert len(started) == 6
    assert all(process.returncode is not None for process, _ in started)
    assert not any(folder.exists() for _, folder in started)


def test_a_finished_run_is_not_done_again_and_a_longer_cohort_goes_on(cohort, tmp_path):
    table, out = cohort("ok", "bad"), tmp_path / "out"
    run(table, out)
    before = (out / "summary.csv").read_bytes()
    again = run(table, out)
    assert (again.resumed, again.assessed, again.per_hour) == (2, 1, None)
    assert (out / "summary.csv").read_bytes() == before
    longer = run(cohort("ok", "bad", "ok"), out)
    assert (longer.scans, longer.resumed, longer.assessed) == (3, 2, 2)
    assert works_of(table) == ["ok-1", "bad-2", "ok-3"]


def test_what_failed_is_tried_again_on_request(cohort, tmp_path):
    table, out = cohort("ok", "hang"), tmp_path / "out"
    assert run(table, out, time_limit_s=1.5).failed == 1
    table.write_text(table.read_text())  # nothing has changed but the will
    again = run(table, out, time_limit_s=1.5, retry_failed=True)
    assert (again.resumed, again.failed) == (1, 1)
    assert len(rows_of(out / "failures.csv")) == 1


def test_weights_that_are_absent_end_the_run_with_their_error(cohort, tmp_path):
    settings = tmp_path / "broken.toml"
    settings.write_text("")
    with pytest.raises(WeightsError, match="no weights"):
        run(cohort("ok", "ok"), tmp_path / "out", settings=settings)


def test_an_assessor_that_cannot_start_is_told(cohort, tmp_path):
    with pytest.raises(InputError, match="hilum doctor"):
        run(cohort("ok"), tmp_path / "out", assessor="no_such_module:X")


DRIVER = """
import sys
from hilum.batch import BatchSettings, run_batch
from pathlib import Path
how = BatchSettings(assessor=sys.argv[3], formats=("json",), engine="processes",
                    workers=2)
run_batch(Path(sys.argv[1]), Path(sys.argv[2]), settings=how)
"""


def test_after_kill_9_at_most_one_scan_a_worker_is_done_again(cohort, tmp_path):
    table, out = cohort(*["slow"] * 14), tmp_path / "out"
    command = [sys.executable, "-c", DRIVER, str(table), str(out), STAND_IN]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(command, env=os.environ | {"TMPDIR": str(temporary)})
    wait_for(lambda: (out / "summary.csv").exists() and _lines(out) >= 4)
    process.send_signal(signal.SIGKILL)
    process.wait()
    workers = {line.split()[2] for line in _log(table)}
    wait_for(lambda: not any(_lives(pid) for pid in workers))  # none is left behind
    assert not list(temporary.iterdir())  # nor what they had fetched
    with (out / "summary.csv").open("a") as file:
        file.write("12,1.2.3")  # what a crash of the machine may leave
    result = run(table, out, engine="processes", workers=2)
    assert (result.assessed, result.failed) == (14, 0)
    assert result.resumed >= 4
    works = works_of(table)
    assert set(works) == {f"slow-{n}" for n in range(1, 15)}
    assert len(works) <= 14 + 2
    scans = [row["scan"] for row in rows_of(out / "summary.csv")]
    assert scans == [str(n) for n in range(1, 15)]
    assert not [p for p in (out / "scans").iterdir() if p.name.startswith(".")]


def _lines(out):
    return (out / "summary.csv").read_text().count("\n") - 1


def _log(table):
    return (table.parent / "log.txt").read_text().splitlines()


def _lives(pid):
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1]


def wait_for(told, seconds=120):
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_two_runs_never_share_a_folder(cohort, tmp_path):
    from hilum.batch.ledger import Ledger, manner_of  # noqa: PLC0415

    table, out = cohort("ok"), tmp_path / "out"
    with (
        Ledger(out, manner_of(("json",), False, None)),
        pytest.raises(InputError, match="Another run"),
    ):
        run(table, out)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"engine": "threads"}, "Unknown engine"),
        ({"workers": 0}, "1 to 4096"),
        ({"time_limit_s": float("nan")}, "above 0"),
        ({"memory_limit_gb": -1.0}, "above 0"),
        ({"address": "host:6379"}, "needs the engine `ray`"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        BatchSettings(**settings)


def test_cores_are_shared_and_never_promised_twice():
    cores = share_cores(1)[1]
    for workers in (2, 3, 64):
        count, each = share_cores(workers)
        assert count == workers
        assert each >= 1
        assert count * each <= max(cores, count)


def test_a_system_that_does_not_tell_its_memory_takes_a_worker_a_core(monkeypatch):
    monkeypatch.setattr(running, "_free_gb", lambda: math.inf)
    assert share_cores(None) == (share_cores(1)[1], 1)
    monkeypatch.setattr(running, "_free_gb", lambda: 0.5)
    assert share_cores(None)[0] == 1


def test_results_do_not_go_among_the_scans(cohort, tmp_path):
    folder = cohort("ok").parent
    for out in (folder, folder / "deep" / "out"):
        with pytest.raises(InputError, match="lies in the folder of the cohort"):
            run(folder, out)
    assert not (folder / "deep").exists()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(InputError, match="lies in the folder of the cohort"):
        run(folder, str(tmp_path / "link" / "out"))
    assert run(folder / "cohort.csv", folder / "out").assessed == 1  # by a table


def test_the_same_names_in_another_folder_are_other_scans(cohort, tmp_path):
    table, out = cohort("ok"), tmp_path / "out"
    run(table, out)
    other = tmp_path / "other"
    table.parent.rename(other)
    with pytest.raises(InputError, match="Scan 1 has another path"):
        run(other / "cohort.csv", out)


def test_a_worker_imports_nothing_from_the_folder_that_it_is_started_in(
    cohort, tmp_path, monkeypatch
):
    table = cohort("ok")
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "queue.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(trap)
    assert run(table, tmp_path / "out").assessed == 1


def test_progress_tells_rate_and_time_left(cohort, tmp_path):
    from hilum.batch import run_batch  # noqa: PLC0415

    told = []
    how = BatchSettings(assessor=STAND_IN, formats=("json",))
    table = cohort("ok", "bad", "slow")
    run_batch(table, tmp_path / "out", settings=how, progress=told.append)
    last = told[-1]
    assert (last.finished, last.failed, last.fresh) == (3, 1, 3)
    assert last.left_s == 0
    assert last.per_hour == pytest.approx(3 * 3600 / last.seconds)
    assert told[0].per_hour is None or told[0].fresh


def test_no_file_name_and_no_failure_names_a_source(cohort, tmp_path):
    table, out = cohort("ok", "bad", "crash"), tmp_path / "out"
    run(table, out)
    for path in out.rglob("*"):
        assert "ok-1" not in path.name
        if path.is_file() and path.name not in ("sources.csv", "submission.csv"):
            assert b"bad-2" not in path.read_bytes()
            assert b"patient 2" not in path.read_bytes()
    assert "ok-1" in (out / "sources.csv").read_text()
    assert json.loads((out / "batch.json").read_text())["formats"] == ["json"]

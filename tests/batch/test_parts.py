"""The plan, the tables and the words of a run."""

import errno
import json
import os
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest
from cohort_runs import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import assessment

from hilum._cores import cores_limit, count_cores, limit_cores
from hilum.batch import crew, worker
from hilum.batch.crew import outcomes_of
from hilum.batch.hand import GoneError, Hand, HandSettings, lost
from hilum.batch.ledger import Ledger, manner_of
from hilum.batch.order import Failure, Order, Outcome, Row, Scan
from hilum.batch.plan import Plan
from hilum.batch.table import read_cohort_table
from hilum.batch.work import finish, load, without_names
from hilum.clinical.facts import Facts
from hilum.errors import InputError
from hilum.formats import write_volume
from hilum.phantom import PhantomSettings, make_phantom
from hilum.runtime.predictor import _threads

TINY = PhantomSettings(shape=(20, 32, 32), spacing_mm=(15, 12, 12))
MANNER = manner_of(("json",), False, None)


def order(number):
    scan = Scan(name=f"s{number}", source=f"/c/s{number}")
    return Order(number=number, scan=scan, out="/nowhere")


def row(number, **values):
    known = dict.fromkeys(Row.__dataclass_fields__)
    known |= {"series_uid": "1.2", "in_scope": True, "nodules": 0}
    known |= {"reasons": "", "notices": "", "scan": number, **values}
    return Outcome(row=Row(**known))


def failure(number, reason="no"):
    return Outcome(
        failure=Failure(scan=number, kind="input", stage="read", reason=reason)
    )


class Clerk:
    """A worker that answers at once, and is gone after so many orders."""

    def __init__(self, orders=10**9):
        self.left, self.ahead = orders, []

    def run(self, given, ahead):
        if not self.left:
            raise GoneError
        self.left -= 1
        self.ahead.append(ahead and ahead.number)
        return row(given.number)

    def close(self):
        """Nothing is running."""


@settings(max_examples=40)
@given(st.integers(0, 40), st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_whoever_is_gone_every_order_is_done_once(count, lives):
    workers = [Clerk(n) for n in lives] + [Clerk()]
    orders = [order(n) for n in range(count)]
    done = [o.number for o, _ in outcomes_of(orders, workers)]
    assert sorted(done) == list(range(count))


def test_when_all_are_gone_the_run_says_so():
    with pytest.raises(InputError, match="All workers are gone"):
        list(outcomes_of([order(n) for n in range(5)], [Clerk(2), Clerk(1)]))


def test_without_room_for_all_threads_fewer_workers_do_it(monkeypatch):
    class Thread(threading.Thread):
        def start(self):
            made.append(self)
            if len(made) > room:
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(crew.threading, "Thread", Thread)
    room, made = 1, []
    orders = [order(n) for n in range(5)]
    done = [o.number for o, _ in outcomes_of(orders, [Clerk(), Clerk(), Clerk()])]
    assert (sorted(done), len(made)) == ([0, 1, 2, 3, 4], 3)
    room, made = 0, []
    with pytest.raises(InputError, match=r"start new thread\. Take fewer"):
        list(outcomes_of(orders, [Clerk(), Clerk()]))


def test_a_lone_worker_is_told_what_comes_next():
    clerk = Clerk()
    list(outcomes_of([order(n) for n in (1, 2, 3)], [clerk]))
    assert clerk.ahead == [2, 3, None]


def test_what_is_kept_for_a_busy_worker_goes_to_an_idle_one():
    plan = Plan([order(1), order(2)])
    assert plan.take(0).number == 1
    assert plan.ahead(0).number == 2
    assert plan.take(1).number == 2
    assert plan.ahead(0) is None
    plan.done()
    plan.done()
    assert plan.take(0) is None


def test_who_has_nothing_to_do_waits_for_what_may_come_back():
    plan, taken = Plan([order(1)]), []
    first = plan.take(0)
    waiting = threading.Thread(target=lambda: taken.append(plan.take(1)))
    waiting.start()
    plan.give_back(0, first)
    waiting.join(10)
    assert taken == [first]


class Frail:
    """Loses an order unless it is alone, or so many times."""

    def __init__(self, kind, losses):
        self.kind, self.losses, self.runs = kind, losses, []

    def run(self, given, ahead):
        self.runs.append(ahead is not None)
        if ahead is not None or self.losses:
            self.losses -= ahead is None
            made = lost(given, "gone").failure
            made = Failure(**{**_fields(made), "kind": self.kind})
            return Outcome(failure=made)
        return row(given.number)

    def close(self):
        """Nothing is running."""


def _fields(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@pytest.mark.parametrize(
    ("kind", "losses", "runs", "is_done"),
    [
        ("lost", 0, [True, False, False], True),
        ("lost", 1, [True, False, False, False], True),
        ("lost", 9, [True, False, False, False, False], False),
        ("memory", 0, [True, False, False], True),
        ("memory", 9, [True, False, False], False),
    ],
)
def test_a_scan_that_may_not_be_guilty_is_tried_alone(kind, losses, runs, is_done):
    worker = Frail(kind, losses)
    found = [o for _, o in outcomes_of([order(1), order(2)], [worker])]
    assert worker.runs == runs
    assert (found[0].row is not None) == is_done


def test_lines_that_were_cut_and_lines_out_of_order_are_mended(tmp_path):
    with Ledger(tmp_path, MANNER) as ledger:
        scans = [Scan(name=n, source=f"/c/{n}") for n in ("x", "y", "z")]
        assert ledger.number(scans) == [1, 2, 3]
        ledger.add(3, row(3, reasons="two\nlines, and a comma"))
        ledger.add(1, row(1))
        ledger.add(2, failure(2))
    with (tmp_path / "summary.csv").open("a") as file:
        file.write('2,"cut sho')
    with Ledger(tmp_path, MANNER) as ledger:
        assert (ledger.done, ledger.failed) == ({1, 3}, {2})
        assert ledger.number([scans[2], scans[0]]) == [3, 1]
        ledger.sort()
    assert [r["scan"] for r in rows_of(tmp_path / "summary.csv")] == ["1", "3"]
    assert rows_of(tmp_path / "summary.csv")[1]["reasons"] == "two lines, and a comma"


def test_other_facts_for_a_known_scan_are_refused(tmp_path):
    scan = Scan(name="x", source="/c/x", facts=Facts(age_years=60))
    with Ledger(tmp_path, MANNER) as ledger:
        ledger.number([scan])
    other = Scan(name="x", source="/c/x", facts=Facts(age_years=61))
    with Ledger(tmp_path, MANNER) as ledger:
        assert ledger.number([scan]) == [1]
        with pytest.raises(InputError, match="Scan 1 has another path, prior or"):
            ledger.number([other])
    elsewhere = Scan(name="x", source="/d/x", facts=Facts(age_years=60))
    with (
        Ledger(tmp_path, MANNER) as ledger,
        pytest.raises(InputError, match="another path"),
    ):
        ledger.number([elsewhere])


def test_a_name_stays_on_its_line_whatever_is_in_it(tmp_path):
    names = ["a\rb", "c\nd", 'e,"f', "g\udcff", "a b"]
    scans = [Scan(name=n, source=f"/c/{n}", id=n) for n in names]
    for _ in range(2):
        with Ledger(tmp_path, MANNER) as ledger:
            assert ledger.number(scans) == [1, 2, 3, 4, 5]
    assert (tmp_path / "sources.csv").read_bytes().count(b"\n") == 6


def test_a_disk_that_takes_a_part_at_a_time_gets_all(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]))
    with Ledger(tmp_path, MANNER) as ledger:
        ledger.add(1, row(1))
        ledger.add(2, row(2))
    with Ledger(tmp_path, MANNER) as ledger:
        assert ledger.done == {1, 2}


def test_a_disk_that_fills_up_ends_the_run_and_the_cut_line_goes(tmp_path, monkeypatch):
    write, room = os.write, [1000, 5]

    def fill(file, data):
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: room.pop(0)])

    with Ledger(tmp_path, MANNER) as ledger:
        monkeypatch.setattr(os, "write", fill)  # the timing fits, the row does not
        with pytest.raises(InputError, match="No space left"):
            ledger.add(1, row(1))
    monkeypatch.setattr(os, "write", write)
    with Ledger(tmp_path, MANNER) as ledger:
        assert ledger.done == set()
        ledger.add(1, row(1))
    assert [r["scan"] for r in rows_of(tmp_path / "summary.csv")] == ["1"]


def write_result(ledger, number, text=None):
    """Write the folder of a scan, as a worker does."""
    ledger.folder(number).mkdir()
    text = json.dumps(assessment(order(number)).to_json()) if text is None else text
    (ledger.folder(number) / "assessment.json").write_text(text)


def test_a_folder_without_its_line_gets_one_and_one_that_is_cut_is_done_again(tmp_path):
    with Ledger(tmp_path, MANNER) as ledger:
        write_result(ledger, 1)
        write_result(ledger, 2, text="")  # what a crash of the machine may leave
        assert ledger.recover([1, 2, 3]) == 1
        assert ledger.done == {1}


def test_what_was_half_written_by_a_worker_that_was_ended_does_not_stay(tmp_path):
    with Ledger(tmp_path, MANNER) as ledger:
        write_result(ledger, 1)
        (tmp_path / "scans" / ".000002.0a.part").mkdir()
        ledger.sort()
    assert [p.name for p in (tmp_path / "scans").iterdir()] == ["000001"]


def test_failures_of_scans_that_are_not_asked_for_stay(tmp_path):
    with Ledger(tmp_path, MANNER) as ledger:
        for number in (1, 2):
            ledger.add(number, failure(number))
        ledger.forget_failures([2, 3])
        assert ledger.failed == {1}
    assert [r["scan"] for r in rows_of(tmp_path / "failures.csv")] == ["1"]


def test_a_scan_that_was_done_just_as_it_was_ended_is_counted_once(tmp_path):
    with Ledger(tmp_path, MANNER) as ledger:
        ledger.add(1, failure(1))
        write_result(ledger, 1)
        assert ledger.recover([1]) == 1
        assert (ledger.done, ledger.failed) == ({1}, set())
        ledger.sort()
    assert rows_of(tmp_path / "failures.csv") == []


def test_a_folder_of_another_run_is_refused(tmp_path):
    with Ledger(tmp_path, MANNER):
        pass
    with pytest.raises(InputError, match="another formats, force"):
        Ledger(tmp_path, manner_of(("html",), True, None))
    (tmp_path / "batch.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        Ledger(tmp_path, MANNER)
    (tmp_path / "batch.json").unlink()
    (tmp_path / "scans" / "000001").mkdir()
    with pytest.raises(InputError, match="no run of"):
        Ledger(tmp_path, MANNER)


@pytest.mark.parametrize(
    "text",
    [
        "scan;kind;stage;reason\n1;bug;read;no\n",
        "scan,kind,stage,reason\none,bug,read,no\n",
        "scan,kind,stage,reason\n1,bug,re\rad,no\n",
        "scan,kind,stage,reason\n1,bug,read,no2,bug,read,no\n",
    ],
)
def test_a_table_that_somebody_changed_is_refused(tmp_path, text):
    with Ledger(tmp_path, MANNER):
        pass
    (tmp_path / "failures.csv").write_text(text)
    with pytest.raises(InputError, match="not as `hilum batch` wrote it"):
        Ledger(tmp_path, MANNER)


def test_a_bug_is_told_by_its_line_and_not_by_its_words(tmp_path):
    class Pipeline:
        def read(self, *_args, **_named):
            raise KeyError("DOE^JANE")

    loaded = load(order(1))
    assert isinstance(loaded.error, InputError)
    loaded.error, loaded.volume = None, object()
    outcome = finish(loaded, Pipeline(), lambda _stage: None)
    assert outcome.failure.kind == "bug"
    assert "KeyError in work.py, line" in outcome.failure.reason
    assert "DOE" not in outcome.failure.reason


def test_a_scan_that_is_not_there_is_named_by_nothing():
    loaded = load(order(7))
    outcome = finish(loaded, None, lambda _stage: None)
    assert outcome.failure.reason.startswith("There is nothing at `the scan`.")
    assert outcome.failure.stage == "read"


def test_names_of_folders_on_the_way_are_taken_out_too():
    scan = Scan(name="x", source="/data/DOE^JANE/ct", prior="/data/old")
    said = without_names("`ct` of `DOE^JANE` and `old` lack `spacing`.", scan)
    assert said == "`the scan` of `the scan` and `the prior` lack `spacing`."


def test_a_prior_that_is_not_there_is_not_taken_for_the_scan(tmp_path):
    write_volume(make_phantom(TINY, ()).volume, tmp_path / "now.mha")
    scan = Scan(
        name="now.mha", source=str(tmp_path / "now.mha"), prior=str(tmp_path / "DOE")
    )
    loaded = load(Order(number=1, scan=scan, out="/nowhere"))
    assert loaded.volume is not None
    reason = finish(loaded, None, lambda _stage: None).failure.reason
    said = "The prior cannot be used. There is nothing at `the prior`."
    assert reason.startswith(said)


def test_names_of_files_in_a_scan_are_taken_out(tmp_path):
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "DOE^JANE.dcm").touch()
    scan = Scan(name="ct", source=str(tmp_path / "ct"))
    said = without_names("Of `DOE^JANE.dcm`: no `Rows`.", scan, tmp_path / "ct")
    assert said == "Of `a file of it`: no `Rows`."
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("DOE/1", "")
    scan = Scan(name="a.zip", source=str(tmp_path / "a.zip"))
    said = without_names("`1` of `DOE` in `a.zip`", scan, tmp_path / "a.zip")
    assert said == "`a file of it` of `a file of it` in `the scan`"


def test_the_name_of_absent_voxels_is_taken_out(tmp_path):
    header = tmp_path / "001.mhd"
    header.write_text(
        "NDims = 3\nDimSize = 20 20 20\nElementSpacing = 15 15 15\n"
        "ElementType = MET_SHORT\nElementDataFile = DOE_JANE.raw\n"
    )
    scan = Scan(name="001.mhd", source=str(header))
    loaded = load(Order(number=1, scan=scan, out="/nowhere"))
    assert "DOE_JANE" in str(loaded.error)
    reason = finish(loaded, None, lambda _stage: None).failure.reason
    assert reason.startswith("`the scan` has its voxels in `a file of it`, which is")


def test_a_worker_offers_itself_first_where_it_may(tmp_path, monkeypatch):
    score = tmp_path / "oom_score_adj"
    monkeypatch.setattr(worker, "Path", lambda _place: score)
    worker._go_first()
    assert score.read_text() == "800"
    monkeypatch.setattr(worker, "Path", lambda _place: tmp_path)  # may not be written
    worker._go_first()


def test_a_worker_that_cannot_die_is_not_waited_for(tmp_path, monkeypatch):
    waited = []

    class Stuck:
        pid, stdin, stdout = 2**22 + 1, None, None

        def poll(self):
            return None

        def wait(self, timeout=None):
            waited.append(timeout)
            raise subprocess.TimeoutExpired("worker", timeout)

    hand = Hand(HandSettings())
    hand._process, hand._folder = Stuck(), str(tmp_path / "of it")
    Path(hand._folder).mkdir()
    monkeypatch.setattr("hilum.batch.hand._kill_group", lambda _pid: None)
    hand.close()
    assert len(waited) == 1
    assert 0 < waited[0] < 60
    assert not Path(hand._folder).exists()


def test_fewer_cores_are_counted_where_they_are_shared():
    every = count_cores()
    assert cores_limit() is None
    try:
        limit_cores(1)
        assert (count_cores(), cores_limit()) == (1, 1)
        limit_cores(every + 5)
        assert count_cores() == every
    finally:
        limit_cores(None)
    assert count_cores() == every


def test_networks_get_no_more_threads_than_there_are_cores_to_keep_busy():
    assert _threads() == {}
    try:
        limit_cores(1)
        told = _threads()
        assert told == {"INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
    finally:
        limit_cores(None)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"source\n\xff\n")
    with pytest.raises(InputError, match="must be a CSV"):
        read_cohort_table(tmp_path / "c.csv")


def test_what_travels_between_processes_comes_out_the_same():
    given_order = Order(
        number=3,
        scan=Scan(name="a", source="/b", prior="/c", facts=Facts(age_years=50)),
        out=str(Path("/d")),
        formats=("json", "sr"),
        force=True,
    )
    assert Order.from_json(given_order.to_json()) == given_order
    for outcome in (row(1), failure(2)):
        assert Outcome.from_json(outcome.to_json()) == outcome


def test_the_names_in_a_pipe_called_zip_are_not_waited_for(tmp_path):
    pipe = tmp_path / "scan.zip"
    os.mkfifo(pipe)
    scan = Scan(name="scan.zip", source=str(pipe))
    said = []
    thread = threading.Thread(
        target=lambda: said.append(without_names("`scan.zip` is no file.", scan, pipe)),
        daemon=True,
    )
    thread.start()
    thread.join(20)
    assert said == ["`the scan` is no file."]

"""An orderly stop in the middle of the work, and the start after it."""

import time

from hilum.service.jobs import Jobs, JobSettings


def settings(data, **changes):
    return JobSettings(
        data=data,
        assessor="fake_assessor:assess",
        poll_s=0.05,
        worker_nice=0,
        free_gb=0.001,
        **changes,
    )


def make_study(folder, commands):
    folder.mkdir(parents=True)
    (folder / "commands.txt").write_text(commands)
    return folder


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_study_that_was_stopped_in_the_middle_is_taken_up_again(tmp_path):
    data, go = tmp_path / "data", tmp_path / "go"
    with Jobs(settings(data)) as jobs:
        job_id = jobs.submit(make_study(tmp_path / "a", f"wait {go}\nfirst"))
        waiting = jobs.submit(make_study(tmp_path / "b", "second"))
        wait_for(lambda: jobs.get(job_id).stage == "read")
    go.touch()
    with Jobs(settings(data)) as jobs:
        for each in (job_id, waiting):
            job = jobs.wait(each)
            assert (job.state, job.error, job.attempt) == ("done", None, 1)
        runs = (jobs.store.results(job_id) / "runs.log").read_text()
    assert (runs.count("begin"), runs.count("end")) == (2, 1)


def test_delivery_that_waits_for_its_next_try_holds_up_no_stop(tmp_path):
    data, got = tmp_path / "data", []

    def down(_delivery):
        got.append("down")
        raise OSError

    with Jobs(settings(data, delivery_pause_s=600.0), targets={"pacs": down}) as jobs:
        job_id = jobs.submit(make_study(tmp_path / "a", "to deliver"))
        wait_for(lambda: jobs.table.undelivered(job_id))
        assert jobs.get(job_id).state == "delivering"
        start = time.monotonic()
    assert time.monotonic() - start < 30  # and not 600
    targets = {"pacs": lambda delivery: got.append(delivery.key)}
    with Jobs(settings(data), targets=targets) as jobs:
        job = jobs.wait(job_id)
        assert (job.state, job.delivered) == ("done", ("pacs",))
    assert got == ["down", f"{job_id}.pacs"]


def test_target_that_is_gone_is_said_to_be(tmp_path):
    data = tmp_path / "data"

    def down(_delivery):
        raise OSError

    with Jobs(settings(data, delivery_pause_s=600.0), targets={"pacs": down}) as jobs:
        job_id = jobs.submit(make_study(tmp_path / "a", "to deliver"))
        wait_for(lambda: jobs.table.undelivered(job_id))
    with Jobs(settings(data)) as jobs:
        job = jobs.wait(job_id)
    assert job.state == "failed"
    assert "no target `pacs` any more" in job.error

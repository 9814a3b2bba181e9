"""What a worker does with a real study, in the process of the test."""

import json
from dataclasses import replace

import numpy as np
import pytest

import hilum
from hilum.errors import InputError
from hilum.formats import read_mask, read_volume
from hilum.formats.outlines import read_outlines
from hilum.report.documents import OUTLINES_FILE, read_assessment
from hilum.service.jobs import aligning
from hilum.service.jobs.job import STAGES
from hilum.service.jobs.settings import ASSESSOR
from hilum.service.jobs.views import VIEW_FILES, read_grid
from hilum.service.jobs.worker import Order, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small phantom, as DICOM and as NIfTI."""
    folder = tmp_path_factory.mktemp("study")
    settings = hilum.PhantomSettings(
        seed=5, shape=(90, 128, 128), spacing_mm=(3.5, 2.8, 2.8)
    )
    phantom = hilum.make_phantom(settings)
    hilum.write_phantom(phantom, folder / "dicom")
    return folder / "dicom"


@pytest.fixture(scope="module")
def order(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return Order(
        assessor=ASSESSOR,
        source=str(study),
        results=str(out / "results"),
        views=str(out / "views"),
        formats=("json", "html"),
        secret="00" * 32,
    )


def work(order):
    """Run a worker; give its stages, what it learned, and its last line."""
    lines = []
    last = run(order, lines.append)
    about = {}
    for line in lines:
        about |= line.get("about", {})
    return [line["stage"] for line in lines if "stage" in line], about, last


@pytest.fixture(scope="module")
def first(order):
    return work(order)


def test_stages_are_told_in_their_order(first):
    stages, _about, last = first
    assert last == {"done": True}
    assert stages == list(STAGES)


def test_what_was_learned_is_what_is_in_the_assessment(first, order, study):
    _stages, about, _last = first
    assessment = read_assessment(study.parent / order.results / "assessment.json")
    assert about["series_uid"] == assessment.series_uid
    assert about["nodules"] == len(assessment.nodules) > 0
    assert about["probability"] == assessment.cancer_probability.value
    assert set(about["timings_s"]) == set(STAGES)
    assert len(about["patient"]) == 16
    json.dumps(about)


def test_views_lie_where_the_ct_lies(first, order, study):
    views = study.parent / order.views
    volume = hilum.read_ct(study)
    ct = read_volume(views / VIEW_FILES["ct"])
    np.testing.assert_array_equal(ct.hu, volume.hu)
    grid, lungs_mm = read_grid(views)
    assert grid.same_as(replace(volume.grid, frame_uid=None))
    small = read_volume(views / VIEW_FILES["small"])
    assert small.grid.shape == tuple(n // 2 for n in grid.shape)
    lungs = read_mask(views / VIEW_FILES["lungs"])
    # a voxel of the smaller mask is at the place of every second voxel
    np.testing.assert_allclose(
        lungs.grid.to_world([3, 4, 5]), grid.to_world([6, 8, 10]), atol=1e-3
    )
    inside = lungs.grid.to_world(np.argwhere(lungs.voxels > 0))
    np.testing.assert_allclose(
        [inside.min(0), inside.max(0)], lungs_mm, atol=1.01 * max(grid.spacing_mm)
    )
    nodules = read_mask(views / VIEW_FILES["nodules"])
    found = read_assessment(study.parent / order.results / "assessment.json").nodules
    assert set(np.unique(nodules.voxels)) <= set(range(len(found) + 1))
    at = nodules.at(np.array([n.center_mm for n in found]))
    assert at[0] == 1
    assert np.mean(at > 0) > 0.8  # a ring may be empty at its centre
    kept = read_outlines(study.parent / order.results / OUTLINES_FILE)
    for number, mask in enumerate(kept.nodules, start=1):
        inside = mask.grid.to_world(np.argwhere(mask.voxels))
        shown = np.count_nonzero(nodules.voxels == number)
        assert shown == len(inside)  # none of these touch
        np.testing.assert_array_equal(nodules.at(inside), number)


def test_the_viewer_s_files_can_be_aligned(first, order, study, tmp_path, monkeypatch):
    monkeypatch.setattr("hilum.service.jobs.aligning.os.nice", lambda by: None)
    views = str(study.parent / order.views)
    aligning.main([views, views, str(tmp_path / "map.json")])
    tree = json.loads((tmp_path / "map.json").read_text())
    assert tree["trusted"], tree["why"]
    assert tree["doubt_mm"] < 1
    assert len(tree["shifts_mm"]) == 3 * np.prod(tree["shape"])
    np.testing.assert_allclose(
        tree["shifts_mm"], 0, atol=0.2
    )  # of one scan with itself


def test_worker_goes_on_where_the_last_one_was_stopped(first, order, study):
    results, views = study.parent / order.results, study.parent / order.views
    before = (results / "assessment.json").read_text()
    (results / ".complete").unlink()
    (results / "report.html").unlink()
    stages, about, last = work(order)
    assert (stages, last) == (["write"], {"done": True})
    assert (results / "report.html").exists()
    for path in views.iterdir():
        path.unlink()
    views.rmdir()
    stages, again, last = work(order)
    assert (stages, last) == (["views"], {"done": True})
    assert again["patient"] == about["patient"] == first[1]["patient"]
    assert work(order)[0] == []
    # assessed once: its times to the millisecond would differ otherwise
    assert (results / "assessment.json").read_text() == before


def test_patient_is_known_by_a_key_of_the_service(first, order):
    _stages, other, _last = work(replace(order, secret="11" * 32))
    assert other["patient"] != first[1]["patient"]


def test_study_that_cannot_be_read_says_why(order, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "a.dcm").write_bytes(bytes(128) + b"DICM" + bytes(50))
    bad = replace(
        order,
        source=str(tmp_path / "study"),
        results=str(tmp_path / "results"),
        views=str(tmp_path / "views"),
    )
    stages, about, last = work(bad)
    assert (stages, about, last["kind"]) == (["read"], {}, "input")
    with pytest.raises(InputError, match="no images to view"):
        read_grid(tmp_path)

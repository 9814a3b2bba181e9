"""Scans that a training cannot use: told, counted, and no end of the others."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from hilum.cli import main
from hilum.datasets import open_dataset, read_nodules
from hilum.datasets.cutting import cut_nodules
from hilum.datasets.left_out import LeftOut, read_left_out, write_left_out
from hilum.datasets.scans import ScanCase
from hilum.errors import InputError
from hilum.findings import Annotation
from hilum.formats import write_volume
from hilum.nn.models.detectors import detection_net
from hilum.phantom import PhantomSettings, make_phantom
from hilum.space import Grid
from hilum.training.detection import (
    DetectionSettings,
    _folds_of,
    _readable,
    train_nodules,
)
from hilum.training.detection_data import (
    TrainingScans,
    load_scenes,
    read_training_scans,
)
from hilum.training.detection_figures import judge_detectors
from hilum.training.fit import FitSettings
from hilum.training.runs import train
from hilum.training.segmentation import SegmentationSettings
from hilum.volume import CTVolume

HEADER = "seriesuid,coordX,coordY,coordZ,diameter_mm"
SMALL = PhantomSettings(seed=1, shape=(15, 64, 64), spacing_mm=(7.0, 5.6, 5.6))
"""A part of the lungs: they are gone through at 1 mm, several times in a run."""
UNSEEN = LeftOut("p1", "no-lungs", "")
QUICK = DetectionSettings(
    fit=FitSettings(epochs=1), mining=0, crops=8, filters=(4, 4, 8, 8), folds=2
)


def flesh():
    """A scan of something solid in air: without lungs."""
    hu = np.full(SMALL.shape, -1000, np.int16)
    hu[:, 8:-8, 8:-8] = np.random.default_rng(0).integers(20, 60, (15, 48, 48))
    return CTVolume.from_array(hu, Grid.axial(hu.shape, SMALL.spacing_mm), "flesh")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Two scans that can be used, one without lungs, one cut short."""
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "ct").mkdir()
    phantom = make_phantom(SMALL)
    whole = folder / "ct" / "good1.nii.gz"
    write_volume(phantom.volume, whole)
    shutil.copy(whole, folder / "ct" / "good2.nii.gz")
    content = whole.read_bytes()
    (folder / "ct" / "short.nii.gz").write_bytes(content[: len(content) // 2])
    write_volume(flesh(), folder / "ct" / "flesh.nii.gz")
    inside = phantom.volume.grid.contains([t.center_mm for t in phantom.truths])
    truth = next(t for t, lies in zip(phantom.truths, inside, strict=True) if lies)
    point = ",".join(f"{v:.2f}" for v in truth.center_mm)
    rows = [f"{name},{point},8" for name in ("good1", "good2", "short", "flesh")]
    (folder / "annotations.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return folder


def test_what_cannot_be_used_is_told_and_left_out(cohort, tmp_path):
    told = []
    scenes = load_scenes(read_training_scans(cohort), tmp_path, told=told.append)
    assert [scene.patient for scene in scenes] == ["good1", "good2"]
    assert {(item.series_uid, item.reason) for item in told} == {
        ("short", "unreadable"),
        ("flesh", "no-lungs"),
    }
    assert all(item.message for item in told)


def test_with_none_that_can_be_used_there_is_nothing_to_learn_from(cohort, tmp_path):
    scans = read_training_scans(cohort)
    bad = tuple(c for c in scans.cases if not c.patient.startswith("good"))
    with pytest.raises(
        InputError, match=r"2 scans .* 1 cannot be read, 1 show no lung"
    ):
        load_scenes(TrainingScans(cases=bad), tmp_path)
    assert not (tmp_path / "left_out.csv").exists()  # mended, they are tried again


@pytest.mark.slow
def test_a_run_says_what_it_left_out(capsys, caplog, cohort, tmp_path, monkeypatch):
    def untrained(scenes, _implants, *, settings, **_others):
        """Make a network that depends on how many scans it is of: training is long."""
        keras.utils.set_random_seed(len(scenes))
        return detection_net(filters=settings.filters)

    monkeypatch.setattr("hilum.training.detection.train_detection", untrained)
    folder = shutil.copytree(cohort, tmp_path / "data")
    out = tmp_path / "run"
    settings = tmp_path / "a.toml"
    settings.write_text("[nodules]\nfilters = [4, 4, 8, 8]\nfolds = 2\n")
    words = ["train", "nodules", str(folder), str(out), "--settings", str(settings)]
    assert main(words) == 0
    figures = json.loads(capsys.readouterr().out)
    reasons = {"flesh": "no-lungs", "short": "unreadable"}
    for told in (
        figures["left_out"],
        json.loads((out / "metrics.json").read_text())["left_out"],
        json.loads((out / "run.json").read_text())["data"]["left_out"],
    ):
        assert {item["series"]: item["reason"] for item in told} == reasons
    assert "series short is left out (unreadable): " in caplog.text
    # lungs that are not found hide their nodules: these are missed, not left out
    truth = (out / "truth" / "seriesuids.csv").read_text().split()
    assert sorted(truth[1:]) == ["flesh", "good1", "good2"]
    # mended in the meantime: the run ends as it began
    before = (out / "predictions.csv").read_bytes()
    shutil.copy(folder / "ct" / "good1.nii.gz", folder / "ct" / "short.nii.gz")
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == figures["left_out"]
    assert (out / "predictions.csv").read_bytes() == before


def marked(patient, nodules=1):
    point = Annotation(patient, (0.0, 0.0, 0.0), 5.0)
    return ScanCase(
        series_uid=patient,
        patient=patient,
        source=Path(patient),
        annotations=(point,) * nodules,
    )


def test_folds_of_the_data_set_hold_while_each_has_a_patient():
    cases = tuple(marked(f"p{n}") for n in range(6))
    own = {f"p{n}": n % 3 for n in range(6)}
    settings = DetectionSettings(folds=3)
    whole = TrainingScans(cases=cases, folds=own)
    assert _folds_of(whole, settings) == own
    fewer = _readable(whole, [LeftOut("p0", "unreadable", ""), UNSEEN])
    assert [c.patient for c in fewer.cases] == ["p1", "p2", "p3", "p4", "p5"]
    assert _folds_of(fewer, settings) == own  # p3 is still in fold 0
    gone = [LeftOut(f"p{n}", "unreadable", "") for n in (0, 3)]
    dealt = _folds_of(_readable(whole, gone), settings)
    assert sorted(dealt.values()) == [0, 0, 1, 2]


def test_nodules_in_lungs_that_are_not_found_are_dealt_last():
    # by nodules alone p1 would come before p2, and share no fold with p0
    counts = {"p0": 9, "p1": 8, "p2": 5, "p3": 4}
    scans = TrainingScans(cases=tuple(marked(p, n) for p, n in counts.items()))
    hidden = [LeftOut("p1", "no-lungs", "")]
    folds = _folds_of(scans, DetectionSettings(folds=2), hidden)
    assert folds["p0"] != folds["p2"]
    assert len(set(folds.values())) == 2


@pytest.mark.slow
def test_too_few_that_are_left_stop_a_run_and_keep_what_is_prepared(cohort, tmp_path):
    folder = shutil.copytree(cohort, tmp_path / "data")
    for name in ("good2", "flesh"):
        shutil.copy(folder / "ct" / "short.nii.gz", folder / "ct" / f"{name}.nii.gz")
    out = tmp_path / "run"
    with pytest.raises(InputError, match="Cannot deal 1 patients into 2 folds"):
        train_nodules(folder, out, settings=QUICK)
    assert (out / "scenes" / "good1.npz").exists()
    assert not (out / "scenes" / "left_out.csv").exists()


def test_a_scan_that_cannot_be_read_any_more_is_not_judged(tmp_path):
    gone = ScanCase(
        series_uid="a", patient="p", source=tmp_path / "a.nii.gz", annotations=()
    )
    told = []
    with pytest.raises(InputError, match="None of the 1 scans can be read any more"):
        judge_detectors(
            [gone], [(frozenset({"p"}), tmp_path)], tmp_path, told=told.append
        )
    assert [item.reason for item in told] == ["unreadable"]


@pytest.mark.slow
def test_outlines_of_scans_that_cannot_be_read_are_left_out(caplog, example, tmp_path):
    data = shutil.copytree(example("lidc"), tmp_path / "data")
    series = sorted({path.parent for path in data.rglob("*.dcm")})
    for path in series[0].glob("*.dcm"):
        path.write_bytes(path.read_bytes()[:2000])
    out = tmp_path / "run"
    settings = SegmentationSettings(folds=99)  # stops once they are cut
    with pytest.raises(InputError, match="folds"):
        train("segmentation", data, out, settings=settings)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "is left out (unreadable): " in caplog.text
    (item,) = read_left_out(out / "nodules")
    assert item.series_uid not in {c.series_uid for c in read_nodules(out / "nodules")}


def test_without_a_scan_that_can_be_read_there_is_nothing_to_cut(example, tmp_path):
    data = shutil.copytree(example("lidc"), tmp_path / "data")
    for folder in {path.parent for path in data.rglob("*.dcm")}:
        for path in sorted(folder.iterdir())[:-1]:
            path.unlink()
    told = []
    with pytest.raises(InputError, match="3 of 3 scans cannot be read"):
        cut_nodules(open_dataset(data), tmp_path / "out", told=told.append)
    assert [item.reason for item in told] == ["unreadable"] * 3
    assert not (tmp_path / "out" / "nodules.csv").exists()


def test_boxes_of_readers_in_a_scan_that_cannot_be_read_are_left_out(example, tmp_path):
    data = shutil.copytree(example("lidc"), tmp_path / "data")
    series = sorted({path.parent for path in data.rglob("*.dcm")})
    for path in sorted(series[0].glob("*.dcm"))[:-1]:
        path.unlink()  # a slice is no volume
    scans = read_training_scans(data)
    assert len(scans.cases) == 2
    assert [item.reason for item in scans.left_out] == ["unreadable"]
    for path in (p for folder in series[1:] for p in sorted(folder.iterdir())[:-1]):
        path.unlink()
    with pytest.raises(InputError, match="None of the 3 scans can be learned from"):
        read_training_scans(data)


def test_a_list_survives_the_disk_and_damage_is_told(tmp_path):
    assert read_left_out(tmp_path) == ()
    scans = (LeftOut("1.2", "unreadable", "a, b"), LeftOut("1.3", "no-lungs", "c"))
    write_left_out(scans, tmp_path / "new")
    assert read_left_out(tmp_path / "new") == scans
    (tmp_path / "left_out.csv").write_text("series,reason,message\n1.2,tired,x\n")
    with pytest.raises(InputError, match=r"Line 2 .* 'tired'"):
        read_left_out(tmp_path)


def test_only_the_end_of_a_uid_is_shown():
    item = LeftOut("1.2.840.99999.123456789012", "unreadable", "Bad.")
    assert item.to_json()["series"] == "123456789012"
    assert str(item) == "series 123456789012 is left out (unreadable): Bad."

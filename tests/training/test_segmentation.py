"""The outlines: what is trained on, how it is judged, and a run from end to end."""

import csv
import json
from dataclasses import replace

import keras
import nibabel
import numpy as np
import pytest

from hilum.datasets import read_nodules
from hilum.errors import InputError
from hilum.evaluation.networks import as_detected
from hilum.nn.layers import HUWindow
from hilum.nn.layers.center import CenterMark3D
from hilum.runtime.predictor import load_predictor
from hilum.training import segmentation
from hilum.training.augment import Variety
from hilum.training.fit import FitSettings
from hilum.training.segmentation import SegmentationSettings, train_segmentation
from hilum.training.segmentation_figures import (
    Outlined,
    as_function,
    judge,
    level_volumes,
    summarise,
)
from hilum.training.segmentation_network import outline_net
from hilum.training.segmentation_views import NoduleViews, load_pieces, outline_loss

SPACING = (0.7, 0.7, 2.0)


def write_folder(folder, patients=4):
    """A folder of balls in noisy lung, every second volume ending with its ball."""
    for name in ("image", "nodule_mask"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for patient in range(patients):
        size, end = 8.0 + patient % 3, patient % 2
        slices = int(size / SPACING[2]) + (0 if end else 4)
        shape = (44, 44, slices)
        affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
        place = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
        middle = (np.array(shape) - 1) / 2
        inside = np.linalg.norm((place - middle) * SPACING, axis=-1) <= size / 2
        hu = np.where(inside, 40, -850) + rng.normal(0, 20, shape)
        name = f"ball_{patient}.nii.gz"
        for part, values in (("image", hu), ("nodule_mask", inside)):
            image = nibabel.Nifti1Image(values.astype(np.int16), affine)
            image.set_qform(affine, 1)
            nibabel.save(image, folder / part / name)
        x, y, z = middle * SPACING  # RAS -x, -y are LPS x, y
        rows.append([f"p{patient}", name, x, y, z, size, 1 + patient % 5])
    with (folder / "nodules.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        columns = "patient_id,file,coordX,coordY,coordZ,diameter_mm,malignancy_mean"
        writer.writerow(columns.split(","))
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def balls(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("balls") / "data")


def dense(views):
    return (views > -400).astype(np.float32)


def views_of(folder, **changes):
    cases = read_nodules(folder)
    settings = {"variety": Variety(), "repeated": 0.0, **changes}
    return NoduleViews(cases, load_pieces(cases), **settings)


def test_a_view_shows_what_its_answer_says(balls):
    views = views_of(balls, variety=Variety(noise_hu=5, level_hu=5))
    for seed in range(8):
        hu, answer = views(seed % 4, np.random.default_rng(seed))
        assert hu.shape == answer.shape == (16, 32, 32, 1)
        assert hu[answer > 0.9].mean() > -150
        assert hu[answer == 0].mean() < -780
        assert answer.min() >= 0


def test_where_the_last_slice_goes_on_nobody_knows(balls):
    views = views_of(balls, repeated=1.0)
    _, answer = views(1, np.random.default_rng(0))  # ends with its ball
    assert answer.min() == -1
    assert answer.max() > 0.9


def test_without_lung_to_surround_with_there_are_no_views(balls):
    cases = read_nodules(balls)[1::2]
    pieces = load_pieces(cases)
    with pytest.raises(InputError, match="Cut some of them larger"):
        NoduleViews(cases, pieces, variety=Variety(), repeated=0.0)


def test_the_loss_by_hand():
    # two voxels of 0.5 against 1 and 0: Dice (2 * 0.5 + 1) / (2 + 1) = 2/3;
    # cross-entropy ln 2 twice, over 2 + 1 voxels
    answer = np.array([1.0, 0.0]).reshape(1, 1, 1, 2, 1).astype("float32")
    found = np.full_like(answer, 0.5)
    expected = 1 - 2 / 3 + 2 * np.log(2) / 3
    np.testing.assert_allclose(outline_loss(answer, found), [expected], rtol=1e-5)


def test_what_nobody_knows_does_not_count():
    answer = np.array([1.0, 0.0, -1.0]).reshape(1, 1, 1, 3, 1).astype("float32")
    losses = [
        float(
            outline_loss(
                answer, np.array([0.9, 0.1, p], "float32").reshape(1, 1, 1, 3, 1)
            )[0]
        )
        for p in (0.0, 1.0)
    ]
    assert losses[0] == losses[1]


def test_padding_marked_as_nodule_costs():
    answer = np.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3, 1).astype("float32")
    right, wrong = (
        float(
            outline_loss(
                answer, np.array([0.9, 0.1, p], "float32").reshape(1, 1, 1, 3, 1)
            )[0]
        )
        for p in (0.1, 0.9)
    )
    assert wrong > right + 0.1


def test_a_threshold_outlines_balls(balls):
    cases = read_nodules(balls)
    results = judge(dense, cases, load_pieces(cases), fold=3)
    assert [r.patient for r in results] == ["p0", "p1", "p2", "p3"]
    assert all(r.fold == 3 for r in results)
    assert min(r.dice for r in results) > 0.85


def test_a_timid_network_is_led_to_the_right_volumes(balls):
    cases = read_nodules(balls)
    pieces = load_pieces(cases)
    inputs = keras.Input((16, 32, 32, 1))
    x = HUWindow(-400.0, 800.0)(inputs)  # half-way from lung to nodule is 0.5
    outputs = keras.layers.Conv3D(1, 1, activation="sigmoid", name="nodule")
    model = keras.Model(inputs, outputs(x))
    outputs.kernel.assign(np.full((1, 1, 1, 1, 1), 8.0))
    outputs.bias.assign([-4.8])  # marks what is denser than -320 HU, not -400
    before = [r.volume_mm3 / r.readers_mm3 for r in judge(model, cases, pieces)]
    level = level_volumes(model, cases, pieces)
    after = [r.volume_mm3 / r.readers_mm3 for r in judge(model, cases, pieces)]
    assert level < 0.5
    assert abs(np.median(after) - 1) < 0.05 < abs(np.median(before) - 1)
    middle = np.full((1, 16, 32, 32, 1), -400.0, "float32")  # 8 * 0.5 - 4.8 - logit
    expected = 1 / (1 + np.exp(0.8 + np.log(level / (1 - level))))
    np.testing.assert_allclose(as_function(model)(middle), expected, rtol=1e-4)


def test_nothing_outlined_has_no_overlap(balls):
    cases = read_nodules(balls)
    results = judge(np.zeros_like, cases, load_pieces(cases))
    assert [r.dice for r in results] == [0.0] * 4
    assert [r.volume_mm3 for r in results] == [0.0] * 4


def test_a_detector_that_points_beyond_the_volume_is_led_back(tmp_path):
    # 2 slices of 2 mm: up to 1.5 mm off may lie beyond them
    folder = write_folder(tmp_path / "data", patients=8)
    cases = [replace(c, center_mm=(14, 14, -0.9)) for c in read_nodules(folder)]
    assert len(judge(dense, cases, load_pieces(cases))) == 8


def test_a_detector_is_a_little_off():
    for seed in range(20):
        place, size = as_detected((1.0, 2.0, 3.0), 10.0, np.random.default_rng(seed))
        assert 0.5 <= np.linalg.norm(np.array(place) - (1, 2, 3)) <= 1.5
        assert 8 <= size <= 12


def test_the_summary_by_hand():
    rows = [("a", 0.8, 90.0), ("a", 0.9, 100.0), ("b", 0.7, 130.0)]
    outlined = [
        Outlined(name="n", patient=p, fold=0, dice=d, volume_mm3=v, readers_mm3=100.0)
        for p, d, v in rows
    ]
    summary = summarise(outlined)
    assert summary["n"] == 3
    assert summary["patients"] == 2
    np.testing.assert_allclose(summary["dice"]["value"], 0.8)
    np.testing.assert_allclose(summary["volume_error_median"]["value"], 0.1)
    np.testing.assert_allclose(summary["volume_ratio_median"]["value"], 1.0)
    # all draws: a twice 0.85, a and b 0.8, b twice 0.7
    np.testing.assert_allclose(
        [summary["dice"]["low"], summary["dice"]["high"]], [0.7, 0.85]
    )


def test_the_mark_shows_the_middle_in_any_size():
    for size in (4, 7):
        x = np.zeros((2, size, size, size, 3), "float32")
        y = np.asarray(CenterMark3D(0.5)(x))
        assert y.shape == (2, size, size, size, 4)
        mark = y[0, ..., 3]
        assert mark.max() == mark[size // 2, size // 2, size // 2]
        np.testing.assert_allclose(mark, mark[::-1, ::-1, ::-1], rtol=1e-5)
        np.testing.assert_allclose(mark, mark.transpose(2, 0, 1), rtol=1e-5)


def test_a_mark_without_width_is_refused():
    with pytest.raises(ValueError, match="width=0"):
        CenterMark3D(0)


def test_the_network_survives_save_and_load(tmp_path):
    model = outline_net((8, 8, 8), filters=(4, 6))
    model.save(tmp_path / "net.keras")
    x = np.random.default_rng(0).normal(-500, 300, (1, 8, 8, 8, 1)).astype("float32")
    found = load_predictor(tmp_path / "net.keras")(x)
    np.testing.assert_allclose(found, np.asarray(model(x)), atol=1e-6)


SHORT = SegmentationSettings(
    fit=FitSettings(epochs=1), folds=2, batch=2, filters=(2, 2, 2)
)


def test_the_network_to_use_learns_from_all_patients(balls, tmp_path, monkeypatch):
    learned = []

    def trained(cases, pieces, *, folder, **_):
        folder.parent.mkdir(exist_ok=True)
        learned.append({case.patient for case in cases})
        assert len(cases) == len(pieces)
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    monkeypatch.setattr(segmentation, "_train_one", trained)
    monkeypatch.setattr(segmentation, "level_volumes", lambda *_: None)
    monkeypatch.setattr(segmentation, "judge", lambda *_, **__: [])
    monkeypatch.setattr(segmentation, "summarise", lambda _: {})
    train_segmentation(balls, tmp_path / "one", settings=SHORT, fold=1)
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["fold-1.keras"]
    train_segmentation(balls, tmp_path / "all", settings=SHORT)
    assert [len(patients) for patients in learned] == [2, 2, 2, 4]
    assert learned[1] | learned[2] == learned[3]
    assert (tmp_path / "all" / "segmentation.keras").exists()


@pytest.mark.slow
def test_a_run_from_end_to_end(balls, tmp_path, eagerly):
    metrics = train_segmentation(balls, tmp_path, settings=SHORT)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert metrics["n"] == 4
    with (tmp_path / "outlines.csv").open() as file:
        rows = list(csv.DictReader(file))
    folds = {row["patient_id"]: row["fold"] for row in rows}
    assert sorted(folds) == ["p0", "p1", "p2", "p3"]
    assert sorted(folds.values()) == ["0", "0", "1", "1"]
    for fold in (0, 1):
        load_predictor(tmp_path / f"fold-{fold}.keras")
        assert (tmp_path / f"fold-{fold}" / "curves.png").is_file()
    used = keras.models.load_model(tmp_path / "segmentation.keras", compile=False)
    other = keras.models.load_model(tmp_path / "fold-0.keras", compile=False)
    assert used.count_params() == other.count_params()  # one network, not all of them
    assert train_segmentation(balls, tmp_path, settings=SHORT) == metrics


@pytest.mark.slow
def test_patients_kept_aside_tell_when_to_stop(tmp_path, eagerly):
    data = write_folder(tmp_path / "data", patients=24)
    settings = SegmentationSettings(
        fit=FitSettings(epochs=2, patience=1), folds=2, batch=2, filters=(2, 2, 2)
    )
    train_segmentation(data, tmp_path / "out", settings=settings)
    log = (tmp_path / "out" / "fold-0" / "log.csv").read_text()
    assert log.splitlines()[0] == "epoch,loss,val_loss"

"""Slow parts on a handful of made-up nodules; the real figures are in the docs."""

import csv
import json

import nibabel
import numpy as np
import pytest

pytest.importorskip("keras")

import keras

from hilum.datasets import NoduleCase, Ratings, load_nodule, read_nodules
from hilum.errors import InputError
from hilum.nn.models import RATING_CATEGORIES, malignancy_net
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import rate_nodule, read_calibration
from hilum.training.malignancy import (
    MASKS,
    MalignancySettings,
    Predictions,
    expected_ratings,
    kind_of,
    read_predictions,
    train_malignancy,
)
from hilum.training.malignancy_data import ordinal_targets, rating_of
from hilum.training.malignancy_networks import features_net, joint_net
from hilum.training.malignancy_report import (
    calibrated_out_of_fold,
    calibration_covariance,
    report_malignancy,
)

SETTINGS = MalignancySettings(
    folds=2, members=2, feature_epochs=2, patch_epochs=1, views=1
)


def write_folder(folder, count=8, *, masked=True):
    (folder / "image").mkdir(parents=True)
    (folder / "nodule_mask").mkdir()
    affine = np.diag([-1.0, -1.0, 1.5, 1.0])
    rng = np.random.default_rng(0)
    index = np.moveaxis(np.indices((24, 24, 12)), 0, -1) - (11.5, 11.5, 5.5)
    with (folder / "nodules.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("patient_id", "file", "malignancy_mean", "texture_mean"))
        for n in range(count):
            name, bad = f"n{n}.nii.gz", n % 2
            writer.writerow((f"p{n}", name, (1.5, 4.5)[bad], (1.5, 3, 5)[n % 3]))
            inside = np.linalg.norm(index * (1, 1, 1.5), axis=-1) <= (3, 6)[bad]
            hu = np.where(inside, 30, -850) + rng.normal(0, 10, inside.shape)
            image = nibabel.Nifti1Image(hu.astype(np.int16), affine)
            nibabel.save(image, folder / "image" / name)
            if masked:
                mask = nibabel.Nifti1Image(inside.astype(np.uint8), affine)
                nibabel.save(mask, folder / "nodule_mask" / name)
    return folder


@pytest.mark.slow
def test_training_leaves_networks_predictions_and_figures(tmp_path, eagerly):
    data, out = write_folder(tmp_path / "data"), tmp_path / "out"
    first = train_malignancy(data, out, settings=SETTINGS)
    assert {p.name for p in out.iterdir()} >= {"fold-0.keras", "fold-1.keras"}
    assert len(read_predictions(out / "predictions.csv")) == 8
    ratings = first.ratings["folder"]
    assert ((ratings >= 1) & (ratings <= 6)).all()
    np.testing.assert_allclose(first.kinds["folder"].sum(axis=1), 1, atol=1e-5)
    # what is there is not trained again, and says the same
    again = train_malignancy(data, out, settings=SETTINGS)
    np.testing.assert_allclose(again.ratings["folder"], ratings, atol=1e-5)
    figures = report_malignancy(first, out)
    assert figures["folder"].malignancy_auc.n == 8
    tree = json.loads((out / "metrics.json").read_text())
    assert set(tree) == {"folder", "automatic"}
    assert (out / "reliability.png").stat().st_size > 1000
    joined = load_predictor(out / "malignancy.keras")
    volume, mask = load_nodule(read_nodules(data)[0])
    said = rate_nodule(
        volume, mask, predict=joined, calibration=read_calibration(joined.path)
    )
    assert 0 < said.malignancy.low <= said.malignancy.high < 1


def test_training_needs_masks(tmp_path):
    data = write_folder(tmp_path / "data", count=2, masked=False)
    with pytest.raises(InputError, match="2 nodules have no mask"):
        train_malignancy(data, tmp_path / "out", settings=SETTINGS)


def test_the_joint_network_averages_both_and_survives_a_file(tmp_path):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 5)).astype("f4")
    keras.utils.set_random_seed(0)
    a, b = features_net(features, members=3), malignancy_net((8, 8, 8))
    joint = joint_net(a, b, patch_share=0.25)
    patch = {
        "hu": rng.normal(-400, 200, (4, 8, 8, 8, 1)).astype("f4"),
        "mask": np.ones((4, 8, 8, 8, 1), "f4"),
    }
    said = joint({"features": features[:4], **patch})
    for name in RATING_CATEGORIES:
        mean = 0.75 * np.mean(a(features[:4])[name], axis=1) + 0.25 * np.array(
            b(patch)[name]
        )
        np.testing.assert_allclose(said[name], mean, atol=1e-5)
    np.testing.assert_allclose(np.sum(said["kind"], axis=1), 1, atol=1e-5)
    joint.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    for name, value in again({"features": features[:4], **patch}).items():
        np.testing.assert_allclose(value, said[name], atol=1e-6)


def test_features_far_out_count_as_far_but_no_further():
    features = np.random.default_rng(0).normal(size=(200, 3)).astype("f4")
    net = features_net(features, members=2)
    far, further = (net(np.full((1, 3), v, "f4"))["malignancy"] for v in (9, 9000))
    np.testing.assert_allclose(far, further, atol=1e-6)


def test_ordinal_targets_give_the_mean_rating_back(tmp_path):
    cases = read_nodules(write_folder(tmp_path / "data"))
    targets = ordinal_targets(cases)
    # 4.5: above 1, 2 and 3, and above 4 for a half
    np.testing.assert_array_equal(targets["malignancy"][1], [1, 1, 1, 0.5])
    said = expected_ratings({k: v.astype(float) for k, v in targets.items()})
    names = list(RATING_CATEGORIES)
    for case, row in zip(cases, said, strict=True):
        np.testing.assert_allclose(row, [rating_of(case, n) for n in names])


def test_kinds_by_their_texture():
    assert [kind_of(t) for t in (1, 2, 2.25, 3.75, 4, 5)] == [0, 0, 1, 1, 2, 2]


def test_a_fold_is_calibrated_by_the_others_alone():
    rng = np.random.default_rng(0)
    score, folds = rng.normal(size=200), np.arange(200) % 2
    truth = (score + rng.normal(size=200) > 0).astype(int)
    said = calibrated_out_of_fold(score, truth, folds)
    flipped = np.where(folds == 0, 1 - truth, truth)
    again = calibrated_out_of_fold(score, flipped, folds)
    np.testing.assert_array_equal(again[folds == 0], said[folds == 0])
    assert (again[folds == 1] != said[folds == 1]).any()


def test_the_doubt_of_the_calibration_is_that_of_the_likelihood():
    rng = np.random.default_rng(0)
    count = 400
    rating = rng.uniform(1, 5, count)
    positive = rng.random(count) < 1 / (1 + np.exp(-(2 * rating - 6)))
    cases = tuple(
        NoduleCase(
            patient=f"p{n}", name=f"{n}", image=None, mask=None, diameter_mm=5.0,
            table_diameter_mm=None, ratings=Ratings(malignancy=4.0 if bad else 2.0),
            modes=Ratings(), diagnosis=None, readers=None,
        )
        for n, bad in enumerate(positive.tolist())
    )  # fmt: skip
    ratings = np.repeat(rating[:, None], len(RATING_CATEGORIES), axis=1)
    predictions = Predictions(
        cases, np.zeros(count, np.int64), dict.fromkeys(MASKS, ratings), {}
    )
    found = calibration_covariance(predictions, draws=300)
    # inverse of the Fisher information at the true slope and offset
    p = 1 / (1 + np.exp(-(2 * rating - 6)))
    design = np.stack([rating, np.ones(count)], axis=1)
    expected = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
    wanted = expected[0, 0], expected[0, 1], expected[1, 1]
    np.testing.assert_allclose(found, wanted, rtol=0.4)

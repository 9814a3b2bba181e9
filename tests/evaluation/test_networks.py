"""The shipped networks over folders of nodules."""

import csv
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from hilum import cli
from hilum.datasets import read_nodules
from hilum.datasets.opening import open_dataset
from hilum.errors import InputError
from hilum.evaluation import OUTLINES, evaluate_networks, examples
from hilum.evaluation.examples import example_inputs, inputs_of, scan_inputs
from hilum.formats import write_volume
from hilum.phantom import PhantomSettings, make_phantom
from hilum.sources import read_ct
from hilum.stages.lungs import LungSegmenter
from hilum.stages.nodules import NoduleDetector
from hilum.stages.nodules.network import network_region

COLUMNS = ("patient_id", "file", "malignancy_mean", "Malignancy_value", "texture_mean")


def write_balls(folder, *, masks=True):
    """Write four balls: two small and benign, two large and malignant."""
    for name in ("image", "nodule_mask"):
        (folder / name).mkdir(parents=True)
    rows = []
    for n, (mm, mean) in enumerate([(4, 1.5), (6, 2.0), (18, 4.5), (22, 5.0)]):
        spacing = np.array([0.8, 0.8, 1.2])
        index = np.moveaxis(np.indices((52, 52, 36)), 0, -1) * spacing
        middle = np.array([51, 51, 35]) / 2 * spacing
        inside = np.linalg.norm(index - middle, axis=-1) <= mm / 2
        rng = np.random.default_rng(n)
        hu = np.where(inside, 40, -850) + rng.normal(0, 20, inside.shape)
        affine = np.diag([-0.8, -0.8, 1.2, 1.0])
        name = f"n{n}.nii.gz"
        image = nibabel.Nifti1Image(hu.astype(np.int16), affine)
        nibabel.save(image, folder / "image" / name)
        if masks:
            mask = nibabel.Nifti1Image(inside.astype(np.uint8), affine)
            nibabel.save(mask, folder / "nodule_mask" / name)
        rows.append((f"p{n}", name, mean, round(mean), 5))
    with (folder / "nodules.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


@pytest.mark.slow
def test_balls_are_outlined_and_ranked(tmp_path):
    done = []
    figures = evaluate_networks(
        write_balls(tmp_path / "n"), progress=lambda n, of: done.append((n, of))
    )
    assert tuple(figures) == OUTLINES
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for figure in figures.values():
        assert (figure.n, figure.patients) == (4, 4)
        assert figure.malignancy_auc.value == 1
        assert figure.dice.value > 0.8
    assert figures["own"].dice == figures["folder"].dice


@pytest.mark.slow
def test_the_command_prints_the_figures(tmp_path, capsys):
    folder = write_balls(tmp_path / "n")
    assert cli.main(["evaluate", "nodules", str(folder), "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["own_outline"]) | {"own_outline"} == set(told)
    assert {
        "malignancy_auc", "malignancy_auc_mode", "diameter_auc", "diagnosis_auc",
        "dice", "ece", "texture_balanced_accuracy", "n",
    } <= set(told)  # fmt: skip
    assert set(told["dice"]) == {"value", "low", "high", "n"}


def test_a_folder_without_masks_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="have no mask"):
        evaluate_networks(write_balls(tmp_path / "n", masks=False))


def test_weights_of_another_task_end_with_their_exit_code(tmp_path, capsys):
    folder = write_balls(tmp_path / "n")
    args = ["evaluate", "nodules", str(folder), "--malignancy", "segmentation"]
    assert cli.main([*args, "--quiet"]) == 5
    assert "calibration" in capsys.readouterr().err


@pytest.mark.real
@pytest.mark.slow
def test_the_shipped_networks_know_the_nodules_that_they_were_trained_on(
    tmp_path, real_data
):
    # Not a figure of how good they are: it fails when inputs or weights go wrong.
    whole = real_data / "nodules"
    with (whole / "nodules.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:120]
    for name in ("image", "nodule_mask"):
        (tmp_path / name).symlink_to(whole / name)
    with (tmp_path / "nodules.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    figures = evaluate_networks(tmp_path)
    assert figures["folder"].malignancy_auc.value > 0.97
    assert figures["own"].malignancy_auc.value > 0.96
    assert figures["own"].dice.value > 0.8


def write_scan(folder, *, lungs=True):
    """Write a small chest, or a box of water."""
    settings = PhantomSettings(seed=3, shape=(60, 96, 96), spacing_mm=(5.0, 3.8, 3.8))
    volume = make_phantom(settings).volume
    if not lungs:
        volume = replace(volume, hu=np.zeros_like(volume.hu))
    folder.mkdir(exist_ok=True)
    write_volume(volume, folder / ("chest.nii.gz" if lungs else "water.nii.gz"))
    return folder


@pytest.mark.slow
def test_examples_are_prepared_as_each_network_takes_them(tmp_path):
    pytest.importorskip("keras", reason="Keras is not installed")
    from hilum.nn.models import detection_net, segmentation_net  # noqa: PLC0415
    from hilum.runtime.predictor import Predictor  # noqa: PLC0415

    sources = {
        "marks": write_scan(tmp_path / "scans"),
        "outline": write_balls(tmp_path / "n"),
    }
    detection_net(filters=(4, 4, 4, 4)).save(tmp_path / "marks.keras")
    segmentation_net((16, 32, 32), filters=(4, 4, 4)).save(tmp_path / "outline.keras")
    for name, count in (("marks", 4), ("outline", 2)):
        examples = example_inputs(
            tmp_path / f"{name}.keras", sources[name], count=count
        )
        assert len(examples) == count
        predict = Predictor(tmp_path / f"{name}.keras")
        for example in examples:
            assert example.dtype == np.float32
            assert np.isfinite(predict(example)).all()
        assert examples[0].min() < -700  # HU, not scaled


def test_blocks_of_scans_show_what_looks_like_nodules(tmp_path):
    write_scan(tmp_path / "scans")
    write_scan(tmp_path / "scans", lungs=False)  # gives nothing
    cases = open_dataset(tmp_path / "scans").cases
    blocks = scan_inputs(cases, count=6)
    assert {block.shape for block in blocks} == {(1, 64, 64, 64, 1)}
    volume = read_ct(tmp_path / "scans" / "chest.nii.gz")
    lungs = LungSegmenter()(volume)
    first = NoduleDetector(weights="")(volume, lungs)[0]
    region = network_region(volume, lungs)
    z, y, x = np.rint(region.grid.to_index(first.center_mm)).astype(int)
    dot = region.hu[z - 2 : z + 3, y - 2 : y + 3, x - 2 : x + 3]
    windows = np.lib.stride_tricks.sliding_window_view(blocks[0][0, ..., 0], dot.shape)
    assert (windows == dot).all(axis=(3, 4, 5)).any()
    for one, other in zip(blocks, scan_inputs(cases, count=6), strict=True):
        np.testing.assert_array_equal(one, other)


def test_scans_that_cannot_be_used_give_no_blocks(tmp_path):
    write_scan(tmp_path / "scans", lungs=False)
    cases = open_dataset(tmp_path / "scans").cases
    with pytest.raises(InputError, match="None of the 1 scans can be used"):
        scan_inputs(cases)
    with pytest.raises(InputError, match="None of the 0 scans"):
        scan_inputs(())


def test_other_scans_stand_in_for_those_that_cannot_be_used(tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "MOST_SCANS", 1)
    write_scan(tmp_path / "scans", lungs=False)
    (tmp_path / "scans" / "water.nii.gz").rename(tmp_path / "scans" / "a.nii.gz")
    write_scan(tmp_path / "scans")
    cases = open_dataset(tmp_path / "scans").cases
    assert [case.source.name for case in cases] == ["a.nii.gz", "chest.nii.gz"]
    assert len(scan_inputs(cases, count=3)) == 3


def test_examples_of_an_unknown_network_are_refused(tmp_path):
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    inputs = keras.Input((8,))
    keras.Model(inputs, keras.layers.Dense(1)(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(InputError, match="of ratings, outlines and marks alone"):
        example_inputs(tmp_path / "m.keras", write_balls(tmp_path / "n"))
    from hilum.nn.models import detection_net, segmentation_net  # noqa: PLC0415

    segmentation_net((16, 32, 32), filters=(4, 4, 4)).save(tmp_path / "outline.keras")
    unmasked = write_balls(tmp_path / "o", masks=False)
    with pytest.raises(InputError, match="no nodule with a mask"):
        example_inputs(tmp_path / "outline.keras", unmasked)
    detection_net(filters=(4, 4, 4, 4)).save(tmp_path / "marks.keras")
    with pytest.raises(InputError, match="give scans, not nodules"):
        inputs_of(tmp_path / "marks.keras", read_nodules(unmasked))


@pytest.mark.slow
def test_export_to_8_bits_by_command(tmp_path, capsys):
    pytest.importorskip("nncf", reason="nncf is not installed")
    from hilum.nn.models import detection_net  # noqa: PLC0415

    folder = write_scan(tmp_path / "scans")
    detection_net(filters=(4, 4, 4, 4)).save(tmp_path / "marks.keras")
    args = ["export", str(tmp_path / "marks.keras"), str(tmp_path / "m.xml")]
    args += ["--precision", "int8", "--quiet"]
    assert cli.main(args) == 3
    assert "calibration" in capsys.readouterr().err
    wrong = [*args, "--calibration", str(tmp_path / "absent")]
    wrong[2] = str(tmp_path / "m.bin")
    assert cli.main(wrong) == 3  # told before anything is read
    assert "ends in .xml" in capsys.readouterr().err
    unused = [*args[:-3], "--quiet", "--calibration", str(folder)]
    assert cli.main(unused) == 3
    assert "--calibration is for --precision int8" in capsys.readouterr().err
    assert cli.main([*args, "--calibration", str(folder)]) == 0
    assert '"precision": "int8"' in capsys.readouterr().out

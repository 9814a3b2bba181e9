"""The synthetic copies: the same each time, refused where they would overwrite."""

import json

import pytest

from hilum.cli import main
from hilum.datasets import read_nodules
from hilum.datasets.nodules import load_nodule
from hilum.errors import InputError
from hilum.synthetic import ExampleSettings, write_example


def test_nodules_are_cut_with_their_masks_and_ratings(example):
    cases = read_nodules(example("nodules"))
    assert len(cases) >= 8
    assert {case.patient for case in cases} == {"LIDC-IDRI-0001", "LIDC-IDRI-0002"}
    for case in cases:
        _, mask = load_nodule(case)
        assert mask.voxels.any()
        assert 1 <= case.ratings.malignancy <= 5
        assert case.ratings.texture is not None


@pytest.mark.slow
def test_the_command_makes_the_same_copy_twice(capsys, tmp_path):
    texts = []
    for name in ("a", "b"):
        words = ["data", "example", "boxes", str(tmp_path / name), "--cases", "1"]
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["scans"] == 1
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        texts.append([(p.name, p.read_bytes()) for p in files])
    assert texts[0] == texts[1]


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "a").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        write_example("boxes", tmp_path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda out: write_example("coco", out), "no layout 'coco'"),
        (lambda _: ExampleSettings(cases=0), "1 to 10,000"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, make, said):
    with pytest.raises(InputError, match=said):
        make(tmp_path)

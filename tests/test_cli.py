"""The command line: every command, its JSON, its exit codes, and no tracebacks."""

import csv
import dataclasses
import inspect
import json
import subprocess
import sys

import numpy as np
import pydicom
import pytest

import hilum
from hilum import cli
from hilum.batch import BatchSettings, run_batch
from hilum.cli.assess import verdict
from hilum.clinical.facts import Facts
from hilum.compare import PairOptions, compare
from hilum.doctor import examine
from hilum.errors import InputError
from hilum.evaluation import calibrate, write_submission
from hilum.pipeline import assess, detect, segment
from hilum.primer.runs import Runs
from hilum.primer.server import make_server
from hilum.primer.sheet import write_sheet
from hilum.primer.site import export_site
from hilum.report.again import report
from hilum.report.dicom import SegmentStyle
from hilum.report.documents import write_documents


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A small phantom, as DICOM."""
    folder = tmp_path_factory.mktemp("scan")
    settings = hilum.PhantomSettings(
        seed=5, shape=(90, 128, 128), spacing_mm=(3.5, 2.8, 2.8)
    )
    phantom = hilum.make_phantom(settings)
    hilum.write_phantom(phantom, folder)
    return folder


def run(capsys, *argv):
    code = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_assess_writes_what_it_says(capsys, scan, tmp_path):
    argv = ("assess", scan, tmp_path / "out", "--age", "60")
    code, result, err = run(capsys, *argv, "--format", "html,sr,seg,sc", "--lungs")
    assert code == 0
    document = json.loads((tmp_path / "out" / "assessment.json").read_text())
    assert result["series_uid"] == document["series_uid"]
    assert result["nodules"] == len(document["nodules"])
    assert set(result["documents"]) == {"json", "html", "seg", "sr", "sc"}
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert "hilum: finding the lungs" in err
    assert "age" not in document["guidelines"]["brock"]["missing"]
    assert set(document["provenance"]["timings_s"]) >= {"read", "lungs", "nodules"}
    seg = pydicom.dcmread(result["documents"]["seg"], stop_before_pixels=True)
    assert len(seg.SegmentSequence) == len(document["nodules"]) > 0
    again = report(tmp_path / "out", tmp_path / "out", source=scan, formats=("seg",))
    anew = pydicom.dcmread(again["seg"], stop_before_pixels=True)
    assert [s.TrackingUID for s in anew.SegmentSequence] == [
        s.TrackingUID for s in seg.SegmentSequence
    ]


def test_json_alone_by_settings(capsys, scan, tmp_path):
    (tmp_path / "s.toml").write_text(
        '[selection]\nmax_nodules = 1\n[nodules]\nweights = ""\n'
    )
    argv = ("assess", scan, tmp_path, "--settings", tmp_path / "s.toml")
    code, result, err = run(capsys, "--quiet", *argv, "--format", "json")
    assert code == 0
    assert list(result["documents"]) == ["json"]
    assert not (tmp_path / "report.html").exists()
    assert err == ""
    assert result["nodules"] <= 1
    (tmp_path / "s.toml").write_text("[selektion]\nmax_nodules = 1\n")
    code, _, err = run(
        capsys, "assess", scan, tmp_path, "--settings", tmp_path / "s.toml"
    )
    assert code == 3
    assert "Unknown table [selektion]" in err


def test_find(capsys, scan):
    code, result, _ = run(capsys, "find", scan)
    assert code == 0
    (study,) = result["studies"]
    (series,) = study["series"]
    assert series["usable"]
    assert series["modality"] == "CT"


def test_convert_then_the_same_volume(capsys, scan, tmp_path):
    code, result, _ = run(capsys, "convert", scan, tmp_path / "ct.nii.gz")
    assert code == 0
    assert result["shape"] == list(hilum.read_ct(scan).grid.shape)
    np.testing.assert_array_equal(
        hilum.read_ct(tmp_path / "ct.nii.gz").hu, hilum.read_ct(scan).hu
    )


def test_segment(capsys, scan, tmp_path):
    code, result, _ = run(capsys, "segment", scan, tmp_path / "lungs.nii.gz")
    assert code == 0
    assert 1 < result["right_l"] < 5
    assert 1 < result["left_l"] < 5
    assert (tmp_path / "lungs.nii.gz").exists()


@pytest.mark.slow
def test_detect_writes_the_luna16_columns(capsys, scan, tmp_path):
    code, result, _ = run(capsys, "detect", scan, tmp_path / "c.csv")
    assert code == 0
    with (tmp_path / "c.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result["candidates"] > 0
    assert list(rows[0]) == ["seriesuid", "coordX", "coordY", "coordZ", "probability"]
    scores = [float(row["probability"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert rows[0]["seriesuid"] == hilum.read_ct(scan).series_uid


def test_phantom(capsys, tmp_path):
    argv = [
        "--seed",
        "3",
        "--shape",
        "40",
        "64",
        "64",
        "--spacing",
        "8",
        "5",
        "5",
        "--dose",
        "inf",
    ]
    code, result, _ = run(capsys, "phantom", tmp_path, *argv)
    assert code == 0
    assert (tmp_path / "annotations.csv").exists()
    volume = hilum.read_ct(tmp_path)
    assert volume.series_uid == result["series_uid"]
    assert volume.grid.spacing_mm == (8, 5, 5)
    assert len(result["lesions"]) > 3


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["assess", "no-such-folder", "out"], "nothing at `no-such-folder`"),
        (["assess", "{file}", "out"], "notes.txt"),
        (["find", "no-such-folder"], "no-such-folder"),
        (["convert", "{scan}", "{file}"], "notes.txt"),
        (["segment", "{scan}", "{file}"], "notes.txt"),
        (["detect", "{scan}", "{file}/x.csv"], "Cannot write"),
        (["assess", "{scan}", "{file}"], "Cannot write into"),
        (["assess", "{scan}", "out", "--format", "docx"], "Unknown format `docx`"),
        (["assess", "{scan}", "out", "--age", "7"], "18 to 120"),
        (["assess", "{scan}", "out", "--series", "9.9.9"], "9.9.9"),
    ],
)
def test_bad_input_is_exit_3_with_a_message(capsys, scan, tmp_path, argv, message):
    (tmp_path / "notes.txt").write_text("not a scan")
    places = {"scan": scan, "file": tmp_path / "notes.txt"}
    code, result, err = run(capsys, *(a.format(**places) for a in argv))
    assert code == 3
    assert result is None
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("argv", [[], ["asess"], ["assess"], ["assess", "x"]])
def test_wrong_use_is_exit_2(capsys, argv):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    assert "usage: hilum" in capsys.readouterr().err


def test_debug_shows_the_traceback():
    with pytest.raises(hilum.InputError):
        cli.main(["--debug", "find", "no-such-folder"])


def test_a_closed_pipe_is_no_error(scan):
    done = subprocess.run(
        f"{sys.executable} -m hilum --quiet find {scan} | head -c 1",
        shell=True,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "{"
    assert done.stderr == ""


def test_results_may_be_written_where_one_is(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    size = ["--shape", "2", "8", "8", "--spacing", "100", "40", "40"]
    code, tree, _ = run(capsys, "phantom", ".", *size)
    assert code == 0
    assert "lesions" in tree
    assert (tmp_path / "annotations.csv").exists()


def test_detect_never_overwrites_the_scan(capsys, scan, tmp_path):
    path = tmp_path / "ct.csv.mha"
    hilum.convert(scan, path)
    before = path.read_bytes()
    link = tmp_path / "same.csv"
    link.symlink_to(path)
    code, _, err = run(capsys, "detect", str(path), str(link))
    assert code == 3
    assert "named twice" in err
    with pytest.raises(InputError, match="is the CT itself"):
        detect(path, link)
    assert path.read_bytes() == before
    code, _, err = run(capsys, "detect", str(path), str(tmp_path / "other.mha"))
    assert code == 3
    assert "must end in .csv" in err


def test_a_place_that_cannot_be_written_is_told_before_the_work(capsys, tmp_path):
    code, _, err = run(capsys, "segment", "absent", str(tmp_path / "no" / "x.nii"))
    assert code == 3
    assert "its folder does not exist" in err  # and not that there is no CT
    (tmp_path / "file").write_text("x")
    code, _, err = run(capsys, "assess", "absent", str(tmp_path / "file"))
    assert code == 3
    assert "Cannot write into `file`" in err


def test_quiet_may_follow_the_command(capsys, scan, tmp_path):
    _, _, err = run(capsys, "convert", str(scan), str(tmp_path / "x.mha"), "--quiet")
    assert err == ""
    _, _, err = run(capsys, "convert", str(scan), str(tmp_path / "x.mha"))
    assert err != ""


def test_the_verdict_never_hides_that_it_is_forced():
    tree = {
        "nodules": [],
        "scope": {"in_scope": False, "reasons": ["Slices are 8.0 mm apart."]},
        "cancer_probability": {"value": 0.35, "low": 0.12, "high": 0.75},
    }
    said = verdict(tree)
    assert "OUT OF SCOPE: Slices are 8.0 mm apart;" in said
    assert "35%" in said
    tree["scope"] = {"in_scope": True, "reasons": []}
    assert "OUT OF SCOPE" not in verdict(tree)


FUNCTIONS = {
    "assess": (assess, write_documents, Facts, SegmentStyle, compare, PairOptions),
    "compare": (compare, PairOptions),
    "batch": (run_batch, BatchSettings),
    "doctor": (examine,),
    "report": (report, SegmentStyle),
    "find": (hilum.find_studies,),
    "convert": (hilum.convert,),
    "segment": (segment,),
    "detect": (detect,),
    "calibrate": (calibrate,),
    "submission": (write_submission,),
    "phantom": (hilum.write_phantom, hilum.PhantomSettings),
    "primer": (export_site, write_sheet, make_server, Runs),
}
ALIASES = {"age": "age_years", "export": "out", "sheet": "out", "browser": "out"}
RUN = {"devices", "precision", "tensorboard"}
"""Fields of `hilum.training.runs.RunSettings`."""
NETWORKS = {
    "evaluate": {"what"},
    "train": {"what", "data", "out", "settings", "fold", *RUN},
    "export": {"source", "out", "precision", "calibration"},
}
SERVICE = {"serve", "token", "listen", "deidentify"}
"""Tested in `service` and `deidentify`, with what they need."""


def test_every_command_has_its_public_function():
    commands = cli._parser()._subparsers._group_actions[0].choices
    assert set(commands) == {*FUNCTIONS, *NETWORKS, *SERVICE, "risk", "data"}
    for name, command in commands.items():
        if name not in FUNCTIONS:
            continue
        known = set()
        for function in FUNCTIONS[name]:
            known |= set(inspect.signature(function).parameters)
            if dataclasses.is_dataclass(function):
                known |= {f.name for f in dataclasses.fields(function)}
        options = {ALIASES.get(a.dest, a.dest) for a in command._actions}
        options -= {"help", "quiet", "debug"}
        assert options <= known | {"out", "folder", "settings"}, name


def test_the_commands_over_networks_have_their_functions():
    pytest.importorskip("keras", reason="Keras is not installed")
    from hilum.runtime.export import export_weights  # noqa: PLC0415  needs Keras
    from hilum.training.malignancy import train_malignancy  # noqa: PLC0415
    from hilum.training.segmentation import train_segmentation  # noqa: PLC0415

    commands = cli._parser()._subparsers._group_actions[0].choices
    for name, function in (
        ("train", train_malignancy),
        ("train", train_segmentation),
        ("export", export_weights),
    ):
        told = {a.dest for a in commands[name]._actions}
        assert told == NETWORKS[name] | {"help", "quiet", "debug"}
        assert told - {"what", "help", "quiet", "debug", *RUN} <= set(
            inspect.signature(function).parameters
        )


def test_each_clinical_model_has_its_function():
    from hilum.clinical.fleischner import FoundNodule, fleischner  # noqa: PLC0415
    from hilum.clinical.growth import judge_growth, volumes_of  # noqa: PLC0415
    from hilum.clinical.lungrads import ScreeningFinding, judge_exam  # noqa: PLC0415
    from hilum.clinical.risk import (  # noqa: PLC0415
        PlcoFactors,
        estimate_brock,
        estimate_herder,
        estimate_mayo,
        estimate_plco,
    )

    models = {
        "brock": (Facts, estimate_brock),
        "mayo": (Facts, estimate_mayo),
        "herder": (estimate_herder,),
        "plco": (PlcoFactors, estimate_plco),
        "lungrads": (ScreeningFinding, judge_exam),
        "fleischner": (Facts, FoundNodule, fleischner),
        "vdt": (volumes_of, judge_growth),
    }
    commands = cli._parser()._subparsers._group_actions[0].choices
    kinds = commands["risk"]._subparsers._group_actions[0].choices
    assert set(kinds) == set(models)
    plurals = {"diameter_mm": "diameters_mm", "volume_mm3": "volumes_mm3"}
    for name, functions in models.items():
        known = {p for f in functions for p in inspect.signature(f).parameters}
        told = {a.dest for a in kinds[name]._actions} - {"help", "quiet", "debug"}
        if name == "vdt":
            told = {plurals.get(d, d) for d in told}
        assert told <= known, name


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        (
            "brock --age 65 --sex female --emphysema --diameter-mm 15 --kind solid "
            "--upper-lobe --count 2 --spiculation",
            "probability",
            0.4768,
        ),
        ("brock --age 55 --sex male --diameter-mm 5", "probability", 0.00289),
        ("mayo --age 50 --smoker never --diameter-mm 8", "probability", 0.02078),
        (
            "mayo --age 65 --smoker --diameter-mm 12 --spiculation --upper-lobe",
            "probability",
            0.46488,
        ),
        ("herder --mayo-probability 0.187 --uptake intense", "probability", 0.6731),
        ("vdt --diameter-mm 6 8 --days 90", "doubling_time_days", 72.28),
        ("vdt --volume-mm3 100 200 --days 90", "doubling_time_days", 90),
    ],
)
def test_clinical_models_by_command(capsys, words, key, expected):
    code, out, _ = run(capsys, "risk", *words.split())
    assert code == 0
    assert out[key] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "key", "expected"),
    [
        ("lungrads --kind solid --diameter-mm 8 --status baseline", "category", "4A"),
        ("lungrads --kind non-solid --diameter-mm 30", "category", "3"),
        ("lungrads --kind part-solid --diameter-mm 8 --solid-mm 8", "category", "4B"),
        (
            "lungrads --kind solid --diameter-mm 7 --status stable --prior-category 3 "
            "--months 6",
            "category",
            "2",
        ),
        ("lungrads --kind solid --diameter-mm 7 --spiculation", "category", "4X"),
        (
            "fleischner --kind solid --diameter-mm 5 --risk low",
            "recommendation",
            "no routine follow-up",
        ),
        ("vdt --diameter-mm 8 6 --days 90", "doubling_time_days", None),
    ],
)
def test_guidelines_by_command(capsys, words, key, expected):
    code, out, _ = run(capsys, "risk", *words.split())
    assert code == 0
    assert out[key] == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("brock --diameter-mm 45", "up to 30 mm"),
        ("fleischner --kind solid --diameter-mm 7 --age 20", "from 35 years"),
        ("lungrads --kind solid", "mean diameter"),
        ("vdt --days 90", "two diameters or two volumes"),
        (
            "lungrads --kind solid --status stable --diameter-mm 12 "
            "--prior-diameter-mm 5 --prior-category 2 --months 6",
            "the status that fits",
        ),
    ],
)
def test_what_a_guideline_is_not_meant_for_is_refused(capsys, words, said):
    code, out, err = run(capsys, "risk", *words.split())
    assert (code, out) == (3, None)
    assert said in err


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ("", ["race", "copd", "personal_cancer", "family_history", "current_smoker",
              "years_quit"]),
        ("--years-quit 5 --race asian --no-copd --no-personal-cancer", [
            "family_history"]),
        ("--current-smoker --race white --copd --personal-cancer --family-history", []),
    ],
)  # fmt: skip
def test_plco_by_command_guesses_nothing(capsys, words, missing):
    person = "--age 62 --education 4 --bmi 27 --cigarettes-per-day 20 --years-smoked 27"
    code, out, _ = run(capsys, "risk", "plco", *person.split(), *words.split())
    assert (code, out["missing"]) == (0, missing)
    assert (out["low"] == out["high"]) == (not missing)


def test_each_evaluation_has_its_function():
    from hilum.evaluation import (  # noqa: PLC0415
        evaluate_dsb2017,
        evaluate_luna16,
        evaluate_networks,
        evaluate_patients,
        evaluate_segmentation,
    )

    commands = cli._parser()._subparsers._group_actions[0].choices
    kinds = commands["evaluate"]._subparsers._group_actions[0].choices
    functions = {
        "nodules": evaluate_networks,
        "luna16": evaluate_luna16,
        "dsb2017": evaluate_dsb2017,
        "patient": evaluate_patients,
        "segmentation": evaluate_segmentation,
    }
    assert set(kinds) == set(functions)
    for name, function in functions.items():
        told = {a.dest for a in kinds[name]._actions} - {"help", "quiet", "debug"}
        told -= {"card", "name", "trained"}  # of `write_card`
        assert told == set(inspect.signature(function).parameters) - {"progress"}


def test_the_primer_writes_pages_and_a_workbook(capsys, tmp_path):
    pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    code, out, _ = run(
        capsys, "primer", "9", "--export", tmp_path / "pages", "--sheet",
        tmp_path / "a.xlsx",
    )  # fmt: skip
    assert code == 0
    assert out["pages"] == ["09-deciding.html"]
    assert (tmp_path / "pages" / "09-deciding.html").exists()
    assert (tmp_path / "a.xlsx").stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("13", "There is no lesson '13'"),
        ("--nodules nowhere", "no nodules.csv in the folder"),
        ("1 --export out --ct nowhere.nii", "nothing at `nowhere.nii`"),
    ],
)
def test_a_primer_that_cannot_be_shown_is_refused(
    capsys, tmp_path, monkeypatch, words, said
):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "primer", *words.split())
    assert (code, out) == (3, None)
    assert said in err

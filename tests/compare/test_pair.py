"""A person scanned twice: from two volumes to an assessment with a prior."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import hilum.compare
from hilum import cli
from hilum.clinical.facts import Facts
from hilum.compare import PairOptions, compare
from hilum.compare.documents import write_comparison
from hilum.errors import InputError
from hilum.findings import Assessment, Comparison
from hilum.formats import write_volume
from hilum.phantom import (
    PhantomSettings,
    Plan,
    grow_lesions,
    make_phantom,
    place_lesions,
    write_phantom,
)
from hilum.report.page import render_page

pytestmark = pytest.mark.slow

SEED = 21
SETTINGS = PhantomSettings(seed=SEED, shape=(90, 128, 128), spacing_mm=(3.5, 2.8, 2.8))
TIMES = (2.2, 1.0, 1.0, 1.0)
"""Of volumes; the third is in the prior only, the fourth in the later only."""


@pytest.fixture(scope="module")
def phantoms():
    plans = [Plan(diameter_mm=d) for d in (14.0, 18.0, 16.0, 17.0)]
    before = place_lesions(SEED, plans)
    after = grow_lesions(SEED, before, TIMES)
    later = replace(SETTINGS, scan=2, breath_mm=12.0, shift_mm=(5.0, 3.0, -8.0))
    return (
        make_phantom(SETTINGS, before[:3]),
        make_phantom(later, (*after[:2], after[3])),
    )


@pytest.fixture(scope="module")
def folders(phantoms, tmp_path_factory):
    """Both scans as DICOM, which knows the days."""
    made = [tmp_path_factory.mktemp(name) for name in ("prior", "current")]
    for phantom, folder in zip(phantoms, made, strict=True):
        write_phantom(phantom, folder)
    return made


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The detector without its network: as sure of these nodules, and sooner."""
    path = tmp_path_factory.mktemp("settings") / "dots.toml"
    path.write_text('[nodules]\nweights = ""\n')
    return path


@pytest.fixture(scope="module")
def result(folders, settings):
    return compare(*folders, facts=Facts(age_years=60), settings=settings)


def nearest(result, point, end):
    """The change at a place of one of the scans."""
    return min(
        result.comparison.changes,
        key=lambda c: np.linalg.norm(np.subtract(getattr(c, end), point)),
    )


def test_each_lesion_is_named(phantoms, result):
    prior, current = phantoms
    grown, stable, gone = (
        nearest(result, t.center_mm, "prior_mm") for t in prior.truths
    )
    new = nearest(result, current.truths[2].center_mm, "current_mm")
    assert [c.status for c in (grown, stable, gone, new)] == [
        "grown",
        "stable",
        "gone",
        "new",
    ]
    for change, truth in zip((grown, stable), current.truths, strict=False):
        np.testing.assert_allclose(change.current_mm, truth.center_mm, atol=2)


def test_growth_lies_in_its_interval(phantoms, result):
    growth = nearest(result, phantoms[0].truths[0].center_mm, "prior_mm").growth
    assert growth.low <= TIMES[0] - 1 <= growth.high
    # 91 days for a volume of 2.2 times: 91 ln 2 / ln 2.2 = 80.0 days
    assert growth.shortest_days <= 80.0 <= growth.longest_days


def test_days_are_kept_and_dates_are_not(result):
    # three months of 30.4375 days after the first scan, see the phantom
    assert result.comparison.days == 91
    assert "20200" not in json.dumps(result.comparison.to_json())


def test_the_result_survives_json(result):
    assert Comparison.from_json(result.comparison.to_json()) == result.comparison
    again = Assessment.from_json(json.loads(json.dumps(result.current.to_json())))
    assert again == result.current
    assert again.comparison == result.comparison


def test_numbers_point_into_the_lists(result):
    for change in result.comparison.changes:
        for number, nodule, listed in (
            (change.current, change.now, result.current.nodules),
            (change.prior, change.before, result.comparison.prior_nodules),
        ):
            if number is not None:
                assert listed[number - 1].center_mm == nodule.center_mm
    found = [c.current for c in result.comparison.changes if c.current]
    assert found == list(range(1, len(result.current.nodules) + 1))
    before = sorted(c.prior for c in result.comparison.changes if c.prior)
    assert before == list(range(1, len(result.prior.nodules) + 1))


def test_guidelines_follow_up(result):
    line = result.current.guidelines.lung_rads
    change = result.comparison.change_of(line["nodule"])
    assert line["months"] == 3.0
    assert line["status"] in ("growing", "new", "stable")
    assert (line["status"] == "new") == (change.status == "new")
    assert result.prior.guidelines.lung_rads["missing"] == [
        "prior CT: judged as at baseline"
    ]
    assert result.current.guidelines.fleischner["nodule"] == line["nodule"]


def test_the_prior_is_judged_by_the_age_of_that_day(result):
    assert result.current.provenance.facts["age_years"] == 60
    assert result.prior.provenance.facts["age_years"] == pytest.approx(59.75, abs=0.01)


def test_provenance_says_how(result):
    run = result.current.provenance
    assert run.settings["registration"]["voxel_mm"] == 3.5
    assert {"prior", "registration", "compare", "lungs"} <= set(run.timings_s)


def test_the_documents_hold_it(result, tmp_path):
    written = write_comparison(result, tmp_path)
    tree = json.loads(written["comparison"].read_text())
    assert Comparison.from_json(tree) == result.comparison
    prior = Assessment.from_json(json.loads(written["prior"].read_text()))
    assert prior == result.prior
    with written["changes"].open() as file:
        rows = list(csv.DictReader(file))
    assert [r["status"] for r in rows] == [c.status for c in result.comparison.changes]
    for row, change in zip(rows, result.comparison.changes, strict=True):
        assert row["prior"] == ("" if change.prior is None else str(change.prior))
        if change.growth:
            assert float(row["high"]) == pytest.approx(change.growth.high, rel=1e-3)
    with pytest.raises(InputError, match="Cannot write"):
        write_comparison(result, tmp_path / "absent")


def test_the_page_says_what_became_of_them(result):
    page = render_page(result.current, result.volume)
    assert "Since the prior scan" in page
    assert "Nodule 1" in page


@pytest.mark.slow  # two assessments more
def test_an_unfit_prior_is_noticed(phantoms, settings):
    prior, current = (p.volume for p in phantoms)
    # the prior ends in the middle of the lungs
    short = prior.crop((0, 0, 0), (55, 128, 128))
    options = PairOptions(same_patient=True)
    result = compare(short, current, options=options, settings=settings)
    codes = [n.code for n in result.current.notices]
    assert "prior-out-of-scope" in codes
    assert not result.comparison.prior_scope.in_scope
    edge_mm = short.grid.to_world((54, 0, 0))[2]
    for change in result.comparison.changes:
        if change.prior_mm[2] > edge_mm:
            assert change.status == "not-covered"


def test_the_wrong_order_is_refused(phantoms):
    prior, current = (p.volume for p in phantoms)
    with pytest.raises(InputError, match=r"91 days after the current scan\. Swap"):
        compare(current, prior)


def test_a_volume_has_no_series_to_pick(phantoms):
    prior, current = (p.volume for p in phantoms)
    with pytest.raises(InputError, match="none to pick"):
        compare(prior, current, options=PairOptions(series_uid="1.2"))


# ---- the command line --------------------------------------------------------


@pytest.fixture
def asked(result, monkeypatch):
    """What the command asks for; the answer is the one that was computed above."""
    calls = []

    def answer(*sources, **told):
        calls.append((sources, told))
        return result

    monkeypatch.setattr(hilum.compare, "compare", answer)
    return calls


def run(capsys, *argv):
    code = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_compare_writes_what_it_says(capsys, folders, asked, result, tmp_path):
    words = ("--days", "90", "--same-patient", "--prior-series", "1.2")
    code, said, err = run(capsys, "compare", *folders, tmp_path / "out", *words)
    assert code == 0
    ((sources, told),) = asked
    assert list(sources) == folders
    expected = PairOptions(days=90, same_patient=True, prior_series_uid="1.2")
    assert told["options"] == expected
    assert set(said["documents"]) == {"json", "html", "comparison", "prior", "changes"}
    for path in said.pop("documents").values():
        assert (tmp_path / "out" / path).stat().st_size > 100
    assert Comparison.from_json(said) == result.comparison
    assert "nodule 1: " in err


def test_assess_with_a_prior_writes_the_comparison(
    capsys, folders, asked, result, tmp_path
):
    code, _, err = run(
        capsys,
        "assess",
        folders[1],
        tmp_path,
        *("--prior", folders[0], "--age", "60", "--format", "json"),
    )
    assert code == 0
    ((sources, told),) = asked
    assert list(sources) == folders  # the prior first
    assert told["facts"] == Facts(age_years=60)
    assert told["options"] == PairOptions()
    written = json.loads((tmp_path / "assessment.json").read_text())
    assert written["comparison"] == result.comparison.to_json()
    assert "nodule 1: " in err


def test_wrong_pairs_are_refused_on_the_command_line(
    capsys, folders, phantoms, tmp_path
):
    code, said, err = run(capsys, "compare", folders[1], folders[0], tmp_path / "a")
    assert (code, said) == (3, None)
    assert "Swap the two" in err
    for name, phantom in zip(("one", "two"), phantoms, strict=True):
        write_volume(phantom.volume, tmp_path / f"{name}.nii.gz")
    pair = (tmp_path / "one.nii.gz", tmp_path / "two.nii.gz")
    code, _, err = run(capsys, "compare", *pair, tmp_path / "b")
    assert code == 3
    assert "--days N" in err
    shutil.copy(pair[0], tmp_path / "same.nii.gz")
    code, _, err = run(
        capsys, "compare", pair[0], tmp_path / "same.nii.gz", tmp_path, "--days", "9"
    )
    assert code == 3
    assert "one scan" in err

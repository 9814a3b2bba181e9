"""The pipeline: order of stages, scope, provenance, and the main promise."""

import csv
import dataclasses
import json

import numpy as np
import pytest

import hilum
from hilum.clinical.facts import Facts
from hilum.errors import InputError, WeightsError
from hilum.findings import Attributes, Candidate, Probability
from hilum.pipeline import Pipeline, Selection, read_and_assess
from hilum.pipeline.guidelines import (
    brock_line,
    fleischner_line,
    lung_rads_line,
    mayo_line,
)
from hilum.space import Grid
from hilum.stages.malignancy import BrockModel
from hilum.stages.patient import RiskModel
from hilum.volume import CTVolume


@pytest.fixture(scope="module")
def phantom():
    settings = hilum.PhantomSettings(
        seed=5, shape=(90, 128, 128), spacing_mm=(3.5, 2.8, 2.8)
    )
    return hilum.make_phantom(settings)


@pytest.fixture(scope="module")
def assessment(phantom):
    return hilum.assess(phantom.volume)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Settings without the network that finds nodules: it takes most of the time."""
    path = tmp_path_factory.mktemp("settings") / "quick.toml"
    path.write_text('[nodules]\nweights = ""\n')
    return path


@pytest.fixture(scope="module")
def quickly(phantom, quick):
    """What was said on the way, the volume, and the assessment, made quickly."""
    said = []
    return said, *read_and_assess(phantom.volume, settings=quick, progress=said.append)


def comparable(assessment):
    """All that must not depend on where the scan came from or how long it took."""
    tree = assessment.to_json()
    del tree["provenance"]
    tree["notices"] = [n for n in tree["notices"] if n["stage"] != "read"]
    of_tags = ("slice-thickness", "kernel", "body-part")
    checks = tree["scope"]["checks"]
    tree["scope"]["checks"] = [c for c in checks if c["code"] not in of_tags]
    return tree


def test_a_phantom_is_in_scope_and_has_nodules(assessment):
    assert assessment.scope.in_scope
    assert assessment.nodules
    assert assessment.cancer_probability.value > 0
    suspicions = [n.suspicion for n in assessment.nodules]
    assert suspicions == sorted(suspicions, reverse=True)


def test_the_largest_lesion_is_found_where_it_is(phantom, assessment):
    largest = max(phantom.truths, key=lambda t: t.diameter_mm)
    apart = [
        np.linalg.norm(np.subtract(n.center_mm, largest.center_mm))
        for n in assessment.nodules
    ]
    assert min(apart) < largest.diameter_mm / 2


@pytest.mark.slow
def test_same_input_same_result_and_the_input_is_not_touched(phantom, assessment):
    before = phantom.volume.hu.copy()
    assert comparable(hilum.assess(phantom.volume)) == comparable(assessment)
    np.testing.assert_array_equal(phantom.volume.hu, before)


@pytest.mark.slow
def test_the_origin_of_the_patient_does_not_matter(phantom, assessment):
    shift = np.array([100.0, -50.0, 1000.0])
    affine = phantom.volume.grid.affine.copy()
    affine[:3, 3] += shift
    moved = dataclasses.replace(
        phantom.volume,
        grid=Grid(phantom.volume.grid.shape, affine, phantom.volume.grid.frame_uid),
    )
    there = hilum.assess(moved)
    assert len(there.nodules) == len(assessment.nodules)
    for a, b in zip(assessment.nodules, there.nodules, strict=True):
        np.testing.assert_allclose(np.add(a.center_mm, shift), b.center_mm, atol=1e-3)
        assert b.malignancy.value == pytest.approx(a.malignancy.value, abs=1e-6)


def test_facts_narrow_the_interval_and_are_kept(phantom, quick, quickly):
    facts = Facts(age_years=62, sex="female", family_history=False, emphysema=True)
    result = hilum.assess(phantom.volume, facts=facts, settings=quick)
    told, untold = result.cancer_probability, quickly[-1].cancer_probability
    assert told.high - told.low < untold.high - untold.low
    kept = result.provenance.facts  # so that it can be done again
    assert (kept["age_years"], kept["smoker"]) == (62, None)


def test_provenance_says_what_ran(assessment):
    provenance = assessment.provenance
    assert provenance.version == hilum.__version__
    assert list(provenance.settings) == [
        "lungs",
        "nodules",
        "selection",
        "measure",
        "malignancy",
        "brock",
        "patient",
    ]
    assert provenance.settings["patient"]["leak"] == 0.0025
    json.dumps(assessment.to_json(), allow_nan=False)


def test_settings_file_gives_back_the_pipeline(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text("[patient]\nleak = 0.005\n[selection]\nmax_nodules = 3\n")
    pipeline = Pipeline.from_file(path)
    assert pipeline.patient.leak == 0.005
    assert pipeline.selection == Selection(max_nodules=3)
    assert pipeline.lungs == Pipeline().lungs
    path.write_text("[patient]\nlaek = 0.02\n")
    with pytest.raises(InputError, match="Did you mean `leak`"):
        Pipeline.from_file(path)
    path.write_text("[patients]\nleak = 0.02\n")
    with pytest.raises(InputError, match=r"Unknown table \[patients\]"):
        Pipeline.from_file(path)


def test_each_nodule_has_a_look_and_the_weights_are_told(assessment):
    for nodule in assessment.nodules:
        assert None not in nodule.attributes.to_json().values()
        malignancy = nodule.malignancy
        assert 0 < malignancy.low < malignancy.value < malignancy.high < 1
    assert set(assessment.provenance.weights) == {
        "malignancy.xml",
        "malignancy.bin",
        "malignancy.calibration.json",
        "malignancy.typical.json",
        "nodules.xml",
        "nodules.bin",
        "segmentation.xml",
        "segmentation.bin",
    }


def test_wrong_weights_are_refused_before_any_work(phantom, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('[malignancy]\nweights = "segmentation"\n')
    stages = []
    with pytest.raises(WeightsError, match="calibration"):
        hilum.assess(phantom.volume, settings=path, progress=stages.append)
    assert stages == []


def test_selection_by_hand():
    candidates = tuple(
        Candidate((0.0, 0.0, float(i)), 5.0, score)
        for i, score in enumerate([0.2, 0.9, 0.5, 0.7])
    )
    kept = Selection(min_score=0.5, max_nodules=2)(candidates)
    assert [c.score for c in kept] == [0.9, 0.7]


@pytest.mark.slow
def test_out_of_scope_gives_no_malignancy_either(phantom):
    affine = phantom.volume.grid.affine.copy()
    affine[:3, 0] *= 5.5 / phantom.volume.grid.spacing_mm[0]
    volume = CTVolume(phantom.volume.hu, Grid(phantom.volume.hu.shape, affine), "1.2")
    result, forced = hilum.assess(volume), hilum.assess(volume, force=True)
    assert result.nodules
    assert all(n.malignancy == Probability.UNKNOWN for n in result.nodules)
    assert all(n.attributes == Attributes() for n in result.nodules)
    assert result.guidelines.brock is None
    codes = {n.code for n in result.notices}
    assert "probability-suppressed" in codes
    assert not codes & {"probability-by-brock", "malignancy-as-rated", "facts-missing"}
    assert [n.center_mm for n in result.nodules] == [
        n.center_mm for n in forced.nodules
    ]
    assert all(n.malignancy.value is not None for n in forced.nodules)
    codes = {n.code for n in forced.notices}
    assert {"forced", "probability-not-calibrated", "malignancy-as-rated"} <= codes


def test_brock_is_not_quoted_for_what_it_was_not_built_on(assessment):
    first = assessment.nodules[0]
    calcified = (dataclasses.replace(first, type="calcified"),)
    assert brock_line(calcified, Facts()) is None
    assert brock_line((), Facts()) is None
    doubtful = dataclasses.replace(first, type="solid", upper_lobe_probability=0.5)
    line = brock_line((doubtful,), Facts(age_years=60))
    assert line["inputs"]["count"] == 1
    assert "upper_lobe" not in line["inputs"]
    assert line["missing"] == ["sex", "family_history", "emphysema", "lobe"]
    assert "PanCan" in line["population"]
    assert "doubts" not in line
    clear = dataclasses.replace(doubtful, upper_lobe_probability=0.95)
    line = brock_line((clear,), Facts(age_years=60))
    assert line["inputs"]["upper_lobe"] is True
    assert line["missing"] == ["sex", "family_history", "emphysema"]
    young = Facts(age_years=40, smoker="never")
    assert len(brock_line((clear,), young)["doubts"]) == 2
    assert len(lung_rads_line((clear,), young)["doubts"]) == 2
    assert "doubts" not in lung_rads_line((clear,), Facts(age_years=77))


def test_guidelines_have_their_rules_and_what_is_missing(assessment):
    first = assessment.nodules[0]
    line = assessment.guidelines.lung_rads
    assert line["rule"].endswith(f"-> {line['category']}")
    assert line["missing"] == ["prior CT: judged as at baseline"]
    assert len(line["findings"]) == len(assessment.nodules)
    assert len(line["findings_possible"]) == len(assessment.nodules)
    assert line["findings_possible"][0] == line["possible"]
    assert assessment.guidelines.fleischner["rule"]
    said = assessment.guidelines.mayo
    assert "not_applicable" in said or said["probability"]["low"] > 0
    assert lung_rads_line(())["category"] == "1"
    assert fleischner_line((), Facts()) is None
    assert mayo_line((), Facts()) is None
    calcified = (dataclasses.replace(first, type="calcified"),)
    assert lung_rads_line(calcified)["category"] == "1"
    assert lung_rads_line(calcified)["possible"].startswith("1 to")
    assert "not_applicable" in fleischner_line(calcified, Facts())


def test_the_error_of_measurement_shows_in_the_category(assessment):
    near = dataclasses.replace(
        assessment.nodules[0],
        type="solid",
        diameter_mm=7.5,
        diameter_error_mm=0.4,
        pleura_mm=8.0,
        attributes=dataclasses.replace(assessment.nodules[0].attributes, texture=5.0),
    )
    # the limits of category 3 are 6 and 8 mm
    assert lung_rads_line((near,))["category"] == "3"
    assert lung_rads_line((near,))["possible"] == "3"
    for error_mm, possible in ((0.6, "3 to 4A"), (1.6, "2 to 4A"), (None, "3 to 4A")):
        doubtful = dataclasses.replace(near, diameter_error_mm=error_mm)
        assert lung_rads_line((doubtful,))["possible"] == possible
    look = dataclasses.replace(near.attributes, spiculation=4.2)
    spiculated = dataclasses.replace(near, attributes=look)
    assert "4X" in lung_rads_line((spiculated,))["look"]


@pytest.mark.parametrize(
    ("kind", "texture", "possible"),
    [
        # 9 mm: solid 4A; part-solid 3 without a solid part, 4B with one of 8 mm on
        ("solid", 3.0, "3 to 4B"),
        ("solid", 4.5, "4A"),
        # ground glass below 30 mm is 2
        ("ground-glass", 4.8, "2 to 4A"),
        ("ground-glass", 2.0, "2"),
    ],
)
def test_a_kind_in_doubt_shows_in_the_category(assessment, kind, texture, possible):
    doubtful = dataclasses.replace(
        assessment.nodules[0],
        type=kind,
        diameter_mm=9.0,
        solid_diameter_mm=9.0 if kind == "solid" else 0.0,
        diameter_error_mm=0.2,
        pleura_mm=8.0,
        attributes=Attributes(texture=texture),
    )
    line = lung_rads_line((doubtful,))
    assert line["possible"] == possible
    others = line.get("other_rules", [])
    assert bool(others) == (" to " in possible)
    assert all("were it" in rule and "->" in rule for rule in others)


def rated(assessment, kind, texture, diameter_mm=9.0, error_mm=0.2):
    """Take a nodule whose look may contradict its density."""
    return dataclasses.replace(
        assessment.nodules[0],
        type=kind,
        diameter_mm=diameter_mm,
        solid_diameter_mm=diameter_mm if kind == "solid" else 0.0,
        diameter_error_mm=error_mm,
        pleura_mm=8.0,
        upper_lobe_probability=0.95,
        attributes=Attributes(texture=texture),
    )


def test_the_other_kind_has_its_rule(assessment):
    said = lung_rads_line((rated(assessment, "solid", 3.0),))
    assert said["other_rules"] == [
        "were it part-solid, as its rated texture has it: part-solid, baseline, 9 mm "
        "mean diameter, 0 mm solid part: < 6 mm -> 3",
        "were it part-solid, as its rated texture has it: part-solid, baseline, 9 mm "
        "mean diameter, 9 mm solid part: >= 8 mm -> 4B",
    ]
    # below 3, half-way from ground glass to solid, it may be all glass: category 2
    glass = lung_rads_line((rated(assessment, "solid", 2.9),))
    assert glass["possible"] == "2 to 4B"
    assert glass["other_rules"][-1].endswith("< 30 mm -> 2")


def test_the_size_in_doubt_has_its_rule(assessment):
    near = rated(assessment, "solid", 5.0, diameter_mm=7.9, error_mm=0.3)
    line = lung_rads_line((near,))
    assert (line["category"], line["possible"]) == ("3", "3 to 4A")
    assert line["other_rules"] == [
        "within the error of measurement: solid, baseline, 8.2 mm mean diameter: >= 8 "
        "and < 15 mm -> 4A"
    ]
    stone = lung_rads_line((dataclasses.replace(near, type="calcified"),))
    assert (stone["category"], stone["possible"]) == ("1", "1 to 4A")
    assert stone["other_rules"][0].startswith("were its calcification of no benign")


@pytest.mark.parametrize(
    ("kind", "texture", "diameter_mm", "error_mm", "others"),
    [
        ("solid", 5.0, 7.0, 0.4, []),  # 6.6 to 7.4 are 7 mm
        ("solid", 5.0, 8.4, 0.2, ["within the error of measurement: single solid"]),
        ("solid", 3.5, 7.0, 0.4, ["were it part-solid"]),
        ("solid", 2.5, 7.0, 0.4, ["were it part-solid", "were it ground-glass"]),
        ("ground-glass", 4.8, 7.0, 0.4, ["were it solid"]),
        ("ground-glass", 4.0, 7.0, 0.4, []),
    ],
)
def test_fleischner_covers_size_and_kind_in_doubt(
    assessment, kind, texture, diameter_mm, error_mm, others
):
    nodule = rated(assessment, kind, texture, diameter_mm, error_mm)
    sure = rated(assessment, kind, None, diameter_mm, 0.01)
    facts = Facts(age_years=60, smoker="current")
    line = fleischner_line((nodule,), facts)
    plain = fleischner_line((sure,), facts)
    # the answer for what was measured stays, and the range is around it
    for key in ("recommendation", "rule", "missing"):
        assert line[key] == plain[key]
    assert "other_rules" not in plain
    assert line["possible"][0] == plain["recommendation"]
    said = line.get("other_rules", [])
    assert len(said) == len(others)
    for rule, start in zip(said, others, strict=True):
        assert rule.startswith(start)
        assert rule.split(" -> ")[-1] in line["possible"]


def test_fleischner_says_what_a_stone_would_be_were_it_none(assessment):
    line = fleischner_line((rated(assessment, "calcified", 5.0),), Facts(age_years=60))
    assert "outside the guideline" in line["not_applicable"]
    assert "were its calcification of no benign pattern" in line["other_rules"][0]
    young = fleischner_line((rated(assessment, "calcified", 5.0),), Facts(age_years=20))
    assert "from 35 years" in young["not_applicable"]


def test_brock_ranges_over_size_and_kind_in_doubt(assessment):
    facts = Facts(age_years=62, sex="male", family_history=False, emphysema=False)

    def line_of(kind, texture, **more):
        nodules = (rated(assessment, kind, texture, **more),)
        return brock_line(hilum.Pipeline().brock(nodules, facts), facts)

    def alone(kind, diameter_mm=9.0):
        return line_of(kind, None, diameter_mm=diameter_mm)["probability"]["value"]

    sure, doubtful = line_of("solid", 5.0), line_of("solid", 3.5)
    assert doubtful["probability"]["value"] == sure["probability"]["value"]
    assert sure["probability"]["low"] == sure["probability"]["high"]
    assert doubtful["probability"]["high"] == pytest.approx(alone("part-solid"))
    assert doubtful["possible"]["high"] == pytest.approx(alone("part-solid", 9.2))
    assert doubtful["possible"]["low"] == pytest.approx(alone("solid", 8.8))
    assert doubtful["inputs"]["type"] == "solid"
    assert [r.split(",")[0] for r in doubtful["other_rules"]] == [
        "were it part-solid",
        "within the error of measurement",
    ]
    glass = line_of("solid", 1.5)["probability"]
    assert glass["low"] == pytest.approx(alone("ground-glass"))


def test_mayo_ranges_over_the_error_of_the_size(assessment):
    facts = Facts(age_years=62, smoker="former", extrathoracic_cancer=False)

    def line_of(diameter_mm, error_mm):
        return mayo_line((rated(assessment, "solid", 5, diameter_mm, error_mm),), facts)

    line = line_of(9.0, 2.0)
    assert line["possible"]["low"] == line_of(7.0, 0.1)["probability"]["low"]
    assert line["possible"]["high"] == line_of(11.0, 0.1)["probability"]["high"]
    # sizes that the model was not built on are left out
    assert line_of(5.0, 3.0)["possible"]["low"] == line_of(4.0, 1)["probability"]["low"]


def test_the_pleura_and_a_smooth_oval_shape_make_category_2(assessment):
    oval = dataclasses.replace(
        assessment.nodules[0],
        type="solid",
        diameter_mm=8.5,
        long_axis_mm=10.0,
        short_axis_mm=7.0,
        diameter_error_mm=0.2,
        pleura_mm=0.5,
        attributes=Attributes(spiculation=1.4, lobulation=1.5, margin=4.5),
    )
    line = lung_rads_line((oval,))
    assert line["category"] == "2"
    assert line["possible"] == "2 to 4A"  # a reader may see another shape
    assert "smooth" in line["juxtapleural"]
    inside = dataclasses.replace(oval, pleura_mm=6.0)
    assert lung_rads_line((inside,))["possible"] == "4A"
    assert "juxtapleural" not in lung_rads_line((inside,))
    unrated = dataclasses.replace(oval, attributes=Attributes())
    assert lung_rads_line((unrated,))["category"] == "4A"
    assert lung_rads_line((unrated,))["possible"] == "2 to 4A"
    ball = dataclasses.replace(oval, short_axis_mm=9.9)  # neither oval nor lentiform
    assert lung_rads_line((ball,))["category"] == "4A"
    spiky = Attributes(spiculation=3.5, lobulation=1.5, margin=4.5)
    blurred = Attributes(spiculation=1.5, lobulation=1.5, margin=2.5)
    for look in (spiky, blurred):
        other = dataclasses.replace(oval, attributes=look)
        assert lung_rads_line((other,))["possible"] == "4A"
        assert "by its size" in lung_rads_line((other,))["juxtapleural"]


def test_a_result_of_an_older_version_is_still_read(assessment):
    tree = assessment.to_json()
    new = ("diameter_error_mm", "volume_error_mm3", "pleura_mm")
    for nodule in tree["nodules"]:
        for name in (*new, "upper_lobe_probability"):
            del nodule[name]
    old = hilum.Assessment.from_json(tree)
    assert old.nodules[0].diameter_error_mm is None
    assert lung_rads_line(old.nodules)["possible"]


def test_each_nodule_says_how_sure_its_size_is(assessment):
    differ = any(n.code == "nodule-outlines-differ" for n in assessment.notices)
    for nodule in assessment.nodules:
        assert nodule.diameter_error_mm > 0
        assert differ or nodule.diameter_error_mm < nodule.diameter_mm
        assert nodule.volume_error_mm3 > 0
        assert nodule.pleura_mm is None or 0 <= nodule.pleura_mm <= 10


def test_a_guideline_that_is_not_meant_for_the_patient_says_so(assessment):
    solid = (dataclasses.replace(assessment.nodules[0], type="solid", diameter_mm=9.0),)
    young = fleischner_line(solid, Facts(age_years=20))
    assert "from 35 years" in young["not_applicable"]
    ill = mayo_line(solid, Facts(known_cancer=True))
    assert "cancer now" in ill["not_applicable"]
    mass = (dataclasses.replace(solid[0], diameter_mm=45.0),)
    assert "holds for 4 to 30 mm" in mayo_line(mass, Facts())["not_applicable"]


def test_a_volume_has_no_series_to_pick(phantom):
    with pytest.raises(InputError, match="Leave out `series_uid`"):
        hilum.assess(phantom.volume, series_uid="1.2")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Selection(min_score=float("nan")), "min_score"),
        (lambda: Selection(max_nodules=0), "max_nodules"),
        (lambda: RiskModel(leak=1.0), "leak"),
        (lambda: RiskModel(top=0), "top"),
        (lambda: BrockModel(calcified_at_most=-5), "calcified_at_most"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(wrong, said):
    with pytest.raises(InputError, match=said):
        wrong()


def test_out_of_scope_gives_no_number_unless_forced():
    water = np.zeros((60, 100, 100), np.int16)
    volume = CTVolume(water, Grid.axial(water.shape, (4.0, 3.0, 3.0)), "1.2.3")
    result = hilum.assess(volume)
    assert not result.scope.in_scope
    assert result.cancer_probability == Probability.UNKNOWN
    assert result.nodules == ()
    codes = {n.code for n in result.notices}
    assert {"no-lungs", "probability-suppressed"} <= codes
    forced = hilum.assess(volume, force=True)
    assert forced.cancer_probability.value is not None
    assert "forced" in {n.code for n in forced.notices}


def test_stages_are_said_as_they_start(phantom, quickly):
    said, volume, _ = quickly
    assert volume is phantom.volume
    assert said == ["lungs", "scope", "nodules", "measure", "malignancy", "patient"]


def assert_same(a, b, rel=1e-4):
    """Compare trees: numbers to a thousandth, for NIfTI places voxels in float32.

    Half widths of intervals ten times as coarsely: they follow from how far two
    outlines are apart, which steps with the voxels at their edge.
    """
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key], 10 * rel if "_error_" in key else rel)
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other, rel)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=rel, abs=1e-3)
    else:
        assert a == b


@pytest.mark.slow
@pytest.mark.parametrize(
    "suffix",
    [
        ".nii",
        *(
            pytest.param(other, marks=pytest.mark.slow)
            for other in (".nii.gz", ".mha", ".mhd", ".npz")
        ),
    ],
)
def test_parity_of_formats(phantom, tmp_path, suffix):
    """One scan gives the same voxels, points and conclusions in every format."""
    hilum.write_phantom(phantom, tmp_path / "dicom")
    source = hilum.read_ct(tmp_path / "dicom")
    path = tmp_path / f"ct{suffix}"
    hilum.convert(tmp_path / "dicom", path)
    there = hilum.read_ct(path)
    np.testing.assert_array_equal(there.hu, source.hu)
    assert there.grid.same_as(source.grid, atol_mm=1e-3)
    assert there.series_uid == source.series_uid
    assert_same(
        comparable(hilum.assess(path)), comparable(hilum.assess(tmp_path / "dicom"))
    )


@pytest.mark.slow
def test_parity_holds_where_slices_overlap(tmp_path):
    """The thickness that DICOM tells, and NIfTI does not, decides nothing to 5 mm."""
    settings = hilum.PhantomSettings(
        seed=3,
        shape=(200, 160, 160),
        spacing_mm=(1.6, 2.2, 2.2),
        slice_thickness_mm=3.2,
    )
    hilum.write_phantom(hilum.make_phantom(settings), tmp_path / "dicom")
    hilum.convert(tmp_path / "dicom", tmp_path / "ct.nii.gz")
    one, other = hilum.assess(tmp_path / "dicom"), hilum.assess(tmp_path / "ct.nii.gz")
    assert one.nodules
    assert_same(comparable(other), comparable(one))


def test_one_file_has_no_series_to_pick(phantom, tmp_path):
    path = tmp_path / "ct.npz"
    hilum.write_volume(phantom.volume, path)
    with pytest.raises(InputError, match="Leave out --series"):
        hilum.read_ct(path, series_uid="1.2")


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("patient", "count", "first"), [("LIDC-IDRI-0001", 1, 3), ("LIDC-IDRI-0003", 3, 10)]
)
def test_real_nodules_of_four_readers_rank_high(real_data, patient, count, first):
    with (real_data / "annotations.csv").open() as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["patient"] == patient and row["readers"] == "4"
        ]
    assert len(rows) == count
    result = hilum.assess(real_data / "ct" / patient)
    assert result.scope.in_scope
    for row in rows:
        center = [float(row[f"coord{axis}"]) for axis in "XYZ"]
        apart = [
            np.linalg.norm(np.subtract(n.center_mm, center))
            for n in result.nodules[:first]
        ]
        assert min(apart) < float(row["diameter_mm"]) / 2


@pytest.mark.real
@pytest.mark.slow
def test_thick_slices_and_two_kernels_give_a_result_with_notices(real_data):
    result = hilum.assess(real_data / "ct" / "Lung_Dx-A0002")
    assert not result.scope.in_scope
    assert any("8.0 mm" in reason for reason in result.scope.reasons)
    assert "several-series" in {n.code for n in result.notices}

"""The bundle, valid by `fhir.resources` and read back."""

import json
import sys
from dataclasses import replace

import pytest
from needs import need
from report_examples import VARIANTS, make_assessment, many_nodules

from hilum.errors import InputError, MissingDependencyError
from hilum.findings import Guidelines
from hilum.report.fhir import DCM, OWN_SYSTEM, SNOMED, to_fhir, write_fhir

bundles = need("fhir.resources.bundle", "fhir")
STUDY = "1.2.840.99"


def read(path):
    """Read a file as another program would: by the models, not by our tree."""
    return bundles.Bundle.model_validate_json(path.read_bytes())


def resources(bundle, kind):
    found = [entry.resource for entry in bundle.entry]
    return [r for r in found if type(r).__name__ == kind]


def codes(item):
    return {(c.system, c.code) for c in item.code.coding}


def component(observation, system, code):
    (found,) = (c for c in observation.component if (system, code) in codes(c))
    return found


def nodules(bundle):
    found = resources(bundle, "Observation")
    return [o for o in found if (SNOMED, "27925004") in codes(o)]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_a_valid_bundle(name, tmp_path):
    path = tmp_path / "a.fhir.json"
    write_fhir(make_assessment(**VARIANTS[name]), path, STUDY, subject="Patient/17")
    bundle = read(path)
    assert bundle.type == "collection"
    assert len(nodules(bundle)) == len(make_assessment(**VARIANTS[name]).nodules)


def test_the_numbers_of_a_nodule_are_read_back(tmp_path):
    write_fhir(make_assessment(**VARIANTS["rich"]), tmp_path / "a.json")
    (nodule,) = nodules(read(tmp_path / "a.json"))
    expected = {
        (SNOMED, "81827009"): (22.9, "mm"),
        (SNOMED, "103339001"): (26.3, "mm"),
        (SNOMED, "103340004"): (20.1, "mm"),
        (SNOMED, "118565006"): (6271.4, "mm3"),
        (OWN_SYSTEM, "solid-diameter"): (22.9, "mm"),
        (OWN_SYSTEM, "center-x"): (20.0, "mm"),
        (OWN_SYSTEM, "center-z"): (-150.0, "mm"),
        (OWN_SYSTEM, "malignancy"): (0.67, "1"),
    }
    for code, (value, unit) in expected.items():
        quantity = component(nodule, *code).valueQuantity
        assert (float(quantity.value), quantity.code) == (value, unit)
    interval = component(nodule, OWN_SYSTEM, "malignancy-interval").valueRange
    assert (float(interval.low.value), float(interval.high.value)) == (0.33, 0.81)
    assert component(nodule, OWN_SYSTEM, "kind").valueCodeableConcept.text == "solid"
    assert nodule.bodySite.coding[0].code == "44029006"  # left lung


@pytest.mark.parametrize(
    ("more", "said"),
    [({}, "PET/CT | CT at 3 months"), ({"not_applicable": "a stone"}, None)],
)
def test_a_recommendation_that_hangs_on_a_fact_is_told(more, said, tmp_path):
    possible = ["PET/CT", "CT at 3 months"]
    line = {"recommendation": None, "possible": possible, **more}
    assessment = make_assessment(guidelines=Guidelines(fleischner=line))
    write_fhir(assessment, tmp_path / "a.json")
    found = [
        o.valueString
        for o in resources(read(tmp_path / "a.json"), "Observation")
        if (OWN_SYSTEM, "fleischner") in codes(o)
    ]
    assert found == ([said] if said else [])


def test_the_probability_and_the_category_are_read_back(tmp_path):
    write_fhir(make_assessment(**VARIANTS["rich"]), tmp_path / "a.json")
    found = {
        code: o
        for o in resources(read(tmp_path / "a.json"), "Observation")
        for code in codes(o)
    }
    chance = found[DCM, "111047"]
    assert float(chance.valueQuantity.value) == 0.34
    ends = chance.component[0].valueRange
    assert (float(ends.low.value), float(ends.high.value)) == (0.12, 0.61)
    category = found[OWN_SYSTEM, "lung-rads"]
    assert category.valueString == "4B"
    assert category.note[0].text == "solid, 15 mm or more"
    assert found[OWN_SYSTEM, "nodules"].valueInteger == 1


def test_every_reference_leads_to_a_resource_of_the_bundle(tmp_path):
    several = make_assessment(nodules=many_nodules(3))
    write_fhir(several, tmp_path / "a.json")
    bundle = read(tmp_path / "a.json")
    known = {entry.fullUrl for entry in bundle.entry}
    assert len(known) == len(bundle.entry)
    (report,) = resources(bundle, "DiagnosticReport")
    observations = resources(bundle, "Observation")
    assert len(report.result) == len(observations)
    used = [*report.result, *report.study]
    used += [o.device for o in observations]
    used += [reference for o in observations for reference in o.derivedFrom]
    assert {reference.reference for reference in used} <= known


def test_out_of_scope_is_a_partial_report_with_a_note_and_no_probability():
    tree = to_fhir(make_assessment(**VARIANTS["outside"]))
    report = tree["entry"][0]["resource"]
    assert report["status"] == "partial"
    assert "Slices are 8.0 mm apart" in report["note"][0]["text"]
    assert report["conclusion"].startswith("Out of scope")
    assert "No probability of lung cancer is given" in report["conclusion"]
    assert "111047" not in json.dumps(tree)
    inside = to_fhir(make_assessment())["entry"][0]["resource"]
    assert inside["status"] == "preliminary"
    assert "Out of scope" not in json.dumps(inside)


def test_no_malignancy_is_made_up():
    text = json.dumps(to_fhir(make_assessment(**VARIANTS["unknown"])))
    assert "malignancy" not in text
    assert "111047" not in text


def test_the_patient_is_the_reference_of_the_caller_or_nobody():
    text = json.dumps(to_fhir(make_assessment(), subject="Patient/17"))
    # the report, the study, the count, the probability and the nodule
    assert text.count('"subject": {"reference": "Patient/17"}') == 5
    nobody = to_fhir(make_assessment())
    assert "Patient" not in json.dumps(nobody)
    (study,) = (
        e["resource"]
        for e in nobody["entry"]
        if e["resource"]["resourceType"] == "ImagingStudy"
    )
    assert study["subject"]["extension"][0]["valueCode"] == "masked"


def test_study_device_and_date_are_told(tmp_path):
    run = make_assessment().provenance
    known = replace(
        run,
        weights={"malignancy.xml": "abc"},
        source={"acquisition": {"study_uid": "1.9"}},
    )
    write_fhir(
        make_assessment(provenance=known), tmp_path / "a.json", effective="2026-02-28"
    )
    bundle = read(tmp_path / "a.json")
    (study,) = resources(bundle, "ImagingStudy")
    assert study.identifier[0].value == "urn:oid:1.9"
    assert study.series[0].uid == "1.2.3"
    (device,) = resources(bundle, "Device")
    assert device.version[0].value == "9.8.7"
    assert device.property[0].valueString == "abc"
    (report,) = resources(bundle, "DiagnosticReport")
    assert str(report.effectiveDateTime) == "2026-02-28"
    other = to_fhir(make_assessment(provenance=known), study_uid=STUDY)
    assert f"urn:oid:{STUDY}" in json.dumps(other)


def test_the_same_assessment_gives_the_same_bytes(tmp_path):
    for name in ("a.json", "b.json"):
        write_fhir(make_assessment(), tmp_path / name, STUDY)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize("subject", ["", "Jane Doe", "17", "Patient/"])
def test_a_subject_that_is_no_reference_is_refused_and_not_repeated(subject):
    with pytest.raises(InputError, match="no FHIR reference") as caught:
        to_fhir(make_assessment(), subject=subject)
    assert "Doe" not in str(caught.value)


def test_what_makes_no_valid_bundle_is_refused():
    with pytest.raises(InputError, match=r"no valid FHIR bundle: .*effectiveDate"):
        to_fhir(make_assessment(), effective="yesterday")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fhir.resources.bundle", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'hilum\[fhir\]'"):
        to_fhir(make_assessment())


def test_a_folder_that_is_not_there_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"Cannot write `a\.json`"):
        write_fhir(make_assessment(), tmp_path / "nowhere" / "a.json")

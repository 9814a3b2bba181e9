"""SR, SEG and key images: the same numbers, voxels and identity, in valid objects."""

import io
import re
import shutil
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from dicom_examples import BALLS, SPEC, make_case, out_of_scope
from dicom_maker import (
    BIRTH_DATE,
    FRAME,
    PATIENT_ID,
    PATIENT_NAME,
    STUDY,
    make_enhanced,
    make_slices,
    oblique,
    write_slice,
    write_slices,
)
from pydicom.uid import UID

from hilum.dicom import read_dicom
from hilum.dicom.instances import find_instances
from hilum.errors import InputError
from hilum.findings import Scope
from hilum.outlines import Outlines
from hilum.report.dicom import DicomDocuments, SegmentStyle, to_bytes
from hilum.report.dicom.axes import ellipse_of
from hilum.report.dicom.codes import site_of
from hilum.report.dicom.made import mean_hu
from hilum.report.dicom.placing import Part
from hilum.tracking import follow, tracking_uid
from hilum.volume import Mask


def documents(case, **changes):
    fields = {
        "assessment": case.assessment,
        "volume": case.volume,
        "source": case.source,
        "outlines": case.outlines,
    }
    return DicomDocuments(**{**fields, **changes})


def written(dataset):
    """A document as another program finds it in the file."""
    return pydicom.dcmread(io.BytesIO(to_bytes(dataset)))


def placed(seg):
    """World points of every voxel that is set, by segment, from the bare file."""
    points = {item.SegmentNumber: [] for item in seg.SegmentSequence}
    shared = seg.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient)
    row_mm, column_mm = map(float, measures.PixelSpacing)
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    for pixels, group in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        corner = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        if "SegmentIdentificationSequence" in group:
            numbers = [group.SegmentIdentificationSequence[0].ReferencedSegmentNumber]
            pixels = pixels * numbers[0]
        else:
            numbers = [n for n in points if n]
        for number in numbers:
            r, c = np.nonzero(pixels == number)
            at = corner + np.outer(c * column_mm, cosines[:3])
            points[number].append(at + np.outer(r * row_mm, cosines[3:]))
    return {n: np.concatenate(p) for n, p in points.items() if p}


def set_of(points):
    return {tuple(p) for p in np.round(points, 2).tolist()}


def world_of(mask):
    return mask.grid.to_world(np.argwhere(mask.voxels))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    tags = {
        "PatientSex": "F",
        "StudyID": "77",
        "AccessionNumber": "A-1",
        "StudyTime": "101112",
        "PatientAge": "064Y",
        "BodyPartExamined": "CHEST",
    }
    return make_case(tmp_path_factory.mktemp("ct") / "ct", replace(SPEC, tags=tags))


@pytest.fixture(scope="module")
def made(case):
    return documents(case)


@pytest.fixture(scope="module")
def seg(made):
    return written(made.nodules_seg)


@pytest.fixture(scope="module")
def sr(made):
    return written(made.report(with_seg=True))


# ---- voxels ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
@pytest.mark.parametrize("axes", ["HFS", "FFP", "coronal", "sagittal-left"])
def test_segments_lie_where_the_masks_do(tmp_path, axes, kind):
    case = make_case(tmp_path / "ct", replace(SPEC, axes=axes))
    style = SegmentStyle(segments=kind)
    found = placed(written(documents(case, style=style).nodules_seg))
    assert list(found) == [1, 2, 3]
    for number, mask in enumerate(case.outlines.nodules, start=1):
        assert set_of(found[number]) == set_of(world_of(mask))


def test_segments_of_oblique_slices(tmp_path):
    case = make_case(tmp_path / "ct", replace(SPEC, axes=oblique(12, -7, 20)))
    found = placed(written(documents(case).nodules_seg))
    for number, mask in enumerate(case.outlines.nodules, start=1):
        wanted = world_of(mask)
        assert len(found[number]) == len(wanted)
        apart = np.linalg.norm(found[number][:, None] - wanted, axis=-1).min(axis=1)
        assert apart.max() < 0.02


def test_tilted_slices_get_their_own_pixels_back(tmp_path):
    case = make_case(tmp_path / "ct", replace(SPEC, tilt_deg=15.0))
    assert any(n.code == "gantry-tilt" for n in case.volume.notices)
    found = placed(written(documents(case).nodules_seg))
    for number, (center_mm, radius_mm) in enumerate(BALLS, start=1):
        # rounding to the nearest pixel moves a voxel by half a pixel, 1.5 mm, at most
        off = np.linalg.norm(found[number] - np.array(center_mm), axis=1)
        assert off.max() <= radius_mm + 1.5 + 0.01
        mask = case.outlines.nodules[number - 1]
        np.testing.assert_allclose(len(found[number]), mask.voxels.sum(), rtol=0.02)
        np.testing.assert_allclose(found[number].mean(axis=0), center_mm, atol=0.8)


def test_a_slice_that_was_filled_in_is_not_referred_to(tmp_path):
    whole = make_case(tmp_path / "whole")
    middle = 26  # the ball at z = 20 mm: (20 + 3 * 39 / 2) / 3 = 26.2
    case = make_case(tmp_path / "ct", drop=(middle,))
    assert any(n.code == "missing-slices" for n in case.volume.notices)
    seg = written(documents(case).nodules_seg)
    mask = case.outlines.nodules[0]
    np.testing.assert_array_equal(mask.voxels, whole.outlines.nodules[0].voxels)
    layer = world_of(mask)
    layer = layer[np.abs(layer[:, 2] - (middle * 3.0 - 58.5)) < 0.1]
    assert len(layer) > 20
    assert set_of(placed(seg)[1]) == set_of(world_of(mask)) - set_of(layer)
    assert "not on 1 slice" in seg.SegmentSequence[0].SegmentDescription
    uids = {h.instance_uid for h in find_instances(case.source, SERIES_UID).slices}
    assert referred(seg) <= uids


SERIES_UID = SPEC.series_uid


def referred(dataset):
    """Every instance that a document refers to."""
    uids = set()

    def visit(_, element):
        if element.keyword == "ReferencedSOPInstanceUID":
            uids.add(element.value)

    dataset.walk(visit)
    return uids


def test_enhanced_ct_is_referred_to_by_frame(tmp_path):
    case = make_case(tmp_path / "ct", enhanced=True)
    made = documents(case)
    seg = written(made.nodules_seg)
    found = placed(seg)
    for number, mask in enumerate(case.outlines.nodules, start=1):
        assert set_of(found[number]) == set_of(world_of(mask))
    sr = written(made.report(with_seg=True))
    (image,) = {h.instance_uid for h in made.context.instances.slices}
    assert referred(sr) == {image, seg.SOPInstanceUID}


def test_a_zip_is_referred_to_as_its_folder(tmp_path, case, seg):
    path = tmp_path / "ct.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in case.source.iterdir():
            archive.write(file, f"any/{file.name}")
    again = written(documents(case, source=path).nodules_seg)
    assert again.PixelData == seg.PixelData
    assert referred(again) == referred(seg)


def test_overlapping_nodules_keep_all_their_voxels(tmp_path):
    balls = (BALLS[0], ((-22.0, 10.0, 20.0), 9.0))
    case = make_case(tmp_path / "ct", balls=balls)
    found = placed(written(documents(case).nodules_seg))
    both = set_of(found[1]) & set_of(found[2])
    assert both
    for number, mask in enumerate(case.outlines.nodules, start=1):
        assert set_of(found[number]) == set_of(world_of(mask))
    style = SegmentStyle(segments="labelmap")
    labels = placed(written(documents(case, style=style).nodules_seg))
    assert set_of(labels[1]) == set_of(found[1])
    assert set_of(labels[2]) == set_of(found[2]) - both


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_lungs_are_written_on_request(case, kind):
    style = SegmentStyle(segments=kind, lungs=True)
    made = documents(case, style=style)
    lungs, nodules = written(made.lungs_seg()), written(made.nodules_seg)
    assert lungs.SeriesInstanceUID == nodules.SeriesInstanceUID
    assert lungs.SOPInstanceUID != nodules.SOPInstanceUID
    found, grid = placed(lungs), case.volume.grid
    for label in (1, 2):
        mask = Mask(case.outlines.lungs.voxels == label, grid)
        assert set_of(found[label]) == set_of(world_of(mask))
    assert documents(case).lungs_seg() is None


def test_no_lung_cannot_be_written(case):
    empty = Mask(np.zeros(case.volume.grid.shape, np.uint8), case.volume.grid)
    outlines = Outlines(case.volume.series_uid, case.outlines.nodules, empty)
    made = documents(case, outlines=outlines, style=SegmentStyle(lungs=True))
    with pytest.raises(InputError, match="No lung was found"):
        made.lungs_seg()


def test_kind_of_segments_is_one_of_two():
    with pytest.raises(InputError, match="`binary` or `labelmap`; got `fractional`"):
        SegmentStyle(segments="fractional")


# ---- numbers -----------------------------------------------------------------


def groups(sr):
    """Measurement groups, each as (tracking UID, {concept and unit: value}, codes)."""
    (imaging,) = [c for c in sr.ContentSequence if _name(c) == "Imaging Measurements"]
    for group in imaging.ContentSequence:
        if any(item.ValueType == "SCOORD" for item in group.ContentSequence):
            continue  # where it is drawn
        uid, numbers, codes = None, {}, {}
        for item in group.ContentSequence:
            if item.ValueType == "UIDREF":
                uid = item.UID
            elif item.ValueType == "NUM":
                value = item.MeasuredValueSequence[0]
                unit = value.MeasurementUnitsCodeSequence[0].CodeValue
                numbers[_name(item), unit] = float(value.NumericValue), item
            elif item.ValueType == "CODE":
                codes[_name(item)] = item.ConceptCodeSequence[0]
        yield uid, numbers, codes


def texts(sr):
    """Every text of a report."""
    found = []

    def visit(_, element):
        if element.keyword == "TextValue":
            found.append(element.value)

    sr.walk(visit)
    return found


def _name(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning


def test_every_number_of_a_nodule_is_in_its_group(case, sr):
    found = {uid: (numbers, codes) for uid, numbers, codes in groups(sr)}
    for index, nodule in enumerate(case.assessment.nodules):
        numbers, codes = found[tracking_uid(SERIES_UID, nodule)]
        wanted = {
            ("Long Axis", "mm"): nodule.long_axis_mm,
            ("Short Axis", "mm"): nodule.short_axis_mm,
            ("Diameter", "mm"): nodule.diameter_mm,
            ("Volume", "mm3"): nodule.volume_mm3,
            ("Probability of cancer", "1"): nodule.malignancy.value,
            ("Attenuation Coefficient", "[hnsf'U]"): mean_hu(
                case.volume, case.outlines.nodules[index]
            ),
        }
        if nodule.type == "part-solid":
            wanted["Diameter of solid part", "mm"] = nodule.solid_diameter_mm
        got = {key: value for key, (value, _) in numbers.items()}
        assert got == pytest.approx(wanted, abs=1e-9)
        kind = {"solid": "solid", "part-solid": "part-solid"}.get(nodule.type, "112120")
        assert codes["Density of nodule"].CodeValue == kind
        category = case.assessment.guidelines.lung_rads["findings"][index]
        assert codes["Lung-RADS assessment"].CodeMeaning == f"Lung-RADS {category}"


def test_mean_density_by_hand(case):
    # hu_at: -300.3 + 1.3 x - 1.7 y + 2.1 z is linear, so the mean is its value at
    # the middle of the voxels, up to the rounding of each voxel to 1 HU
    mask = case.outlines.nodules[0]
    x, y, z = world_of(mask).mean(axis=0)
    assert mean_hu(case.volume, mask) == pytest.approx(
        -300.3 + 1.3 * x - 1.7 * y + 2.1 * z, abs=0.5
    )
    empty = Mask(np.zeros_like(mask.voxels), mask.grid)
    assert mean_hu(case.volume, empty) is None


def test_findings_and_sites_are_coded(case, sr):
    found = {uid: codes for uid, _, codes in groups(sr)}
    mass, small, third = (
        found[tracking_uid(SERIES_UID, n)] for n in case.assessment.nodules
    )
    assert case.assessment.nodules[0].long_axis_mm < 30
    assert mass["Finding"].CodeValue == "27925004"
    assert small["Finding Site"].CodeValue == "45653009"  # upper lobe
    assert third["Finding Site"].CodeValue == "39607008"  # lung


@pytest.mark.parametrize(
    ("side", "lobe", "site", "laterality"),
    [
        ("right", "right middle lobe", "72481006", "24028007"),
        ("left", "Lower lobe", "90572001", "7771000"),
        (None, "lingula", "39607008", None),
        ("left", None, "39607008", "7771000"),
    ],
)
def test_sites_by_hand(case, side, lobe, site, laterality):
    place = site_of(replace(case.assessment.nodules[0], side=side, lobe=lobe))
    assert place[0].value == site
    assert (place[1].value if place[1] else None) == laterality


def test_what_is_longer_than_30_mm_is_a_mass(case):
    large = replace(case.assessment.nodules[0], long_axis_mm=30.1)
    told = replace(case.assessment, nodules=(large, *case.assessment.nodules[1:]))
    made = documents(case, assessment=told)
    found = {uid: c for uid, _, c in groups(written(made.report(with_seg=False)))}
    assert found[tracking_uid(SERIES_UID, large)]["Finding"].CodeValue == "4147007"
    seg = written(made.nodules_seg)
    kinds = [
        s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in seg.SegmentSequence
    ]
    assert kinds == ["4147007", "27925004", "27925004"]


def test_intervals_reach_as_far_as_they_are_told(case, sr):
    risks = [case.assessment.cancer_probability]
    risks += [nodule.malignancy for nodule in case.assessment.nodules]
    for risk, (_, numbers, _) in zip(risks, groups(sr), strict=True):
        value, item = numbers["Probability of cancer", "1"]
        reach = {
            _name(part)[0]: float(part.MeasuredValueSequence[0].NumericValue)
            for part in item.ContentSequence
            if part.ValueType == "NUM"
        }
        assert value + reach["+"] == pytest.approx(risk.high, abs=1e-9)
        assert value - reach["-"] == pytest.approx(risk.low, abs=1e-9)


def test_probabilities_name_their_algorithm(sr):
    _, nodule, *_ = groups(sr)
    item = nodule[1]["Probability of cancer", "1"][1]
    said = [part.TextValue for part in item.ContentSequence if part.ValueType == "TEXT"]
    assert said[0] == "hilum malignancy"
    assert f"malignancy.xml sha256 {'ab' * 32}" in said
    assert not any("nodules.xml" in text for text in said)


def test_out_of_scope_holds_no_probability(case, made, sr):
    assert b"111047" in to_bytes(made.report(with_seg=True))
    outside = out_of_scope(case)
    told = documents(outside).report(with_seg=True)
    assert b"111047" not in to_bytes(told)
    _, _, codes = next(groups(written(told)))
    assert codes["Scope of the figures"].CodeMeaning == "Out of scope"
    assert "Out of scope: Slices are 8.0 mm apart." in texts(written(told))


def test_a_probability_that_was_forced_does_not_travel(case):
    told = replace(case.assessment, scope=Scope(False, ("One lung only.",)))
    assert told.cancer_probability.value is not None
    report = documents(case, assessment=told).report(with_seg=True)
    assert b"111047" not in to_bytes(report)


def test_words_are_told(sr):
    assert "For research and teaching. Not a medical device." in texts(sr)
    assert "[measure] Größe ≥ 8 mm is odd." in texts(sr)


def test_a_report_refers_to_key_slices_alone(case, made, sr):
    slices = made.context.instances.slices
    places = {h.instance_uid: n for n, h in enumerate(slices)}
    found = referred(sr) - {made.nodules_seg.SOPInstanceUID}
    assert len(found) == 3
    for segment in made.segments:
        area = {n: int(p.pixels.sum()) for n, p in segment.parts.items()}
        largest = {
            slices[n].instance_uid for n in area if area[n] == max(area.values())
        }
        assert largest & found
    assert found <= set(places)


def drawn(sr):
    """Tracking UID to the image and the points of what is drawn on it."""
    (imaging,) = [c for c in sr.ContentSequence if _name(c) == "Imaging Measurements"]
    found = {}
    for group in imaging.ContentSequence:
        items = {item.ValueType: item for item in group.ContentSequence}
        if "SCOORD" in items:
            (image,) = items["SCOORD"].ContentSequence
            points = np.array(items["SCOORD"].GraphicData).reshape(-1, 2)
            assert items["SCOORD"].GraphicType == "POLYLINE"
            np.testing.assert_array_equal(points[0], points[-1])
            found[items["UIDREF"].UID] = (
                image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID,
                points,
            )
    return found


def test_each_nodule_is_drawn_with_its_axes_on_its_key_slice(case, made, sr):
    found, slices = (
        drawn(sr),
        {h.instance_uid: h for h in made.context.instances.slices},
    )
    assert set(found) == {uid for uid, _, _ in groups(sr)}  # OHIF asks for that
    for nodule, mask in zip(
        case.assessment.nodules, case.outlines.nodules, strict=True
    ):
        uid, points = found[tracking_uid(SERIES_UID, nodule)]
        mm = (points - 0.5) * 3.0  # square pixels of 3 mm, middle of the first at 0.5
        long_mm, short_mm = np.linalg.norm(mm[[0, 8]] - mm[[16, 24]], axis=1)
        assert long_mm == pytest.approx(nodule.long_axis_mm, abs=1e-3)
        assert short_mm == pytest.approx(nodule.short_axis_mm, abs=1e-3)
        corner = np.array(slices[uid].position_mm)
        middle = corner + np.array([*mm[[0, 16]].mean(axis=0), 0.0])
        np.testing.assert_allclose(middle[:2], nodule.center_mm[:2], atol=1.5)
        assert mask.at(middle) == 1


def test_the_patient_is_a_frame_around_the_first_key_slice(case, sr):
    (uid, _, _), *_ = groups(sr)
    image, points = drawn(sr)[uid]
    first = tracking_uid(SERIES_UID, case.assessment.nodules[0])
    assert image == drawn(sr)[first][0]
    wanted = [[1, 1], [51, 1], [51, 43], [1, 43], [1, 1]]  # of 44 rows, 52 columns
    np.testing.assert_allclose(points, wanted)


def test_the_drawn_axis_points_where_the_outline_is_long(case, made):
    header = made.context.instances.slices[0]
    pixels = np.eye(9, dtype=bool)  # from upper left to lower right
    part = Part(slice(10, 19), slice(20, 29), pixels)
    nodule = replace(case.assessment.nodules[0], long_axis_mm=12.0, short_axis_mm=6.0)
    # middle at row 14, column 24; half of 12 mm along (1, 1) / sqrt 2 is 4.243 mm,
    # 1.414 pixels of 3 mm each way
    points = ellipse_of(nodule, header, part)
    ends = sorted(points[[0, 16]].tolist())
    np.testing.assert_allclose(ends, [[23.086, 13.086], [25.914, 15.914]], atol=1e-3)
    np.testing.assert_allclose(points[[8, 24]].mean(axis=0), [24.5, 14.5])
    spot = ellipse_of(
        nodule, header, Part(slice(5, 6), slice(7, 8), np.ones((1, 1), bool))
    )
    np.testing.assert_allclose(sorted(spot[[0, 16]].tolist()), [[5.5, 5.5], [9.5, 5.5]])


def test_without_segmentation_groups_refer_to_slices(made):
    told = written(made.report(with_seg=False))
    assert made.nodules_seg.SOPInstanceUID not in referred(told)
    assert len(referred(told)) == 3
    uids = [uid for uid, _, _ in groups(told)]
    assert uids == [uid for uid, _, _ in groups(written(made.report(with_seg=True)))]


def test_without_outlines_the_nearest_slice_is_the_key(case, made):
    told = written(documents(case, outlines=None).report(with_seg=False))
    slices = made.context.instances.slices
    z = {h.instance_uid: h.position_mm[2] for h in slices}
    assert {z[uid] for uid in referred(told)} == {
        min(z.values(), key=lambda at: abs(at - center[2])) for center, _ in BALLS
    }
    assert all("Attenuation Coefficient" not in str(n) for _, n, _ in groups(told))
    with pytest.raises(InputError, match=r"no `outlines\.npz` beside the assessment"):
        _ = documents(case, outlines=None).nodules_seg


def test_no_nodule_is_a_report_of_the_patient(tmp_path):
    case = make_case(tmp_path / "ct", balls=())
    made = documents(case)
    assert made.nodules_seg is None
    assert made.captures() == []
    told = written(made.report(with_seg=True))
    assert len(list(groups(told))) == len(drawn(told)) == 1
    assert len(referred(told)) == 1


# ---- identity ----------------------------------------------------------------


def every(made):
    yield written(made.nodules_seg)
    yield written(made.report(with_seg=True))
    for image in made.captures():
        yield written(image)


def test_patient_study_and_frame_are_those_of_the_scan(made):
    source = pydicom.dcmread(next(made.source.iterdir()), stop_before_pixels=True)
    shared = (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate"),
        *("StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
        "PatientAge",
    )
    assert (source.PatientName, source.PatientID) == (PATIENT_NAME, PATIENT_ID)
    assert source.PatientBirthDate == BIRTH_DATE
    series = set()
    for document in every(made):
        for keyword in shared:
            assert source.get(keyword), keyword
            assert document.get(keyword) == source.get(keyword), keyword
        assert document.StudyInstanceUID == STUDY
        assert document.SpecificCharacterSet == "ISO_IR 192"
        assert document.get("FrameOfReferenceUID", FRAME) == FRAME
        assert document.Manufacturer == document.ManufacturerModelName == "hilum"
        assert document.SoftwareVersions
        assert document.SeriesNumber in (201, 202, 203)  # of series 2
        series.add(document.SeriesInstanceUID)
        for uid in (document.SOPInstanceUID, document.SeriesInstanceUID):
            assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid)
            assert UID(uid).is_valid
        if document.Modality != "SR":
            assert document.BodyPartExamined == source.BodyPartExamined
    assert len(series) == 3
    assert made.nodules_seg.FrameOfReferenceUID == FRAME


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 144", "Люк^Мария"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 100", "Äneas^Rüdiger"),
        ("ISO_IR 192", "Γιώργος^Παπαδόπουλος"),
    ],
)
def test_names_in_any_script_arrive(tmp_path, charset, name):
    tags = {
        "SpecificCharacterSet": charset,
        "PatientName": name,
        "StudyDescription": name.split("^", 1)[0].split("=")[-1],
    }
    case = make_case(tmp_path / "ct", replace(SPEC, tags=tags), balls=BALLS[1:2])
    wanted = pydicom.dcmread(next(case.source.iterdir()), stop_before_pixels=True)
    for document in every(documents(case)):
        assert document.PatientName == wanted.PatientName
        assert str(document.PatientName) == name
        assert document.StudyDescription == wanted.StudyDescription
        assert document.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")
def test_tags_that_break_the_rules_do_not_break_the_documents(tmp_path):
    tags = {
        "PatientBirthDate": None,
        "PatientSex": "Female",
        "StudyTime": None,
        "AccessionNumber": None,
        "StudyID": None,
        "PatientName": None,
        "SeriesNumber": None,
        "PatientIdentityRemoved": "YES",
    }
    case = make_case(tmp_path / "ct", replace(SPEC, tags=tags))
    for file in case.source.iterdir():  # bytes that no library would write
        file.write_bytes(file.read_bytes().replace(b"DA\x08\x0020", b"DA\x08\x00xx"))
    for document in every(documents(case)):
        assert document.PatientSex == ""
        assert not document.PatientName
        assert not document.StudyDate
        assert document.DeidentificationMethod == "not stated"
        assert document.SeriesNumber in (1, 2, 3)


def test_no_name_is_told_to_anybody(tmp_path, caplog):
    tags = {"PatientName": "Wunderlich", "PatientID": "Wunderlich-1"}  # one part alone
    case = make_case(tmp_path / "ct", replace(SPEC, tags=tags))
    with caplog.at_level("DEBUG"), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for document in every(documents(case)):
            assert document.PatientName == "Wunderlich"
    assert caplog.text
    assert "Wunderlich" not in caplog.text
    assert not [w for w in said if "Wunderlich" in str(w.message)]


def test_a_number_that_is_none_is_quoted_to_nobody(tmp_path, caplog):
    case = make_case(tmp_path / "ct", replace(SPEC, tags={"SeriesNumber": "31415926"}))
    for file in case.source.iterdir():  # as no library would write it
        file.write_bytes(file.read_bytes().replace(b"31415926", b"Smith, J"))
    with caplog.at_level("DEBUG"):
        for document in every(documents(case)):
            assert document.SeriesNumber in (1, 2, 3)
    assert "Smith" not in caplog.text


def test_no_two_documents_share_a_uid(case, made):
    again = documents(case)
    uids = [d.SOPInstanceUID for m in (made, again) for d in every(m)]
    uids += {d.SeriesInstanceUID for m in (made, again) for d in every(m)}
    assert len(uids) == len(set(uids))


def test_nodules_are_tracked_alike_in_both_and_again(case, seg, sr):
    tracked = [item.TrackingUID for item in seg.SegmentSequence]
    assert tracked == [uid for uid, _, _ in groups(sr)][1:]
    assert tracked == [tracking_uid(SERIES_UID, n) for n in case.assessment.nodules]
    assert len(set(tracked)) == 3


def test_a_matched_nodule_keeps_the_uid_of_the_prior(case):
    prior = replace(case.assessment, series_uid="1.2.3")
    old = tracking_uid("1.2.3", prior.nodules[2])
    later = follow(case.assessment, prior, {0: 2})
    seg = written(documents(case, assessment=later).nodules_seg)
    tracked = [item.TrackingUID for item in seg.SegmentSequence]
    assert tracked[0] == old
    assert tracked[1:] == [tracking_uid(SERIES_UID, n) for n in later.nodules[1:]]
    third = replace(case.assessment, series_uid="1.2.4")
    assert follow(third, later, {1: 0}).nodules[1].tracking_uid == old  # and on


def test_only_what_is_there_can_be_followed(case):
    with pytest.raises(InputError, match="matched to two"):
        follow(case.assessment, case.assessment, {0: 1, 1: 1})
    with pytest.raises(InputError, match="places count from 0"):
        follow(case.assessment, case.assessment, {0: 3})


# ---- key images --------------------------------------------------------------


def test_captures_show_each_nodule_and_name_nobody(case, made):
    images = [written(image) for image in made.captures()]
    assert [image.InstanceNumber for image in images] == [1, 2, 3]
    assert len({image.SeriesInstanceUID for image in images}) == 1
    for image, nodule in zip(images, case.assessment.nodules, strict=True):
        assert image.pixel_array.shape == (image.Rows, image.Columns)
        assert np.ptp(image.pixel_array) > 200
        assert image.BurnedInAnnotation == "YES"
        assert tracking_uid(SERIES_UID, nodule) in image.ImageComments


# ---- refusals ----------------------------------------------------------------


def test_another_series_is_refused(case):
    other = replace(case.assessment, series_uid="1.2.3")
    with pytest.raises(
        InputError, match=r"assessment is of series 1\.2\.3, the volume"
    ):
        documents(case, assessment=other)
    with pytest.raises(InputError, match="does not hold series"):
        find_instances(case.source, "1.2.3")


def test_outlines_of_another_run_are_refused(case):
    masks = case.outlines.nodules
    with pytest.raises(InputError, match="The outlines are 2 nodules"):
        documents(case, outlines=replace(case.outlines, nodules=masks[:2]))
    with pytest.raises(InputError, match="digest differs"):
        documents(case, outlines=replace(case.outlines, nodules=masks[::-1]))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"FrameOfReferenceUID": None}, "no frame of reference"),
        ({"StudyInstanceUID": None}, "its study has no UID"),
        ({"SOPInstanceUID": "1.2.3"}, "40 slices have only 1 UIDs"),
        ({"SOPInstanceUID": None}, "40 slices has no UID|40 slices: has no UID|no UID"),
    ],
)
def test_slices_without_identity_are_refused(tmp_path, tags, message):
    case = make_case(tmp_path / "ct", replace(SPEC, tags=tags))
    with pytest.raises(InputError, match=message):
        find_instances(case.source, SERIES_UID)


def test_a_series_of_several_enhanced_files_is_refused(tmp_path):
    for n, z in enumerate((-30.0, 30.0)):  # 20 slices of 3 mm each
        half = replace(SPEC, shape=(20, 44, 52), center_mm=(0.0, 0.0, z))
        part = make_enhanced(half)
        part.SOPInstanceUID = f"{SERIES_UID}.7{n}"
        part.file_meta.MediaStorageSOPInstanceUID = part.SOPInstanceUID
        write_slice(part, tmp_path / f"{n}.dcm")
    assert read_dicom(tmp_path).grid.shape == (40, 44, 52)
    with pytest.raises(InputError, match="lies in 2 multi-frame instances"):
        find_instances(tmp_path, SERIES_UID)


def test_several_frames_of_reference_are_refused(tmp_path):
    slices = make_slices(SPEC)
    slices[5].FrameOfReferenceUID = "1.2.3"
    write_slices(slices, tmp_path)
    with pytest.raises(InputError, match="several frames of reference"):
        find_instances(tmp_path, SERIES_UID)


def test_a_series_that_is_no_volume_is_refused(case, tmp_path):
    for file in sorted(case.source.iterdir())[:2]:
        shutil.copy(file, tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        find_instances(tmp_path, SERIES_UID)


def test_files_that_vanish_are_told(tmp_path):
    case = make_case(tmp_path / "ct")
    made = documents(case)
    first = made.context.instances.slices[0].file
    (case.source / first.name).unlink()
    with pytest.raises(InputError, match="was read before, and now") as caught:
        _ = made.nodules_seg
    assert PATIENT_ID not in str(caught.value)

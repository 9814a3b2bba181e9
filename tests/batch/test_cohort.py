"""Which scans a cohort has: folders, tables, layouts, servers."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from hilum.batch import find_cohort
from hilum.batch.table import read_cohort_table
from hilum.clinical.facts import Facts
from hilum.dicom.glance import glance
from hilum.errors import InputError


def write_slice(path, study, series="1.2.9", modality="CT"):
    """Write a header that names a study; no pixels."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID = CTImageStorage
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.Modality = modality
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def names(cohort):
    return [scan.name for scan in find_cohort(cohort)]


def test_the_series_of_a_study_are_one_scan_and_two_studies_are_two(tmp_path):
    for place, study in (
        ("ann/first/scout", "1.1"),
        ("ann/first/lung", "1.1"),
        ("ann/second", "1.2"),
        ("bob", "1.3"),
    ):
        write_slice(tmp_path / place / "1.dcm", study)
        write_slice(tmp_path / place / "2.dcm", study)
    assert names(tmp_path) == ["ann/first", "ann/second", "bob"]
    assert [s.id for s in find_cohort(tmp_path)] == ["ann", "ann", "bob"]


def test_a_folder_that_mixes_studies_is_a_scan_each(tmp_path):
    write_slice(tmp_path / "all" / "1.dcm", "1.1", "1.1.1")
    write_slice(tmp_path / "all" / "2.dcm", "1.2", "1.2.1")
    found = find_cohort(tmp_path)
    assert [(s.name, s.series_uid) for s in found] == [
        ("all", "1.1.1"),
        ("all", "1.2.1"),
    ]


def test_a_study_amid_the_files_of_another_is_found(tmp_path):
    for number, study in enumerate("112133211", start=1):
        write_slice(tmp_path / "all" / f"{number}.dcm", f"1.{study}", f"1.{study}.9")
    found = find_cohort(tmp_path)
    assert [s.series_uid for s in found] == ["1.1.9", "1.2.9", "1.3.9"]


@pytest.mark.parametrize(
    ("place", "count"), [("1.1", 2), ("1.1/a", 2), ("a/1.1.9", 2), ("a/b", 9)]
)
def test_folders_called_after_what_is_in_them_are_taken_by_their_name(
    tmp_path, monkeypatch, place, count
):
    for number in range(1, 8):
        write_slice(tmp_path / place / f"{number}.dcm", "1.1", "1.1.9")
    read = []

    def counted(files):
        for header in glance(files):
            read.append(header)
            yield header

    monkeypatch.setattr("hilum.batch.cohort.glance", counted)
    assert len(find_cohort(tmp_path)) == 1
    assert len(read) == count


def test_files_zips_and_what_only_claims_to_be_dicom_are_scans(tmp_path):
    for name in ("b.nii.gz", "a.mha", "c.zip", "notes.txt", "table.csv"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "1.dcm").write_bytes(b"ruin")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "read.me").write_bytes(b"nothing to see")
    assert names(tmp_path) == ["a.mha", "b.nii.gz", "c.zip", "d"]
    assert [scan.id for scan in find_cohort(tmp_path)] == ["a", "b", "c", "d"]


def test_luna16_and_dsb2017_layouts(tmp_path):
    luna = tmp_path / "luna"
    for uid, subset in (("1.2.3", "subset0"), ("1.2.4", "subset1")):
        (luna / subset).mkdir(parents=True)
        (luna / subset / f"{uid}.mhd").write_text("")
    (luna / "seg-lungs-LUNA16").mkdir()
    (luna / "seg-lungs-LUNA16" / "1.2.3.mhd").write_text("")
    assert names(luna) == ["subset0/1.2.3.mhd", "subset1/1.2.4.mhd"]
    bowl, patient = tmp_path / "bowl", "0a" * 16
    write_slice(bowl / "stage1" / patient / "1.dcm", "1.1")
    (scan,) = find_cohort(bowl)
    assert (scan.name, scan.id) == (f"stage1/{patient}", patient)


def test_a_table_by_hand(tmp_path):
    table = tmp_path / "c.csv"
    table.write_text(
        "source,series,prior,id,age,sex,emphysema\n"
        "x/1,,,A,61.5,Female,yes\n"
        "dicomweb://host/dicom-web/studies/1.2,9.9,old/1,B,,,\n"
    )
    first, second = read_cohort_table(table)
    assert first.source == str(tmp_path / "x" / "1")
    assert first.facts == Facts(age_years=61.5, sex="female", emphysema=True)
    assert second.source == "dicomweb://host/dicom-web/studies/1.2"
    assert (second.series_uid, second.prior) == ("9.9", str(tmp_path / "old" / "1"))
    assert second.facts == Facts()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source,weight\na,70\n", "has the columns source, weight"),
        ("source,id,id\na,1,2\n", "once"),
        ("source,age\na,7\n", "Line 2 of `c.csv`: Age must lie"),
        ("source,age\na,old\n", "number of years"),
        ("source,emphysema\na,maybe\n", "yes or no"),
        ("source,sex\na,x\n", "female or male"),
        ("source\na\nb\na\n", "Lines 2 and 4"),
        ("source,id\na\n", "more or fewer values"),
        ("source,id\na,b,c\n", "has 3 values, and the first line 2"),
        ("source,id\n,1\n", "names no source"),
        ("source\n", "has no scan"),
        ("source\n\udcff\n", "Cannot read `c.csv`"),
    ],
)
def test_a_table_that_is_of_no_use_is_refused_by_line(tmp_path, text, said):
    table = tmp_path / "c.csv"
    table.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=said):
        find_cohort(table)


def test_a_scan_that_a_table_of_patients_names_twice_is_refused(tmp_path):
    (tmp_path / "x.mha").write_bytes(b"x")
    table = tmp_path / "c.csv"
    table.write_text("id,path\na,x.mha\n")
    assert names(table) == ["x.mha"]
    table.write_text("id,path\na,x.mha\nb,x.mha\n")
    with pytest.raises(InputError, match="names a scan twice"):
        find_cohort(table)


def test_lines_of_patients_whose_scan_is_absent_are_scans_in_their_place(tmp_path):
    (tmp_path / "b.mha").write_bytes(b"x")
    table = tmp_path / "patients.csv"
    table.write_text("id,path\na,ct/gone.mha\nb,\n../c,\n")
    for cohort in (table, tmp_path):
        found = find_cohort(cohort)
        assert [s.id for s in found] == ["a", "b", "../c"]
        assert found[0].name == "ct/gone.mha"
        assert not (tmp_path / found[2].name).exists()
        assert ".." not in found[2].source


def test_nothing_and_nothing_in_it_are_refused(tmp_path):
    with pytest.raises(InputError, match="nothing at `absent`"):
        find_cohort(tmp_path / "absent")
    with pytest.raises(InputError):
        find_cohort(tmp_path)
    with pytest.raises(InputError, match="Cannot open"):
        find_cohort(tmp_path / ("x" * 300))


class Qido(BaseHTTPRequestHandler):
    """Answers queries for studies by pages, as a server does."""

    studies = tuple(f"1.2.{n}" for n in range(1, 1204))
    asked: list = []  # noqa: RUF012  of the tests
    body = None

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        self.asked.append(self.path)
        start, count = (int(query[k][0]) for k in ("offset", "limit"))
        page = [
            {"0020000D": {"vr": "UI", "Value": [uid]}}
            for uid in self.studies[start : start + count]
        ]
        data = self.body or json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def qido():
    Qido.asked, Qido.body = [], None
    server = HTTPServer(("127.0.0.1", 0), Qido)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"dicomweb://127.0.0.1:{server.server_port}/dicom-web"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_is_asked_page_by_page(qido):
    found = find_cohort(f"{qido}/studies?StudyDate=20240101-20241231")
    assert [s.id for s in found] == list(Qido.studies)
    assert found[0].source == f"{qido}/studies/1.2.1"
    assert "ModalitiesInStudy=CT&StudyDate=20240101-20241231" in Qido.asked[0]
    assert len(Qido.asked) == 4  # 500, 500, 203, none


def test_a_server_that_answers_nonsense_and_a_query_of_no_use_are_refused(qido):
    with pytest.raises(InputError, match="name=value"):
        find_cohort(f"{qido}?everything")
    Qido.body = b'{"no": "list"}'
    with pytest.raises(InputError, match="no DICOM JSON"):
        find_cohort(qido)
    Qido.body = b"[]"
    with pytest.raises(InputError, match="The DICOMweb server has no scan"):
        find_cohort(qido)

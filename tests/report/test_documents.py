"""Which files stand in the folder, when, and what stops them from being written."""

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_examples import SPEC, make_case

import hilum
from hilum import cli
from hilum.cli import report as cli_report
from hilum.dicom.instances import Instances
from hilum.errors import InputError
from hilum.formats.atomic import replacing_folder
from hilum.formats.outlines import read_outlines, write_outlines
from hilum.outlines import Outlines
from hilum.report import documents
from hilum.report.again import report
from hilum.report.documents import read_assessment, write_documents
from hilum.volume import Mask

EVERY = {
    *("assessment.json", "outlines.npz", "report.html"),
    *("segmentation.dcm", "measurements.dcm", "key-images"),
}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return make_case(tmp_path_factory.mktemp("documents") / "ct")


@pytest.fixture(scope="module")
def whole(case, tmp_path_factory):
    """A folder with every document."""
    folder = tmp_path_factory.mktemp("documents") / "out"
    write(case, folder, "html", "seg", "sr", "sc")
    assert names(folder) == EVERY
    return folder


@pytest.fixture
def out(whole, tmp_path):
    """A copy of it to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "out"))


def write(case, folder, *formats, **changes):
    fields = {"outlines": case.outlines, "source": case.source, **changes}
    return write_documents(
        case.assessment, case.volume, folder, formats=formats, **fields
    )


def names(folder):
    return {path.name for path in folder.iterdir()}


def other(case):
    """The same scan, assessed another time."""
    run = replace(case.assessment.provenance, timings_s={"read": 1.0})
    return replace(case, assessment=replace(case.assessment, provenance=run))


# ---- what stands there -------------------------------------------------------


def test_each_format_is_a_file_that_is_told(case, tmp_path):
    told = write(case, tmp_path, "sc", "sr", "html", "seg")
    assert list(told) == ["json", "html", "seg", "sr", "sc"]
    assert all(path.exists() for path in told.values())
    assert names(tmp_path) == EVERY


def test_documents_of_another_assessment_are_removed(case, out):
    told = write(other(case), out, "html")
    assert names(out) == {"assessment.json", "outlines.npz", "report.html"}
    assert list(told) == ["json", "html"]


def test_documents_of_the_same_assessment_stay(case, out):
    before = (out / "report.html").stat()
    write(case, out, "sr")
    assert names(out) == EVERY
    assert (out / "report.html").stat() == before


def test_lungs_come_and_go_with_the_segmentation(case, tmp_path):
    style = documents.SegmentStyle(lungs=True)
    write(case, tmp_path, "seg", style=style)
    assert {"segmentation.dcm", "lungs.dcm"} <= names(tmp_path)
    write(case, tmp_path, "seg")
    assert "lungs.dcm" not in names(tmp_path)


def test_nothing_to_show_is_not_written(tmp_path):
    case = make_case(tmp_path / "ct", balls=())
    told = write(case, tmp_path / "out", "seg", "sc", "sr")
    assert list(told) == ["json", "sr"]
    assert "segmentation.dcm" not in names(tmp_path / "out")


def test_key_images_are_replaced_as_a_whole(case, out):
    assert len(list((out / "key-images").iterdir())) == 3
    fewer = replace(
        case,
        assessment=replace(case.assessment, nodules=case.assessment.nodules[:1]),
    )
    write(fewer, out, "sc", outlines=None)
    assert [p.name for p in (out / "key-images").iterdir()] == ["nodule-01.dcm"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "old.txt").write_text("old")

    def fill():
        with replacing_folder(tmp_path / "kept") as folder:
            (folder / "new.txt").write_text("new")
            raise KeyError

    with pytest.raises(KeyError):
        fill()
    assert names(tmp_path) == {"kept"}
    assert names(tmp_path / "kept") == {"old.txt"}


# ---- what cannot be lost -----------------------------------------------------


def test_a_document_that_fails_costs_no_other(case, out, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hilum.report.documents.write_page", fail)
    write(case, out, "seg")
    old = (out / "segmentation.dcm").read_bytes()
    fresh = other(case)
    with pytest.raises(InputError, match=r"Cannot write into `out`: No space left"):
        write(fresh, out, "html", "seg")
    assert read_assessment(out / "assessment.json") == fresh.assessment
    left = names(out)  # nothing of the old one; one core stops before the SEG
    assert left - {"segmentation.dcm"} == {"assessment.json", "outlines.npz"}
    if "segmentation.dcm" in left:
        assert (out / "segmentation.dcm").read_bytes() != old


def test_what_silences_the_process_is_done_before_there_are_two_threads(
    case, tmp_path, monkeypatch
):
    places, real = [], Instances.read_tags

    def read(self, keywords):
        places.append(threading.current_thread())
        return real(self, keywords)

    monkeypatch.setattr(Instances, "read_tags", read)
    write(case, tmp_path, "html", "sr", "seg")
    assert places == [threading.current_thread()]


def test_a_source_that_is_gone_costs_no_other_document(case, out):
    fresh = other(case)
    with pytest.raises(InputError, match="nothing at `gone`"):
        write(fresh, out, "html", "seg", source=out / "gone")
    assert "report.html" in names(out)
    assert "segmentation.dcm" not in names(out)


@contextmanager
def small_disk(size):
    """Let no file grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_keeps_the_old_assessment(case, out):
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"Cannot write"), small_disk(1000):
        write(other(case), out, "html", "seg")
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("formats", [("html",), ("seg",), ("sr",), ("sc",)])
def test_a_full_disk_leaves_no_half_file(case, out, formats):
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"Cannot write"), small_disk(8000):
        write(case, out, *formats)
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert after == before


WRITER = """
import os, sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from dicom_examples import make_case
from dataclasses import replace
from hilum.report.documents import write_documents
case = make_case(Path(sys.argv[1]) / "ct")
def write(turn, formats):
    run = replace(case.assessment.provenance, timings_s={"turn": float(turn)})
    write_documents(replace(case.assessment, provenance=run), case.volume,
        Path(sys.argv[2]), formats=formats, outlines=case.outlines, source=case.source)
write(0, ("json", "seg", "sr", "sc"))
for turn in range(8):
    child = os.fork()
    if child == 0:
        for again in range(1000):
            write(1 + again + 1000 * turn, ("json", "seg", "sc"))
        os._exit(0)
    time.sleep(0.05 + 0.057 * turn)
    os.kill(child, 9)
    os.waitpid(child, 0)
    print(turn, flush=True)
    input()
"""


@pytest.mark.slow
def test_a_kill_at_any_time_leaves_no_half_file(tmp_path):
    tests = Path(__file__).parents[1]
    paths = [str(tests), str(tests / "report")]
    argv = [sys.executable, "-c", WRITER, str(tmp_path), str(tmp_path / "out"), *paths]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        seen = 0
        for _ in writer.stdout:
            found = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
            shown = [p for p in found if not any(part[0] == "." for part in hidden(p))]
            for path in shown:
                if path.suffix == ".dcm":
                    dataset = pydicom.dcmread(path)
                    assert dataset.Modality == "SR" or dataset.pixel_array.any()
                elif path.suffix == ".json":
                    read_assessment(path)
                else:
                    read_outlines(path)
            seen += len(shown)
            writer.stdin.write("\n")
            writer.stdin.flush()
        assert writer.wait(30) == 0
    assert seen > 8  # it did write meanwhile


def hidden(path):
    return path.parts[-2:]


# ---- what is refused ---------------------------------------------------------


def test_a_format_that_is_none(case, tmp_path):
    with pytest.raises(InputError, match=r"Unknown format `pfd`. Formats are: json, h"):
        write(case, tmp_path, "pfd")


@pytest.mark.parametrize("name", ["sr", "seg", "sc"])
def test_dicom_documents_need_a_dicom_source(case, tmp_path, name):
    hilum.write_volume(case.volume, tmp_path / "ct.nii.gz")
    message = (
        rf"formats {name} refer to the images of a DICOM series, and `ct\.nii\.gz`"
    )
    with pytest.raises(InputError, match=message):
        write(case, tmp_path, name, source=tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="and the source is not known"):
        write(case, tmp_path, name, source=None)
    assert names(tmp_path) == {"ct.nii.gz"}


def test_the_volume_of_another_series_is_refused(case, tmp_path):
    volume = replace(case.volume, series_uid="1.2.3")
    with pytest.raises(InputError, match=r"volume of series 1\.2\.3"):
        write_documents(case.assessment, volume, tmp_path / "out", formats=("html",))
    assert not (tmp_path / "out").exists()


def test_outlines_of_other_nodules_are_refused(case, tmp_path):
    less = replace(case.outlines, nodules=case.outlines.nodules[:2])
    with pytest.raises(InputError, match="The outlines are 2 nodules of series"):
        write(case, tmp_path / "out", "json", outlines=less)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_may_not_be_written_to(case, out):
    with pytest.raises(InputError, match=r"Cannot write into `hilum`.*may write to"):
        report(out, Path("/proc/hilum"), source=case.source)


def test_pictures_need_the_scan(out, tmp_path):
    with pytest.raises(
        InputError, match=r"needed to write html. Name it with --source"
    ):
        report(out, tmp_path / "again")
    assert list(report(out, tmp_path / "again", formats=("json",))) == ["json"]


# ---- again -------------------------------------------------------------------


def test_again_gives_the_same_documents(case, out, tmp_path):
    again = tmp_path / "again"
    told = report(
        out / "assessment.json",
        again,
        source=case.source,
        formats=("html", "seg", "sr", "sc"),
    )
    assert list(told) == ["json", "html", "seg", "sr", "sc"]
    assert names(again) == EVERY
    for name in ("assessment.json", "report.html"):
        assert (again / name).read_bytes() == (out / name).read_bytes()
    one, two = (pydicom.dcmread(f / "segmentation.dcm") for f in (out, again))
    assert one.PixelData == two.PixelData
    assert one.SOPInstanceUID != two.SOPInstanceUID
    tracked = [[s.TrackingUID for s in d.SegmentSequence] for d in (one, two)]
    assert tracked[0] == tracked[1]


def test_another_scan_is_refused(case, out, tmp_path):
    spec = replace(SPEC, series_uid=f"{SPEC.series_uid}.7")
    elsewhere = make_case(tmp_path / "elsewhere", spec)
    with pytest.raises(InputError, match="series"):
        report(out, tmp_path / "again", source=elsewhere.source)
    hilum.write_volume(elsewhere.volume, tmp_path / "ct.nii.gz")
    with pytest.raises(InputError, match="Name the CT that was assessed"):
        report(out, tmp_path / "again", source=tmp_path / "ct.nii.gz")
    assert names(tmp_path / "again") == set()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (range(5), "has 40 x 44 x 52 voxels .*, `part` now gives 35 x 44 x 52"),
        ((17,), "`part` lacks slices that were there .* 1 of 40 slices are missing"),
    ],
)
def test_slices_that_went_missing_are_told(case, out, tmp_path, missing, message):
    shutil.copytree(case.source, tmp_path / "part")
    found = {
        pydicom.dcmread(p, stop_before_pixels=True).ImagePositionPatient[2]: p
        for p in (tmp_path / "part").iterdir()
    }
    for n in missing:
        found[sorted(found)[n]].unlink()
    with pytest.raises(InputError, match=message):
        report(out, tmp_path / "again", source=tmp_path / "part", formats=("sr",))


def test_an_assessment_without_outlines_can_be_told_but_not_segmented(
    case, out, tmp_path
):
    (out / "outlines.npz").unlink()
    told = report(out, tmp_path / "a", source=case.source, formats=("sr", "sc"))
    assert list(told) == ["json", "sr", "sc"]
    with pytest.raises(InputError, match=r"no `outlines\.npz`"):
        report(out, tmp_path / "b", source=case.source, formats=("seg",))


def test_outlines_of_another_run_are_refused(case, out, tmp_path):
    masks = case.outlines.nodules
    swapped = replace(case.outlines, nodules=(masks[1], masks[0], masks[2]))
    write_outlines(swapped, out / "outlines.npz")
    with pytest.raises(InputError, match="differs from `outlines_sha256`"):
        report(out, tmp_path / "again", source=case.source)


# ---- outlines ----------------------------------------------------------------


def test_outlines_survive_the_file(case, tmp_path):
    write_outlines(case.outlines, tmp_path / "o.npz")
    again = read_outlines(tmp_path / "o.npz")
    assert again.sha256 == case.outlines.sha256
    assert again.series_uid == case.outlines.series_uid
    np.testing.assert_array_equal(again.lungs.voxels, case.outlines.lungs.voxels)
    assert again.lungs.grid.same_as(case.outlines.lungs.grid)
    for one, two in zip(again.nodules, case.outlines.nodules, strict=True):
        np.testing.assert_array_equal(one.voxels, two.voxels)
        assert one.grid.same_as(two.grid)
    assert (tmp_path / "o.npz").stat().st_size < 20_000
    assert again.drawn == ()
    assert len(again.rated) == len(again.nodules)
    whole = case.outlines.nodules[0]
    larger = replace(whole, voxels=np.ones_like(whole.voxels))
    drawn = replace(case.outlines, drawn=(larger,) * len(case.outlines.nodules))
    assert drawn.sha256 != case.outlines.sha256
    write_outlines(drawn, tmp_path / "d.npz")
    again = read_outlines(tmp_path / "d.npz")
    assert again.sha256 == drawn.sha256
    assert again.rated[0].voxels.all()
    small = again.lungs.grid.crop((0, 0, 0), (3, 3, 3))
    none = Outlines("1.2", (), Mask(np.zeros((3, 3, 3), np.uint8), small))
    write_outlines(none, tmp_path / "none.npz")
    assert not read_outlines(tmp_path / "none.npz").lungs.voxels.any()


def test_digest_changes_with_any_voxel(case):
    first, *rest = case.outlines.nodules
    voxels = first.voxels.copy()
    voxels[tuple(np.array(voxels.shape) // 2)] = False
    other = replace(case.outlines, nodules=(Mask(voxels, first.grid), *rest))
    assert other.sha256 != case.outlines.sha256
    moved = replace(case.outlines, series_uid="1.2.3")
    assert moved.sha256 != case.outlines.sha256


def test_files_that_are_no_outlines(case, tmp_path):
    path = tmp_path / "o.npz"
    with pytest.raises(InputError, match=r"Cannot read `o\.npz`: No such file"):
        read_outlines(path)
    path.write_bytes(b"no zip")
    with pytest.raises(InputError, match="holds no outlines that hilum wrote"):
        read_outlines(path)
    np.savez(path, version=1)
    with pytest.raises(InputError, match="holds no outlines that hilum wrote"):
        read_outlines(path)
    write_outlines(case.outlines, path)
    whole = path.read_bytes()
    for cut in range(50, len(whole), len(whole) // 7):
        path.write_bytes(whole[:cut] + bytes(9) + whole[cut + 9 :])
        try:
            read_outlines(path)
        except InputError:
            continue


def test_outlines_that_would_fill_the_memory(case, tmp_path, monkeypatch):
    write_outlines(case.outlines, tmp_path / "o.npz")
    monkeypatch.setattr("hilum.formats.outlines._MOST_BYTES", 1000)
    with pytest.raises(InputError, match="holds no outlines that hilum wrote"):
        read_outlines(tmp_path / "o.npz")


# ---- the command line --------------------------------------------------------


def run(capsys, *argv):
    code = cli.main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_report_writes_what_it_says(capsys, case, out, tmp_path):
    argv = ("report", out, tmp_path / "again", "--source", case.source)
    code, result, _ = run(
        capsys, *argv, "--format", "seg,sr", "--segments", "labelmap", "--lungs"
    )
    assert code == 0
    assert set(result["documents"]) == {"json", "seg", "sr"}
    seg = pydicom.dcmread(result["documents"]["seg"])
    assert seg.SegmentationType == "LABELMAP"
    assert (tmp_path / "again" / "lungs.dcm").exists()


def test_the_help_names_every_format():
    told = set(re.findall(r"\w+", cli_report.FORMATS)) - {"and"}
    assert told == set(documents.FORMATS)


def test_documents_among_the_slices_do_not_disturb(case, tmp_path):
    folder = Path(shutil.copytree(case.source, tmp_path / "ct"))
    write(case, folder / "out", "seg", "sr", "sc", source=folder)
    again = hilum.read_ct(folder)
    np.testing.assert_array_equal(again.hu, case.volume.hu)
    assert again.series_uid == case.volume.series_uid
    told = report(folder / "out", folder / "out", source=folder, formats=("seg",))
    assert set(told) == {"json", "seg"}


def test_report_refuses_without_a_traceback(capsys, case, out, tmp_path):
    code, _, err = run(capsys, "report", out, tmp_path / "again")
    assert code == 3
    assert err.startswith("hilum: ")
    assert "--source" in err
    code, _, err = run(capsys, "report", tmp_path / "nothing", tmp_path / "again")
    assert code == 3
    assert "Cannot read `nothing`" in err


def test_report_says_what_had_nothing_to_show(capsys, tmp_path):
    case = make_case(tmp_path / "ct", balls=())
    write(case, tmp_path / "out", "json")
    argv = ("report", tmp_path / "out", tmp_path / "out", "--source", case.source)
    code, result, err = run(capsys, *argv, "--format", "seg")
    assert code == 0
    assert set(result["documents"]) == {"json"}
    assert "No nodule was found, so there is no seg to write." in err


def test_assess_refuses_dicom_documents_of_a_nifti_before_the_work(
    capsys, case, tmp_path
):
    hilum.write_volume(case.volume, tmp_path / "ct.nii.gz")
    argv = ("assess", tmp_path / "ct.nii.gz", tmp_path / "out", "--format", "sr,html")
    code, _, err = run(capsys, *argv)
    assert code == 3
    assert "refer to the images of a DICOM series" in err
    assert not (tmp_path / "out").exists()

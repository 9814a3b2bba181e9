"""The page on paper."""

import logging
import shutil
import subprocess
import sys

import pytest
from needs import miss, need
from report_examples import VARIANTS, make_assessment, make_details, make_volume

from hilum.errors import InputError, MissingDependencyError
from hilum.report import pdf as module
from hilum.report.pdf import render_pdf, write_pdf

need("weasyprint", "weasyprint")


@pytest.fixture(scope="module")
def volume():
    return make_volume()


@pytest.fixture(scope="module")
def paper(volume, tmp_path_factory):
    """Write the fullest variant."""
    path = tmp_path_factory.mktemp("pdf") / "report.pdf"
    assessment = make_assessment(**VARIANTS["rich"])
    write_pdf(assessment, volume, path, details=make_details(volume))
    return path


def tool(name, *arguments):
    if shutil.which(name) is None:
        miss(f"{name} is not installed (Debian package poppler-utils)")
    run = subprocess.run([name, *arguments], capture_output=True, check=True, text=True)
    return run.stdout


def test_it_is_tagged_a4_with_a_title(paper):
    told = tool("pdfinfo", str(paper))
    assert "Title:           Chest CT assessment" in told
    assert "(A4)" in told
    assert "Tagged:          yes" in told
    assert "JavaScript:      no" in told


def test_it_says_what_the_page_says(paper):
    text = " ".join(tool("pdftotext", "-layout", str(paper), "-").split())
    for said in (
        "In scope.",
        "34%",
        "Lung-RADS v2022: 4B",
        "Why the network thinks so",
        "+0.52",
        "Doubling time",
        "Number 8 is odd.",
        "For research and teaching. Not a medical device.",
    ):
        assert said in text
    for switch in ("Show marks", "Colours", "what counts"):
        assert switch not in text


def test_no_image_is_cut_in_two(paper):
    images = tool("pdfimages", "-list", str(paper)).splitlines()[2:]
    pages = [line.split()[0] for line in images if " 240   240" in line]
    assert len(pages) == 3
    assert len(set(pages)) == 1


def test_the_same_assessment_gives_the_same_bytes(paper, volume):
    ffi = need("weasyprint.text.ffi", "weasyprint")
    if ffi.harfbuzz_subset is None:  # another library then writes the time into fonts
        miss("HarfBuzz-Subset is not installed (Debian package libharfbuzz-subset0)")
    again = render_pdf(
        make_assessment(**VARIANTS["rich"]), volume, details=make_details(volume)
    )
    assert again == paper.read_bytes()


def test_nothing_is_fetched(volume, monkeypatch, caplog):
    page = (
        '<html lang="en"><img src="http://127.0.0.1:9/a.png">'
        '<img src="file:///etc/hostname">text'
    )
    monkeypatch.setattr(module, "render_page", lambda *_, **__: page)
    with caplog.at_level("ERROR", logger="weasyprint"):
        assert render_pdf(make_assessment(), volume).startswith(b"%PDF")
    refused = [r.getMessage() for r in caplog.records]
    assert len(refused) == 2
    assert all("disallowed protocol" in message for message in refused)


def test_the_user_is_not_told_of_styles_for_screens(volume, caplog):
    logger = logging.getLogger("weasyprint")
    before = list(logger.filters)
    with caplog.at_level("WARNING", logger="weasyprint"):
        details = make_details(volume)
        render_pdf(make_assessment(**VARIANTS["rich"]), volume, details=details)
    assert caplog.records == []
    assert logger.filters == before


def test_without_the_package_the_extra_is_named(volume, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'hilum\[pdf\]'"):
        render_pdf(make_assessment(), volume)


def test_an_assessment_of_another_series_is_refused(volume):
    with pytest.raises(InputError, match=r"series 9\.9"):
        render_pdf(make_assessment(series_uid="9.9"), volume)


def test_a_folder_that_is_not_there_is_an_input_error(volume, tmp_path):
    with pytest.raises(InputError, match=r"Cannot write `r\.pdf`"):
        write_pdf(make_assessment(nodules=()), volume, tmp_path / "nowhere" / "r.pdf")

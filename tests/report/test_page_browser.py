"""The page as Chromium shows it."""

import re

import pytest
from chromium import FLAT, heard, launched
from report_examples import VARIANTS, make_assessment, make_details, make_volume

from hilum.report.page import write_page

pytestmark = pytest.mark.browser
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    with launched(*FLAT) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    volume = make_volume()
    for name, changes in VARIANTS.items():
        write_page(make_assessment(**changes), volume, folder / f"{name}.html")
    everything = make_details(volume)
    write_page(make_assessment(), volume, folder / "full.html", details=everything)
    return lambda name: (folder / f"{name}.html").as_uri()


@pytest.fixture
def show(browser, report):
    """Open a report; gather what it asks for and complains about."""
    contexts = []

    def open_page(name, viewport=DESK, scheme="light", script=True):
        context = browser.new_context(
            viewport=viewport, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        page.said = heard(page)
        page.goto(report(name))
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", [*VARIANTS, "full"])
def test_page_fits_the_width_and_asks_for_nothing(show, report, name):
    page = show(name)
    for viewport in (DESK, PHONE):
        page.set_viewport_size(viewport)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"]
    asked = [said for said in page.said if not said.startswith("data:")]
    assert asked == [report(name)]
    assert page.evaluate(
        "[...document.images].every(image => image.complete && image.naturalWidth)"
    )


def test_table_scrolls_in_its_own_frame_on_a_phone(show):
    page = show("thirty", PHONE)
    frame = page.locator(".scroll")
    assert frame.evaluate("node => node.scrollWidth > node.clientWidth")
    assert frame.evaluate("node => node.clientWidth") < PHONE["width"]


def test_scale_bar_is_right_to_the_pixel(show):
    page = show("one")
    for viewport in (DESK, PHONE):
        page.set_viewport_size(viewport)
        for plane in ("axial", "coronal", "sagittal"):
            picture = page.locator(f".{plane} img").bounding_box()
            bar = page.locator(f".{plane} .scale.line").evaluate(
                "node => node.getBBox().width * node.getScreenCTM().a"
            )
            # the picture is 60 mm wide, the bar 10 mm
            assert bar == pytest.approx(picture["width"] / 6, abs=1)
            assert picture["width"] == pytest.approx(picture["height"], abs=1)


def test_marks_can_be_hidden(show):
    page = show("one")
    mark = page.locator(".axial .mark").first
    assert mark.is_visible()
    page.get_by_label("Show marks in the images").uncheck()
    assert not mark.is_visible()
    assert page.locator(".axial .scale.line").count() == 1


def test_what_counts_is_shown_on_request_and_faint(show):
    page = show("full")
    heat = page.locator(".axial img.heat")
    assert not heat.is_visible()
    switch = page.get_by_label("Show what counts for the network")
    switch.focus()
    page.keyboard.press("Space")
    assert heat.is_visible()
    box, under = heat.bounding_box(), page.locator(".axial img").first.bounding_box()
    assert box == under


def column(page, number):
    return page.locator(f"tbody tr :is(td, th):nth-child({number})").all_inner_texts()


def test_table_sorts_by_keyboard_and_tells_so(show):
    page = show("thirty")
    button = page.get_by_role("button", name="Volume (mm³)")
    head = page.locator("thead th", has=button)
    assert column(page, 6)[:2] == ["100", "101"]
    button.focus()
    page.keyboard.press("Enter")
    assert column(page, 6)[:2] == ["129", "128"]
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#sorted").inner_text() == "Sorted by Volume (mm³), descending."
    page.keyboard.press("Enter")
    assert column(page, 6)[:2] == ["100", "101"]
    assert page.locator("thead [aria-sort]").count() == 1


def test_table_sorts_numbers_as_numbers_and_text_as_text(show):
    page = show("thirty")
    page.get_by_role("button", name="Place").click()
    places = column(page, 2)
    assert places == sorted(places)
    page.get_by_role("button", name="z (mm)").click()
    levels = [float(z.replace("\u2212", "-")) for z in column(page, 10)]
    assert levels == sorted(levels, reverse=True)
    assert [said for said in page.said if not said.startswith(("data:", "file:"))] == []


def test_without_script_nothing_is_missing(show):
    page = show("thirty", script=False)
    assert page.locator("tbody tr").count() == 30
    assert page.locator("thead button").count() == 0
    assert page.get_by_label("dark").is_visible()


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_switch_beats_the_system(show, system):
    page = show("one", scheme=system)

    def lightness():
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", color)[:3])) / 3

    before = lightness()
    page.get_by_label("dark").check()
    assert lightness() < 60
    page.get_by_label("light").check()
    assert lightness() > 200
    page.get_by_label("as the system").check()
    assert lightness() == before
    page.get_by_label("dark").check()
    page.emulate_media(media="print")
    assert lightness() == 255


def test_dark_scheme_is_dark_and_light_is_light(show):
    def ground(scheme):
        page = show("one", scheme=scheme)
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", color)[:3])) / 3

    assert ground("dark") < 60
    assert ground("light") > 200


def test_paper_is_black_on_white_and_shows_all_notices(show):
    page = show("rich", scheme="dark")
    assert not page.get_by_text("Number 8 is odd.").is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    style = "getComputedStyle(document.body)"
    assert page.evaluate(f"{style}.color") == "rgb(0, 0, 0)"
    assert page.evaluate(f"{style}.backgroundColor") == "rgb(255, 255, 255)"
    assert page.get_by_text("Number 8 is odd.").is_visible()
    assert not page.get_by_label("Sections").is_visible()
    assert len(page.pdf(prefer_css_page_size=True)) > 10_000

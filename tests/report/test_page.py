import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_examples import (
    VARIANTS,
    make_assessment,
    make_nodule,
    make_volume,
    many_nodules,
)

from hilum.errors import InputError
from hilum.findings import Guidelines, Notice, Probability, Provenance, Scope
from hilum.report.cards import PICTURED
from hilum.report.figures import MARKED, crop_mm, overview_figure, pictures
from hilum.report.page import render_page, write_page
from hilum.report.words import meaning
from hilum.space import Grid
from hilum.volume import CTVolume


class Page(HTMLParser):
    """Checks that tags balance, and gathers what the tests ask about."""

    void = frozenset(("br", "hr", "img", "input", "link", "meta"))

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.text, self.problems = [], [], [], []
        self.feed(html)
        self.close()
        if self.open:
            self.problems.append(f"not closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title", "script"):
            self.text.append(data)

    @property
    def words(self):
        return re.sub(r"[\s\u00a0\u202f]+", " ", " ".join(self.text))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def volume():
    return make_volume()


@pytest.fixture(scope="module", params=VARIANTS)
def page(request, volume):
    return Page(render_page(make_assessment(**VARIANTS[request.param]), volume))


def nodules_of(name):
    return make_assessment(**VARIANTS[name]).nodules


def render(volume, **changes):
    return render_page(make_assessment(**changes), volume)


def test_tags_balance(page):
    assert page.problems == []


def test_the_balance_check_can_fail():
    assert Page("<p><b>x</p></b>").problems
    assert Page("<div><p>x</p>").problems


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs["href"] for attrs in page.all("a")}
    assert links
    assert links <= {f"#{name}" for name in ids}
    named = [a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a]
    assert set(named) <= set(ids)


def test_headings_begin_at_one_and_skip_no_level(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_page_has_a_language_and_every_header_cell_a_scope(page):
    assert page.all("html") == [{"lang": "en"}]
    assert all(attrs["scope"] in ("row", "col") for attrs in page.all("th"))


def test_page_says_what_it_is_not(page):
    assert page.words.count("For research and teaching. Not a medical device.") == 2
    assert "hilum 9.8.7" in page.words


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_comes_from_outside(name, volume):
    html = render(volume, **VARIANTS[name])
    assert "://" not in html
    assert not re.search(r"url\(|@import|srcset|\son\w+=", html)
    page = Page(html)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(page.all("script")) == len(scripts) == (len(nodules_of(name)) > 1)
    for tag, attrs in page.tags:
        assert attrs.get("src", "data:").startswith("data:"), tag
        assert attrs.get("href", "#").startswith(("#", "data:")), tag
    (policy,) = (a["content"] for a in page.all("meta") if "http-equiv" in a)
    start = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src "
    allowed = re.fullmatch(rf"{start}'sha256-(\S+)'; .*", policy)[1]
    for script in scripts:  # the one script that may run is the one that is there
        digest = hashlib.sha256(script.encode()).digest()
        assert allowed == base64.b64encode(digest).decode()


def test_the_policy_precedes_everything_it_governs(volume):
    html = render(volume)
    assert html.startswith("<!DOCTYPE html>\n<html")
    assert html.index("Content-Security-Policy") < html.index("<style")


def test_hostile_text_stays_text(volume):
    evil = "<script>alert('x')</script><img src=q onerror=\"x\">"
    html = render_page(
        make_assessment(
            scope=Scope(False, (evil,)),
            cancer_probability=Probability(0.5, 0.4, 0.6),
            nodules=(make_nodule(lobe=evil),),
            notices=(Notice(evil, evil, evil),),
            guidelines=Guidelines(brock={evil: evil, "inputs": {evil: [evil]}}),
            provenance=Provenance(
                version=evil,
                settings={evil: {evil: evil}},
                weights={evil: evil},
                timings_s={evil: 1.0},
                source={evil: evil},
            ),
        ),
        make_volume(contrast=evil),
    )
    assert "<script" not in html  # one nodule: not even our own
    assert 'onerror="' not in html
    assert html.count("&lt;script&gt;") >= 12
    assert Page(html).problems == []


def test_every_number_of_a_nodule_is_told(volume):
    words = Page(render(volume)).words
    for said in (
        "Left lung",
        "Solid",
        "22.9",
        "26.3 × 20.1",  # noqa: RUF001
        "6 271",
        "67%",
        "33% to 81%",
        "0.93",
        "\u2212150.0",
        "26 of 40",  # z = -150 is index (-150 + 200) / 2 = 25, the 26th
    ):
        assert said in words


def test_pictures_are_described_with_their_numbers(volume):
    alts = [attrs["alt"] for attrs in Page(render(volume)).all("img")]
    assert [alt.split(" image")[0] for alt in alts] == [
        "Nodule 1, axial",
        "Nodule 1, coronal",
        "Nodule 1, sagittal",
    ]
    assert all("22.9\u00a0mm mean diameter" in alt for alt in alts)
    assert "at z\u00a0\u2212150.0\u00a0mm" in alts[0]
    assert "R is on the left, L on the right, A at the top, P at the bottom" in alts[0]


def test_all_of_thirty_nodules_are_listed_and_twelve_are_shown(volume):
    page = Page(render(volume, nodules=many_nodules(30)))
    rows = [a["id"] for a in page.all("tr") if "id" in a]
    assert rows == [f"row-{i}" for i in range(1, 31)]
    shown = [a["id"] for a in page.all("article") if a["class"] == "nodule"]
    assert shown == [f"nodule-{i}" for i in range(1, 13)]
    assert len(page.all("img")) == 3 * PICTURED
    assert "Nodules 13 to 30 have no key images here" in page.words
    for i in range(30):
        assert f" {100 + i} " in page.words  # volume in mm3


def test_one_nodule_without_images_is_one(volume):
    words = Page(render(volume, nodules=many_nodules(PICTURED + 1))).words
    assert "Nodule 13 has no key images here" in words


def test_twelve_nodules_need_no_excuse(volume):
    page = Page(render(volume, nodules=many_nodules(PICTURED)))
    assert "no key images" not in page.words
    assert len(page.all("img")) == 3 * PICTURED


def test_overview_says_when_it_marks_only_some(volume):
    some = Page(render(volume, nodules=many_nodules(MARKED + 1)))
    assert f"the first {MARKED} of {MARKED + 1} nodules are marked" in some.words
    everything = Page(render(volume, nodules=many_nodules(MARKED)))
    assert "nodules are marked" not in everything.words


def test_in_scope_tells_probability_interval_and_meaning(volume):
    words = Page(render(volume)).words
    assert "In scope." in words
    assert "34% interval 12% to 61%" in words
    assert "about 34 of 100 patients" in words
    assert "from 12 to 61 of 100" in words


def test_out_of_scope_tells_why_and_no_probability(volume):
    changes = {**VARIANTS["rich"], **VARIANTS["outside"]}
    html = render(volume, **changes)
    page = Page(html)
    assert "Out of scope." in page.words
    assert "Slices are 8.0 mm apart; the limit is 5.0 mm." in page.words
    assert "Not given, because the scan is out of scope." in page.words
    assert "%" not in page.words
    assert not re.search(r"\d of 100", page.words)
    assert 'class="bar"' not in html
    assert "Brock" not in page.words
    assert "22.9" in page.words  # the measures stay


def test_out_of_scope_with_a_number_asked_for_warns_of_it(volume):
    page = Page(
        render(
            volume,
            scope=Scope(False, ("One lung only.",)),
            cancer_probability=Probability(0.34, 0.12, 0.61),
        )
    )
    assert "Out of scope." in page.words
    assert "They need not hold." in page.words
    assert "34%" in page.words
    assert "They need not hold." not in Page(render(volume)).words


def test_no_nodule_is_no_promise(volume):
    words = Page(render(volume, nodules=())).words
    assert "No nodule was found. That does not prove that there is none" in words
    assert "34%" in words


def test_unknown_probability_is_said_and_not_invented(volume):
    page = Page(render(volume, **VARIANTS["unknown"]))
    assert "Not estimated" in page.words
    assert "not estimated" in page.words
    assert "%" not in page.words


def test_every_notice_is_on_the_page_under_its_stage(volume):
    notices = (
        *(Notice("odd", f"Odd {i}.", "measure") for i in range(9)),
        Notice("gap", "A slice was missing.", "read"),
    )
    words = Page(render(volume, notices=notices)).words
    for notice in notices:
        assert words.count(notice.message) == 1
    assert words.index("Measurement") < words.index("Odd 0.")
    assert words.index("Odd 8.") < words.index("Reading the scan")
    assert words.index("Reading the scan") < words.index("A slice was missing.")
    assert "5 more of this kind" in words
    assert "10 notices" in words


def test_guidelines_are_told_with_what_they_lacked(volume):
    words = Page(render(volume, **VARIANTS["rich"])).words
    assert "Lung-RADS v2022: 4B" in words
    assert "Fleischner Society 2017: PET/CT" in words
    assert "Brock (PanCan) model: 35% (10% to 60%)" in words
    assert "Mayo model: 41%" in words
    assert re.search(r"Inputs, upper lobe\s+no", words)
    assert re.search(r"Missing\s+age, sex", words)


def test_what_else_a_guideline_leaves_possible_is_told(volume):
    said = Guidelines(
        brock={
            "probability": {"value": 0.35, "low": 0.1, "high": 0.6},
            "possible": {"low": 0.05, "high": 0.7},
            "other_rules": ["were it part-solid: 12 to 70 %", "it >= 8 mm -> 4A"],
        }
    )
    words = Page(render(volume, guidelines=said)).words
    assert re.search(r"Possible\s+5\.0% to 70%", words)
    assert re.search(r"Otherwise\s+Were it part-solid: 12 to 70 %", words)
    assert "It \u2265 8 mm \u2192 4A" in words
    odd = Guidelines(brock={"other_rules": 3, "possible": {"low": 0.05}})
    assert "no result" in Page(render(volume, guidelines=odd)).words


def test_several_recommendations_stand_one_a_line(volume):
    several = ["CT at 6 months, then consider CT", "CT at 6 months, then CT"]
    told = {"recommendation": None, "possible": several, "missing": ["risk"]}
    open_ = Page(render(volume, guidelines=Guidelines(fleischner=told))).words
    assert "Fleischner Society 2017: depends on what is missing" in open_
    assert "Recommendation not known" not in open_
    assert re.search(rf"Possible\s+{several[0]}\s+Possible\s+{several[1]}", open_)
    said = told | {"recommendation": several[0]}
    sure = Page(render(volume, guidelines=Guidelines(fleischner=said))).words
    assert f"Fleischner Society 2017: {several[0]}" in sure
    outside = told | {"not_applicable": "a calcified nodule: outside the guideline"}
    none = Page(render(volume, guidelines=Guidelines(fleischner=outside))).words
    assert "Fleischner Society 2017: no result" in none


def test_no_folder_is_told(volume):
    run = replace(
        make_assessment().provenance,
        settings={"nodules": {"weights": "/home/someone/nets/dot.xml"}},
        weights={"C:\\nets\\lungs.xml": "abc123"},
        source={"file": "~/scans/x.nii.gz"},
    )
    html = render(volume, provenance=run)
    for name in ("dot.xml", "lungs.xml", "x.nii.gz", "abc123"):
        assert name in html
    for folder in ("someone", "nets", "scans"):
        assert folder not in html


def test_same_input_gives_same_bytes(volume):
    changes = VARIANTS["rich"]
    assert render(volume, **changes) == render(make_volume(), **changes)
    assert render(volume, **changes) != render(volume)


def test_ten_nodules_in_noise_stay_below_two_megabytes():
    # noise packs worst: no real CT gives a larger page
    grid = Grid.axial((70, 200, 200), (1.0, 0.6, 0.6), origin_mm=(-60.0, -60.0, -195.0))
    noise = np.random.default_rng(0).integers(-1300, 100, grid.shape, dtype=np.int16)
    page = render(CTVolume(noise, grid, "1.2.3"), nodules=many_nodules(10))
    assert len(page.encode()) < 2_000_000


def test_written_file_is_the_page(tmp_path, volume):
    path = tmp_path / "report.html"
    write_page(make_assessment(), volume, path)
    assert path.read_bytes().decode("utf-8") == render(volume)


def test_missing_folder_is_an_input_error_without_the_path(tmp_path, volume):
    path = tmp_path / "nowhere" / "report.html"
    with pytest.raises(InputError, match=r"Cannot write `report\.html`") as caught:
        write_page(make_assessment(), volume, path)
    assert "nowhere" not in str(caught.value)


def test_assessment_of_another_series_is_refused(volume):
    with pytest.raises(InputError, match=r"series 9\.9, the volume of series 1\.2\.3"):
        render(volume, series_uid="9.9")


def test_nodule_outside_the_volume_is_refused(volume):
    far = make_nodule(center_mm=(20.0, 10.0, 150.0))
    with pytest.raises(InputError, match="outside the volume"):
        render(volume, nodules=(far,))


@pytest.mark.parametrize(
    ("long_axis_mm", "side_mm"),
    [(4.0, 60.0), (30.0, 60.0), (31.0, 70.0), (150.0, 200.0)],
)
def test_pictures_grow_with_a_mass(long_axis_mm, side_mm):
    assert crop_mm(make_nodule(long_axis_mm=long_axis_mm, diameter_mm=4.0)) == side_mm


def test_marks_show_the_diameter_and_do_not_cover_the_nodule(volume):
    for picture in pictures(make_nodule(), 1, volume):
        points = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", picture.ticks), float)
        assert len(points) == 8
        # 22.9 / 2 = 11.45 mm, and 3.5 % of 60 mm = 2.1 mm of air between
        apart = np.linalg.norm(points - picture.size_mm / 2, axis=1)
        assert apart.min() == pytest.approx(11.45 + 2.1, abs=0.01)
        assert apart.max() < picture.size_mm / 2
        ends = np.array(re.findall(r"M([\d.]+) ([\d.]+)A", picture.outline), float)
        radii = np.linalg.norm(ends - picture.size_mm / 2, axis=1)
        np.testing.assert_allclose(radii, 11.45, atol=0.01)
        assert re.findall(r"A([\d.]+) ", picture.outline) == ["11.45"] * 4
        assert picture.axes == ()


def test_scale_bar_is_ten_millimetres_of_the_picture(volume):
    html = render(volume, nodules=(make_nodule(long_axis_mm=41.0),))
    boxes = re.findall(r'class="picture">.*?viewBox="([^"]+)"', html, re.DOTALL)
    assert boxes == ["0 0 90.0 90.0"] * 3  # 2 * 41 = 82, up to whole 10 mm
    assert len(re.findall(r'class="line scale" d="M[\d.]+ [\d.]+h10"', html)) == 3


@given(
    st.lists(
        st.tuples(st.floats(-44, 44), st.floats(-199, -122)),
        min_size=1,
        max_size=MARKED,
    )
)
def test_numbers_on_the_overview_never_touch(volume, points):
    nodules = tuple(make_nodule(center_mm=(x, 0.0, z)) for x, z in points)
    figure = overview_figure(volume, nodules)
    assert [pin.count for pin in figure.pins] == list(range(1, len(points) + 1))
    for side in {pin.label_x_mm for pin in figure.pins}:
        at = sorted(pin.label_y_mm for pin in figure.pins if pin.label_x_mm == side)
        assert at[0] >= figure.letter_mm / 2
        assert at[-1] <= figure.height_mm - figure.letter_mm / 2
        assert all(b - a >= figure.letter_mm for a, b in pairwise(at))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "fewer than 1 of 1000"),
        (0.004, "about 4 of 1000"),
        (0.01, "about 1 of 100"),
        (0.996, "more than 99 of 100"),
    ],
)
def test_meaning_is_a_count_of_patients(value, said):
    assert said in meaning(Probability(value, value, value))


def _luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _themes(html):
    """Give the colours of each theme: of the system (two), light, dark, paper."""
    blocks = re.findall(r":root[^{]*\{(.*?)\}", html, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in blocks]


def test_the_switch_gives_the_colours_of_the_system(volume):
    light, dark, chosen_light, chosen_dark, paper = _themes(render(volume))
    assert light == chosen_light != dark == chosen_dark
    assert set(light) == set(dark) == set(paper)


@pytest.mark.parametrize("theme", [0, 1, 4], ids=["light", "dark", "paper"])
@pytest.mark.parametrize(
    ("ink", "ground", "least"),
    [
        ("ink", "page", 4.5),
        ("ink", "sheet", 4.5),
        ("quiet", "page", 4.5),
        ("quiet", "sheet", 4.5),
        ("quiet", "soft", 4.5),
        ("quiet", "warn-page", 4.5),
        ("link", "page", 4.5),
        ("link", "sheet", 4.5),
        ("link", "warn-page", 4.5),
        ("warn-ink", "warn-page", 4.5),
        # WCAG 1.4.11: what is drawn and has a meaning
        ("raise", "soft", 3),
        ("lower", "soft", 3),
        ("tone", "sheet", 3),
    ],
)
def test_text_has_the_contrast_of_wcag_aa(volume, theme, ink, ground, least):
    colors = _themes(render(volume))[theme]
    full = {k: v if len(v) == 7 else "#" + "".join(2 * c for c in v[1:])
            for k, v in colors.items()}  # fmt: skip
    light, dark = sorted(map(_luminance, (full[ink], full[ground])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= least

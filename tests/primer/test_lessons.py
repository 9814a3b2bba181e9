"""The lessons are complete: texts, views, data, and the source that they show."""

import html
import inspect
import json
import re

import numpy as np
import pytest
from ops_script import STATIC

from hilum.errors import InputError
from hilum.nn import layers as own_layers
from hilum.primer import ops
from hilum.primer.lessons import LESSONS, find_lesson
from hilum.primer.lessons.activations import measured
from hilum.primer.lessons.lesson import LAYERS, OURS, pack, pack_coarsely, to_html
from hilum.primer.pages import bundle
from hilum.primer.scene import scan_scene

ROOT = STATIC.parents[3]


def test_there_are_twelve_in_order():
    assert [lesson.number for lesson in LESSONS] == list(range(1, 13))
    assert len({lesson.key for lesson in LESSONS}) == 12


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.key)
def test_every_step_has_a_view_and_every_view_a_step(lesson):
    source = (STATIC / "lessons" / f"{lesson.key}.js").read_text()
    views = re.findall(r"^  (\w+)\(root", source, re.MULTILINE)
    assert views == [step.key for step in lesson.steps]
    for step in lesson.steps:
        compile(step.code, step.key, "exec")
    assert set(lesson.layers) <= set(LAYERS) | OURS
    assert all(hasattr(own_layers, name) for name in OURS)


@pytest.mark.parametrize("name", [n for n in ops.__all__ if n.islower()])
def test_every_operation_can_be_read_aloud(name):
    function = getattr(ops, name)
    body = re.sub(r'""".*?"""', "", inspect.getsource(function), flags=re.DOTALL)
    assert len(body.strip().splitlines()) <= 30


def test_a_lesson_is_found_by_number_or_name():
    assert find_lesson("10").key == "network"
    assert find_lesson("pooling").number == 7
    with pytest.raises(InputError, match=r"no lesson '13'\. Lessons are: 1 scanner"):
        find_lesson("13")


def test_what_was_measured_is_what_the_documentation_says():
    page = (ROOT / "docs/explanation/activations.md").read_text()
    rows = re.findall(
        r"^\| ([\w ,./]+?) \| (0\.\d+) \| (0\.\d+)\u2013(0\.\d+) \|", page, re.MULTILINE
    )
    told = [
        (r["name"], f"{r['auc']:.3f}", f"{r['low']:.3f}", f"{r['high']:.3f}")
        for r in measured()["activations"]
    ]
    assert told == rows
    assert len(rows) == 9
    for name, steps in measured()["batch_norm"]["steps"].items():
        cells = " | ".join("\u2013" if s is None else str(s) for s in steps)
        assert f"| {name} | {cells} |" in page


def test_packing_keeps_values():
    x = np.random.default_rng(0).normal(0, 400, (3, 4))
    assert pack(x, "int16")["shape"] == [3, 4]
    coarse = pack_coarsely(x)
    assert coarse["step"] == pytest.approx((x.max() - x.min()) / 255)
    assert coarse["low"] == x.min()
    assert pack_coarsely(np.zeros(3))["step"] == 1.0  # no range: nothing to divide by


def test_markup_is_escaped_and_marked():
    marked = to_html("A <b> & `x < 1`, *so* [here](a.html).\n\n- one\n- two\n  lines")
    assert marked == (
        "<p>A &lt;b&gt; &amp; <code>x &lt; 1</code>, <em>so</em> "
        '<a href="a.html">here</a>.</p><ul><li>one</li><li>two lines</li></ul>'
    )


def test_a_bundle_has_no_imports_and_no_exports():
    script = bundle("activations")
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    assert "widgets.start(lesson.views)" in script


def test_a_nodule_outside_the_volume_is_refused(scene):
    volume, _ = scene.chest()
    with pytest.raises(InputError, match="outside the volume"):
        scan_scene(volume, (0.0, 0.0, 9999.0), 8.0)


def test_a_piece_stays_in_the_slice_and_has_its_size(scene):
    assert scene.cut(64).shape == (128, 128)
    assert scene.cut(4000).shape == (512, 512)


def test_pages_hold_no_name_and_no_link_that_loads(scene):
    from hilum.primer.site import Site  # noqa: PLC0415  loads the pipeline

    page = Site(scene).page("01-scanner.html")
    assert "PatientName" not in page
    found = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    policy = html.unescape(found)
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert not re.search(r'(src|href)="(?:https?:)?//(?!keras\.io)', page)
    assert (
        json.loads(re.search(r'id="data">(.*?)</script>', page)[1])["served"] is False
    )

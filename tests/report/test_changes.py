"""What became of the nodules, as the page says it."""

from report_examples import make_assessment, make_nodule, make_volume

from hilum.findings import Alignment, Change, Comparison, Growth, Scope
from hilum.report.changes import heading, lines
from hilum.report.page import render_page


def plain(text):
    return text.replace("\u00a0", " ").replace("\u2212", "-")


def growth(**changes):
    fields = {
        "volume_change": 1.0,
        "low": 0.5,
        "high": 1.8,
        "doubling_time_days": 90.0,
        "shortest_days": 60.6,
        "longest_days": 153.9,
        "outlining": "edge",
        "rule": "as said",
    }
    return Growth(**{**fields, **changes})


def change(**changes):
    fields = {
        "status": "grown",
        "possible": ("grown",),
        "prior": 2,
        "current": 1,
        "before": make_nodule(diameter_mm=18.2),
        "now": make_nodule(diameter_mm=22.9),
        "prior_mm": (0.0, 0.0, 0.0),
        "current_mm": (20.0, 10.0, -150.0),
        "growth": growth(),
        "rule": "as said",
    }
    return Change(**{**fields, **changes})


def comparison(*changes):
    return Comparison(
        prior_series_uid="9",
        prior_scope=Scope(True),
        prior_nodules=(),
        days=90,
        alignment=Alignment(overlap=0.98, likeness=0.94, doubt_mm=1.04),
        changes=changes,
    )


def test_a_grown_nodule_is_said_with_its_interval():
    ((whose, what),) = lines(comparison(change()))
    assert whose == "Nodule 1"
    assert plain(what) == (
        "Grown, 18.2 to 22.9 mm, volume by 100% (50% to 180%), "
        "doubles in 90 days (61 to 154)"
    )


def test_doubt_is_said():
    doubtful = growth(low=-0.1, longest_days=None)
    one = change(
        growth=doubtful,
        possible=("grown", "stable"),
        below_threshold="prior",
        prior=None,
    )
    ((_, what),) = lines(comparison(one))
    assert plain(what) == (
        "Grown (perhaps stable), 18.2 to 22.9 mm, volume by 100% (-10% to 180%), "
        "doubles in 90 days (61 days or more), in the prior found only when looked for"
    )


def test_what_one_scan_shows_has_no_growth():
    gone = change(
        status="gone", possible=("gone",), current=None, now=None, growth=None
    )
    shrunk = change(
        status="shrunk",
        possible=("shrunk",),
        growth=growth(doubling_time_days=None, shortest_days=None, longest_days=None),
        below_threshold="current",
    )
    said = dict(lines(comparison(gone, shrunk)))
    assert said["Nodule 2 of the prior"] == "Gone"
    assert "doubles" not in said["Nodule 1"]
    assert said["Nodule 1"].endswith("now found only when looked for")


def test_the_page_shows_it_only_with_a_prior():
    volume = make_volume()
    page = render_page(make_assessment(comparison=comparison(change())), volume)
    assert "Since the prior scan" in page
    assert plain(heading(comparison())).endswith("agree to about 1.0 mm.")
    assert "90 days before" in page
    assert "doubles in 90 days" in page
    assert "Since the prior scan" not in render_page(make_assessment(), volume)
    empty = render_page(make_assessment(comparison=comparison()), volume)
    assert "Neither scan has a nodule." in empty
    assert heading(None) == ""
    assert lines(None) == ()

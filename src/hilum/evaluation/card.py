"""A model card from an evaluation, as Markdown: what was judged, how well, its limits.

The page holds what the figures say and nothing more. What they cannot tell, such as
what the network was trained on, is a line to fill in, and stands there as unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum._names import name_of, printable
from hilum._version import __version__
from hilum.datasets.tables import read_rows
from hilum.errors import InputError
from hilum.evaluation.detections import read_truth
from hilum.formats.atomic import replacing, writing
from hilum.runtime.weights import digest_of, find_weights, parts_of

FEW = 30
"""Parts of fewer cases are marked as too small to tell."""
FEW_POSITIVES = 10
"""The same of parts with fewer to be found."""

_TASKS = {
    "luna16": ("Marks nodules in a CT of the chest.", "scans", "nodules"),
    "dsb2017": ("Gives a patient's probability of lung cancer.", "n", "cancers"),
    "patient": (
        "Gives a patient's probability of lung cancer by year.",
        "n",
        "cancers",
    ),
    "nodules": ("Rates and outlines a nodule.", "nodules", ""),
}
_NAMES = {
    "cpm": "mean sensitivity at 1/8 to 8 false positives a scan (CPM)",
    "sensitivity": "sensitivity at",
    "sensitivity_at_1": "sensitivity at 1 false positive a scan",
    "auc": "AUC",
    "ece": "expected calibration error",
    "brier": "Brier score",
    "log_loss": "log loss",
    "harrell_c": "Harrell's C",
    "uno_c": "Uno's C",
    "dice": "Dice of the outlines",
}
_APART = ("subgroups", "difference", "comparison", "log_loss_difference")
Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What a card says beside figures.

    Attributes:
        what: "luna16", "dsb2017", "patient" or "nodules".
        name: Of the model.
        truth: Table or folder of what is true.
        predictions: Table that was judged, or None.
        run: Folder of the training run, whose run.json and data.csv say on what it was
            trained, or None.
        weights: Names or paths of the weights that were judged, where they are known.
    """

    what: str
    name: str
    truth: Path
    predictions: Path | None = None
    run: Path | None = None
    weights: tuple[str, ...] = ()


def write_card(figures: Mapping[str, Any], facts: CardFacts, path: Path) -> Path:
    """Write the model card of an evaluation.

    Args:
        figures: What `hilum evaluate` prints.
        facts: What was judged.
        path: The page, .md.

    Returns:
        The page.

    Raises:
        InputError: There is no card of such an evaluation, or the page cannot be
            written.
        WeightsError: The weights are absent or damaged.
    """
    if facts.what not in _TASKS:
        raise InputError(
            f"There is no model card of {facts.what!r}. Choose one of "
            f"{', '.join(_TASKS)}."
        )
    task, cases, positives = _TASKS[facts.what]
    title = printable(facts.name).replace("`", "'").replace("|", "/")
    lines = [f"# Model card: `{title}`", ""]
    lines += [f"{task} For research and teaching; not a medical device.", ""]
    lines += _about(figures, facts, cases, positives)
    lines += [
        "",
        "## Figures",
        "",
        "Intervals of 95 %: bootstrap over patients or scans; of an AUC, C or "
        "sensitivity of exactly 1 or 0 at least exact. Another interval without width "
        "comes from cases that are all alike, and is no certainty.",
        "",
    ]
    lines += _table(("figure", "value", "95 % interval"), figure_rows(figures))
    lines += _bins(figures.get("reliability") or ())
    lines += _subgroups(figures.get("subgroups") or ())
    lines += _comparison(figures)
    limits = [*_seen(facts), *_limits(figures, cases, positives)]
    lines += ["", "## Limits", "", *limits, ""]
    with writing(path), replacing(path) as file:
        file.write("\n".join(lines).encode())
    return path


def figure_rows(figures: Mapping[str, Any]) -> list[Row]:
    """List the figures that have a value, with their intervals.

    Args:
        figures: What `hilum evaluate` prints, or a part of it.

    Returns:
        Name, value and interval, as text.

    Example:
        >>> figure_rows({"auc": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 50}})
        [('AUC', '0.800', '0.700 to 0.900')]
    """
    return list(_rows(figures, ""))


def _rows(figures: Mapping[str, Any], before: str) -> Iterator[Row]:
    for key, value in figures.items():
        if key in _APART or key.endswith("_interval"):
            continue
        name = f"{before} {_NAMES.get(key, key.replace('_', ' '))}".strip()
        if isinstance(value, Mapping):
            if {"value", "low", "high"} <= set(value):
                yield name, _number(value["value"]), _interval(value)
            elif f"{key}_interval" in figures:
                among = figures[f"{key}_interval"]
                for at, said in value.items():
                    yield f"{name} {at}", _number(said), _interval(among.get(at))
            else:
                yield from _rows(value, name)
        elif f"{key}_interval" in figures:
            yield name, _number(value), _interval(figures[f"{key}_interval"])


def _about(
    figures: Mapping[str, Any], facts: CardFacts, cases: str, positives: str
) -> list[str]:
    rows: list[tuple[str, ...]] = [
        ("judged by", f"hilum {__version__}, `hilum evaluate {facts.what}`")
    ]
    rows.append(("truth", _source(facts.truth)))
    if facts.predictions is not None:
        rows.append(("predictions", _source(facts.predictions)))
    for weights in facts.weights:
        rows += [("weights", _source(part)) for part in parts_of(find_weights(weights))]
    if cases in figures:
        rows.append(("scans" if cases == "scans" else "patients", str(figures[cases])))
    if positives in figures:
        rows.append((f"of them {positives}" if positives == "cancers" else positives,
                     str(figures[positives])))  # fmt: skip
    if "prior_log_loss" in figures:
        share = _number(figures["prior_log_loss"])
        rows.append(("log loss of their share for everybody", share))
    rows += _training(facts.run)
    return _table(("", ""), rows)


def _training(run: Path | None) -> list[tuple[str, str]]:
    """Say on what it was trained, as run.json has it."""
    if run is None:
        return [("trained on", "not known from the figures: write it here")]
    try:
        tree = json.loads((run / "run.json").read_text(encoding="utf-8"))
        data = tree["data"]
        about = f"{data['cases']} cases of {data['patients']} patients"
        digest = str(data["cases_sha256"])[:16]
        made = f"hilum {tree['hilum']}, settings in run.toml of the run"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"Cannot read run.json in `{name_of(run)}`: {type(error).__name__}. Give "
            "the folder that `hilum train` wrote."
        ) from error
    layout = _plain(str(data.get("layout", "unknown")))
    return [
        ("trained on", f"{about} (layout {layout}; list: SHA-256 {digest}…)"),
        ("trained by", _plain(made)),
    ]


def _seen(facts: CardFacts) -> Iterator[str]:
    """Say how many of the cases judged are in the list that was trained on."""
    table = None if facts.run is None else facts.run / "data.csv"
    if table is None or not table.is_file():
        yield "- Whether cases judged were trained on is not known: no run was named."
        return
    rows = read_rows(table, ("id", "patient"))
    learned = {row[name].strip() for row in rows for name in ("id", "patient")}
    judged = _judged(facts)
    count = len(judged & learned)
    if count:
        yield (
            f"- **{count} of the {len(judged)} cases judged are in the list that it "
            "was trained on.** The figures hold for new patients only if each was "
            "judged by a network that never saw it (out of fold)."
        )
    else:
        yield "- None of the cases judged is in the list trained on, by name."


def _judged(facts: CardFacts) -> set[str]:
    """Name the cases judged, as the list of a run names them."""
    if facts.what == "luna16":
        return set(read_truth(facts.truth).series)
    if facts.what == "nodules":
        rows = read_rows(facts.truth / "nodules.csv", ("file",))
        return {row["file"].strip() for row in rows}
    return {row["id"].strip() for row in read_rows(facts.truth, ("id",))}


def _source(path: Path) -> str:
    """Name a table with its digest; a folder by its tables."""
    if path.is_dir():
        tables = sorted(path.glob("*.csv"))
        return "; ".join(_source(table) for table in tables) or f"`{name_of(path)}`"
    return f"`{name_of(path)}`, SHA-256 {digest_of(path)[:16]}…"


def _bins(bins: Sequence[Mapping[str, Any]]) -> list[str]:
    """Show whether probabilities are what they say."""
    rows = [
        (str(b["n"]), _number(b["said"]), _number(b["true"]))
        for b in bins
        if b.get("n")
    ]
    head = ["", "## Calibration", ""]
    return (
        [*head, *_table(("patients", "mean probability", "share with cancer"), rows)]
        if rows
        else []
    )


def _subgroups(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    if not groups:
        return []
    lines = ["", "## Parts of the cohort", ""]
    lines += [
        f"Parts of fewer than {FEW}, or with fewer than {FEW_POSITIVES} positives, are "
        "in brackets: they tell little. Nothing is corrected for how many parts there "
        "are.",
        "",
    ]
    names = list(groups[0]["figures"])
    rows = []
    for group in groups:
        label = f"{_plain(group['fact'])}: {_plain(group['group'])}"
        few = group["n"] < FEW or group["positives"] < FEW_POSITIVES
        label = f"({label})" if few else label
        cells = [
            f"{_number(f['value'])} [{_interval(f)}]" if f["value"] is not None else "—"
            for f in (group["figures"].get(name) or {"value": None} for name in names)
        ]
        rows.append((label, str(group["n"]), str(group["positives"]), *cells))
    head = [_NAMES.get(name, name.replace("_", " ")) for name in names]
    return [*lines, *_table(("part", "n", "positives", *head), rows)]


def _comparison(figures: Mapping[str, Any]) -> list[str]:
    """Say how it does beside the other predictions."""
    rows: list[tuple[str, ...]] = []
    other = figures.get("comparison")
    if other:
        span = f"{_number(other['low'])} to {_number(other['high'])}"
        rows.append((f"AUC ({_number(other['first'])} and {_number(other['second'])}; "
                     "interval by DeLong's method)",
                     _number(other["difference"]), span))  # fmt: skip
    for key, name in (("difference", "CPM"), ("log_loss_difference", "log loss")):
        if figures.get(key):
            rows.append((name, _number(figures[key]["value"]), _interval(figures[key])))
    if not rows:
        return []
    lines = ["", "## Beside the other predictions", ""]
    return [*lines, *_table(("figure", "difference", "95 % interval"), rows)]


def _limits(figures: Mapping[str, Any], cases: str, positives: str) -> list[str]:
    lines = []
    count = figures.get(positives) or 0
    if count:
        one = {"nodules": "nodule", "cancers": "cancer"}[positives]
        lines.append(
            f"- One {one} more or less is {100 / count:.1f} % of the sensitivity."
        )
    if isinstance(figures.get(cases), int) and figures[cases] < 100:
        lines.append(f"- {figures[cases]} cases are few; see the intervals.")
    lines += [f"- {note}" for note in figures.get("notices") or ()]
    if not figures.get("subgroups"):
        lines.append("- No parts of the cohort were looked at (`--by`).")
    lines.append("- Figures hold for cases like those judged, and for no others.")
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Take out what would break a table."""
    return printable(text).replace("|", "/").replace("`", "'")[:60]


def _number(value: Any) -> str:
    return "—" if value is None else f"{value:.3f}"


def _interval(found: Any) -> str:
    if found is None:
        return "—"
    low, high = (found["low"], found["high"]) if isinstance(found, Mapping) else found
    return "—" if low is None else f"{low:.3f} to {high:.3f}"

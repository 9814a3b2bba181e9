"""Robustness: whatever happened to the files, a volume or an InputError.

`mutation_run.py` damages seeded files in processes of their own; this counts. A
failing case is named by kind and seed: `python mutation_run.py KIND SEED SEED DIR`
(with `tests` on PYTHONPATH) does it again. HILUM_MUTATIONS=all tries all 6,150
cases, which takes minutes; otherwise a fifth of them is tried.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ALL = {
    "header": 600,
    "pixels": 250,
    "codec": 400,
    "cut": 400,
    "lengths": 300,
    "values": 550,
    "tags": 300,
    "mix": 200,
    "files": 200,
    "enhanced": 300,
    "zip": 150,
    ".nii": 500,
    ".nii.gz": 500,
    ".mha": 500,
    ".mhd": 500,
    ".npz": 500,
}
SHARE = 1 if os.environ.get("HILUM_MUTATIONS") == "all" else 5
CASES = {kind: count // SHARE for kind, count in ALL.items()}
DICOM = [kind for kind in CASES if not kind.startswith(".")]
TIMES_THE_SOUND = 4
SLACK_BYTES = 1 << 18
"""What a module that is imported on the way may take on top of it."""


def run_batch(kind, count, scratch):
    """Run the cases of one kind; gives their lines, the peak in kB, and stderr."""
    scratch.mkdir(parents=True)
    here = Path(__file__).parent
    command = [sys.executable, "-X", "faulthandler", here / "mutation_run.py"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*sys.path, str(here.parent)]),
    }
    try:
        done = subprocess.run(
            [*command, kind, "1", str(count), scratch],
            capture_output=True,
            text=True,
            timeout=300 + 5 * count,  # each case has a limit of its own
            env=environment,
            check=False,
        )
        out, err, code = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as expired:
        out, err, code = str(expired.stdout or ""), str(expired.stderr or ""), "hang"
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("[")]
    peaks = [int(line) for line in out.splitlines() if line.isdigit()]
    return lines, peaks, f"exit {code}, last: {err[-1500:]}" if code else ""


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """All batches, two at a time."""
    scratch = tmp_path_factory.mktemp("mutations")
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        runs = {
            kind: pool.submit(run_batch, kind, count, scratch / kind.strip("."))
            for kind, count in CASES.items()
        }
        return {kind: run.result() for kind, run in runs.items()}


def assert_robust(kind, lines, crash):
    assert not crash, f"{kind}: {crash}"
    bad = [line for line in lines if line[1] not in ("volume", "refused")]
    assert not bad, f"{kind}: {len(bad)} cases, such as {bad[:5]}"
    large = [
        (seed, peak, sound)
        for seed, _, peak, sound, _ in lines
        if peak > TIMES_THE_SOUND * sound + SLACK_BYTES
    ]
    assert not large, f"{kind}: memory of (seed, peak, sound): {large[:5]}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_damage_gives_a_volume_or_an_input_error(kind, batches):
    lines, peaks, crash = batches[kind]
    assert_robust(kind, lines, crash)
    assert len(lines) == CASES[kind]
    outcomes = Counter(line[1] for line in lines)
    assert len(outcomes) == 2, f"{kind} damaged nothing, or everything: {outcomes}"
    assert len(peaks) == 1


@pytest.mark.slow
def test_the_run_is_as_large_as_it_says(batches):
    assert sum(len(batches[kind][0]) for kind in DICOM) >= 3000 // SHARE


@pytest.mark.slow
def test_codecs_take_no_more_memory_either(batches, tmp_path):
    # memory that C takes is not traced: the peak of the process tells, against
    # that of a process that reads the same sound files
    _, (sound,), crash = run_batch("codec", 1, tmp_path / "sound")
    assert not crash
    for kind, (_, peaks, _) in batches.items():
        assert peaks[0] < TIMES_THE_SOUND * sound, f"{kind}: {peaks[0]} kB"


@pytest.mark.parametrize("kind", ["header", ".nii.gz"])
def test_a_few_of_them_quickly(kind, tmp_path):
    lines, _, crash = run_batch(kind, 15, tmp_path / "few")
    assert_robust(kind, lines, crash)
    assert len(lines) == 15

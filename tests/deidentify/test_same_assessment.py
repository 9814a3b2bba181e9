"""hilum comes to the same conclusions on the copy."""

import json
import re
from datetime import date

import pytest

import hilum
from hilum.deidentify import Key, deidentify
from hilum.pipeline import read_and_assess

KEY = Key(b"a key that is used for tests only")
UID = re.compile(r"\d+(?:\.\d+){4,}|2\.25\.\d+|…\d+")


def conclusions(folder):
    _, result = read_and_assess(folder)
    tree = result.to_json()
    del tree["provenance"]["timings_s"]
    del tree["provenance"]["outlines_sha256"]  # has the series UID in it
    day = tree["provenance"]["source"]["acquisition"].pop("acquired")
    return UID.sub("UID", json.dumps(tree, sort_keys=True)), day


@pytest.mark.slow
def test_on_a_phantom(tmp_path):
    settings = hilum.PhantomSettings(
        seed=5, shape=(60, 128, 128), spacing_mm=(5, 2.8, 2.8)
    )
    series = hilum.write_phantom(hilum.make_phantom(settings), tmp_path / "in")
    deidentify(series, tmp_path / "out", key=KEY)
    (before, day), (after, moved) = conclusions(series), conclusions(tmp_path / "out")
    assert before == after
    assert len(json.loads(before)["nodules"]) > 0
    days = date.fromisoformat(moved) - date.fromisoformat(day)
    assert -3650 <= days.days <= -1

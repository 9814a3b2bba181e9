"""Two studies of a patient are aligned once, elsewhere, and one pair at a time."""

import json
import sys
import threading
import time

import numpy as np
import pytest

from hilum.errors import InputError
from hilum.formats import write_mask, write_volume
from hilum.service.jobs import aligning
from hilum.service.jobs.aligning import Aligner, BusyError, main
from hilum.service.jobs.store import Store
from hilum.service.jobs.views import VIEW_FILES
from hilum.space import Grid
from hilum.volume import CTVolume, Mask

STUDY, PRIOR = "a" * 32, "b" * 32
COUNTS = "import sys; open(sys.argv[3], 'x').write('{\"trusted\": true}')"


@pytest.fixture
def store(tmp_path):
    """Two studies of which the viewer has images."""
    store = Store(tmp_path / "data", 0)
    for study in (STUDY, PRIOR):
        store.views(study).mkdir(parents=True)
        (store.views(study) / VIEW_FILES["small"]).touch()
    yield store
    store.close()


def use(monkeypatch, code):
    monkeypatch.setattr(
        aligning, "_command", lambda *a: [sys.executable, "-c", code, *a]
    )


def test_a_pair_is_aligned_once(store, monkeypatch):
    use(monkeypatch, COUNTS)  # a second run would fail: the file is there
    aligner = Aligner(store)
    for _ in range(2):
        assert aligner.align(STUDY, PRIOR) == {"trusted": True}
    store.remove(STUDY)
    with pytest.raises(InputError, match="no images to view"):
        aligner.align(STUDY, PRIOR)


def test_one_pair_at_a_time(store, tmp_path, monkeypatch):
    go = tmp_path / "go"
    waits = f"while not os.path.exists({str(go)!r}): time.sleep(0.01)"
    use(monkeypatch, f"import os, time\n{waits}\n{COUNTS}")
    aligner = Aligner(store)
    first = threading.Thread(target=aligner.align, args=(STUDY, PRIOR))
    first.start()
    end = time.monotonic() + 30
    while not aligner._one.locked():
        assert time.monotonic() < end
        time.sleep(0.01)
    with pytest.raises(BusyError, match="Another pair"):
        aligner.align(PRIOR, STUDY)
    go.touch()
    first.join()
    assert aligner.align(PRIOR, STUDY) == {"trusted": True}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "could not be aligned"),
        ("import time; time.sleep(9)", "too long"),
    ],
)
def test_a_pair_that_fails_says_so_and_can_be_asked_for_again(
    store, monkeypatch, code, said
):
    use(monkeypatch, code)
    monkeypatch.setattr(aligning, "LIMIT_S", 0.5 if "sleep" in code else 60)
    aligner = Aligner(store)
    with pytest.raises(InputError, match=said):
        aligner.align(STUDY, PRIOR)
    use(monkeypatch, COUNTS)
    monkeypatch.setattr(aligning, "LIMIT_S", 60)
    assert aligner.align(STUDY, PRIOR)["trusted"]


def test_scans_without_lungs_have_no_map(tmp_path, monkeypatch):
    monkeypatch.setattr(aligning.os, "nice", lambda by: None)
    grid = Grid.axial((20, 20, 20), (10.0, 10.0, 10.0))
    hu = np.full(grid.shape, -1000, np.int16)
    hu[:, 5:] = 40
    write_volume(CTVolume(hu, grid, "1"), tmp_path / VIEW_FILES["small"])
    write_mask(
        Mask(np.zeros(grid.shape, np.uint8), grid), tmp_path / VIEW_FILES["lungs"]
    )
    main([str(tmp_path), str(tmp_path), str(tmp_path / "out.json")])
    tree = json.loads((tmp_path / "out.json").read_text())
    assert not tree["trusted"]
    assert "shows no lungs" in tree["why"]
    assert tree["shifts_mm"] == []

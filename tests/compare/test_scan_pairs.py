"""What `benchmarks/scan_pairs.py` holds to be true of two scans of a phantom."""

import importlib.util
import sys
from pathlib import Path

import pytest

from hilum.phantom import Lesion


@pytest.fixture(scope="module")
def pairs():
    path = Path(__file__).parents[2] / "benchmarks" / "scan_pairs.py"
    spec = importlib.util.spec_from_file_location("scan_pairs", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # its dataclasses look it up
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize(("moved_mm", "pair"), [(0.0, True), (5.9, True), (6.1, False)])
def test_a_lesion_that_moved_by_more_than_its_radius_is_no_pair(pairs, moved_mm, pair):
    # 8 mm to 12 mm: the radius is 6 mm. The breath, 15 mm, moves what is no other
    old = Lesion(center_mm=(10.0, 20.0, 30.0), diameter_mm=8.0)
    new = Lesion(center_mm=(10.0, 20.0 + moved_mm, 30.0), diameter_mm=12.0)
    before, now = old.truth(), new.truth((0.0, 0.0, 15.0))
    truths = pairs.truths_of(old, new, before, now)
    if pair:
        (both,) = truths
        assert (both.prior_mm, both.current_mm) == (before.center_mm, now.center_mm)
        assert both.diameters_mm == pytest.approx((8.0, 12.0))
        return
    gone, came = truths
    assert (gone.prior_mm, gone.current_mm) == (before.center_mm, None)
    assert (came.prior_mm, came.current_mm) == (None, now.center_mm)
    assert gone.diameters_mm == pytest.approx((8.0, 8.0))
    assert came.diameters_mm == pytest.approx((12.0, 12.0))

"""Training the detector: implants, crops, answers, and a run from end to end."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.datasets.scans import ScanCase
from hilum.errors import InputError
from hilum.findings import Annotation
from hilum.formats import write_volume
from hilum.phantom import PhantomSettings, make_phantom
from hilum.stages.nodules import NoduleDetector
from hilum.stages.nodules.marks import Marks
from hilum.training.detection import (
    DetectionSettings,
    train_nodules,
    without_patients,
    wrong_of,
)
from hilum.training.detection_data import TrainingScans
from hilum.training.detection_figures import deal_patients
from hilum.training.detection_views import (
    AIR_HU,
    CropVariety,
    DetectionViews,
    answer_for,
    blurred,
    cut,
    warped,
    warped_points,
)
from hilum.training.fit import FitSettings
from hilum.training.implants import SIZES_MM, Implant, Implants, insert
from hilum.training.scenes import Scene

LUNG, SOFT = -850, 40


def ball(diameter=8.0, patient="p", spacing=1.0):
    """A ball of soft tissue, as an implant."""
    count = int(diameter / spacing) + 6
    middle = (count - 1) / 2
    axes = [(np.arange(count) - middle) * spacing] * 3
    far = np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij"), -1), axis=-1)
    rise = np.where(far <= diameter / 2, SOFT - LUNG, 0).astype(np.float32)
    return Implant(patient, rise, (spacing,) * 3, np.full(3, middle), diameter, 1.0)


def lung(edge=48):
    return np.full((edge,) * 3, LUNG, np.int16)


def points(*rows, columns=4):
    return np.array(rows, np.float32).reshape(-1, columns)


def scene(**changes):
    hu = lung(64)
    hu[:, :, 56:] = SOFT  # the wall
    hu[20:26, 20:26, 20:26] = SOFT
    made = Scene(
        name="1.2",
        patient="p",
        hu=hu,
        slice_mm=1.0,
        nodules=points((22.5, 22.5, 22.5, 7.4)),
        unsure=points((45, 45, 30, 5)),
        traps=points((40, 20, 30), columns=3),
        inside=points((30, 30, 30), (32, 20, 40), columns=3),
        pleural=points((30, 30, 54), columns=3),
        vascular=points(columns=3),
    )
    return replace(made, **changes)


# --- implants


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("diameter", [5.0, 12.0])
def test_an_implant_has_the_size_that_was_asked_for(seed, diameter):
    center = np.array([24.0, 22.0, 25.0])
    hu = insert(
        lung(), center, ball(8.0), np.random.default_rng(seed), diameter_mm=diameter
    )
    seen = hu - LUNG > 200
    volume = np.pi / 6 * diameter**3
    if (hu.max() - LUNG) > 0.7 * (SOFT - LUNG):  # not drawn as ground glass
        assert 0.7 < (hu.astype(float) - LUNG).sum() / (SOFT - LUNG) / volume < 1.3
    np.testing.assert_allclose(np.argwhere(seen).mean(axis=0), center, atol=0.7)


def test_an_implant_leaves_the_rest_and_its_host_alone():
    host = lung()
    hu = insert(
        host, np.full(3, 24.0), ball(8.0), np.random.default_rng(0), diameter_mm=8
    )
    assert (host == LUNG).all()
    far = np.ones_like(host, bool)
    far[14:35, 14:35, 14:35] = False
    np.testing.assert_array_equal(hu[far], host[far])


def test_an_implant_never_darkens():
    host = np.random.default_rng(0).integers(-950, 300, (48,) * 3).astype(np.int16)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        hu = insert(host, np.full(3, 24.0), ball(9.0), rng, diameter_mm=9)
        assert hu is None or (hu >= host).all()


def test_what_would_not_be_seen_is_not_inserted():
    wall = np.full((48,) * 3, SOFT, np.int16)
    rng = np.random.default_rng(0)
    assert insert(wall, np.full(3, 24.0), ball(), rng, diameter_mm=8) is None
    assert insert(lung(), np.full(3, 400.0), ball(), rng, diameter_mm=8) is None


def test_small_ones_are_drawn_as_often_as_large_ones():
    many = Implants([ball(4.0)] * 50 + [ball(8.0)] * 50 + [ball(25.0), ball(12.0)])
    rng = np.random.default_rng(0)
    sizes = [many.draw(rng)[1] for _ in range(300)]
    counts = np.histogram(sizes, SIZES_MM)[0]
    assert counts.min() > 20


def test_without_implants_there_is_advice():
    with pytest.raises(InputError, match="train without"):
        Implants([])


# --- answers and crops


def test_an_answer_by_hand():
    # centre (9, 6, 5): cell (2, 1, 1), whose middle is (9.5, 5.5, 5.5)
    out = answer_for((16, 16, 16), [(9, 6, 5, 6)], [])
    assert out.shape == (4, 4, 4, 7)
    np.testing.assert_allclose(
        out[2, 1, 1], [1, 1, 1, -0.125, 0.125, -0.125, np.log(6)], rtol=1e-6
    )
    # next cell: 4 mm away, spread 1.8 mm
    np.testing.assert_allclose(out[3, 1, 1, 0], np.exp(-16 / (2 * 1.8**2)), rtol=1e-6)
    assert out[..., 2].sum() == 1


def test_what_is_unsure_does_not_count():
    out = answer_for((16, 16, 16), [], [(8, 8, 8, 6)])
    assert out[..., 2].sum() == 0
    assert out[2, 2, 2, 1] == 0
    assert out[0, 0, 0, 1] == 1


def test_a_nodule_beyond_the_crop_leaves_its_glow():
    out = answer_for((16, 16, 16), [(8, 8, 18, 20)], [])
    assert out[..., 2].sum() == 0
    assert out[2, 2, 3, 0] > 0.3


@given(st.lists(st.integers(-80, 80), min_size=3, max_size=3))
def test_a_crop_beyond_the_scan_is_air(start):
    hu = np.arange(20 * 24 * 28).reshape(20, 24, 28).astype(np.int16)
    out = cut(hu, np.array(start), 16)
    for at in ((0, 0, 0), (15, 15, 15), (7, 3, 9)):
        where = tuple(np.add(start, at))
        inside = all(0 <= w < n for w, n in zip(where, hu.shape, strict=True))
        assert out[at] == (hu[where] if inside else AIR_HU)


AS_SCANNED = CropVariety(between=0, thick=0, shift_hu=0, noise_hu=0)


@pytest.mark.parametrize("kind", ["real", "trap", "lung"])
def test_a_crop_may_be_just_what_was_scanned(kind):
    rng = np.random.default_rng(5)
    hu = rng.integers(-1000, 300, (64, 64, 64)).astype(np.int16)
    views = DetectionViews([scene(hu=hu)], None, variety=AS_SCANNED)
    known = set(hu.ravel().tolist()) | {AIR_HU}
    for seed in range(8):
        values, _ = views._crop(views.scenes[0], kind, np.random.default_rng(seed))
        assert set(values.ravel().tolist()) <= known  # none between two of them


def test_thick_crops_are_smooth_along_slices():
    noisy = np.random.default_rng(5).integers(-900, -800, (64, 64, 64))
    made = scene(hu=noisy.astype(np.int16))

    def roughness(thick, axis):
        variety = replace(AS_SCANNED, thick=thick)
        views = DetectionViews([made], None, variety=variety)
        crop, _ = views._crop(made, "real", np.random.default_rng(1))
        return np.abs(np.diff(crop[8:40, 8:40, 8:40], axis=axis)).mean()

    assert roughness(1, 0) < 0.75 * roughness(0, 0)
    assert roughness(1, 0) < 0.8 * roughness(1, 1)


@pytest.mark.parametrize("kind", ["inserted", "real", "trap", "lung"])
def test_the_answer_is_where_the_nodule_is(kind):
    variety = CropVariety(shift_hu=0, noise_hu=0)
    views = DetectionViews([scene()], Implants([ball(9.0)]), variety=variety)
    found = 0
    for seed in range(12):
        hu, out = views._crop(scene(), kind, np.random.default_rng(seed))
        assert hu.shape == (48, 48, 48, 1)
        for cell in np.argwhere(out[..., 2] > 0):
            place = 4 * cell + 1.5 + 4 * out[tuple(cell)][3:6]
            z, y, x = np.clip(np.rint(place).astype(int), 0, 47)
            assert hu[z, y, x, 0] > LUNG + 100
            found += 1
    assert found >= (8 if kind in ("inserted", "real") else 0)


def test_a_view_follows_from_its_generator():
    views = DetectionViews([scene()], Implants([ball(9.0)]))
    a = views(0, np.random.default_rng(3))
    b = views(0, np.random.default_rng(3))
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])
    c = views(0, np.random.default_rng(4))
    assert (a[0] != c[0]).any()


def test_scans_without_any_nodule_can_be_used_with_implants_only():
    healthy = scene(nodules=points())
    assert DetectionViews([healthy], Implants([ball()]))(4, np.random.default_rng(0))
    with pytest.raises(InputError, match="no nodule to train on"):
        DetectionViews([healthy], None)


@pytest.mark.parametrize("edge", [0, 8, 40])
def test_crops_that_the_network_cannot_take_are_refused(edge):
    with pytest.raises(InputError, match="multiple of 16"):
        CropVariety(edge=edge)


def test_a_scene_survives_the_disk(tmp_path):
    np.savez(tmp_path / "s.npz", **scene().to_arrays())
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        again = Scene.from_arrays({name: arrays[name] for name in arrays.files})
    assert (again.name, again.patient, again.slice_mm) == ("1.2", "p", 1.0)
    np.testing.assert_array_equal(again.hu, scene().hu)
    np.testing.assert_array_equal(again.unsure, scene().unsure)


def test_sampling_between_voxels_by_hand():
    hu = np.zeros((2, 2, 3), np.int16)
    hu[0, 0] = (0, 100, 300)
    # a cube of one voxel, a quarter of the way along columns
    found = warped(hu, np.eye(3), np.array([0, 0, 0.25]), 1)
    np.testing.assert_array_equal(found, [[[25]]])


@given(
    st.floats(0, 2 * np.pi),
    st.floats(0.8, 1.25),
    st.lists(st.floats(9.0, 10.0), min_size=3, max_size=3),
    st.integers(0, 2),
)
def test_a_ramp_stays_one_where_its_points_say(turn, scale, middle, axis):
    ramp = np.indices((20, 20, 20))[axis].astype(np.int16) * 100
    cos, sin = np.cos(turn), np.sin(turn)
    matrix = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]) / scale
    middle = np.array(middle)
    found = warped(ramp, matrix, middle, 8)
    place = middle + matrix @ (np.array([6, 2, 3]) - 3.5)
    assert found[6, 2, 3] == pytest.approx(100 * place[axis], abs=0.1)
    point = warped_points([(*place, 5.0)], matrix, middle, 8)
    np.testing.assert_allclose(point, [[6, 2, 3, 5 * scale]], atol=1e-9)


def test_crops_grow_and_shrink_as_far_as_asked():
    nodules = points((24, 24, 24, 10))
    views = DetectionViews(
        [scene(nodules=nodules)], None, variety=CropVariety(between=1.0, zoom=1.5)
    )
    sizes = []
    for seed in range(30):
        _, out = views._crop(views.scenes[0], "real", np.random.default_rng(seed))
        sizes += np.exp(out[out[..., 2] > 0][:, 6]).tolist()
    assert 10 / 1.5 <= min(sizes) < 8.5
    assert 12.5 < max(sizes) <= 15 + 1e-5


def test_a_blur_is_along_slices_alone():
    values = np.zeros((9, 9, 9), np.float32)
    values[4, 4, 4] = 100
    found = blurred(values, 1.0)
    assert found.sum() == pytest.approx(100, rel=1e-4)
    assert found[:, 4, 4].sum() == pytest.approx(100, rel=1e-4)
    assert found[4, 4, 4] < 45


# --- folds, and a run


def case_of(patient, nodules, source):
    marks = tuple(Annotation("u", (0, 0, 0), 5.0, 3) for _ in range(nodules))
    return ScanCase(
        series_uid=patient, patient=patient, source=source, annotations=marks
    )


def test_patients_with_many_nodules_are_spread(tmp_path):
    cases = [case_of(f"p{n}", 9 - n, tmp_path) for n in range(9)]
    folds = deal_patients(cases, 3)
    assert {folds["p0"], folds["p1"], folds["p2"]} == {0, 1, 2}
    assert sorted(folds.values()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert deal_patients(cases[::-1], 3) == folds
    assert deal_patients(cases, 0) == {}
    for bad in (1, 10):
        with pytest.raises(InputError, match="Cannot deal 9 patients"):
            deal_patients(cases, bad)


def test_nodules_of_patients_left_out_are_not_inserted():
    cases = tuple(
        ScanCase(series_uid=uid, patient=uid, source=Path(uid), annotations=())
        for uid in ("1.1", "1.2")
    )
    implants = [
        replace(ball(patient="LIDC-IDRI-0001"), series_uid="1.1"),  # as LUNA16's are
        replace(ball(patient="LIDC-IDRI-0002"), series_uid="1.2"),
        ball(patient="1.1"),
        ball(patient="someone else"),
    ]
    kept = without_patients(implants, TrainingScans(cases=cases), {"1.1"})
    assert [i.patient for i in kept] == ["LIDC-IDRI-0002", "someone else"]
    assert without_patients(implants, TrainingScans(cases=cases), set()) == implants


def test_a_mark_at_a_nodule_is_not_wrong_by_hand():
    # nodule at 22.5 of 7.4 voxels: up to 3.7 + 4 = 7.7 from its middle a mark is of it
    places = [(22.5, 22.5, 22.5 + off) for off in (0, 7.6, 7.8)]
    places += [(45, 45, 36.4), (45, 45, 36.6), (5, 5, 5)]  # in doubt: 2.5 + 4 = 6.5
    count = len(places)
    marks = Marks(np.array(places), np.full(count, 6.0), np.linspace(1, 0, count))
    wrong = wrong_of(marks, scene())
    np.testing.assert_array_equal(wrong.index, np.array(places)[[2, 4, 5]])
    every = wrong_of(marks, scene(nodules=points(), unsure=points()))
    assert len(every.index) == count
    none = wrong_of(marks.kept(np.zeros(count, bool)), scene())
    assert none.index.shape == (0, 3)


def test_a_fold_that_is_not_there_is_told_before_anything_is_read(tmp_path):
    with pytest.raises(InputError, match="There is no fold 3"):
        train_nodules(tmp_path / "absent", tmp_path / "run", fold=3)


@pytest.mark.slow
def test_a_run_from_end_to_end(tmp_path, eagerly):
    data, rows = tmp_path / "data", []
    (data / "ct").mkdir(parents=True)
    for seed in (1, 2):
        chosen = PhantomSettings(
            seed=seed, shape=(30, 128, 128), spacing_mm=(5.5, 2.8, 2.8)
        )
        phantom = make_phantom(chosen)
        write_volume(phantom.volume, data / "ct" / f"p{seed}.nii.gz")
        inside = phantom.volume.grid.contains([t.center_mm for t in phantom.truths])
        assert inside.sum() > 2  # half of the lungs: they are gone through at 1 mm
        rows += [
            (f"p{seed}", *t.center_mm, t.diameter_mm)
            for t, lies in zip(phantom.truths, inside, strict=True)
            if lies
        ]
    with (data / "annotations.csv").open("w", newline="") as file:
        header = ["seriesuid", "coordX", "coordY", "coordZ", "diameter_mm"]
        csv.writer(file).writerows([header, *rows])
    settings = DetectionSettings(
        fit=FitSettings(epochs=1), mining=1, crops=8, filters=(4, 4, 8, 8), folds=2
    )
    figures = train_nodules(data, tmp_path / "run", settings=settings)
    assert figures["scans"] == 2
    assert figures["nodules"] == len(rows)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())
    weights = str(tmp_path / "run" / "nodules.keras")
    assert NoduleDetector(weights=weights).digests()
    # another call goes on from what is there, and ends the same
    before = (tmp_path / "run" / "predictions.csv").read_bytes()
    train_nodules(data, tmp_path / "run", settings=settings)
    assert (tmp_path / "run" / "predictions.csv").read_bytes() == before
    (tmp_path / "run" / "scenes" / "p1.npz").write_bytes(b"no")
    with pytest.raises(InputError, match="Delete the file"):
        train_nodules(data, tmp_path / "run", settings=settings)

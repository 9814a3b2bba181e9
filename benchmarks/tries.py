"""What else was tried on patches of nodules: finer, larger, and from the phantom.

    python benchmarks/tries.py RUN --folds 5 --epochs 10

Each variant of the network on the patch is trained the same way, out of fold over the
folds of `hilum train malignancy`, for fewer epochs than what is shipped and on masks of
the readers alone; the first is as shipped but for that. Printed for each: the AUC of
malignancy by the mean rating and by the most frequent one, of the patch alone, upright
and in eight mirrored views, and averaged with the shipped networks on features of the
same fold; then what it differs by, on the same patients, from the first variant and
from features alone.

Nodules of the phantom were rated by no reader. `rated_by_rule` makes their ratings up
from their design, so a network that learns from them learns that rule. They are a fifth
of what is seen in training and in no figure.

Trains for hours, so nothing without RUN, a folder for what is made; goes on where it
stopped. With `--folds 0` it trains nothing, and takes the shipped networks apart. Needs
the data that HILUM_DATA names.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # before TensorFlow is loaded

import keras
import numpy as np
import openvino
from scipy.spatial.transform import Rotation

from hilum.datasets import NoduleCase, folds_by_patient, load_nodule, read_nodules
from hilum.evaluation.intervals import bootstrap
from hilum.evaluation.ranking import area_under_curve
from hilum.features import Surroundings, surround
from hilum.features.patches import Patch, sample_patch, to_channels
from hilum.nn.models import RATING_CATEGORIES, malignancy_net
from hilum.phantom import Lesion, PhantomSettings, Plan, make_phantom, place_lesions
from hilum.phantom.settings import CENTER_MM
from hilum.runtime.outlines import mirror_views
from hilum.runtime.ratings import MARGIN_MM, rating_inputs
from hilum.runtime.weights import find_weights
from hilum.training.fit import FitSettings, Views, fit
from hilum.training.malignancy_data import rating_of
from hilum.training.malignancy_networks import losses
from hilum.training.sharing import PRECISIONS, shared
from hilum.volume import Mask

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HILUM_DATA", ROOT.parent / "shared" / "data"))
FOLDS, SEED = 5, 0
FLIPS = 8
VIEWS = 4
"""Random views of each nodule, besides the upright one; made once."""
PATCH_SHARE = 0.25
PEOPLE, EACH = 6, 12
"""Of the phantom: people, and nodules in each."""
PHANTOM_SHARE = 0.2

Targets = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What differs: voxels along an axis, their size, width of the layers, data."""

    size: int = 32
    spacing_mm: float = 1.0
    filters: tuple[int, ...] = (16, 24, 32)
    phantoms: bool = False


VARIANTS = {
    "32 of 1 mm": Variant(),
    "32 of 0.7 mm": Variant(spacing_mm=0.7),
    "phantoms": Variant(phantoms=True),
    "larger": Variant(filters=(24, 48, 64, 96)),
    "32 of 0.5 mm": Variant(spacing_mm=0.5),
    "24 of 1.4 mm": Variant(size=24, spacing_mm=1.4),
    "48 of 0.7 mm": Variant(size=48, spacing_mm=0.7),
}
FIRST = "32 of 1 mm"
PARTS = {  # where the shipped networks hold what each of them expects
    "features": "malignancy_1/fold_{fold}_1/malignancy_members_1/Mean",
    "patch": "malignancy_1/fold_{fold}_1/malignancy_net_1/malignancy_1/Sigmoid",
}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Patches: (n, 1 + VIEWS, ...) int16, upright first; targets by rating."""

    hu: np.ndarray
    depth: np.ndarray
    targets: Targets

    def channels(self, case: int, view: int, grown_mm: float = 0.0) -> Any:
        """Give HU and mask of a view, as the network takes them."""
        patch = Patch(self.hu[case, view], self.depth[case, view])
        return to_channels(patch, grown_mm=grown_mm)


def viewed(around: Surroundings, variant: Variant, seed: tuple[int, int]) -> list[Any]:
    """Sample a nodule upright, and turned, shifted and stretched as in training."""
    rng = np.random.default_rng(seed)
    size = (variant.size,) * 3
    patches = [sample_patch(around, size=size, spacing_mm=variant.spacing_mm)]
    for _ in range(VIEWS):
        angles = [rng.uniform(0, 360), *rng.normal(0, 10.0, 2)]
        z, y, x = rng.uniform(-1.2, 1.2, 3).tolist()
        patches.append(
            sample_patch(
                around,
                size=size,
                spacing_mm=variant.spacing_mm * float(rng.uniform(0.9, 1.1)),
                rotation=Rotation.from_euler("xyz", angles, degrees=True).as_matrix(),
                shift_mm=(z, y, x),
            )
        )
    return [np.stack([p.hu for p in patches]), np.stack([p.depth for p in patches])]


@cache
def all_nodules() -> tuple[list[NoduleCase], np.ndarray]:
    """Read what is known of the nodules of the folder; and the fold of each."""
    cases = [c for c in read_nodules(DATA / "nodules") if c.mask is not None]
    return cases, folds_by_patient(cases, FOLDS, SEED)


@cache
def real_nodules(variant: Variant) -> Seen:
    """Sample all nodules of the folder; what the network is like does not matter."""
    cases, _ = all_nodules()
    views = [
        viewed(surround(*load_nodule(case), margin_mm=MARGIN_MM), variant, (SEED, n))
        for n, case in enumerate(cases)
    ]
    hu, depth = (np.stack(part) for part in zip(*views, strict=True))
    rated = [{name: rating_of(c, name) for name in RATING_CATEGORIES} for c in cases]
    return Seen(hu, depth, ordinal(rated))


def ordinal(rated: Sequence[dict[str, float]]) -> Targets:
    """Give P(rating > 1), P(rating > 2), ... as `hilum train malignancy` does."""
    return {
        name: np.clip(
            np.array([r[name] for r in rated])[:, None] - np.arange(1, categories), 0, 1
        ).astype(np.float32)
        for name, categories in RATING_CATEGORIES.items()
    }


def rated_by_rule(lesion: Lesion) -> dict[str, float]:
    """Make up ratings: the larger and the more spiculated, the more malignant.

    1 for what is calcified; else 1.5, a quarter for each mm above 4, a half for
    lobulation, one and a half for spicules, half less for ground glass; 1 to 5.
    """
    form, glass = lesion.form, lesion.kind == "ground-glass"
    spicules, calcified = form == "spiculated", lesion.kind == "calcified"
    size = (lesion.diameter_mm - 4) / 4
    worse = {"round": 0.0, "lobulated": 0.5, "spiculated": 1.5}[form] - 0.5 * glass
    part_solid = lesion.kind == "part-solid"
    return {
        "malignancy": 1.0 if calcified else min(max(1.5 + size + worse, 1.0), 5.0),
        "subtlety": min(max(3 + size - glass, 1.0), 5.0),
        "sphericity": {"round": 5.0, "lobulated": 4.0, "spiculated": 3.5}[form],
        "margin": 2.0 if glass else 3.0 if part_solid or spicules else 4.8,
        "lobulation": {"round": 1.0, "lobulated": 3.5, "spiculated": 2.5}[form],
        "spiculation": {"round": 1.0, "lobulated": 1.5, "spiculated": 4.5}[form],
        "texture": 1.5 if glass else 3.0 if part_solid else 5.0,
        "calcification": 3.0 if calcified else 6.0,
    }


def phantom_nodules(path: Path) -> Seen:
    """Scan nodules of the phantom, each with the lung around it, and sample them."""
    if not path.exists():
        views, rated = [], []
        for person in range(PEOPLE):
            for number, lesion in enumerate(designed(5000 + person)):
                around = scanned(lesion, 5000 + person)
                views.append(viewed(around, Variant(), (5000 + person, number)))
                rated.append(list(rated_by_rule(lesion).values()))
        hu, depth = (np.stack(part) for part in zip(*views, strict=True))
        np.savez(path, hu=hu, depth=depth, rated=np.array(rated))
    with np.load(path) as stored:
        names = tuple(RATING_CATEGORIES)
        rated = [dict(zip(names, row, strict=True)) for row in stored["rated"]]
        return Seen(stored["hu"], stored["depth"], ordinal(rated))


def designed(person: int) -> tuple[Lesion, ...]:
    """Place nodules of 4 to 30 mm of all kinds and forms in a person."""
    rng = np.random.default_rng(person)
    kinds = ("solid", "solid", "part-solid", "ground-glass", "calcified")
    forms = ("round", "lobulated", "spiculated")
    plans = [
        Plan(
            diameter_mm=float(4 * (30 / 4) ** ((n + rng.uniform()) / EACH)),
            kind=kinds[rng.integers(len(kinds))],
            form=forms[rng.integers(len(forms))],
        )
        for n in reversed(range(EACH))
    ]
    return place_lesions(person, plans)


def scanned(lesion: Lesion, person: int) -> Surroundings:
    """Scan the lung around a nodule; its mask is its formula's."""
    rng = np.random.default_rng((person, lesion.seed))
    slice_mm, pixel_mm = float(rng.uniform(0.7, 2.5)), float(rng.uniform(0.55, 0.8))
    wide = 1.6 * lesion.diameter_mm + 4 * MARGIN_MM
    x, y, z = (a - b for a, b in zip(CENTER_MM, lesion.center_mm, strict=True))
    settings = PhantomSettings(
        seed=person,
        shape=(int(wide / slice_mm), int(wide / pixel_mm), int(wide / pixel_mm)),
        spacing_mm=(slice_mm, pixel_mm, pixel_mm),
        shift_mm=(x, y, z),
        dose=float(rng.uniform(0.3, 2)),
    )
    volume = make_phantom(settings, (lesion,)).volume
    shape = lesion.shape()
    points = volume.grid.to_world(np.indices(volume.grid.shape).reshape(3, -1).T)
    way = points - np.add(CENTER_MM, shape.origin_mm)
    far = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
    inside = far <= shape.reach(way / far[:, None])
    mask = Mask(inside.reshape(volume.grid.shape), volume.grid)
    return surround(volume, mask, margin_mm=MARGIN_MM)


def patch_views(real: Seen, seen: np.ndarray, phantom: Seen | None, seed: int) -> Views:
    """Show each nodule once an epoch, mirrored at will, with some noise."""
    more = round(len(seen) * PHANTOM_SHARE / (1 - PHANTOM_SHARE)) if phantom else 0

    def view(number: int, rng: np.random.Generator) -> tuple[Any, Targets]:
        source, case = real, int(seen[min(number, len(seen) - 1)])
        if phantom is not None and number >= len(seen):
            source, case = phantom, int(rng.integers(len(phantom.hu)))
        grown = float(rng.uniform(-0.5, 0.5))
        hu, mask = source.channels(case, int(rng.integers(1 + VIEWS)), grown)
        noise = rng.standard_normal(hu.shape, dtype=np.float32)
        hu = hu + np.float32(rng.normal(0, 15)) + noise * np.float32(rng.uniform(0, 30))
        flips = tuple(np.flatnonzero(rng.random(3) < 0.5).tolist())
        inputs = {"hu": np.flip(hu, flips), "mask": np.flip(mask, flips)}
        return inputs, {name: v[case] for name, v in source.targets.items()}

    return Views(view, len(seen) + more, batch=24, seed=seed)


def patch_ratings(
    name: str, fold: int, *, out: Path, epochs: int, precision: str
) -> np.ndarray:
    """Give (k, FLIPS) expected malignancy of the nodules that a fold leaves out."""
    run = out / f"{name.replace(' ', '-')}-{epochs}-epochs-fold-{fold}"
    done = out / f"{run.name}.npz"
    if not done.exists():
        variant, seed = VARIANTS[name], SEED + fold
        real = real_nodules(replace(variant, phantoms=False, filters=()))
        folds = all_nodules()[1]
        phantom = phantom_nodules(out / "phantoms.npz") if variant.phantoms else None
        how = {"learning_rate": 2e-3, "weight_decay": 1e-2}
        keras.utils.set_random_seed(seed)
        with shared(precision=precision):
            sizes, filters = (variant.size,) * 3, variant.filters
            model = malignancy_net(sizes, filters=filters, dropout=0.3)
            log = fit(
                model, patch_views(real, np.flatnonzero(folds != fold), phantom, seed),
                loss=losses(kind=False), folder=run,
                settings=FitSettings(epochs=epochs, seed=seed, **how),
            )  # fmt: skip
        left = np.flatnonzero(folds == fold)
        np.savez(done, said=np.stack([mirrored(model, real, n) for n in left]))
        print(f"{name}, fold {fold}: {log[-1]['malignancy_loss']:.3f}", flush=True)
    return np.asarray(np.load(done)["said"])


def mirrored(model: keras.Model, real: Seen, case: int) -> np.ndarray:
    """Give what a network expects of each mirrored view, the upright one first."""
    hu, mask = (mirror_views(c, FLIPS) for c in real.channels(case, 0))
    found = model.predict_on_batch({"hu": hu, "mask": mask})["malignancy"]
    return 1 + np.asarray(found, np.float64).sum(axis=1)


def shipped_parts(out: Path) -> dict[str, np.ndarray]:
    """Give what both parts of the shipped network of its fold expect of each nodule.

    Returns:
        "features" and "patch", each (n, FLIPS); features are the same in all views.
    """
    done = out / "shipped.npz"
    if not done.exists():
        cases, folds = all_nodules()
        core = openvino.Core()
        model = core.read_model(find_weights("malignancy"))
        ops = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
        said = {part: np.zeros((len(cases), FLIPS)) for part in PARTS}
        for fold in range(FOLDS):
            ends = [ops[end.format(fold=fold)].output(0) for end in PARTS.values()]
            apart = openvino.Model(ends, model.get_parameters(), "apart").clone()
            run = core.compile_model(apart, "CPU")
            for case in np.flatnonzero(folds == fold):
                given = rating_inputs(*load_nodule(cases[case]))
                views = [mirror_views(given[name][0], FLIPS) for name in ("hu", "mask")]
                found = run([np.repeat(given["features"], FLIPS, axis=0), *views])
                for n, part in enumerate(PARTS):
                    said[part][case] = 1 + np.asarray(found[n]).sum(axis=-1)
        np.savez(done, **said)
    return dict(np.load(done))


def judge(cases: Sequence[NoduleCase]) -> Callable[..., str]:
    """Give what prints AUC by mean and mode; or a difference of two, paired."""
    patients = np.array([case.patient for case in cases])
    mean = np.array([case.ratings.malignancy or np.nan for case in cases])
    mode = np.array([case.modes.malignancy or np.nan for case in cases])
    ways = ((mean >= 3.5, mean <= 2.5), (mode >= 4, mode <= 2))

    def shown(said: np.ndarray, less: np.ndarray | None = None) -> str:
        line = ""
        for high, low in ways:
            at = np.flatnonzero(high | low)

            def area(k: np.ndarray, of: np.ndarray, at=at, high=high) -> float:
                return area_under_curve(of[at[k]], high[at[k]])

            figure = bootstrap(
                lambda k: area(k, said) - (0 if less is None else area(k, less)),
                patients[at],
            )
            sign = "" if less is None else "+"
            ends = f"[{figure.low:{sign}.3f}, {figure.high:{sign}.3f}]"
            line += f"  {figure.value:{sign}.3f} {ends}"
        return line

    return shown


def print_table(
    tries: Mapping[str, np.ndarray], features: np.ndarray, shown: Callable[..., str]
) -> None:
    """Print the figures of each variant, and what it differs by from the first."""
    first: dict[str, np.ndarray] = {}
    for name, said in tries.items():
        views = {"upright": said[:, 0], f"{FLIPS} views": said.mean(axis=1)}
        for way, alone in views.items():
            joint = PATCH_SHARE * alone + (1 - PATCH_SHARE) * features
            for what, ratings in (("alone", alone), ("with features", joint)):
                print(f"{f'{name}, {way}, {what}':44}{shown(ratings)}")
                other = first.get(f"{way}, {what}")
                if other is not None:
                    print(f"{f'  less {FIRST}':44}{shown(ratings, other)}")
                if name == FIRST:
                    first[f"{way}, {what}"] = ratings
            print(f"{'  with features less features':44}{shown(joint, features)}")


def main() -> None:
    """Train what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder for what is made")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folds", type=int, default=FOLDS, help="the first so many")
    parser.add_argument("--precision", choices=PRECISIONS, default="mixed_bfloat16")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    options = parser.parse_args()
    if options.run is None or not (DATA / "nodules").is_dir():
        print("tries.py: skipped: needs a folder RUN and rated nodules; set HILUM_DATA")
        return
    options.run.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys([FIRST, *options.variants]))
    cases, folds = all_nodules()
    tries = {name: np.zeros((len(cases), FLIPS)) for name in names}
    for fold in range(options.folds):
        for name in names:
            tries[name][folds == fold] = patch_ratings(
                name, fold, out=options.run, epochs=options.epochs,
                precision=options.precision,
            )  # fmt: skip
    parts = shipped_parts(options.run)
    shipped = {"shipped": parts["patch"]}
    for which, rows in ((folds >= 0, {}), (folds < options.folds, tries)):
        if not which.any():
            continue
        features = parts["features"][which, 0]
        shown = judge([cases[n] for n in np.flatnonzero(which)])
        print(f"\n{which.sum():4} nodules{'':34}by mean{'':18}by mode")
        print(f"{'features alone, as shipped':44}{shown(features)}")
        table = {name: said[which] for name, said in (shipped | rows).items()}
        print_table(table, features, shown)


if __name__ == "__main__":
    main()

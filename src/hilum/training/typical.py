"""The typical nodule of a training set, which explanations compare with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hilum.datasets import load_nodule, read_nodules
from hilum.errors import InputError
from hilum.features import FEATURES
from hilum.formats.atomic import replacing, writing
from hilum.runtime.explanation import Typical, expected_rating
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import rating_inputs


def write_typical(data: Path, weights: Path) -> Typical:
    """Write what is typical of some nodules beside a network that was trained on them.

    Args:
        data: The folder of nodules, with masks; see `hilum.datasets.nodules`.
        weights: The `.keras` or `.xml` file; NAME.typical.json goes beside it.

    Returns:
        The median of each feature, and the mean rating of a nodule with those
        features, over the patches of all nodules.

    Raises:
        InputError: There is no nodule with a mask, or the file cannot be written.
        WeightsError: The weights are absent, damaged or of another task.
    """
    weights = Path(weights)
    predict = load_predictor(weights)
    masked = [case for case in read_nodules(data) if case.mask is not None]
    given = [rating_inputs(*load_nodule(case)) for case in masked]
    if not given:
        raise InputError(
            "No nodule has a mask, so none is typical. Give a folder with nodule_mask/."
        )
    median = np.median(np.concatenate([g["features"] for g in given]), axis=0)
    features = median.astype(np.float32)
    ratings = [
        float(expected_rating(predict({**g, "features": features[None]}))[0])
        for g in given
    ]
    typical = Typical(features, float(np.mean(ratings)))
    tree = {
        "rating": round(typical.rating, 6),
        "nodules": len(given),
        "features": {
            name: float(f"{value:.6g}")
            for name, value in zip(FEATURES, features.tolist(), strict=True)
        },
    }
    path = weights.with_suffix(".typical.json")
    with writing(path), replacing(path) as file:
        file.write((json.dumps(tree, indent=2) + "\n").encode())
    return typical

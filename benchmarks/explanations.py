"""What the shipped malignancy network goes by, over a folder of rated nodules.

    python benchmarks/explanations.py [FOLDER]

Without a folder, on the nodules of HILUM_DATA. Prints, as JSON, the mean size of each
share of `hilum.runtime.explanation` in points of the rating, how often it is the
largest, and the processor's seconds for a nodule.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import process_time

import numpy as np

from hilum.datasets import load_nodule, read_nodules
from hilum.runtime.explanation import expected_rating, occlude, read_typical, shares_of
from hilum.runtime.predictor import load_predictor
from hilum.runtime.ratings import rating_inputs

STEP, OCCLUDED = 4, 20
ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HILUM_DATA", ROOT.parent / "shared" / "data")) / "nodules"


def main(folder: Path) -> None:
    """Explain every fourth nodule with a mask, a few of them place by place."""
    predict = load_predictor("malignancy")
    typical = read_typical(predict.path)
    if typical is None:
        raise SystemExit("The weights do not tell what is typical.")
    cases = [case for case in read_nodules(folder) if case.mask is not None][::STEP]
    every = max(1, len(cases) // OCCLUDED)
    rows, errors, points = [], [], []
    inputs_s = shares_s = occlusion_s = 0.0
    for number, case in enumerate(cases):
        start = process_time()
        inputs = rating_inputs(*load_nodule(case))
        inputs_s += process_time() - start
        start = process_time()
        shares = shares_of(inputs, typical, predict)
        shares_s += process_time() - start
        rows.append(list(shares.values()))
        rating = float(expected_rating(predict(inputs))[0])
        errors.append(abs(typical.rating + sum(shares.values()) - rating))
        if number % every == 0:
            start = process_time()
            points.append(float(np.abs(occlude(inputs, predict).points).max()))
            occlusion_s += process_time() - start
    table = np.array(rows)
    largest = np.abs(table).argmax(axis=1)
    result = {
        "nodules": len(cases),
        "shares": {
            name: {
                "mean_size": round(float(np.abs(table[:, n]).mean()), 3),
                "largest_in": round(float(np.mean(largest == n)), 3),
            }
            for n, name in enumerate(shares)
        },
        "largest_error_of_the_sum": max(errors),
        "median_points_of_the_strongest_block": round(float(np.median(points)), 3),
        "processor_seconds": {
            "measure_and_sample": round(inputs_s / len(cases), 3),
            "shares": round(shares_s / len(cases), 3),
            "occlusion": round(occlusion_s / len(points), 3),
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    elif (DATA / "nodules.csv").is_file():
        main(DATA)
    else:
        print("explanations.py: skipped: needs rated nodules, set HILUM_DATA")

"""Assessments of every kind that a report has to show, and a volume for them."""

import numpy as np

from hilum.findings import (
    Assessment,
    Attributes,
    Guidelines,
    Nodule,
    Notice,
    Probability,
    Provenance,
    Scope,
)
from hilum.space import Grid
from hilum.volume import Acquisition, CTVolume

SHAPE, SPACING_MM = (40, 80, 90), (2.0, 1.0, 1.0)


def make_volume(**changes):
    grid = Grid.axial(SHAPE, SPACING_MM, origin_mm=(-45.0, -40.0, -200.0))
    noise = np.random.default_rng(0).normal(-850, 80, SHAPE)
    return CTVolume.from_array(
        noise,
        grid,
        "1.2.3",
        acquisition=Acquisition(
            kernel="B30f", slice_thickness_mm=2.0, acquired="20000131", **changes
        ),
    )


def make_nodule(**changes):
    fields = {
        "center_mm": (20.0, 10.0, -150.0),
        "diameter_mm": 22.9,
        "long_axis_mm": 26.3,
        "short_axis_mm": 20.1,
        "volume_mm3": 6271.4,
        "type": "solid",
        "solid_diameter_mm": 22.9,
        "side": "left",
        "lobe": None,
        "detection_score": 0.93,
        "malignancy": Probability(0.67, 0.33, 0.81),
    }
    return Nodule(**{**fields, **changes})


def make_assessment(**changes):
    fields = {
        "series_uid": "1.2.3",
        "scope": Scope(True),
        "cancer_probability": Probability(0.34, 0.12, 0.61),
        "nodules": (make_nodule(),),
        "guidelines": Guidelines(),
        "notices": (),
        "provenance": Provenance(
            version="9.8.7",
            settings={"lungs": {"closing_mm": 20.0}},
            weights={},
            timings_s={"read": 1.234},
            source={"shape": list(SHAPE), "acquisition": {"acquired": "20000131"}},
        ),
    }
    return Assessment(**{**fields, **changes})


def many_nodules(count):
    return tuple(
        make_nodule(
            center_mm=(-40.0 + 80.0 * i / count, -10.0 + i, -190.0 + 60.0 * i / count),
            diameter_mm=4.0 + i / 8,
            volume_mm3=100.0 + i,
        )
        for i in range(count)
    )


VARIANTS = {
    "one": {},
    "none": {"nodules": ()},
    "thirty": {"nodules": many_nodules(30)},
    "outside": {
        "scope": Scope(False, ("Slices are 8.0 mm apart; the limit is 5.0 mm.",)),
        "cancer_probability": Probability.UNKNOWN,
    },
    "unknown": {
        "cancer_probability": Probability.UNKNOWN,
        "nodules": (
            make_nodule(malignancy=Probability.UNKNOWN, side=None, lobe="lower lobe"),
        ),
    },
    "rich": {
        "nodules": (make_nodule(attributes=Attributes(spiculation=3.25)),),
        "notices": tuple(
            Notice("odd", f"Number {i} is odd.", "measure") for i in range(9)
        ),
        "guidelines": Guidelines(
            lung_rads={"category": "4B", "rule": "solid, 15 mm or more"},
            fleischner={"recommendation": "PET/CT", "rule": "solid, over 8 mm"},
            brock={
                "probability": {"value": 0.349, "low": 0.1, "high": 0.6},
                "inputs": {"diameter_mm": 22.9, "upper_lobe": False},
                "missing": ["age", "sex"],
            },
            mayo={"probability": 0.41, "missing": []},
        ),
    },
}

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
from hilum.report.details import NoduleDetails
from hilum.report.growth import Course
from hilum.space import Grid
from hilum.stages.explain import Explanation, Heat
from hilum.volume import Acquisition, CTVolume, Mask

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


def make_mask(volume, center_mm=(20.0, 10.0, -150.0), radii_mm=(8.0, 13.0, 10.0)):
    """Make an ellipsoid of these radii along (x, y, z), on a part of the grid."""
    index = np.rint(volume.grid.to_index(center_mm)).astype(int)
    start = np.maximum(index - 16, 0)
    stop = np.minimum(index + 17, volume.grid.shape)
    grid = volume.grid.crop(tuple(start.tolist()), tuple(stop.tolist()))
    points = grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))
    inside = (((points - center_mm) / radii_mm) ** 2).sum(axis=-1) <= 1
    return Mask(inside, grid)


def make_explanation(volume, *, heated=True):
    start, stop = (20, 40, 55), (30, 60, 75)
    grid = volume.grid.crop(start, stop).regrid((6.0, 6.0, 6.0))
    points = np.linspace(-0.1, 0.4, int(np.prod(grid.shape))).reshape(grid.shape)
    return Explanation(
        rating=3.62,
        typical=2.97,
        shares={
            "size": 0.52,
            "shape": -0.07,
            "density": 0.03,
            "surroundings": 0.01,
            "image": 0.16,
        },
        heat=Heat(points.astype(np.float32), grid) if heated else None,
    )


def make_course(**changes):
    fields = {
        "days": (0.0, 90.0),
        "volumes_mm3": ((400.0, 500.0, 600.0), (900.0, 1000.0, 1100.0)),
        "doubling_time_days": (70.0, 90.0, 150.0),
        "said": "doubling time 90 days, <= 400 days -> work-up",
    }
    return Course(**{**fields, **changes})


def make_details(volume):
    """Give all that can be known of the one nodule."""
    return (
        NoduleDetails(
            mask=make_mask(volume),
            explanation=make_explanation(volume),
            status="grown",
            course=make_course(),
        ),
    )

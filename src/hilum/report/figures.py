"""Pictures of the report with what is drawn over them.

Lengths are in millimetres from the left and the top edge of a picture, so that
marks and the scale bar are true whatever size the picture is shown at.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, radians, sin

from hilum.findings import Nodule
from hilum.report import words
from hilum.report.images import PLANES, KeyImage, key_image, overview, to_data_uri
from hilum.volume import CTVolume

MARKED = 36
CROP_MM = 60.0
LARGEST_CROP_MM = 200.0
ARC_DEGREES = 14


@dataclass(frozen=True, slots=True)
class Picture:
    """A key image with its mark.

    Attributes:
        plane: "axial", "coronal" or "sagittal".
        source: `data:` address.
        size_mm: Length of its side.
        ticks: SVG path of four ticks that point at the nodule from outside it.
        arcs: SVG path of four arcs of the circle of its mean diameter.
        edges: Letters at the left, right, top and bottom edge.
        caption: Plane and position.
        alt: What is seen, with the numbers.
    """

    plane: str
    source: str
    size_mm: float
    ticks: str
    arcs: str
    edges: tuple[str, str, str, str]
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class Pin:
    """A numbered mark on the overview, its number in the left or right margin."""

    count: int
    x_mm: float
    y_mm: float
    label_x_mm: float
    label_y_mm: float


@dataclass(frozen=True, slots=True)
class OverviewFigure:
    """The overview with its marks; margins on both sides hold the numbers."""

    source: str
    width_mm: float
    height_mm: float
    margin_mm: float
    letter_mm: float
    pins: tuple[Pin, ...]
    alt: str


def crop_mm(nodule: Nodule) -> float:
    """Choose the side of a nodule's pictures: 60 mm, more for a mass."""
    wanted = 10.0 * ceil(2 * max(nodule.long_axis_mm, nodule.diameter_mm) / 10)
    return min(max(CROP_MM, wanted), LARGEST_CROP_MM)


def pictures(nodule: Nodule, count: int, volume: CTVolume) -> tuple[Picture, ...]:
    """Show a nodule in three planes.

    Args:
        nodule: What to show.
        count: Its number on the page.
        volume: What it lies in.

    Raises:
        InputError: The nodule lies outside the volume.
    """
    return tuple(
        _picture(
            key_image(volume, nodule.center_mm, plane, crop_mm(nodule)),
            nodule,
            count,
            _slice(nodule, volume),
        )
        for plane in PLANES
    )


def slice_number(nodule: Nodule, volume: CTVolume) -> str:
    """Say on which slice a nodule's centre lies, counted from the feet."""
    return f"{_slice(nodule, volume)} of {volume.grid.shape[0]}"


def overview_figure(volume: CTVolume, nodules: tuple[Nodule, ...]) -> OverviewFigure:
    """Show from the front where the nodules lie; the first `MARKED` of them.

    Args:
        volume: What to show.
        nodules: In the order of their numbers.
    """
    picture = overview(volume)
    marked = nodules[:MARKED]
    margin_mm = 0.08 * picture.width_mm if marked else 0.0
    spots = [(i, *picture.place(n.center_mm)) for i, n in enumerate(marked, start=1)]
    left = [spot for spot in spots if spot[1] < picture.width_mm / 2]
    right = [spot for spot in spots if spot[1] >= picture.width_mm / 2]
    step_mm = picture.height_mm / max(18, len(left), len(right))
    pins = [
        *_pins(left, picture.height_mm, step_mm, -margin_mm / 2),
        *_pins(right, picture.height_mm, step_mm, picture.width_mm + margin_mm / 2),
    ]
    listed = "; ".join(
        f"{i} {words.place(nodule)}, z {words.millimetres(nodule.center_mm[2])}"
        for i, nodule in enumerate(marked, start=1)
    )
    return OverviewFigure(
        source=to_data_uri(picture.grey),
        width_mm=picture.width_mm,
        height_mm=picture.height_mm,
        margin_mm=margin_mm,
        letter_mm=min(0.8 * step_mm, 0.05 * picture.width_mm),
        pins=tuple(sorted(pins, key=lambda pin: pin.count)),
        alt="Front view of the scan, the patient's right on the left. "
        + (f"Nodules: {listed}." if marked else "No nodule is marked."),
    )


def _picture(image: KeyImage, nodule: Nodule, count: int, slice_count: int) -> Picture:
    slice_text = f", slice {slice_count}" if image.plane == "axial" else ""
    position = f"{image.axis}{words.NO_BREAK}{words.millimetres(image.position_mm)}"
    left, right, top, bottom = image.edges
    return Picture(
        plane=image.plane,
        source=to_data_uri(image.grey),
        size_mm=image.size_mm,
        ticks=_ticks(image.size_mm, nodule.diameter_mm / 2),
        arcs=_arcs(image.size_mm, nodule.diameter_mm / 2),
        edges=image.edges,
        caption=f"{words.sentence(image.plane)}{slice_text}, {position}",
        alt=(
            f"Nodule {count}, {image.plane} image at {position}: {nodule.type}, "
            f"{words.millimetres(nodule.diameter_mm)} mean diameter, at the centre "
            f"of {words.number(image.size_mm, 0)} mm. {left} is on the left, {right} "
            f"on the right, {top} at the top, {bottom} at the bottom."
        ),
    )


def _slice(nodule: Nodule, volume: CTVolume) -> int:
    z, _, _ = volume.grid.to_index(nodule.center_mm)
    return round(float(z)) + 1


def _ticks(size_mm: float, radius_mm: float) -> str:
    middle = size_mm / 2
    inner = radius_mm + 0.035 * size_mm
    outer = inner + 0.06 * size_mm
    return "".join(
        f"M{middle + u * inner:.2f} {middle + v * inner:.2f}"
        f"L{middle + u * outer:.2f} {middle + v * outer:.2f}"
        for u, v in ((-1, 0), (1, 0), (0, -1), (0, 1))
    )


def _arcs(size_mm: float, radius_mm: float) -> str:
    middle = size_mm / 2
    path = ""
    for degrees in (45, 135, 225, 315):
        start, stop = radians(degrees - ARC_DEGREES), radians(degrees + ARC_DEGREES)
        path += (
            f"M{middle + radius_mm * cos(start):.2f}"
            f" {middle + radius_mm * sin(start):.2f}"
            f"A{radius_mm:.2f} {radius_mm:.2f} 0 0 1"
            f" {middle + radius_mm * cos(stop):.2f}"
            f" {middle + radius_mm * sin(stop):.2f}"
        )
    return path


def _pins(
    spots: list[tuple[int, float, float]],
    height_mm: float,
    step_mm: float,
    label_x_mm: float,
) -> list[Pin]:
    """Number the spots of one side, top to bottom, so that no numbers touch."""
    spots = sorted(spots, key=lambda spot: (spot[2], spot[0]))
    low, pins = step_mm / 2, list[Pin]()
    for left_over, (count, x_mm, y_mm) in zip(
        range(len(spots) - 1, -1, -1), spots, strict=True
    ):
        highest = height_mm - step_mm / 2 - left_over * step_mm
        label_y_mm = min(max(y_mm, low), highest)
        pins.append(Pin(count, x_mm, y_mm, label_x_mm, label_y_mm))
        low = label_y_mm + step_mm
    return pins

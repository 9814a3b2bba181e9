"""Pictures of the report with what is drawn over them.

Lengths are in millimetres from the left and the top edge of a picture, so that
marks and the scale bar are true whatever size the picture is shown at.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, cos, radians, sin

from hilum.findings import Nodule, Point
from hilum.report import words
from hilum.report.axes import Axes, axes_of
from hilum.report.details import NOTHING, NoduleDetails
from hilum.report.images import PLANES, KeyImage, key_image, overview, to_data_uri
from hilum.report.overlays import heat_pixels, outline_path
from hilum.stages.explain import Explanation
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
        outline: SVG path of its outline; where that is not known, of four arcs of
            the circle of its mean diameter.
        axes: SVG paths of the long and the short axis, on the axial image where its
            outline is known.
        heat: `data:` address of what counts for its rating, or empty.
        edges: Letters at the left, right, top and bottom edge.
        caption: Plane and position.
        alt: What is seen, with the numbers.
    """

    plane: str
    source: str
    size_mm: float
    ticks: str
    outline: str
    axes: tuple[str, ...]
    heat: str
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


def pictures(
    nodule: Nodule, count: int, volume: CTVolume, known: NoduleDetails = NOTHING
) -> tuple[Picture, ...]:
    """Show a nodule in three planes.

    Where its outline is known, the axial image is the slice it was measured on.

    Args:
        nodule: What to show.
        count: Its number on the page.
        volume: What it lies in.
        known: What else is known of it.

    Raises:
        InputError: The nodule lies outside the volume.
    """
    axes = None if known.mask is None else axes_of(nodule, known.mask)
    x, y, z = nodule.center_mm
    measured = (x, y, z if axes is None else axes.height_mm)
    size_mm = crop_mm(nodule)
    views = []
    for plane in PLANES:
        center = measured if plane == "axial" else nodule.center_mm
        image = key_image(volume, center, plane, size_mm)
        slice_ = _slice(measured, volume) if plane == "axial" else None
        views.append(_picture(image, nodule, count, known, axes, slice_))
    return tuple(views)


def slice_number(nodule: Nodule, volume: CTVolume) -> str:
    """Say on which slice a nodule's centre lies, counted from the feet."""
    return f"{_slice(nodule.center_mm, volume)} of {volume.grid.shape[0]}"


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


def _picture(
    image: KeyImage,
    nodule: Nodule,
    count: int,
    known: NoduleDetails,
    axes: Axes | None,
    slice_: int | None,
) -> Picture:
    slice_text = f", slice {slice_}" if slice_ is not None else ""
    position = f"{image.axis}{words.NO_BREAK}{words.millimetres(image.position_mm)}"
    left, right, top, bottom = image.edges
    outline = "" if known.mask is None else outline_path(known.mask, image)
    drawn: tuple[str, ...] = ()
    if axes is not None and image.plane == "axial":
        drawn = (_line(image, axes.long_mm), _line(image, axes.short_mm))
    said = (
        f"{words.millimetres(nodule.long_axis_mm)} long and "
        f"{words.millimetres(nodule.short_axis_mm)} short axis drawn on it"
        if drawn
        else f"{words.millimetres(nodule.diameter_mm)} mean diameter"
    )
    return Picture(
        plane=image.plane,
        source=to_data_uri(image.grey),
        size_mm=image.size_mm,
        ticks=_ticks(image.size_mm, nodule.diameter_mm / 2),
        outline=outline or _arcs(image.size_mm, nodule.diameter_mm / 2),
        axes=drawn,
        heat=_heat(image, known.explanation),
        edges=image.edges,
        caption=f"{words.sentence(image.plane)}{slice_text}, {position}",
        alt=(
            f"Nodule {count}, {image.plane} image at {position}: {nodule.type}, "
            f"{said}, at the centre of {words.number(image.size_mm, 0)} mm. {left} is "
            f"on the left, {right} on the right, {top} at the top, {bottom} at the "
            "bottom."
        ),
    )


def _line(image: KeyImage, ends_mm: tuple[Point, Point]) -> str:
    (x0, y0), (x1, y1) = (image.place(end) for end in ends_mm)
    return f"M{x0:.2f} {y0:.2f}L{x1:.2f} {y1:.2f}"


def _heat(image: KeyImage, explanation: Explanation | None) -> str:
    if explanation is None or explanation.heat is None:
        return ""
    largest = float(abs(explanation.heat.points).max())
    return to_data_uri(heat_pixels(explanation.heat, image, largest))


def _slice(point_mm: Point, volume: CTVolume) -> int:
    z, _, _ = volume.grid.to_index(point_mm)
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

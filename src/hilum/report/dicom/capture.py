"""Secondary captures: each nodule in three planes, as any workstation shows it.

One image a nodule: axial, coronal and sagittal side by side in true proportion, with
size, place and a scale bar drawn in, so it says BurnedInAnnotation YES. No name or
number of the patient is drawn.

Sources:
    DICOM PS3.3 A.8.1 (Secondary Capture Image IOD).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from hilum._version import __version__
from hilum.findings import Assessment, Nodule
from hilum.report.dicom.context import MANUFACTURER, MODEL, Context, new_uid
from hilum.report.images import PLANES, KeyImage, key_image
from hilum.tracking import tracking_uid
from hilum.volume import CTVolume

SIDE_PIXELS = 480
MOST_CAPTURES = 12
LEAST_SIDE_MM = 60.0
SCALE_MM = 10.0

_CAPTION = 56
_MARGIN = 8


def make_captures(
    assessment: Assessment, volume: CTVolume, context: Context, *, most: int
) -> list[Any]:
    """Make a key image of each nodule, the most suspicious first.

    Args:
        assessment: Whose nodules they are.
        volume: The CT that was assessed.
        context: What the documents share.
        most: How many are made at most.

    Returns:
        highdicom SCImages of one series.

    Raises:
        InputError: A nodule lies outside the volume.
    """
    from highdicom.sc import SCImage  # noqa: PLC0415  slow to import

    nodules = assessment.nodules[:most]
    if not nodules:
        return []
    (source,) = context.sources([len(context.instances.slices) // 2])
    series_uid = new_uid()
    images = []
    for index, nodule in enumerate(nodules):
        image = SCImage.from_ref_dataset(
            ref_dataset=source,
            pixel_array=draw_capture(volume, nodule, index + 1),
            photometric_interpretation="MONOCHROME2",
            bits_allocated=8,
            coordinate_system="PATIENT",
            series_instance_uid=series_uid,
            series_number=context.series_number("OT"),
            sop_instance_uid=new_uid(),
            instance_number=index + 1,
            manufacturer=MANUFACTURER,
            patient_orientation=("L", "P"),
            manufacturer_model_name=MODEL,
            software_versions=__version__,
            series_description="hilum key images",
            specific_character_set=source.SpecificCharacterSet,
            content_date=context.when.date(),
            content_time=context.when.time(),
        )
        image.copy_patient_and_study_information(source)
        _complete(image, source, assessment, index)
        images.append(context.name(image))
    return images


def draw_capture(
    volume: CTVolume, nodule: Nodule, number: int
) -> npt.NDArray[np.uint8]:
    """Draw three planes through a nodule, side by side, with a caption.

    Args:
        volume: The CT.
        nodule: What to show.
        number: Its number in the report.

    Returns:
        (rows, columns) uint8.

    Raises:
        InputError: The nodule lies outside the volume.
    """
    side_mm = max(LEAST_SIDE_MM, 2.0 * nodule.long_axis_mm)
    sheet = Image.new("L", (3 * SIDE_PIXELS, SIDE_PIXELS + _CAPTION))
    pen = ImageDraw.Draw(sheet)
    for place, plane in enumerate(PLANES):
        picture = key_image(volume, nodule.center_mm, plane, side_mm)
        left = place * SIDE_PIXELS
        grey = Image.fromarray(picture.grey)
        sheet.paste(grey.resize((SIDE_PIXELS, SIDE_PIXELS)), (left, 0))
        _annotate(pen, picture, nodule, left)
        name = f"{plane}  {picture.axis} = {picture.position_mm:.1f} mm"
        _write(pen, (left + _MARGIN, _MARGIN), name)
        pen.line([left, 0, left, SIDE_PIXELS], fill=0, width=4)
    caption = (
        f"Nodule {number}: {nodule.type}, {nodule.long_axis_mm:.1f} x "
        f"{nodule.short_axis_mm:.1f} mm, mean {nodule.diameter_mm:.1f} mm, "
        f"{nodule.volume_mm3:.0f} mm3"
    )
    y = SIDE_PIXELS + _MARGIN // 2
    _write(pen, (_MARGIN, y), caption)
    words = f"hilum {__version__}. For research and teaching. Not a medical device."
    _write(pen, (_MARGIN, y + 24), words, fill=180)
    return np.asarray(sheet, dtype=np.uint8)


def _annotate(
    pen: ImageDraw.ImageDraw, picture: KeyImage, nodule: Nodule, left: int
) -> None:
    """Draw ticks around the nodule, letters of the directions and a scale bar."""
    pixels = SIDE_PIXELS / picture.size_mm
    middle = SIDE_PIXELS / 2
    radius = (nodule.diameter_mm / 2 + 2.0) * pixels
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        ends = [middle + radius * x, middle + radius * y]
        ends += [middle + (radius + 14) * x, middle + (radius + 14) * y]
        tick = [ends[0] + left, ends[1], ends[2] + left, ends[3]]
        pen.line(tick, fill=0, width=6)
        pen.line(tick, fill=255, width=2)
    right_letter, low = SIDE_PIXELS - 22, SIDE_PIXELS - 28
    spots = ((_MARGIN, middle), (right_letter, middle), (middle, 34), (middle, low))
    for letter, (at, height) in zip(picture.edges, spots, strict=True):
        _write(pen, (left + at, height), letter)
    end = left + SIDE_PIXELS - 2 * _MARGIN
    bar = low - 4
    pen.line([end - SCALE_MM * pixels - 2, bar, end + 2, bar], fill=0, width=7)
    pen.line([end - SCALE_MM * pixels, bar, end, bar], fill=255, width=3)
    words = f"{SCALE_MM:.0f} mm"
    _write(pen, (end - SCALE_MM * pixels, bar - 26), words)


def _write(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, *, fill: int = 255
) -> None:
    """Write light letters with a dark edge, to be read on lung and on bone."""
    pen.text(at, text, fill=fill, font=_font(), stroke_width=2, stroke_fill=0)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=18)


def _complete(image: Any, source: Any, assessment: Assessment, index: int) -> None:
    """Add what the library leaves out."""
    nodule = assessment.nodules[index]
    image.BurnedInAnnotation = "YES"
    image.ConversionType = "WSD"
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.ImageComments = (
        f"Nodule {index + 1}, {tracking_uid(assessment.series_uid, nodule)}"
    )
    image.DerivationDescription = "Three planes through a nodule, lung window"
    if "BodyPartExamined" in source:
        image.BodyPartExamined = source.BodyPartExamined

"""What one slice says of itself: a file, or one frame of a multi-frame file.

A `Header` holds the facts that geometry, pixels and choice need. Of the person only
PatientID is asked for, and only its digest is used: it divides series without UIDs.
`find_fault` says why a slice cannot be used, so that one bad file costs one slice and
not the series.

Sources:
    DICOM PS3.3 C.7.6.2 (image plane), C.7.6.3 (image pixel), C.8.2.1 (CT image),
    C.7.6.16 (multi-frame functional groups).
"""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from hilum.dicom.elements import BIG_ENDIAN, SEQUENCES, Elements, Scan
from hilum.dicom.files import File
from hilum.volume import Acquisition, PatientMark

ENHANCED_CT = frozenset(("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"))
CT_CLASSES = ENHANCED_CT | {"1.2.840.10008.5.1.4.1.1.2"}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DICOMDIR = "1.2.840.10008.1.3.10"
MARKS = (
    "temporal position",
    "acquisition number",
    "cardiac phase",
    "trigger time",
    "reconstruction kernel",
    "image type",
    "acquisition time",
)
"""What may tell apart two slices at one position, in the order it is tried."""

WANTED = frozenset(
    (
        *(0x00020002, 0x00020010, 0x00080008, 0x00080016, 0x00080018, 0x00080020),
        *(0x00080021, 0x00080022, 0x0008002A, 0x00080032, 0x00080060, 0x00080070),
        *(0x0008103E, 0x00081090, 0x00100020, 0x00120062, 0x00089007, 0x00180010),
        *(0x00180015, 0x00180050, 0x00180060, 0x00181060, 0x00181210, 0x00185100),
        *(0x00189074, 0x0020000D, 0x0020000E, 0x00200011, 0x00200012, 0x00200013),
        *(0x00200032, 0x00200037, 0x00200052, 0x00200100, 0x00209056, 0x00209128),
        *(0x00209156, 0x00209241, 0x00280002, 0x00280004, 0x00280008, 0x00280010),
        *(0x00280011, 0x00280030, 0x00280100, 0x00280101, 0x00280102, 0x00280103),
        *(0x00280120, 0x00280121, 0x00281052, 0x00281053, 0x00281054, 0x00282110),
        *(0x00283000,),
        *SEQUENCES,
    )
)

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How stored values stand in the bytes of one frame."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    big_endian: bool

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Header:
    """The facts of one slice.

    Attributes:
        file: Where it is.
        frame: Which frame of the file, from 0.
        frames: How many frames the file has.
        scan: What was found in the file.
        elements: Raw elements of this frame; never shown.
        instance_number: InstanceNumber, or the frame's number.
        image_type: ImageType, or the FrameType of the frame.
        stack_id: Name of the stack that a frame belongs to, mostly "".
        marks: What may tell slices at one position apart; see `MARKS`.
        format: How its pixels are stored.
        position_mm: World point of the first voxel, or None.
        orientation: Unit vectors along a row and along a column, or None.
        spacing_mm: Distance of rows and of columns, or None.
        rescale: Slope and intercept; 1 and 0 where the file has none.
        has_rescale: Whether the file has both.
        damage: What is wrong with the file, or None.
    """

    file: File
    frame: int
    frames: int
    scan: Scan = field(repr=False)
    elements: Elements = field(repr=False)
    sop_class: str
    instance_uid: str
    study_uid: str
    series_uid: str
    frame_uid: str
    modality: str
    instance_number: int
    image_type: tuple[str, ...]
    stack_id: str
    marks: tuple[float | str | None, ...]
    format: PixelFormat
    position_mm: Vector | None
    orientation: Vector | None
    spacing_mm: Vector | None
    rescale: tuple[float, float]
    has_rescale: bool
    damage: str | None

    @property
    def is_localizer(self) -> bool:
        """Whether it is a scout view and no slice."""
        return not {"LOCALIZER", "SCOUT"}.isdisjoint(self.image_type)

    @property
    def is_secondary(self) -> bool:
        """Whether it is a screenshot, by its class."""
        return self.sop_class.startswith(SECONDARY_CAPTURE)

    @property
    def patient_digest(self) -> str:
        """What tells patients apart without saying who they are; "" when unknown."""
        raw = self.elements.get(0x00100020)
        known = raw.strip(b"\0 ") if isinstance(raw, bytes) else b""
        return hashlib.blake2b(known, digest_size=16).hexdigest() if known else ""

    @property
    def patient_mark(self) -> PatientMark | None:
        """What tells patients apart in this process only; None when unknown."""
        if not self.patient_digest:
            return None
        text = self.patient_digest.encode()
        removed = read_text(self.elements, 0x00120062).upper() == "YES"
        digest = hashlib.blake2b(text, key=_process_key(), digest_size=16).digest()
        return PatientMark(digest, certain=not removed)

    @property
    def media_class(self) -> str:
        """MediaStorageSOPClassUID of the file meta information."""
        return read_text(self.elements, 0x00020002)

    @property
    def is_ct(self) -> bool:
        """Whether it may be a CT slice, by its modality and class."""
        return is_ct(self.elements)

    @property
    def padding(self) -> tuple[int, int] | None:
        """Range of stored values that stand for no measurement."""
        ends = [self.elements.get(tag) for tag in (0x00280120, 0x00280121)]
        order: Literal["big", "little"] = "big" if self.format.big_endian else "little"
        found = [
            int.from_bytes(raw, order, signed=self.format.signed)
            for raw in ends
            if isinstance(raw, bytes) and 1 <= len(raw) <= 4
        ]
        return (found[0], found[-1]) if found and ends[0] else None

    @property
    def name(self) -> str:
        """Base name of the file, with the frame where there are several."""
        frame = f" (frame {self.frame + 1})" if self.frames > 1 else ""
        return self.file.name + frame

    @property
    def description(self) -> str:
        """SeriesDescription."""
        return read_text(self.elements, 0x0008103E)

    @property
    def kernel(self) -> str:
        """Reconstruction kernel."""
        return str(self.marks[MARKS.index("reconstruction kernel")] or "")

    @property
    def thickness_mm(self) -> float | None:
        """SliceThickness; never decides where a slice lies."""
        value = read_number(self.elements, 0x00180050)
        return value if value is not None and 0 < value < 1000 else None

    def to_acquisition(self) -> Acquisition:
        """Tell how the series was made; nothing of the patient."""

        def text(*tags: int) -> str | None:
            return next(
                (t for t in (read_text(self.elements, x) for x in tags) if t), None
            )

        kvp = read_number(self.elements, 0x00180060)
        return Acquisition(
            study_uid=self.study_uid or None,
            slice_thickness_mm=self.thickness_mm,
            kernel=self.kernel or None,
            manufacturer=text(0x00080070),
            model=text(0x00081090),
            kvp=kvp if kvp is not None and 0 < kvp < 1000 else None,
            contrast=text(0x00180010),
            patient_position=text(0x00185100),
            body_part=text(0x00180015),
            description=self.description or None,
            acquired=text(0x00080022, 0x00080021, 0x00080020),
        )


@lru_cache(maxsize=1)
def _process_key() -> bytes:
    """Draw the key of this process."""
    return secrets.token_bytes(32)


def make_header(
    file: File, scan: Scan, elements: Elements, *, frame: int, frames: int
) -> Header:
    """Make the header of one frame.

    Args:
        file: Where it is.
        scan: What was found in the file.
        elements: Those of the file, with those of the frame laid over them.
        frame: Which frame, from 0.
        frames: How many frames the file has.
    """
    big = scan.syntax == BIG_ENDIAN
    slope = read_number(elements, 0x00281053, absent=1.0)
    intercept = read_number(elements, 0x00281052, absent=0.0)
    kind = 0x00089007 if 0x00089007 in elements else 0x00080008
    return Header(
        file=file,
        frame=frame,
        frames=frames,
        scan=scan,
        elements=elements,
        sop_class=read_text(elements, 0x00080016),
        instance_uid=read_text(elements, 0x00080018),
        study_uid=read_text(elements, 0x0020000D),
        series_uid=read_text(elements, 0x0020000E),
        frame_uid=read_text(elements, 0x00200052),
        modality=read_text(elements, 0x00080060),
        instance_number=frame + 1 if frames > 1 else _read_instance(elements),
        image_type=tuple(read_text(elements, kind).split("\\")),
        stack_id=read_text(elements, 0x00209056),
        marks=_read_marks(elements, big=big),
        format=_read_format(elements, big=big),
        position_mm=_read_vector(elements, 0x00200032, 3),
        orientation=_to_orientation(elements.get(0x00200037)),
        spacing_mm=_read_vector(elements, 0x00280030, 2),
        rescale=(
            math.nan if slope is None else slope,
            math.nan if intercept is None else intercept,
        ),
        has_rescale=bool(elements.get(0x00281053) and elements.get(0x00281052)),
        damage=scan.damage,
    )


def is_ct(elements: Elements) -> bool:
    """Tell whether a file may hold CT slices, from its modality and class."""
    modality = read_text(elements, 0x00080060)
    return (
        modality == "CT" if modality else read_text(elements, 0x00080016) in CT_CLASSES
    )


def read_text(elements: Elements, tag: int) -> str:
    """Read a text, without padding; "" when absent."""
    raw = elements.get(tag)
    return _to_text(raw) if isinstance(raw, bytes) else ""


def read_number(
    elements: Elements, tag: int, *, absent: float | None = None
) -> float | None:
    """Read the first of the decimal numbers; None when it is no number."""
    raw = elements.get(tag)
    if not isinstance(raw, bytes) or not raw.strip(b"\0 "):
        return absent
    values = _to_numbers(raw)
    return values[0] if values else None


def read_whole(elements: Elements, tag: int, *, big: bool, absent: int = -1) -> int:
    """Read a binary whole number of one or more bytes."""
    raw = elements.get(tag)
    if not isinstance(raw, bytes) or not raw:
        return absent
    return int.from_bytes(raw[:2] if len(raw) > 4 else raw, "big" if big else "little")


@lru_cache(maxsize=4096)
def _to_text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(c for c in text if c.isprintable()).strip()


@lru_cache(maxsize=4096)
def _to_numbers(raw: bytes) -> Vector:
    parts = raw.strip(b"\0 ").replace(b",", b".").split(b"\\")  # decimal comma
    try:
        return tuple(map(float, parts))
    except ValueError:
        return ()


@lru_cache(maxsize=4096)
def _to_orientation(raw: bytes | None) -> Vector | None:
    """Make two unit vectors at a right angle, if that is what they nearly are."""
    values = _to_numbers(raw) if isinstance(raw, bytes) else ()
    if len(values) != 6 or not all(abs(v) <= 1.1 for v in values):
        return None
    row: Vector = values[:3]
    column: Vector = values[3:]
    norms = math.hypot(*row), math.hypot(*column)
    dot = sum(a * b for a, b in zip(row, column, strict=True))
    if abs(norms[0] - 1) > 0.05 or abs(norms[1] - 1) > 0.05 or abs(dot) > 0.05:
        return None
    row = tuple(v / norms[0] for v in row)
    dot = sum(a * b for a, b in zip(row, column, strict=True))
    column = tuple(b - dot * a for a, b in zip(row, column, strict=True))
    norm = math.hypot(*column)
    return (*row, *(v / norm for v in column))


def _read_instance(elements: Elements) -> int:
    number = read_number(elements, 0x00200013)
    return int(number) if number is not None and abs(number) < 1e9 else 0


def _read_vector(elements: Elements, tag: int, count: int) -> Vector | None:
    raw = elements.get(tag)
    values = _to_numbers(raw) if isinstance(raw, bytes) else ()
    return values if len(values) == count else None


def _read_marks(elements: Elements, *, big: bool) -> tuple[float | str | None, ...]:
    """Read what may tell slices at one position apart, in the order of `MARKS`."""
    temporal = read_number(elements, 0x00200100)
    acquisition = read_number(elements, 0x00200012)
    if 0x00209128 in elements:
        temporal = read_whole(elements, 0x00209128, big=big)
    if 0x00209156 in elements:
        acquisition = read_whole(elements, 0x00209156, big=big)
    phase = elements.get(0x00209241)
    numbers = (temporal, acquisition, read_number(elements, 0x00181060))
    temporal, acquisition, trigger = (
        n if n is not None and math.isfinite(n) else None for n in numbers
    )
    times = (read_text(elements, t) for t in (0x00189074, 0x0008002A, 0x00080032))
    return (
        temporal,
        acquisition,
        phase.hex() if isinstance(phase, bytes) else None,
        trigger,
        read_text(elements, 0x00181210).replace("\\", " ") or None,
        read_text(elements, 0x00080008) or None,
        next((t for t in times if t), None),
    )


def _read_format(elements: Elements, *, big: bool) -> PixelFormat:
    allocated = read_whole(elements, 0x00280100, big=big)
    stored = read_whole(elements, 0x00280101, big=big, absent=allocated)
    return PixelFormat(
        rows=read_whole(elements, 0x00280010, big=big),
        columns=read_whole(elements, 0x00280011, big=big),
        samples=read_whole(elements, 0x00280002, big=big, absent=1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=read_whole(elements, 0x00280102, big=big, absent=stored - 1),
        signed=read_whole(elements, 0x00280103, big=big, absent=0) == 1,
        big_endian=big,
    )

"""From files to the voxels of a volume that is already allocated.

Each slice is read, or decoded, straight into its place. Uncompressed files go
through threads, compressed ones through decoding processes; nothing but the
volume is ever held whole. A slice that fails is reported by its place and costs
nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np

from hilum._cores import count_cores
from hilum.dicom.decoders import Decoder, count_processes
from hilum.dicom.elements import DamagedError
from hilum.dicom.files import Inflated, Opener, Stream, read_exactly
from hilum.dicom.fragments import Codestream, read_codestream, split_frames
from hilum.dicom.guard import guarded
from hilum.dicom.headers import Header
from hilum.dicom.hounsfield import Stored, shift_slice, to_hu
from hilum.space import FloatArray
from hilum.volume import HUArray

_MOST_THREADS = 4

Job = list[tuple[int, Header]]
"""Places and headers of slices that lie in one file."""


def read_slices(
    headers: Sequence[Header | None],
    volume: HUArray,
    opener: Opener,
    *,
    shifts: FloatArray | None = None,
) -> dict[int, str]:
    """Read slices into their places of a volume.

    Args:
        headers: Of each place; None where the slice is missing.
        volume: (slice, row, column) in the order of acquisition; written.
        opener: Opens the files.
        shifts: (slice, 2) rows and columns to move each slice by, or None.

    Returns:
        Places that could not be read, and why. When there are more than
        `count_most_failures`, reading has stopped early and the volume is void.
    """
    return _SliceReader(volume, opener, shifts).read(headers)


def count_most_failures(places: int) -> int:
    """Tell how many slices may fail before a series is given up.

    Example:
        >>> count_most_failures(12), count_most_failures(300)
        (3, 30)
    """
    return max(3, places // 10)


def count_readers(slices: int, *, is_packed: bool) -> int:
    """Tell how many threads read slices at once; packed ones have a process each.

    Args:
        slices: How many there are.
        is_packed: Whether they are compressed.
    """
    return count_processes(slices) if is_packed else min(_MOST_THREADS, count_cores())


def read_frame(header: Header, opener: Opener) -> bytes:
    """Read the bytes of one frame as they stand in the file.

    Raises:
        DamagedError: They are not all there.
    """
    with closing(opener.open(header.file)) as stream:
        if header.scan.pixel_length < 0:
            return _split(header, stream)[header.frame]
        buffer = bytearray(header.format.frame_bytes)
        _read_native(header, _at_data(header, stream), memoryview(buffer))
        return bytes(buffer)


def check_codestream(header: Header, frame: bytes) -> Codestream:
    """See that a compressed frame is of the matrix that its header declares.

    Raises:
        DamagedError: It is not, or it is no codestream.
    """
    stream = read_codestream(frame, header.scan.syntax)
    form = header.format
    if stream.components != 1:
        raise DamagedError(
            f"it holds RGB (colour) pixels, {stream.components} samples each"
        )
    if stream.codec != "rle" and (stream.rows, stream.columns) != (
        form.rows,
        form.columns,
    ):
        raise DamagedError(
            f"its header declares {form.rows} x {form.columns} pixels and its "
            f"compressed data {stream.rows} x {stream.columns}"
        )
    return stream


class _SliceReader:
    """Reads slices in threads that share a queue."""

    def __init__(
        self, volume: HUArray, opener: Opener, shifts: FloatArray | None
    ) -> None:
        self._volume, self._opener, self._shifts = volume, opener, shifts
        self._failures: dict[int, str] = {}
        self._most_failures = count_most_failures(len(volume))
        self._lock = threading.Lock()
        self._jobs: Iterator[Job] = iter(())

    def read(self, headers: Sequence[Header | None]) -> dict[int, str]:
        """Read all slices, or enough to know that too many fail."""
        found = [(n, h) for n, h in enumerate(headers) if h is not None]
        is_packed = any(h.scan.pixel_length < 0 for _, h in found)
        workers = count_readers(len(found), is_packed=is_packed)
        self._jobs = iter(_split_jobs(found, -(-len(found) // workers)))
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(self._work) for _ in range(workers)]
            try:
                for future in futures:
                    future.result()
            finally:  # an interrupt ends the other threads too
                self._jobs = iter(())
        return self._failures

    def _work(self) -> None:
        decoder: Decoder | None = None
        try:
            while len(self._failures) <= self._most_failures:
                with self._lock:
                    job = next(self._jobs, None)
                if job is None:
                    return
                if job[0][1].scan.pixel_length >= 0:
                    self._read_native_file(job)
                    continue
                form = job[0][1].format
                decoder = decoder or Decoder(form.rows * form.columns)
                self._read_packed_file(job, decoder)
        finally:
            if decoder:
                decoder.stop()

    def _fail(self, place: int, reason: str) -> None:
        self._failures[place] = reason

    def _fail_all(self, job: Job, reason: str) -> None:
        for place, _ in job:
            self._fail(place, reason)

    def _read_native_file(self, job: Job) -> None:
        with (
            guarded(partial(self._fail_all, job)),
            closing(self._opener.open(job[0][1].file)) as file,
        ):
            stream = _at_data(job[0][1], file)
            for place, header in job:
                if len(job) == 1:
                    self._read_native_frame(place, header, stream)
                    return
                with guarded(partial(self._fail, place)):
                    self._read_native_frame(place, header, stream)

    def _read_native_frame(self, place: int, header: Header, stream: Stream) -> None:
        form, target = header.format, self._volume[place]
        is_direct = (
            form.bits_allocated == 16
            and self._shifts is None
            and target.flags.c_contiguous
        )
        raw: Any
        if is_direct:
            raw = target.view(np.uint16)
        else:
            raw = np.empty((form.rows, form.columns), f"<u{form.bits_allocated // 8}")
        _read_native(header, stream, memoryview(raw).cast("B"))
        if form.big_endian:
            raw.byteswap(inplace=True)
        shift = form.high_bit + 1 - form.bits_stored
        hu = _to_hu(header, raw, bits=form.bits_stored, shift=shift)
        if not is_direct:
            self._put(place, hu)

    def _read_packed_file(self, job: Job, decoder: Decoder) -> None:
        with (
            guarded(partial(self._fail_all, job)),
            closing(self._opener.open(job[0][1].file)) as file,
        ):
            frames = _split(job[0][1], file)
            for place, header in job:
                with guarded(partial(self._fail, place)):
                    hu = _decode(header, frames[header.frame], decoder)
                    self._put(place, hu)

    def _put(self, place: int, hu: HUArray) -> None:
        if self._shifts is None:
            self._volume[place] = hu
        else:
            down, right = self._shifts[place].tolist()
            shift_slice(hu, self._volume[place], down, right)


def _split_jobs(found: Job, most: int) -> Iterator[Job]:
    """Gather the slices of one file, at most so many in one job."""
    by_file: dict[tuple[str, str | None], Job] = {}
    for place, header in found:
        by_file.setdefault((header.file.path, header.file.member), []).append(
            (place, header)
        )
    for job in by_file.values():
        job.sort(key=lambda item: item[1].frame)
        for first in range(0, len(job), most):
            yield job[first : first + most]


def _at_data(header: Header, file: Stream) -> Stream:
    """Give the stream that pixel offsets count in."""
    start = header.scan.inflate_from
    return file if start < 0 else Inflated(file, start)


def _split(header: Header, file: Stream) -> list[bytes]:
    stream = _at_data(header, file)
    offset, size = header.scan.pixel_offset, header.file.size
    return split_frames(stream, offset, size, header.frames)


def _read_native(header: Header, stream: Stream, buffer: memoryview) -> None:
    offset = header.scan.pixel_offset + header.frame * header.format.frame_bytes
    stream.seek(offset)
    if not read_exactly(stream, buffer):
        raise DamagedError("its pixel data are cut short")


def _decode(header: Header, frame: bytes, decoder: Decoder) -> HUArray:
    form, stream = header.format, check_codestream(header, frame)
    bytes_a_sample = form.bits_allocated // 8 if stream.codec == "rle" else 0
    pixels = decoder.decode(frame, stream, (form.rows, form.columns), bytes_a_sample)
    width = len(pixels) // (form.rows * form.columns)
    raw = np.frombuffer(pixels, f"<u{width}").reshape(form.rows, form.columns)
    bits = form.bits_stored
    if 0 < stream.precision < bits and not stream.signed:
        bits = stream.precision
    shift = 0
    if stream.codec == "rle" or stream.precision > form.bits_stored:
        shift = form.high_bit + 1 - form.bits_stored
    return _to_hu(header, raw, bits=bits, shift=shift)


def _to_hu(header: Header, raw: Stored, *, bits: int, shift: int) -> HUArray:
    return to_hu(
        raw,
        bits_stored=min(bits, 8 * raw.dtype.itemsize),
        shift=shift,
        signed=header.format.signed,
        rescale=header.rescale,
        padding=header.padding,
    )

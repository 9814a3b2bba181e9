"""Processes that decode compressed frames.

None of the codecs lets go of the interpreter while it decodes, so threads do not
help (two threads: 5 to 45 ms a slice for JPEG-LS to JPEG 2000, the same as one),
and some crash, stall or ask for gigabytes on a damaged frame. So each frame goes
through a pipe to a process that does nothing else: as many as pay, of limited
memory and time. They are plain child processes and not `multiprocessing`, which
would run a script without a `__main__` guard once more in every child.

Where no process can be started (a frozen program, no Python on disk) frames are
decoded here.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from io import BufferedReader
from pathlib import Path
from typing import cast

from hilum._cores import count_cores
from hilum.dicom import _decoder
from hilum.dicom.elements import DamagedError
from hilum.dicom.fragments import Codestream

FRAMES_A_PROCESS = 24
"""A second process pays from twice this number: to start one takes 0.13 s."""

Shape = tuple[int, int]

_MOST_PROCESSES = 8
_MEMORY_BYTES = 768 << 20
_MEMORY_A_PIXEL = 100


def count_processes(frames: int) -> int:
    """Tell how many processes pay for a number of frames.

    Example:
        >>> count_processes(10)
        1
    """
    return max(1, min(count_cores(), _MOST_PROCESSES, frames // FRAMES_A_PROCESS))


class Decoder:
    """Decodes one frame at a time, in a process of its own.

    The process starts with the first frame, and anew after one that ended it.

    Args:
        pixels: Rows times columns of a frame; sets the memory that it may use.
    """

    def __init__(self, pixels: int) -> None:
        self._memory = _MEMORY_BYTES + _MEMORY_A_PIXEL * pixels
        self._process: subprocess.Popen[bytes] | None = None
        self._is_local = not _can_start()

    def decode(
        self, frame: bytes, stream: Codestream, shape: Shape, sample_bytes: int
    ) -> bytearray:
        """Decode one frame.

        Args:
            frame: The codestream.
            stream: What it declares.
            shape: (rows, columns) that are expected.
            sample_bytes: Bytes a sample of RLE; the other codecs know theirs.

        Returns:
            Little-endian samples, row by row, of 1, 2 or 4 bytes each.

        Raises:
            DamagedError: It cannot be decoded.
        """
        if self._is_local or (self._process is None and not self._start()):
            pixels = _decode_here(frame, stream, shape, sample_bytes)
        else:
            pixels = self._ask(frame, stream, shape, sample_bytes)
        if len(pixels) not in {shape[0] * shape[1] * n for n in (1, 2, 4)}:
            raise DamagedError("its compressed pixel data are damaged")
        return pixels

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _start(self) -> bool:
        """Start the process; False when that cannot be done here."""
        command = [sys.executable, "-I", "-S", str(Path(_decoder.__file__))]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            self._process = subprocess.Popen(
                [*command, str(self._memory), *filter(None, sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError:
            self._is_local = True
            return False
        if self._read(len(_decoder.READY)) != _decoder.READY:
            self.stop()
            self._is_local = True
        return not self._is_local

    def _ask(
        self, frame: bytes, stream: Codestream, shape: Shape, sample_bytes: int
    ) -> bytearray:
        number = _decoder.CODECS.index(stream.codec)
        head = _decoder.HEAD.pack(number, *shape, sample_bytes, len(frame))
        try:
            if self._process is None or self._process.stdin is None:
                raise BrokenPipeError
            self._process.stdin.write(head + frame)
            self._process.stdin.flush()
            answer = self._read(_decoder.ANSWER.size)
            good, length = _decoder.ANSWER.unpack(answer)
            is_whole = length <= max(4 * shape[0] * shape[1], 1000)
            pixels = self._read(length if is_whole else 0)
            is_whole = len(pixels) == length
        except (OSError, struct.error):
            is_whole = False
        if not is_whole:
            self.stop()
            raise DamagedError("its compressed pixel data crash or stall the decoder")
        if not good:
            raise DamagedError(
                "its compressed pixel data are damaged "
                f"({pixels.decode(errors='replace')})"
            )
        return pixels

    def _read(self, count: int) -> bytearray:
        buffer = bytearray(count)
        if self._process is None or self._process.stdout is None:
            return bytearray()
        stdout = cast(BufferedReader, self._process.stdout)
        del buffer[stdout.readinto(buffer) :]
        return buffer


def _can_start() -> bool:
    """Tell whether `sys.executable` is a Python that runs files."""
    name = Path(sys.executable or "").name.lower()
    return "python" in name and not getattr(sys, "frozen", False)


def _decode_here(
    frame: bytes, stream: Codestream, shape: Shape, sample_bytes: int
) -> bytearray:
    try:
        pixels = _decoder.decode(stream.codec, frame, *shape, sample_bytes)
    except _decoder.ERRORS as error:
        raise DamagedError(
            f"its compressed pixel data are damaged ({error})"
        ) from error
    return bytearray(pixels)

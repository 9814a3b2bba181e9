"""Decode compressed frames: the program of a decoding process.

Run as a file by `codecs.py`, it imports nothing of the package, so that it starts
fast. It reads frames from its standard input and writes pixels to its standard
output until the input ends. A codec that crashes, hangs or asks for too much
memory on a damaged frame takes this process with it and not the caller's.

A request is `HEAD`: codec, rows, columns, bytes a sample, length; then the frame.
An answer is `ANSWER`: whether it worked, length; then pixels or a message.
"""

from __future__ import annotations

import contextlib
import faulthandler
import struct
import sys
from typing import BinaryIO

HEAD = struct.Struct("<BIIII")
ANSWER = struct.Struct("<BI")
READY = b"\x06"
CODECS = ("jpeg", "jpeg-ls", "jpeg-2000", "rle")
SECONDS_A_FRAME = 5.0
ERRORS = (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError)
_END = b"\xff\xd9"


def decode(codec: str, frame: bytes, rows: int, columns: int, width: int) -> bytes:
    """Decode one frame.

    Args:
        codec: One of `CODECS`.
        frame: The codestream.
        rows: Lines that are expected.
        columns: Samples a line that are expected.
        width: Bytes a sample that RLE holds; the others say it themselves.

    Returns:
        Little-endian samples, row by row.

    Raises:
        ValueError: The frame is damaged. A codec may also raise RuntimeError.
    """
    # codecs are slow to import, and one series needs one of them
    if codec == "rle":
        import rle  # noqa: PLC0415

        return bytes(
            rle.decode_pixel_data(
                frame, version=2, rows=rows, columns=columns, bits_allocated=8 * width
            )
        )
    ended = frame.rstrip(b"\0").endswith(_END)
    if codec == "jpeg-ls":
        import jpeg_ls  # noqa: PLC0415

        # without an end marker CharLS searches for seconds before it gives up
        return bytes(jpeg_ls.decode_from_buffer(frame if ended else frame + _END))
    if not ended:
        raise ValueError("the codestream has no end")
    if codec == "jpeg":
        import libjpeg  # noqa: PLC0415

        return bytes(libjpeg.decode_pixel_data(frame, version=2))
    import openjpeg  # noqa: PLC0415

    return bytes(openjpeg.decode_pixel_data(frame, version=2))


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until the source ends."""
    while len(head := source.read(HEAD.size)) == HEAD.size:
        number, rows, columns, width, length = HEAD.unpack(head)
        frame = source.read(length)
        # ends the process, even inside a codec that holds the interpreter
        faulthandler.dump_traceback_later(SECONDS_A_FRAME, exit=True)
        try:
            pixels, good = decode(CODECS[number], frame, rows, columns, width), 1
        except ERRORS as error:
            pixels, good = str(error).encode()[:1000], 0
        faulthandler.cancel_dump_traceback_later()
        sink.write(ANSWER.pack(good, len(pixels)))
        sink.write(pixels)
        sink.flush()


def limit_memory(most_bytes: int) -> None:
    """Make requests for more memory fail, where the system can do that."""
    try:
        import resource  # noqa: PLC0415  not on Windows
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(OSError, ValueError):  # some systems have no such limit
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, hard))


if __name__ == "__main__":
    sys.path[:] = sys.argv[2:]
    limit_memory(int(sys.argv[1]))
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    serve(sys.stdin.buffer, sys.stdout.buffer)

"""Uploads: streamed to the disk, looked at before they are believed.

A file is refused by its first bytes when it is nothing that hilum reads; its name is
never used and never kept. Limits hold while it streams, so nothing larger is written.
Zips are looked into before they are handed over: members that leave the zip, links,
bombs and overlaps are refused, and what it would unpack to counts as its size.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect

from hilum.dicom.archives import is_zip, list_members
from hilum.service.jobs.store import UPLOADS, Store
from hilum.service.web.problems import ProblemError
from hilum.service.web.settings import WebSettings

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_CHUNK = 1 << 20
_HEAD = 400
_SHORT = 100
_SILENCE_S = 60.0
_WAIT_S = 30.0
_DRAINED, _DRAIN_S = 64 << 20, 10.0
_ENDINGS = {
    "zip": ".zip",
    "dicom": ".dcm",
    "nifti": ".nii",
    "nifti-gz": ".nii.gz",
    "metaimage": ".mha",
}


class Receiver:
    """Takes uploads.

    Args:
        store: The data folder.
        settings: How much it takes.
    """

    def __init__(self, store: Store, settings: WebSettings) -> None:
        self._store, self._settings = store, settings
        self._places = asyncio.Semaphore(settings.uploads_at_once)
        self._sizes: dict[str, int] = {}

    def begin(self) -> str:
        """Begin an upload of many files; give its id.

        Raises:
            ProblemError: Nothing can be stored now.
        """
        self._check_room()
        return self._store.spool(UPLOADS).name.removeprefix(UPLOADS)

    def folder(self, upload_id: str) -> Path:
        """Give the folder of an upload.

        Raises:
            ProblemError: There is none of that id.
        """
        path = self._store.data / "incoming" / f"{UPLOADS}{upload_id}"
        if not _UPLOAD_ID.fullmatch(upload_id) or not path.is_dir():
            raise ProblemError(404, "There is no such upload. Begin a new one.")
        return path

    def drop(self, upload_id: str) -> None:
        """Forget an upload."""
        shutil.rmtree(self.folder(upload_id), ignore_errors=True)
        self._sizes.pop(upload_id, None)

    def size_of(self, upload_id: str) -> tuple[int, int]:
        """Give the number of files of an upload and their bytes."""
        files = [p for p in self.folder(upload_id).iterdir() if p.is_file()]
        return len(files), sum(path.stat().st_size for path in files)

    async def take(
        self,
        upload_id: str,
        number: int,
        body: AsyncIterator[bytes],
        length: int | None,
    ) -> None:
        """Take one file of an upload; the same number twice replaces it.

        Args:
            upload_id: Of `begin`.
            number: Which file.
            body: Its bytes.
            length: How many were announced, or None.

        Raises:
            ProblemError: It is too large, too slow, or nothing that hilum reads.
        """
        folder = self.folder(upload_id)
        if not 0 <= number < self._settings.upload_files:
            raise ProblemError(
                413,
                f"An upload has at most {self._settings.upload_files} files. Send one "
                "study at a time.",
            )
        if upload_id not in self._sizes:
            self._sizes[upload_id] = (await asyncio.to_thread(self.size_of, upload_id))[
                1
            ]
        path = folder / f"{number:06}.dcm"
        before = path.stat().st_size if path.exists() else 0
        left = self._settings.upload_bytes - self._sizes[upload_id] + before
        part = folder / f"part-{secrets.token_hex(8)}"
        size = await self._stream(part, body, length, left, only_slices=True)
        self._sizes[upload_id] = self._sizes.get(upload_id, 0) + size - before
        part.replace(path)

    async def take_whole(self, body: AsyncIterator[bytes], length: int | None) -> Path:
        """Take a study in one file: a zip, a volume, or a DICOM file.

        Args:
            body: Its bytes.
            length: How many were announced, or None.

        Returns:
            The file, alone in a folder of its own.

        Raises:
            ProblemError: It is too large, too slow, or nothing that hilum reads.
        """
        folder = self.folder(await asyncio.to_thread(self.begin))
        part = folder / f"part-{secrets.token_hex(8)}"
        try:
            limit = self._settings.upload_bytes
            await self._stream(part, body, length, limit, only_slices=False)
            with part.open("rb") as file:
                kind = kind_of(file.read(_HEAD))
            path = folder / f"study{_ENDINGS[kind or 'dicom']}"
            part.replace(path)
            await asyncio.to_thread(self.check_zip, path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return path

    def check_zip(self, path: Path) -> None:
        """Refuse a zip that is hostile, or would unpack to too much.

        Raises:
            InputError: It is hostile or damaged.
            ProblemError: It is too large.
        """
        if is_zip(path):
            members = list_members(path)
            self._check_size(sum(file.size for file in members))
            if len(members) > self._settings.upload_files:
                raise ProblemError(
                    413, f"The zip has {len(members)} files. Pack one study a zip."
                )

    async def _stream(
        self,
        path: Path,
        body: AsyncIterator[bytes],
        length: int | None,
        limit: int,
        *,
        only_slices: bool,
    ) -> int:
        """Write a body to a new file; remove it when anything is wrong."""
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise ProblemError(
                503, "Too many uploads at once. Try again.", {"Retry-After": "5"}
            ) from None
        try:
            self._check_size(length or 0, limit)
            await asyncio.to_thread(self._check_room)
            with path.open("xb") as file:
                size = await self._write(file, body, limit, only_slices=only_slices)
            if length is not None and size != length:
                raise ProblemError(400, "The upload ended early. Send it again.")
        except ProblemError:
            path.unlink(missing_ok=True)
            await _drain(body)
            raise
        except ClientDisconnect:
            path.unlink(missing_ok=True)
            raise ProblemError(400, "The upload ended early. Send it again.") from None
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            self._places.release()
        return size

    async def _write(
        self,
        file: BinaryIO,
        body: AsyncIterator[bytes],
        limit: int,
        *,
        only_slices: bool,
    ) -> int:
        """Write what comes, look at its first bytes, and give its size."""
        size, waiting, checked = 0, bytearray(), False
        pieces = aiter(body)
        while True:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    piece = await anext(pieces, None)
            except TimeoutError:
                raise ProblemError(408, "The upload stopped. Send it again.") from None
            if piece:
                size += len(piece)
                self._check_size(size, limit)
                waiting += piece
            if not checked and (piece is None or len(waiting) >= _HEAD):
                _check_kind(bytes(waiting[:_HEAD]), only_slices=only_slices)
                checked = True
            if len(waiting) >= _CHUNK or piece is None:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
            if piece is None:
                return size

    def _check_size(self, size: int, limit: int | None = None) -> None:
        limit = self._settings.upload_bytes if limit is None else limit
        if size > limit:
            raise ProblemError(
                413,
                f"An upload may have {self._settings.upload_gb:g} GB, unpacked. Send "
                "one study at a time.",
            )

    def _check_room(self) -> None:
        trouble = self._store.trouble()
        if trouble is not None:
            status = 507 if "full" in trouble else 503
            raise ProblemError(status, trouble, {"Retry-After": "30"})


def kind_of(head: bytes) -> str | None:
    """Tell by its first bytes what a file is; None: nothing that hilum reads.

    Args:
        head: Its first 400 bytes.

    Example:
        >>> kind_of(bytes(128) + b"DICM"), kind_of(b"%PDF-1.7")
        ('dicom', None)
    """
    if head[128:132] == b"DICM":
        return "dicom"
    if head[:4] in (b"PK\3\4", b"PK\5\6", b"PK\7\x08"):
        return "zip"
    if _is_nifti(head):
        return "nifti"
    if head[:3] == b"\x1f\x8b\x08" and _is_nifti(_inflate(head)):
        return "nifti-gz"
    if head[:10] == b"ObjectType" or head[:5] == b"NDims":
        return "metaimage"
    if head[:2] in (b"\x08\0", b"\x02\0") and len(head) > _SHORT:
        return "dicom"  # without a preamble: begins with group 0008 or 0002
    return None


def _is_nifti(head: bytes) -> bool:
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def _inflate(head: bytes) -> bytes:
    """Inflate the beginning of a gzip; what comes is as much as is needed."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except zlib.error:
        return b""


async def _drain(body: AsyncIterator[bytes]) -> None:
    """Read on for a moment, so that a client that only writes gets to the answer."""
    left = _DRAINED
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for piece in body:
                left -= len(piece)
                if left < 0:
                    return
    except (TimeoutError, ClientDisconnect, RuntimeError):
        return  # the stream was used up, or is stuck


def _check_kind(head: bytes, *, only_slices: bool) -> None:
    kind = kind_of(head)
    if kind is None or (only_slices and kind != "dicom"):
        wanted = (
            "a DICOM file"
            if only_slices
            else "a zip of DICOM, NIfTI, MetaImage or DICOM"
        )
        raise ProblemError(415, f"The file is not {wanted}, by its first bytes.")

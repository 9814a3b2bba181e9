"""How long it takes to receive 300 slices, beside a bare storage server.

Both run in processes of their own, take the same 300 slices of 512 x 512 from DCMTK's
`storescu` over the loopback, and write each to a file. The bare server is pynetdicom's
storage example: a handler that writes what it is given. Rounds alternate; the ratio of
the medians is what counts, for the machine may be busy.

    python benchmarks/receive.py [--slices N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from hilum.service.pacs import Inbox, InboxSettings, Node, NodeSettings

SIDE = 512


def make_slices(folder: Path, count: int) -> None:
    """Write slices of a CT, uncompressed."""
    study, series = generate_uid(), generate_uid()
    noise = np.random.default_rng(0).integers(-1000, 400, (SIDE, SIDE), dtype=np.int16)
    for number in range(count):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, generate_uid()
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.Modality, ds.PatientID = "CT", "BENCH"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.InstanceNumber = number + 1
        ds.Rows = ds.Columns = SIDE
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 1
        ds.PixelData = np.roll(noise, number, axis=0).tobytes()
        ds.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


def run_bare(folder: str, pipe: Connection) -> None:
    """Run a storage server that writes what it gets, and no more."""

    def store(event: Any) -> int:
        path = Path(folder) / event.request.AffectedSOPInstanceUID
        path.write_bytes(event.encoded_dataset())
        return 0

    entity = AE(ae_title="HILUM")
    entity.supported_contexts = AllStoragePresentationContexts
    handlers = [(evt.EVT_C_STORE, store)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    pipe.send(server.server_address[1])
    pipe.recv()
    server.shutdown()


def run_hilum(folder: str, pipe: Connection) -> None:
    """Run the node of hilum."""
    settings = InboxSettings(folder=Path(folder), quiet_s=600, free_bytes=0)
    with (
        Inbox(settings, print) as inbox,
        Node(NodeSettings(port=0), inbox) as node,
    ):
        pipe.send(node.port)
        pipe.recv()


def measure(server: Any, source: Path, count: int) -> float:
    """Start a server, send it all slices, check that it has them; seconds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=server, args=(folder, theirs))
        process.start()
        try:
            port = str(ours.recv())
            send = ["storescu", "+sd", "-aec", "HILUM", "127.0.0.1", port]
            start = time.perf_counter()
            subprocess.run([*send, str(source)], check=True, capture_output=True)
            seconds = time.perf_counter() - start
            files = [p for p in Path(folder).rglob("*") if p.stat().st_size > 100_000]
            if len(files) != count:
                sys.exit(f"{server.__name__} has {len(files)} of {count} files")
        finally:
            ours.send(None)
            process.join(30)
            process.kill()
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if shutil.which("storescu") is None:
        print("receive.py: skipped: needs storescu (Debian package dcmtk)")
        return
    times: dict[str, list[float]] = {"bare": [], "hilum": []}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        make_slices(source, args.slices)
        for _ in range(args.rounds):
            times["bare"].append(measure(run_bare, source, args.slices))
            times["hilum"].append(measure(run_hilum, source, args.slices))
    bare, ours = (statistics.median(times[name]) for name in ("bare", "hilum"))
    print(f"{args.slices} slices of {SIDE} x {SIDE}, median of {args.rounds}")
    print(f"bare pynetdicom  {bare:6.2f} s")
    print(f"hilum            {ours:6.2f} s   {ours / bare:.2f} x")
    print(json.dumps({"bare_s": bare, "hilum_s": ours, "ratio": ours / bare}))


if __name__ == "__main__":
    main()

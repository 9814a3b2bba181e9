"""An Orthanc of one's own: a PACS as a plain process, gone after the test."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

PLUGINS = Path("/usr/share/orthanc/plugins")


def need(program):
    """Skip where a program of tests/setup.sh is absent; in CI, fail."""
    # the system's first: pynetdicom brings programs of the same names
    system = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    found = shutil.which(program, path=system) or shutil.which(program)
    if found is None:
        text = f"`{program}` is not installed: run `bash tests/setup.sh`"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    return found


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc.

    Attributes:
        http_port: REST and, below /dicom-web, DICOMweb.
        dicom_port: DIMSE; its AE title is ORTHANC and it takes from anyone.
    """

    http_port: int
    dicom_port: int

    @property
    def url(self):
        """Address of the REST interface."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb(self):
        """Address of the DICOMweb interface."""
        return f"{self.url}/dicom-web"

    def get(self, path, *, raw=False):
        """Ask the REST interface; JSON unless raw bytes are wanted."""
        with urlopen(self.url + path, timeout=20) as answer:
            body = answer.read()
        return body if raw else json.loads(body)

    def find(self, sop_instance_uid):
        """Orthanc's own name of an instance, or None."""
        query = {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}}
        request = Request(f"{self.url}/tools/find", json.dumps(query).encode())
        with urlopen(request, timeout=20) as answer:
            found = json.loads(answer.read())
        return found[0] if found else None

    def file(self, sop_instance_uid):
        """The DICOM file of an instance, as Orthanc gives it back."""
        return self.get(f"/instances/{self.find(sop_instance_uid)}/file", raw=True)


def free_port():
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_orthanc(folder, **more):
    """Start an Orthanc that keeps its files in a folder, and stop it in the end.

    Args:
        folder: Of its files.
        more: Settings beside those of every test.
    """
    program = need("Orthanc")
    orthanc = Orthanc(free_port(), free_port())
    config = {
        "Name": "hilum-test",
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": orthanc.http_port,
        "DicomPort": orthanc.dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "SslEnabled": False,
        "HttpThreadsCount": 8,
        "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so")],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **more,
    }
    path = Path(folder) / "orthanc.json"
    path.write_text(json.dumps(config))
    with (Path(folder) / "log.txt").open("w") as log:
        process = subprocess.Popen([program, str(path)], stdout=log, stderr=log)
    try:
        _wait(orthanc, process, Path(folder) / "log.txt")
        yield orthanc
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait(orthanc, process, log, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"Orthanc stopped: {log.read_text()[-2000:]}")
        with suppress(URLError, OSError):
            orthanc.get("/system")
            return
        time.sleep(0.05)
    pytest.fail(f"Orthanc was not ready in {seconds} s: {log.read_text()[-2000:]}")

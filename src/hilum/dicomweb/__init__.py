"""Reading from and sending to a DICOMweb server, and to no other place.

Only the server that the user named is reached: redirections are refused, nothing is
looked up elsewhere, and every answer has a limit of time and size. A token is sent
over TLS or within this machine alone.

Sources:
    DICOM PS3.18 10.4 (WADO-RS), 10.5 (STOW-RS), 10.6 (QIDO-RS).
"""

from __future__ import annotations

from hilum.dicomweb.address import Address, is_dicomweb, parse_address
from hilum.dicomweb.retrieve import fetch_series
from hilum.dicomweb.server import Server, UnreachableError, read_token
from hilum.dicomweb.store import send_files

__all__ = [
    "Address",
    "Server",
    "UnreachableError",
    "fetch_series",
    "is_dicomweb",
    "parse_address",
    "read_token",
    "send_files",
]

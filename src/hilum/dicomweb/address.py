"""Addresses: `dicomweb://HOST[:PORT]/PATH/studies/UID[/series/UID]`, or `dicomwebs`.

`dicomweb` is HTTP, `dicomwebs` HTTPS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from hilum.errors import InputError

_START = re.compile(r"^(dicomwebs?):/{1,2}(?=[^/])")
"""One slash too, for that is what `pathlib` leaves of two."""
_UID = re.compile(r"^[0-9.]{1,64}$")
_EXAMPLE = "dicomwebs://pacs.example.org/dicom-web/studies/1.2.840.99.1"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and what is wanted of it.

    Attributes:
        secure: Over TLS.
        host: Name or number of the machine.
        port: TCP port.
        root: Path of the DICOMweb service, such as "/dicom-web"; may be "".
        study_uid: The study, or None for the server as a whole.
        series_uid: The one series of it, or None.
    """

    secure: bool
    host: str
    port: int
    root: str
    study_uid: str | None = None
    series_uid: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return self.host in ("localhost", "127.0.0.1", "::1")


def is_dicomweb(source: object) -> bool:
    """Tell whether a source is an address of a DICOMweb server.

    Example:
        >>> is_dicomweb("dicomweb://host/studies/1.2"), is_dicomweb("scans/1.2")
        (True, False)
    """
    return bool(_START.match(str(source)))


def parse_address(text: str, *, whole_server: bool = False) -> Address:
    """Take an address apart.

    Args:
        text: The address.
        whole_server: It names a server, and no study in it.

    Raises:
        InputError: It is no such address.

    Example:
        >>> parse_address("dicomweb://localhost:8042/dicom-web/studies/1.2").root
        '/dicom-web'
    """
    text = str(text)
    match = _START.match(text)
    if not match:
        raise InputError(f"This is no DICOMweb address such as {_EXAMPLE}.")
    secure = match[1] == "dicomwebs"
    try:
        parts = urlsplit(_START.sub("https://" if secure else "http://", text))
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"The DICOMweb address cannot be read: {error}.") from error
    if not host or parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            "A DICOMweb address has a host, a path and nothing else: no user, "
            f"password, question mark or #, such as {_EXAMPLE}. A token goes into the "
            "environment, see HILUM_DICOMWEB_TOKEN."
        )
    root, study, series = _split(parts.path.rstrip("/"), whole_server=whole_server)
    return Address(secure, host, port or (443 if secure else 80), root, study, series)


def _split(path: str, *, whole_server: bool) -> tuple[str, str | None, str | None]:
    if not re.fullmatch(r"[A-Za-z0-9._~/-]*", path) or ".." in path.split("/"):
        raise InputError("The path of the DICOMweb address has characters of no path.")
    if whole_server:
        return path, None, None
    root, found, rest = path.rpartition("/studies/")
    study, _, tail = rest.partition("/")
    series = tail.removeprefix("series/") if tail else None
    is_series = series is None or (tail.startswith("series/") and _UID.match(series))
    if not found or not _UID.match(study) or not is_series:
        raise InputError(
            f"The DICOMweb address names no study. Give one such as {_EXAMPLE}; "
            "/series/UID may follow."
        )
    return root, study, series

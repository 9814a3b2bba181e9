"""Where a service listens, whom it lets in, and how much it takes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from hilum.errors import InputError

GB = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """How the page is served.

    Attributes:
        host: Address to listen on; other than this machine only with tokens, and
            with TLS or a proxy that does TLS.
        port: TCP port; 0 takes a free one.
        tls_cert: Certificate chain (PEM), with `tls_key`.
        tls_key: Private key (PEM).
        behind_proxy: A proxy in front does TLS; its X-Forwarded-For is believed.
        allow_hosts: Names under which the page is called, beside localhost and
            plain addresses.
        upload_gb: Largest upload, in GB, also when unpacked.
        upload_files: Most files of an upload.
        uploads_at_once: Uploads that may send at a time; more are told to wait.
        requests_per_s: Requests of one user a second on the average, uploads apart.
        session_hours: How long a browser stays signed in.

    Raises:
        InputError: The settings would let in whoever comes, or cannot be.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: bool = False
    allow_hosts: tuple[str, ...] = ()
    upload_gb: float = 8.0
    upload_files: int = 20_000
    uploads_at_once: int = 32
    requests_per_s: float = 50.0
    session_hours: float = 12.0

    def __post_init__(self) -> None:
        """Refuse what would be open to all."""
        if not 0 <= self.port <= 65535:
            raise InputError(f"A port lies in 0 to 65535; got {self.port}.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InputError("TLS needs both `--tls-cert` and `--tls-key`.")
        for path in (self.tls_cert, self.tls_key):
            if path is not None and not path.is_file():
                raise InputError(f"There is no file `{path.name}` for TLS.")
        if self.is_remote and not (self.tls_cert or self.behind_proxy):
            raise InputError(
                f"On {self.host} others on the network could read along. Give "
                "`--tls-cert` and `--tls-key`, or `--behind-proxy` when a proxy in "
                "front does TLS."
            )
        for name in ("upload_gb", "upload_files", "uploads_at_once", "requests_per_s"):
            if not getattr(self, name) > 0:
                raise InputError(
                    f"`{name}` must be above 0; got {getattr(self, name)}."
                )

    @property
    def is_remote(self) -> bool:
        """Whether others than this machine can reach it."""
        if self.host == "localhost":
            return False
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return True

    @property
    def needs_token(self) -> bool:
        """Whether nobody gets in without a token."""
        return self.is_remote or self.behind_proxy

    @property
    def upload_bytes(self) -> int:
        """Largest upload."""
        return int(self.upload_gb * GB)

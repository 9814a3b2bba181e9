"""One server: a request at a time, with limits, and no way to be led elsewhere."""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hilum.dicomweb.address import Address
from hilum.errors import HilumError, InputError

TOKEN = "HILUM_DICOMWEB_TOKEN"
TOKEN_FILE = "HILUM_DICOMWEB_TOKEN_FILE"
_MOST_TOKEN = 16_384
_REASONS = {
    400: "it does not understand the request",
    401: f"it asks for a token; set {TOKEN} or {TOKEN_FILE}",
    403: "it forbids this",
    404: "it has nothing at that address",
    406: "it cannot send DICOM files as they are",
    409: "it refuses what was sent",
    413: "what was sent is too large for it",
    503: "it is busy",
}


class UnreachableError(HilumError, ConnectionError):
    """A server does not answer now; a later try may help."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request.

    Attributes:
        server: Whose it is.
        status: HTTP status, 200 to 299.
        kind: Its Content-Type.
    """

    server: Server
    status: int
    kind: str
    _response: http.client.HTTPResponse = field(repr=False)

    def read(self, count: int) -> bytes:
        """Read up to `count` bytes; none at the end.

        Raises:
            UnreachableError: The connection broke.
        """
        try:
            return self._response.read(count)
        except (OSError, http.client.HTTPException) as error:
            raise self.server.unreachable(error) from error


@dataclass(frozen=True, slots=True)
class Server:
    """A DICOMweb server.

    Attributes:
        address: Where it is.
        token: Bearer token, or None; hidden from `repr`.
        timeout_s: Longest wait for any part of an answer.

    Raises:
        InputError: A token would travel unencrypted to another machine.
    """

    address: Address
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse to show the token to the network."""
        if self.token and not self.address.secure and not self.address.is_local:
            raise InputError(
                "A token may not travel unencrypted to another machine. Use "
                "dicomwebs:// in place of dicomweb://."
            )

    @contextmanager
    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] | None = None,
    ) -> Iterator[Answer]:
        """Send a request and give the answer, which must be read in the block.

        Raises:
            InputError: The server refuses, for good.
            UnreachableError: It cannot be reached, or is busy.
        """
        connection = self._connect()
        sent = {**headers, "User-Agent": "hilum"}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        try:
            try:
                connection.request(method, self.address.root + path, body, sent)
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise self.unreachable(error) from error
            self._check(response.status)
            kind = response.getheader("Content-Type", "")
            yield Answer(self, response.status, kind, response)
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self.address.host, self.address.port
        if not self.address.secure:
            return http.client.HTTPConnection(host, port, timeout=self.timeout_s)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            host, port, timeout=self.timeout_s, context=context
        )

    def _check(self, status: int) -> None:
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            raise InputError(
                f"The DICOMweb server at {self.address.host} sends us to another "
                "address, where we do not follow. Name the address itself."
            )
        reason = _REASONS.get(status, "it has a problem of its own")
        text = f"The DICOMweb server answers {status}: {reason}."
        if status >= 500 or status in (408, 429):
            raise UnreachableError(text)
        raise InputError(text)

    def unreachable(self, error: Exception) -> UnreachableError:
        """Make an error of the network one that can be shown."""
        if isinstance(error, TimeoutError):
            reason = f"it does not answer within {self.timeout_s:g} s"
        elif isinstance(error, ssl.SSLCertVerificationError):
            reason = "its certificate is not one that this machine trusts"
        elif isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = f"the connection broke ({type(error).__name__})"
        address = self.address
        return UnreachableError(
            f"The DICOMweb server at {address.host}:{address.port} cannot be used: "
            f"{reason}."
        )


def read_token() -> str | None:
    """Read the token from the environment, or from the file that it names.

    Raises:
        InputError: The file cannot be read, or holds no token.
    """
    token = os.environ.get(TOKEN)
    path = os.environ.get(TOKEN_FILE)
    if token is None and path:
        try:
            token = Path(path).read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise InputError(
                f"The token file that {TOKEN_FILE} names cannot be read "
                f"({type(error).__name__})."
            ) from None
    token = token.strip() if token else None
    if token and not (
        token.isascii() and token.isprintable() and len(token) < _MOST_TOKEN
    ):
        raise InputError("The DICOMweb token has characters that no token has.")
    return token or None

"""Connections that must not be held open for nothing (Slowloris).

The head of a request has to arrive within seconds of the connection, or of its own
first byte, however many bytes drip in; and one address holds only so many connections.
What a body may take is for the guard and for the receiver of uploads to say.

Sources:
    CWE-400; the source of uvicorn 0.54 (`protocols/http/h11_impl.py`), which ends a
    connection that is idle between requests and none whose head is unfinished.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""For the head of a request."""

FROM_ONE = 256
"""Connections of one address, half of all: a browser opens six, and an office may have
one address."""


class PromptProtocol(H11Protocol):
    """HTTP/1.1 for clients that come to the point."""

    head_s = HEAD_S
    from_one = FROM_ONE
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless the address has enough of them."""
        super().connection_made(transport)
        if self._too_many():
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes; when they end in the middle of a head, the time runs."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._watch()
        else:
            self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._rest()
        super().connection_lost(exc)

    def _too_many(self) -> bool:
        """Tell whether the address holds more connections than it may."""
        if self.client is None:
            return False
        here, count = self.client[0], 0
        for other in self.connections:
            client = getattr(other, "client", None)
            count += client is not None and client[0] == here
        return count > self.from_one

    def _watch(self) -> None:
        """Let the time run, from the first time on."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_s, self._end)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        """Hang up on a head that is still unfinished."""
        self._deadline = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.abort()


class ProxiedProtocol(PromptProtocol):
    """The same behind a proxy, from whose one address all come."""

    from_one = 1 << 30

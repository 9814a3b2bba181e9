"""Connections that must not be held open for nothing (Slowloris).

The head of a request has to arrive within seconds of the connection, or of its own
first byte, however many bytes drip in; so has the rest of a body that was answered
before its end, as when it was refused; and one address holds only so many connections.
What else a body may take is for the guard and for the receiver of uploads to say.

Sources:
    CWE-400; the source of uvicorn 0.54 (`protocols/http/h11_impl.py`), which ends a
    connection that is idle between requests, and none whose head is unfinished or to
    which bytes come after the answer; nginx's `lingering_time`.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""For the head of a request."""

LINGER_S = 30.0
"""For what still comes of a body after its answer."""

FROM_ONE = 256
"""Connections of one address, half of all: a browser opens six, and an office may have
one address."""


class PromptProtocol(H11Protocol):
    """HTTP/1.1 for clients that come to the point."""

    head_s = HEAD_S
    linger_s = LINGER_S
    from_one = FROM_ONE
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless the address has enough of them."""
        super().connection_made(transport)
        if self._too_many():
            transport.abort()
            return
        self._watch(self.head_s)

    def data_received(self, data: bytes) -> None:
        """Take bytes; in the middle of a head, or after the answer, the time runs."""
        super().data_received(data)
        if self.transport.is_closing():
            self._rest()
        elif self.conn.their_state is h11.IDLE:
            self._watch(self.head_s)
        elif self._lingers():
            self._watch(self.linger_s)
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

    def _lingers(self) -> bool:
        """Tell whether a body goes on that was answered already."""
        answered = getattr(self.cycle, "response_complete", False)  # None at first
        return bool(answered) and self.conn.their_state is h11.SEND_BODY

    def _watch(self, seconds: float) -> None:
        """Let the time run, from the first time on."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self._end)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        """Hang up on what is still unfinished."""
        self._deadline = None
        unfinished = self.conn.their_state is h11.IDLE or self._lingers()
        if unfinished and not self.transport.is_closing():
            self.transport.abort()


class ProxiedProtocol(PromptProtocol):
    """The same behind a proxy, from whose one address all come."""

    from_one = 1 << 30

"""Staying signed in: a cookie that says who and until when, signed.

Nothing is kept on the server. A token that was removed ends its sessions, because
its name is looked up again with each request.
"""

from __future__ import annotations

import base64
import hmac
import time
from hashlib import sha256

COOKIE = "hilum_session"


class Sessions:
    """Makes and reads the cookies.

    Args:
        secret: Key of the service.
        hours: How long one holds.
    """

    def __init__(self, secret: bytes, hours: float) -> None:
        self._key = hmac.new(secret, b"hilum session", sha256).digest()
        self.seconds = int(hours * 3600)

    def make(self, name: str) -> str:
        """Make the cookie of a user."""
        until = int(time.time()) + self.seconds
        text = f"{base64.urlsafe_b64encode(name.encode()).decode()}.{until}"
        return f"{text}.{self._sign(text)}"

    def read(self, cookie: str) -> str | None:
        """Give the name in a cookie, or None when it is forged or over."""
        text, _, sign = cookie.rpartition(".")
        if not hmac.compare_digest(sign.encode(), self._sign(text).encode()):
            return None
        name, _, until = text.rpartition(".")
        if int(until) < time.time():
            return None
        return base64.urlsafe_b64decode(name.encode()).decode()

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), sha256).hexdigest()

"""Who may use a service: tokens, of which only the digest is kept.

A token holds 256 random bits, so a plain SHA-256 of it cannot be turned round by
guessing; slow hashes are for passwords, which people choose. Roles: "read" looks,
"write" also uploads, annotates, cancels and removes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from hilum.errors import InputError
from hilum.findings import Record
from hilum.service.records.database import TOKENS

Role = Literal["read", "write"]
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_PREFIX = "hilum_"


@dataclass(frozen=True, slots=True)
class User(Record):
    """Who asks.

    Attributes:
        name: Of the token; "local" where none is needed.
        role: What they may do.
    """

    name: str
    role: Role

    @property
    def may_write(self) -> bool:
        """Whether they may change anything."""
        return self.role == "write"


LOCAL = User("local", "write")


class Tokens:
    """The tokens of a service.

    Args:
        engine: Of `open_database`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, name: str, role: str) -> str:
        """Make a token and give it; it cannot be shown again.

        Raises:
            InputError: The name is odd or taken, or the role is not known.
        """
        if not _NAME.fullmatch(name) or name == LOCAL.name:
            raise InputError(
                f"A token may not be called {name!r}. Use up to 64 letters, digits and "
                f". _ @ -, and not `{LOCAL.name}`."
            )
        if role not in ("read", "write"):
            raise InputError(f"Unknown role `{role}`. Roles are: read, write.")
        token = _PREFIX + secrets.token_urlsafe(32)
        row = {"name": name, "role": role, "digest": _digest(token)}
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    sa.insert(TOKENS).values(**row, created_s=time.time())
                )
        except sa.exc.IntegrityError as error:
            raise InputError(
                f"There is a token `{name}` already. Remove it first."
            ) from error
        return token

    def remove(self, name: str) -> None:
        """Make a token useless.

        Raises:
            InputError: There is none of that name.
        """
        removed = 0
        if _NAME.fullmatch(name):  # no database has to see what can be no name
            with self._engine.begin() as connection:
                named = sa.delete(TOKENS).where(TOKENS.c.name == name)
                removed = connection.execute(named).rowcount
        if not removed:
            raise InputError(f"There is no token `{name}`.")

    def list(self) -> tuple[User, ...]:
        """List who has a token, by name."""
        query = sa.select(TOKENS).order_by(TOKENS.c.name)
        with self._engine.connect() as connection:
            return tuple(User(row.name, row.role) for row in connection.execute(query))

    def find(self, token: str) -> User | None:
        """Tell whose token it is; it takes as long for a wrong one as for a right one.

        Args:
            token: As it was sent.
        """
        wanted = _digest(token)
        found = None
        with self._engine.connect() as connection:
            for row in connection.execute(sa.select(TOKENS)):
                if hmac.compare_digest(row.digest, wanted):
                    found = User(row.name, row.role)
        return found

    def named(self, name: str) -> User | None:
        """Give who has the token of a name, or None when it was removed."""
        query = sa.select(TOKENS).where(TOKENS.c.name == name)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else User(row.name, row.role)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()

"""Tokens from the command line, while the service runs or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hilum._names import name_of
from hilum._optional import require
from hilum.errors import InputError


def manage_tokens(
    data: Path,
    *,
    database: str | None = None,
    add: str | None = None,
    remove: str | None = None,
    role: str = "read",
) -> dict[str, Any]:
    """Make or remove a token, and list who has one.

    Args:
        data: Folder of the service; made when it is not there.
        database: URL of a PostgreSQL database, or None for SQLite.
        add: Name of a token to make.
        remove: Name of a token to remove.
        role: Of the token that is made, "read" or "write".

    Returns:
        `token`, when one was made; it cannot be shown again. `tokens`, the name and
        role of each.

    Raises:
        InputError: The folder or the database cannot be used, or a name is odd, taken
            or not there.
        MissingDependencyError: The extra `serve` is not installed.
    """
    require("sqlalchemy", extra="serve", to="to keep tokens")
    from hilum.service.records.database import open_database  # noqa: PLC0415  extra
    from hilum.service.records.tokens import Tokens  # noqa: PLC0415

    engine = open_database(_make_folder(Path(data)), database)
    try:
        tokens = Tokens(engine)
        said: dict[str, Any] = {}
        if remove is not None:
            tokens.remove(remove)
        if add is not None:
            said["token"] = tokens.add(add, role)
        said["tokens"] = [user.to_json() for user in tokens.list()]
    finally:
        engine.dispose()
    return said


def _make_folder(data: Path) -> Path:
    """Make the data folder, which only its owner may look into."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(
            f"Cannot use `{name_of(data)}` for data: "
            f"{error.strerror or type(error).__name__}. Name a folder that may be "
            "written to."
        ) from error
    return data

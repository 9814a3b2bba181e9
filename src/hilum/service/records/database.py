"""The tables, and one engine for them.

Every table begins with `hilum_`, so that a PostgreSQL database can be shared with the
tables of DBOS, which stand in a schema of their own.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hilum.errors import InputError

META = sa.MetaData()

JOBS = sa.Table(
    "hilum_jobs",
    META,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("origin", sa.String(64), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False, index=True),
    sa.Column("started_s", sa.Float),
    sa.Column("finished_s", sa.Float),
    sa.Column("study_uid", sa.String(128), index=True),
    sa.Column("series_uid", sa.String(128)),
    sa.Column("patient", sa.String(32), index=True),
    sa.Column("acquired", sa.String(16)),
    sa.Column("description", sa.Text),
    sa.Column("in_scope", sa.Boolean),
    sa.Column("probability", sa.Float),
    sa.Column("nodules", sa.Integer),
    sa.Column("deliver_to", sa.JSON, nullable=False),
    sa.Column("timings_s", sa.JSON),
)

DELIVERIES = sa.Table(
    "hilum_deliveries",
    META,
    sa.Column("job_id", sa.String(32), primary_key=True),
    sa.Column("target", sa.String(64), primary_key=True),
    sa.Column("done_s", sa.Float),
    sa.Column("error", sa.Text),
    sa.Column("over", sa.Boolean, nullable=False),
)

ANNOTATIONS = sa.Table(
    "hilum_annotations",
    META,
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(32), nullable=False, index=True),
    sa.Column("job_id", sa.String(32), nullable=False, index=True),
    sa.Column("series_uid", sa.String(128), nullable=False),
    sa.Column("nodule", sa.Integer),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("x_mm", sa.Float, nullable=False),
    sa.Column("y_mm", sa.Float, nullable=False),
    sa.Column("z_mm", sa.Float, nullable=False),
    sa.Column("diameter_mm", sa.Float, nullable=False),
    sa.Column("malignancy", sa.Integer),
    sa.Column("reader", sa.String(64), nullable=False),
    sa.Column("when_s", sa.Float, nullable=False),
)

AUDIT = sa.Table(
    "hilum_audit",
    META,
    sa.Column("row", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("when_s", sa.Float, nullable=False, index=True),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("what", sa.String(64), nullable=False),
    sa.Column("job_id", sa.String(32)),
    sa.Column("status", sa.Integer, nullable=False),
)

TOKENS = sa.Table(
    "hilum_tokens",
    META,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(8), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("created_s", sa.Float, nullable=False),
)


def open_database(data: Path, url: str | None) -> sa.Engine:
    """Connect to the tables of a service, and make those that are not there.

    Args:
        data: The data folder, which holds the SQLite file.
        url: Of a PostgreSQL database, or None for SQLite.

    Raises:
        InputError: The database cannot be opened.
    """
    file = data / "hilum.sqlite"
    engine = sa.create_engine(sqlalchemy_url(file, url))
    try:
        if engine.dialect.name == "sqlite":
            make_private(file)
            sa.event.listen(engine, "connect", _prepare_sqlite)
        META.create_all(engine)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise InputError(
            f"Cannot open the database of the service: {type(error).__name__}. Check "
            "that the data folder may be written to, or that the server runs and "
            "the URL is right."
        ) from error
    return engine


def sqlalchemy_url(file: Path, url: str | None) -> str:
    """Give the URL of a SQLite file, or of the server with its driver named.

    Args:
        file: The SQLite file.
        url: Of a PostgreSQL database, or None for SQLite.

    Raises:
        InputError: The URL is of another kind of database.

    Example:
        >>> sqlalchemy_url(Path("a.sqlite"), "postgresql://user@host/hilum")
        'postgresql+psycopg://user@host/hilum'
    """
    if url is None:
        return f"sqlite:///{file}"
    kind, mark, rest = url.partition("://")
    if not mark or kind not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise InputError(
            f"The database must be postgresql://user@host/name; got `{kind}`. Leave it "
            "out for SQLite."
        )
    return f"postgresql+psycopg://{rest}"


def make_private(file: Path) -> None:
    """Make a file that its owner alone may read; what SQLite puts beside it follows.

    Args:
        file: Left as it is when it is there.
    """
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def use_write_ahead_log(file: Path) -> None:
    """Let readers and the writer of a SQLite file work at the same time.

    Args:
        file: Made when it is not there.
    """
    make_private(file)
    connection = sqlite3.connect(file)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Wait for a writer instead of failing, and write ahead."""
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA journal_mode=WAL")

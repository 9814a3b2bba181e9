"""Settings are dataclass fields; a TOML file fills them, and nothing else does.

One table of the file fills one dataclass. `to_table` is the way back, for
provenance and for writing a settings file that reproduces a run.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hilum.errors import InputError

T = TypeVar("T")


def read_settings(path: Path) -> dict[str, dict[str, Any]]:
    """Read a settings file.

    Args:
        path: A TOML file of tables, one for each stage.

    Returns:
        Table name to its keys and values, unchecked: `fill` checks them.

    Raises:
        InputError: The file is absent, is not TOML, or has keys outside a table.
    """
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"Cannot read settings file `{path}`: {error}. Expected a TOML file "
            "with one table a stage, such as [lungs]."
        ) from error
    loose = [key for key, value in tables.items() if not isinstance(value, dict)]
    if loose:
        raise InputError(
            f"Setting `{loose[0]}` in `{path}` stands outside a table. "
            "Put it under the stage that it belongs to, such as [lungs]."
        )
    return tables


def fill(cls: type[T], values: Mapping[str, Any], *, table: str) -> T:
    """Make a dataclass from one table of a settings file.

    Args:
        cls: A dataclass whose fields all have defaults.
        values: The table, as `tomllib` read it.
        table: Name of the table, for messages.

    Raises:
        InputError: The table has a key that is not a field, or a value of
            another type than the field.
    """
    hints = get_type_hints(cls)
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    converted: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise InputError(
                f"Unknown setting `{key}` in [{table}].{hint} "
                f"Settings of [{table}]: {', '.join(known)}."
            )
        converted[key] = _convert(value, hints[key], f"`{key}` in [{table}]")
    return cls(**converted)


def check_ranges(settings: object, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse settings whose numbers lie where they cannot work.

    Args:
        settings: A dataclass.
        ranges: Name of a field to the least and the most that it may be; of a tuple
            each value counts.

    Raises:
        InputError: A number lies outside of its range, or is NaN.
    """
    for name, (least, most) in ranges.items():
        value = getattr(settings, name)
        values = value if isinstance(value, tuple) else (value,)
        if not all(least <= v <= most for v in values):
            given = list(value) if isinstance(value, tuple) else value
            raise InputError(
                f"Setting `{name}` must lie in {least:,} to {most:,}; got {given}."
            )


def to_table(settings: object) -> dict[str, Any]:
    """Turn a settings dataclass into a table that TOML and JSON can hold.

    `fill(type(settings), to_table(settings), table=...)` gives it back.

    Args:
        settings: A dataclass of plain values.

    Returns:
        Field name to value; tuples as lists, paths as strings, None left out.

    Raises:
        InputError: The object is not a dataclass.
    """
    if not is_dataclass(settings) or isinstance(settings, type):
        raise InputError(
            f"Expected a settings dataclass; got {type(settings).__name__}."
        )
    table: dict[str, Any] = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        if isinstance(value, Path):
            table[item.name] = str(value)
        elif isinstance(value, tuple):
            table[item.name] = list(value)
        elif is_dataclass(value):
            table[item.name] = to_table(value)
        elif value is not None:
            table[item.name] = value
    return table


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Write tables as TOML; `read_settings` reads them back.

    Args:
        tables: Name of the table to what `to_table` gave.

    Example:
        >>> print(to_toml({"train": {"folds": 5, "fit": {"seed": 0}}}), end="")
        [train]
        folds = 5
        <BLANKLINE>
        [train.fit]
        seed = 0
    """
    return "\n".join(_to_toml(name, table) for name, table in tables.items())


def _to_toml(name: str, table: Mapping[str, Any]) -> str:
    """Write one table, and those inside it after it."""
    inner = {k: v for k, v in table.items() if isinstance(v, Mapping)}
    own = [f"{k} = {json.dumps(v)}\n" for k, v in table.items() if k not in inner]
    parts = [f"[{name}]\n{''.join(own)}"]
    parts += [_to_toml(f"{name}.{key}", value) for key, value in inner.items()]
    return "\n".join(parts)


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Give a TOML value the type of its field, or say why it cannot have it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _convert(value, next(a for a in args if a is not type(None)), where)
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise InputError(f"Setting {where} needs {len(kinds)} values; got {value}.")
        return tuple(
            _convert(v, kind, where) for v, kind in zip(value, kinds, strict=True)
        )
    if origin is tuple and not isinstance(value, tuple):
        raise InputError(f"Setting {where} must be a list of values; got {value!r}.")
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return fill(hint, value, table=where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and (
        not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)
    ):
        raise InputError(
            f"Setting {where} must be {hint.__name__}; got {value!r} "
            f"({type(value).__name__})."
        )
    return value

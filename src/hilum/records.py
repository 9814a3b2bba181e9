"""Frozen dataclasses that turn into JSON and back, unchanged."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from hilum.errors import InputError


class Record:
    """A frozen dataclass that turns into JSON and back."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Give a tree of dict, list, str, float, int, bool and None.

        Raises:
            InputError: A number is not finite, which JSON cannot hold.
        """
        return {
            item.name: _to_json(getattr(self, item.name), item.name)
            for item in fields(self)  # type: ignore[arg-type]
        }

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Self:
        """Make the record from the tree that `to_json` gave.

        Raises:
            InputError: A field is missing, unknown or of the wrong shape.
        """
        if not isinstance(tree, dict):
            raise InputError(
                f"{cls.__name__} must be a JSON object; got {type(tree).__name__}."
            )
        hints = get_type_hints(cls)
        items = fields(cls)  # type: ignore[arg-type]
        unknown = sorted(set(tree) - {item.name for item in items})
        required = {
            item.name
            for item in items
            if item.default is MISSING and item.default_factory is MISSING
        }
        missing = sorted(required - set(tree))
        if unknown or missing:
            raise InputError(
                f"{cls.__name__} has unknown fields {unknown} and lacks {missing}. "
                "Was it written by another version?"
            )
        return cls(**{key: _from_json(tree[key], hints[key]) for key in tree})


def _to_json(value: Any, name: str) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, tuple | list):
        return [_to_json(item, name) for item in value]
    if isinstance(value, dict):
        return {str(key): _to_json(item, str(key)) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"`{name}` is {value}; JSON holds finite numbers only.")
    return value


def _from_json(value: Any, hint: Any) -> Any:
    if hint is Any:
        return value
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and type(None) in args:
            return None
        return _from_json(value, next(a for a in args if a is not type(None)))
    if origin is Literal:
        if value not in args:
            raise InputError(f"{value!r} is not one of {', '.join(map(repr, args))}.")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"Expected a list; got {value!r}.")
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise InputError(f"Expected {len(kinds)} values; got {value!r}.")
        return tuple(_from_json(v, k) for v, k in zip(value, kinds, strict=True))
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"Expected an object; got {value!r}.")
        return {key: _from_json(item, args[1]) for key, item in value.items()}
    if is_dataclass(hint) and isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_json(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise InputError(f"Expected {hint.__name__}; got {value!r}.")
    return value

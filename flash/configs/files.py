# SPDX-License-Identifier: Apache-2.0
"""Files of training recipes: those of this folder by name, and any other by its path."""

import math
import os
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from flash.configs.recipe import Recipe
from flash.core.plain_yaml import parse_assignment, parse_yaml
from pytorchvideo._checks import near_names, shortened
from pytorchvideo._text import read_text

_ENDING = ".yaml"
_LARGEST = 1 << 20  # bytes of a recipe


def recipe_names() -> list[str]:
    """Returns the names of the published recipes.

    >>> "slowfast_8x8_r50" in recipe_names()
    True
    """
    found = (entry.name for entry in files("flash.configs").iterdir())
    return sorted(name.removesuffix(_ENDING) for name in found if name.endswith(_ENDING))


def load_recipe(source: str | os.PathLike[str], changes: Sequence[str] = ()) -> Recipe:
    """Returns a recipe.

    Args:
        source: name of a published one, or path of a yaml file.
        changes: of values, as ``"optimizer.lr=0.05"``; a value is yaml.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no such recipe; the file, or a change, has unknown names, values of another type, or leaves one out.

    >>> load_recipe("slow_8x8_r50", ["optimizer.lr=0.05"]).optimizer.lr
    0.05
    """
    name = os.fspath(source)
    if name in recipe_names():
        text = files("flash.configs").joinpath(name + _ENDING).read_text(encoding="utf-8")
        where = f"recipe {name}"
    elif name.endswith((".yaml", ".yml")) or os.sep in name:
        text, where = read_text(Path(name), "a training recipe", max_bytes=_LARGEST), name
    else:
        raise ValueError(
            f"There is no recipe {name!r}. {near_names(name, recipe_names())} A file is named with its ending .yaml."
        )
    values = parse_yaml(text, where)
    for change in changes:
        path, value = parse_assignment(change)
        _change(values, path, value, where)
    return parse_recipe(values, where)


def parse_recipe(values: Any, where: str) -> Recipe:
    """Returns the recipe of plain values, as a yaml file has them.

    Args:
        values: a mapping.
        where: they are from, for errors.

    Raises:
        ValueError: see :func:`load_recipe`.
    """
    recipe: Recipe = _parsed(Recipe, values, where, "")
    return recipe


def compare_recipes(one: Recipe, other: Recipe) -> dict[str, tuple[Any, Any]]:
    """Returns the values in which recipes differ, by their names with dots; sources and differences are left out.

    >>> compare_recipes(load_recipe("slow_8x8_r50"), load_recipe("slow_8x8_r50", ["data.crop=200"]))
    {'data.crop': (224, 200)}
    """
    ours, theirs = _flat(asdict(one)), _flat(asdict(other))
    names = [name for name in {**ours, **theirs} if name not in ("source", "differences")]
    return {
        name: (ours.get(name), theirs.get(name))
        for name in names
        if ours.get(name) != theirs.get(name)
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _change(values: Any, path: Sequence[str], value: Any, where: str) -> None:
    """Sets a value below a path of names; whether they are known is seen when all is parsed."""
    for name in path[:-1]:
        if not isinstance(values, dict):
            break
        if values.get(name) is None:
            values[name] = {}
        values = values[name]
    if not isinstance(values, dict):
        raise ValueError(f"{where}: `{'.'.join(path)}` is below a value that has no parts.")
    values[path[-1]] = value


def _parsed(kind: Any, value: Any, where: str, name: str) -> Any:
    """A value as a type wants it; ``name`` is its own, with dots."""
    if is_dataclass(kind):
        return _parsed_class(kind, value, where, name)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = next(part for part in parts if part is not type(None))
        return None if value is None else _parsed(inner, value, where, name)
    if origin is Literal:
        if value not in parts:
            raise _wrong(where, name, f"one of {', '.join(map(str, parts))}", value)
        return value
    if origin is tuple:
        return _parsed_tuple(parts, value, where, name)
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise _wrong(where, name, "a mapping of names", value)
        return {key: _parsed(parts[1], item, where, f"{name}.{key}") for key, item in value.items()}
    return _parsed_plain(kind, value, where, name)


def _parsed_class(kind: Any, value: Any, where: str, name: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, name or "recipe", "a mapping of names and values", value)
    known = {field.name: field for field in fields(kind)}
    prefix = f"{name}." if name else ""
    for key in value:
        if key not in known:
            told = shortened(f"{prefix}{key}")
            raise ValueError(f"{where}: unknown key `{told}`. {near_names(str(key), known)}")
    for key, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and key not in value:
            raise ValueError(f"{where}: `{prefix}{key}` is missing.")
    hints = get_type_hints(kind)
    arguments = {key: _parsed(hints[key], v, where, prefix + key) for key, v in value.items()}
    try:
        return kind(**arguments)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _parsed_tuple(parts: tuple[Any, ...], value: Any, where: str, name: str) -> tuple[Any, ...]:
    several = len(parts) == 2 and parts[1] is Ellipsis
    if not isinstance(value, (list, tuple)) or (not several and len(value) != len(parts)):
        raise _wrong(where, name, "a list" if several else f"a list of {len(parts)}", value)
    kinds = [parts[0]] * len(value) if several else parts
    items = zip(kinds, value, strict=True)
    return tuple(_parsed(k, item, where, f"{name}[{i}]") for i, (k, item) in enumerate(items))


def _parsed_plain(kind: type, value: Any, where: str, name: str) -> Any:
    if kind is float:
        if isinstance(value, str):  # yaml takes 1e-4, without a point, for a text
            try:
                value = float(value)
            except ValueError:
                raise _wrong(where, name, "a number", value) from None
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
        ):
            raise _wrong(where, name, "a number", value)
        return float(value)
    if type(value) is not kind:
        words = {int: "a whole number", bool: "true or false", str: "a text"}
        raise _wrong(where, name, words[kind], value)
    return value


def _wrong(where: str, name: str, wanted: str, value: Any) -> ValueError:
    return ValueError(
        f"{where}: Expected `{name}` to be {wanted}, but got {shortened(repr(value))}."
    )

# SPDX-License-Identifier: Apache-2.0
"""Yaml of plain values, from anyone: no objects, no aliases, no name twice."""

from typing import Any

import yaml

from pytorchvideo._checks import expected


class PlainLoader(yaml.SafeLoader):
    """Reads plain values; aliases could stand for billions of values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*)")
        return super().compose_node(parent, index)


class _UniqueLoader(PlainLoader):
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise yaml.YAMLError(f"it has {', '.join(map(repr, twice))} twice")
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, source: str) -> Any:
    """Returns what a text of yaml holds: mappings, lists, texts, numbers, booleans and None.

    Args:
        text: of the file.
        source: its name, for errors.

    Raises:
        ValueError: it is no yaml, has an alias, a tag of an object, or a name twice.

    >>> parse_yaml("optimizer: {lr: 0.1}", "a.yaml")
    {'optimizer': {'lr': 0.1}}
    """
    try:
        return yaml.load(text, _UniqueLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{source}: not plain yaml: {said}.") from error


def parse_assignment(text: str) -> tuple[list[str], Any]:
    """Returns the path of names and the value of ``optimizer.lr=0.05``.

    Raises:
        ValueError: it has no such form, or its value is no plain yaml.

    >>> parse_assignment("data.short_side=[256, 320]")
    (['data', 'short_side'], [256, 320])
    """
    name, sign, value = text.partition("=")
    path = name.strip().split(".")
    if not sign or not all(path):
        raise ValueError(expected("set", "name=value, as optimizer.lr=0.05", text))
    return path, parse_yaml(value, f"the value of {name.strip()}")

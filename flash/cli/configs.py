# SPDX-License-Identifier: Apache-2.0
"""The command ``configs``: published training recipes, shown and compared."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from flash.cli import options as opt
from flash.cli.printing import answer_screen, say

if TYPE_CHECKING:
    from flash.configs.recipe import Recipe


class Action(str, Enum):
    """What to do with recipes."""

    list = "list"
    show = "show"
    diff = "diff"


_Action = Annotated[
    Action,
    typer.Argument(
        metavar="list|show|diff",
        help="List them, show the values of one, or those in which two differ.",
        show_default=False,
    ),
]
_Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...",
        help="Recipes by name, or yaml files: one to show, two to compare.",
        show_default="none",
    ),
]
_Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Show one with another value, as optimizer.lr=0.05; repeat it.",
        show_default="none",
    ),
]
_PySlowFast = Annotated[
    Path | None,
    typer.Option(
        "--pyslowfast",
        metavar="FILE.yaml",
        help="With show: the recipe of a configuration of PySlowFast; NAMEs are KEY VALUE pairs.",
        show_default="none",
    ),
]
_NAMES = {Action.list: 0, Action.show: 1, Action.diff: 2}


def configs(
    action: _Action,
    names: _Names = None,
    changes: _Changes = None,
    theirs: _PySlowFast = None,
    as_json: opt.AsJson = False,
) -> None:
    """List, show and compare published training recipes."""
    from flash.configs.files import compare_recipes, load_recipe, recipe_names

    if theirs is not None:
        _show_pyslowfast(theirs, action, names or [], changes, as_json)
        return
    given, wanted = names or [], _NAMES[action]
    if len(given) != wanted:
        count = ("no name", "one name", "two names")[wanted]
        raise ValueError(f"Expected {count} after `configs {action.value}`, but got {len(given)}.")
    if changes and action != Action.show:
        raise ValueError(f"Expected --set with `configs show`, but got `configs {action.value}`.")
    if action == Action.list:
        _print_list({name: load_recipe(name) for name in recipe_names()}, as_json)
    elif action == Action.show:
        _print_recipe(load_recipe(given[0], changes or ()), as_json)
    else:
        one, other = (load_recipe(name) for name in given)
        _print_differences(given, compare_recipes(one, other), as_json)


def _show_pyslowfast(
    file: Path, action: Action, pairs: list[str], changes: list[str] | None, as_json: bool
) -> None:
    from flash.runs.from_pyslowfast import read_pyslowfast_config

    if action != Action.show or changes:
        raise ValueError(
            "Expected --pyslowfast with `configs show`, and KEY VALUE pairs without --set."
        )
    asked = read_pyslowfast_config(file, pairs)
    _print_recipe(asked.recipe, as_json)
    for sentence in asked.left:
        say(f"no use for {sentence}")
    say(f"its test: {asked.test_command()}")


def _print_list(recipes: "dict[str, Recipe]", as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "recipe": name,
                "model": of.model,
                "dataset": of.dataset,
                "published": of.published,
                "source": list(of.source),
            }
            for name, of in recipes.items()
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    shown = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    # 80 columns
    for title in ("recipe", "data set", "clip", "crop", "lr/batch", "epochs", "published"):
        shown.add_column(title, no_wrap=True)
    for name, of in recipes.items():
        shown.add_row(
            name,
            of.dataset,
            f"{of.data.num_frames}x{of.data.sampling_rate}",
            str(of.data.crop),
            f"{of.optimizer.lr:g}/{of.optimizer.reference_batch}",
            str(of.schedule.epochs),
            "/".join(f"{value:.2f}" for value in of.published.values()) or "–",
        )
    answer_screen().print(shown)


def _print_recipe(recipe: "Recipe", as_json: bool) -> None:
    """The values by the names that ``--set`` takes; the sources, and what other sources have, last."""
    values = asdict(recipe)
    if as_json:
        typer.echo(json.dumps(values, indent=1))
        return
    screen = answer_screen()
    sources, differences = values.pop("source"), values.pop("differences")
    for name, value in _flat(values).items():
        screen.print(f"{name}: {_plain(value)}", soft_wrap=True)
    for source in sources:
        screen.print(f"source: {source}", soft_wrap=True)
    for other in differences:
        told = f"{other['key']} is {other['value']}"
        screen.print(f"differs: {told} ({other['source']})", soft_wrap=True)


def _print_differences(
    names: Sequence[str], found: dict[str, tuple[Any, Any]], as_json: bool
) -> None:
    if as_json:
        rows = {key: dict(zip(names, pair, strict=True)) for key, pair in found.items()}
        typer.echo(json.dumps(rows, indent=1))
        return
    screen = answer_screen()
    if not found:
        screen.print("They have the same values.")
        return
    shown = Table("value", *names, box=box.SIMPLE_HEAD)
    for key, pair in found.items():
        shown.add_row(key, *map(_plain, pair))
    screen.print(shown)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {}
        found |= inner or {prefix + name: value}
    return found


def _plain(value: Any) -> str:
    """A value as yaml has it, which ``--set`` takes.

    >>> _plain((256, 320)), _plain(None), _plain(0.0001), _plain("bgr")
    ('[256, 320]', 'null', '0.0001', 'bgr')
    """
    return value if isinstance(value, str) else json.dumps(value)

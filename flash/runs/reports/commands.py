# SPDX-License-Identifier: Apache-2.0
"""Commands of a run, as a user types them."""

import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from flash.configs.files import compare_recipes, load_recipe, recipe_names
from flash.configs.recipe import Recipe
from flash.runs.config import RunConfig
from flash.runs.from_recipe import run_options

# fields whose option has another name
_OPTIONS = {"views": "train_views"}
# what a model and its start decide, if nobody else does
_FOLLOWING = ("strategy", "epochs", "lr", "weight_decay")


def option_of(field: str) -> str:
    """Returns the option of ``train`` for a field of the configuration.

    >>> option_of("batch_size"), option_of("views")
    ('--batch-size', '--train-views')
    """
    return "--" + _OPTIONS.get(field, field).replace("_", "-")


def train_command(config: RunConfig, out: Path, **changes: Any) -> str:
    """Returns the command that trains as a run did, or otherwise in some points.

    Args:
        config: of the run.
        out: folder for the new run.
        changes: fields of the configuration. With another start (``model``, ``weights``, ``pretrained``) what follows
            from it is left open.
    """
    if {"model", "weights", "pretrained"} & changes.keys():
        changes = {**dict.fromkeys(_FOLLOWING), **changes}
    asked = asdict(replace(config, **changes))
    usual = _usual(config)
    words = ["pytorchvideo", "train", str(asked.pop("data"))]
    del asked["training"]
    if config.training_recipe is not None:
        steps = {"batch_size": config.batch_size, "accumulate": config.accumulate}
        usual |= run_options(config.training_recipe, **steps)
        words += recipe_words(config.training_recipe)
    if asked.pop("lr_find") and asked["lr"] is None:
        asked["lr"] = "find"
    if asked["weights"] is not None:  # which says where it starts
        del asked["pretrained"]
    for name, value in asked.items():
        if value is None or (value == usual.get(name) and name not in changes):
            continue
        if isinstance(value, bool):
            words.append(option_of(name) if value else option_of(f"no_{name}"))
        else:
            words += [option_of(name), f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join([*words, "--out", str(out)])


def recipe_words(recipe: Recipe) -> list[str]:
    """Returns the options of ``train`` for a recipe: the published one that is nearest, and the values that differ.

    >>> from flash.configs.files import load_recipe
    >>> recipe_words(load_recipe("x3d_s", ["optimizer.lr=0.2"]))
    ['--config', 'x3d_s', '--set', 'optimizer.lr=0.2']
    """
    differing = {name: _differences(load_recipe(name), recipe) for name in recipe_names()}
    nearest = min(differing, key=lambda name: len(differing[name]))
    words = ["--config", nearest]
    for key, value in differing[nearest].items():
        words += ["--set", f"{key}={json.dumps(value)}"]  # which is yaml too
    return words


def plain_fields(config: RunConfig) -> dict[str, Any]:
    """Returns the fields of a configuration, its recipe as the options for it: for tables."""
    fields = config.to_dict()
    del fields["training"]
    if config.training_recipe is not None:
        fields["recipe"] = shlex.join(recipe_words(config.training_recipe))
    return fields


def _differences(published: Recipe, recipe: Recipe) -> dict[str, Any]:
    """The values of a recipe that are not those of another, but for what is said about it."""
    found = compare_recipes(published, recipe)
    return {
        key: ours
        for key, (_, ours) in found.items()
        if key != "dataset" and not key.startswith("published")
    }


def corrected_command(config: RunConfig, out: Path, name: str = "corrected.csv") -> str:
    """Returns the command that trains as a run did on a list of its videos with their parts of the split.

    Args:
        config: of the run.
        out: its folder.
        name: of the list.
    """
    parts = {"val": None, "group_by": None, "groups": None}
    return train_command(config, beside(out, "corrected"), data=name, **parts)


def _usual(config: RunConfig) -> dict[str, Any]:
    """The values of a run of which nothing is said but its data, its model, its start, its strategy and its device."""
    started = config.weights is not None or bool(config.pretrained)
    plain = RunConfig(
        "data",
        model=config.model,
        pretrained=started,
        strategy=config.strategy,
        device=config.device,
    )
    usual = asdict(plain.completed())
    usual["strategy"] = replace(plain, strategy=None).completed().strategy
    # what `train` takes where these are not given, and a start that is always said
    return usual | {"pretrained": None, "model": RunConfig("data").model, "device": "auto"}


def command(*words: object) -> str:
    """Returns a command of ``pytorchvideo``.

    >>> command("review", Path("my run"))
    "pytorchvideo review 'my run'"
    """
    return shlex.join(["pytorchvideo", *map(str, words)])


def beside(out: Path, what: str) -> Path:
    """Returns the folder of another run beside one.

    >>> beside(Path("runs/first"), "mixed").as_posix()
    'runs/first-mixed'
    """
    return out.with_name(f"{out.name}-{what}")

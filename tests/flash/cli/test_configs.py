# SPDX-License-Identifier: Apache-2.0
"""The command ``configs``."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flash.cli.main import app
from flash.configs.files import load_recipe, recipe_names
from flash.runs.config import RunConfig


def run(*arguments: object) -> Result:
    asked = ["configs", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(app, asked, env={"COLUMNS": "120"})


def test_all_recipes_are_listed() -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines[3:] if line.strip()] == recipe_names()
    (row,) = [line.split() for line in lines if line.split()[:1] == ["slowfast_8x8_r50"]]
    # clips of 32 frames at a distance of 2, a rate of 0.1 for 64 clips, 196 epochs
    assert row[1:] == ["kinetics400", "32x2", "224", "0.1/64", "196", "76.94/92.69"]
    rows = json.loads(run("list", "--json").stdout)
    assert [row["recipe"] for row in rows] == recipe_names()
    assert all(row["source"] for row in rows)


def test_the_list_fits_into_80_columns() -> None:
    done = CliRunner().invoke(app, ["configs", "list"], env={"COLUMNS": "80"})
    assert "…" not in done.stdout


def test_what_is_shown_is_what_set_takes() -> None:
    done = run("show", "mvit_b_16x4", "--set", "optimizer.lr=0.05")
    lines = done.stdout.splitlines()
    assert "optimizer.lr: 0.05" in lines and "data.area: [0.08, 1.0]" in lines
    assert any(line.startswith("source: facebookresearch/SlowFast") for line in lines)
    assert any(line.startswith("differs: ") for line in lines)
    own = [line for line in lines if not line.startswith(("source", "differs", "published"))]
    changes = [line.replace(": ", "=", 1) for line in own]
    again = load_recipe("mvit_b_16x4", changes)
    assert again == load_recipe("mvit_b_16x4", ["optimizer.lr=0.05"])
    assert json.loads(run("show", "x3d_s", "--json").stdout)["data"]["crop"] == 160


def test_differences() -> None:
    found = json.loads(run("diff", "slow_8x8_r50", "slow_4x16_r50", "--json").stdout)
    assert found["data.num_frames"] == {"slow_8x8_r50": 8, "slow_4x16_r50": 4}
    assert "optimizer.lr" not in found
    assert ["data.num_frames", "8", "4"] in [
        line.split() for line in run("diff", "slow_8x8_r50", "slow_4x16_r50").stdout.splitlines()
    ]
    assert run("diff", "x3d_s", "x3d_s").stdout == "They have the same values.\n"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("show",), "Expected one name after `configs show`, but got 0."),
        (("diff", "x3d_s"), "Expected two names after `configs diff`, but got 1."),
        (("list", "x3d_s"), "Expected no name after `configs list`, but got 1."),
        (("show", "x3d_sx"), "There is no recipe 'x3d_sx'. Did you mean x3d_s"),
        (("list", "--set", "a=1"), "Expected --set with `configs show`, but got `configs list`."),
        (("show", "x3d_s", "--set", "data.crap=1"), "unknown key `data.crap`. Did you mean crop?"),
    ],
)
def test_what_cannot_be_used(asked: tuple[str, ...], sentence: str) -> None:
    done = run(*asked)
    assert done.exit_code == 2
    assert sentence in done.stderr and done.stderr.splitlines()[-1].endswith((".", "?"))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    text = json.dumps(json.loads(run("show", "x3d_s", "--json").stdout) | {"model": "x3d_m"})
    (tmp_path / "mine.yaml").write_text(text)
    found = json.loads(run("diff", "x3d_s", tmp_path / "mine.yaml", "--json").stdout)
    assert found == {"model": {"x3d_s": "x3d_s", str(tmp_path / "mine.yaml"): "x3d_m"}}


class Begun(Exception):
    """In the place of a training."""


def test_training_by_a_recipe(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value of the recipe, one of --set, one of the command line before both, and what is left, said."""
    configs: list[RunConfig] = []

    def begin(config: RunConfig, *args: Any, **options: Any) -> None:
        configs.append(config)
        raise Begun

    monkeypatch.setattr("flash.runs.train.train", begin)
    sets = ["data.crop=32", "data.short_side=[32, 40]", "optimizer.lr=0.2", "schedule.epochs=9"]
    asked = ["train", str(folder), "--config", "x3d_xs", "--epochs", "1", "--out", str(tmp_path)]
    asked += [part for one in sets for part in ("--set", one)]
    short = CliRunner().invoke(app, asked)  # 35 epochs of the rise are more than all
    assert short.exit_code == 2 and "schedule.warmup_epochs" in short.stderr
    asked += ["--set", "schedule.warmup_epochs=0"]
    done = CliRunner().invoke(app, asked)
    assert isinstance(done.exception, Begun)
    (config,) = configs
    assert (config.model, config.frames, config.crop, config.epochs) == ("x3d_xs", 4, 32, 1)
    # 0.2 for 128 clips in a step, of which this one has 8
    assert config.lr == pytest.approx(0.0125)
    assert (config.optimizer, config.weight_decay) == ("SGD", 5e-5)
    assert "recipe x3d_xs, to " in done.stderr.replace("\n", " ")
    assert config.training_recipe is not None
    assert config.training_recipe.optimizer.lr == 0.2
    (tmp_path / "config.json").write_text("{}")
    again = CliRunner().invoke(app, [*asked, "--resume"])
    assert "Expected --resume without --config" in again.stderr
    alone = CliRunner().invoke(app, ["train", str(folder), "--set", "optimizer.lr=1"])
    assert "Expected --set with --config RECIPE" in alone.stderr

# SPDX-License-Identifier: Apache-2.0
"""Options of runs from published recipes."""

import pytest

from flash.configs.files import load_recipe, recipe_names
from flash.runs.config import RunConfig
from flash.runs.from_recipe import run_options


@pytest.mark.parametrize("name", [name for name in recipe_names() if not name.startswith("ava")])
def test_options_make_a_run(name: str) -> None:
    recipe = load_recipe(name)
    config = RunConfig(data="clips", pretrained=False, **run_options(recipe)).completed()
    assert config.strategy == "no_freeze"
    assert config.training_recipe == recipe


def test_options_of_slowfast() -> None:
    changes = ["optimizer.lr=0.05"]
    options = run_options(load_recipe("slowfast_8x8_r50", changes), batch_size=8, accumulate=4)
    wanted = {"model": "slowfast_r50", "frames": 32, "crop": 224, "epochs": 196, "precise_bn": 200}
    wanted |= {"optimizer": "SGD", "weight_decay": 1e-4, "mix": False, "flip": True}
    assert wanted.items() <= options.items()
    # 64 / 30 s; 0.05 for 64 clips, of which a step has 32
    assert options["clip_duration"] == pytest.approx(64 / 30)
    assert options["lr"] == pytest.approx(0.025)
    several = [
        run_options(load_recipe(name))["multi_label"] for name in ("charades_slow_8x8_r50", "x3d_s")
    ]
    assert several == [True, False]

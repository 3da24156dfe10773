# SPDX-License-Identifier: Apache-2.0
"""Options of runs from published recipes."""

from dataclasses import asdict
from typing import Any

import pytest

from flash.configs.files import load_recipe, recipe_names
from flash.runs.config import RunConfig
from flash.runs.from_recipe import ABOUT, LEFT, TAKEN, not_honoured, run_options


def names_of(values: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in values.items():
        is_part = isinstance(value, dict) and name not in ("published", "detection")
        found |= names_of(value, f"{prefix}{name}.") if is_part else {prefix + name}
    return found


@pytest.mark.parametrize("name", recipe_names())
def test_no_value_is_ignored(name: str) -> None:
    """Each is taken, or said where a run does otherwise, or is about the recipe."""
    assert names_of(asdict(load_recipe(name))) == {*ABOUT, *LEFT, *TAKEN}


@pytest.mark.parametrize("name", [name for name in recipe_names() if not name.startswith("ava")])
def test_options_make_a_run(name: str) -> None:
    config = RunConfig(data="clips", **run_options(load_recipe(name))).completed()
    assert config.strategy == "no_freeze"


def test_options_of_slowfast() -> None:
    changes = ["optimizer.lr=0.05"]
    options = run_options(load_recipe("slowfast_8x8_r50", changes), batch_size=8, accumulate=4)
    wanted = {"model": "slowfast_r50", "frames": 32, "crop": 224, "epochs": 196, "precise_bn": 200}
    wanted |= {"optimizer": "SGD", "weight_decay": 1e-4, "mix": False, "flip": True}
    assert wanted.items() <= options.items()
    # 64 / 30 s; 0.05 for 64 clips, of which a step has 32
    assert options["clip_duration"] == pytest.approx(64 / 30)
    assert options["lr"] == pytest.approx(0.025)


def test_what_a_run_does_not_do() -> None:
    left = [sentence.partition(" is ")[0] for sentence in not_honoured(load_recipe("mvit_b_16x4"))]
    asked = ("augment.repeats", "augment.rand_augment", "augment.mixup", "augment.erasing")
    assert {*asked, "data.area", "regularize.drop_path", "regularize.clip_norm"} <= set(left)
    assert not {"augment.cutmix", "data.inverse_uniform", "init", "schedule.policy"} & set(left)
    charades = load_recipe("charades_slow_8x8_r50")
    of_init = [s for s in not_honoured(charades) if s.startswith("init")]
    assert len(of_init) == 1 and "give the weights by --weights" in of_init[0]
    assert not [s for s in not_honoured(charades, {"weights": "a.pth"}) if s.startswith("init")]
    assert (
        run_options(charades)["multi_label"],
        run_options(load_recipe("x3d_s"))["multi_label"],
    ) == (True, False)


def test_a_recipe_of_boxes_is_refused() -> None:
    with pytest.raises(ValueError, match="slow_r50_detection"):
        run_options(load_recipe("ava_slow_4x16_r50"))

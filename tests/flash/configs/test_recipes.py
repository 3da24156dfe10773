# SPDX-License-Identifier: Apache-2.0
"""Published recipes: their numbers, and files that are refused with one sentence."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from flash.configs.files import compare_recipes, load_recipe, parse_recipe, recipe_names
from flash.configs.recipe import Recipe
from flash.core.published_rates import batch_scale, cosine_rate
from pytorchvideo.evaluation.protocols import PROTOCOLS
from pytorchvideo.models import get_weights

REPO = Path(__file__).resolve().parents[3]
NAMES = recipe_names()


def test_every_published_training_has_a_recipe() -> None:
    models = {load_recipe(name).model for name in NAMES}
    assert models == set(PROTOCOLS)
    assert len(NAMES) == 22


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_fits_its_model(name: str) -> None:
    recipe = load_recipe(name)
    weights = get_weights(recipe.model)
    clip = weights.recipe
    sizes = (recipe.data.num_frames, recipe.data.sampling_rate)
    assert sizes == (clip.num_frames, clip.sampling_rate)
    assert recipe.published == dict(weights.metrics)
    assert recipe.data.channels == clip.channels
    assert recipe.init is None or get_weights(recipe.init).recipe.num_frames == clip.num_frames
    assert all(
        "287ec00" in source or "arXiv" in source or "f3142bb" in source for source in recipe.source
    )


@pytest.mark.parametrize("name", NAMES)
def test_files_say_their_numbers_plainly(name: str) -> None:
    text = (REPO / "flash/configs" / f"{name}.yaml").read_text(encoding="utf-8")
    # yaml takes these for texts
    assert re.search(r": -?\d+e", text) is None
    assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n# ")


# typed in from the tables: lr, clips, epochs, warm-up, weight decay
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("slow_8x8_r50", (0.1, 64, 196, 34, 1e-4)),
        ("slowfast_8x8_r101", (0.1, 64, 196, 34, 1e-4)),
        ("x3d_xs", (0.1, 128, 300, 35, 5e-5)),
        ("x3d_l", (0.05, 64, 256, 35, 5e-5)),
        ("mvit_b_32x3", (1e-4, 16, 200, 30, 0.05)),
        ("charades_slow_8x8_r50", (0.25, 64, 60, 5, 1e-4)),
        ("ssv2_slowfast_8x8_r50", (0.1, 64, 30, 3, 1e-4)),
        ("ava_slow_4x16_r50", (0.1, 64, 20, 5, 1e-7)),
    ],
)
def test_numbers_of_recipes(name: str, wanted: tuple[float, ...]) -> None:
    recipe = load_recipe(name)
    optimizer, schedule = recipe.optimizer, recipe.schedule
    found = (optimizer.lr, optimizer.reference_batch, schedule.epochs, schedule.warmup_epochs)
    assert (*found, optimizer.weight_decay) == wanted


def test_rates_of_all_nodes_are_those_of_the_public_trainer() -> None:
    slow, mvit = load_recipe("slow_8x8_r50"), load_recipe("mvit_b_16x4")
    # 8 nodes of 8 processes with 8 clips; 16 of 8 with 2
    for recipe, batch, ranks, wanted in ((slow, 8, 64, 0.8), (mvit, 2, 128, 1.6e-3)):
        scale = batch_scale(batch, ranks, recipe.optimizer.reference_batch)
        assert scale * recipe.optimizer.lr == pytest.approx(wanted)
    rate: dict[str, Any] = {"base": 1.6e-3, "end": 1.6e-5, "start": 1.6e-5, "warmup": 30}
    after = mvit.schedule.cosine_after_warmup
    found = cosine_rate(30, max_epoch=200, cosine_after_warmup=after, **rate)
    assert found == pytest.approx(1.6e-3)


def test_values_are_changed_and_compared() -> None:
    ours = load_recipe("slow_8x8_r50")
    changes = [
        "optimizer.lr=5e-2",
        "regularize.ema=0.999",
        "data.short_side=[128, 160]",
        "data.crop=112",
    ]
    changed = load_recipe("slow_8x8_r50", changes)
    assert compare_recipes(ours, changed) == {
        "data.short_side": ((256, 320), (128, 160)),
        "data.crop": (224, 112),
        "optimizer.lr": (0.1, 0.05),
        "regularize.ema": (None, 0.999),
    }
    assert (
        load_recipe("slow_8x8_r50", ["augment.mixup=0.8"]).augment.mixup == 0.8
    )  # it has no such section
    found = compare_recipes(ours, load_recipe("ava_slow_4x16_r50"))
    assert found["detection.score_threshold"] == (None, 0.9)
    assert found["model"] == ("slow_r50", "slow_r50_detection")


def test_a_recipe_is_plain_values_and_back(tmp_path: Path) -> None:
    recipe = load_recipe("ava_slowfast_8x8_r50")
    values = asdict(recipe)
    assert parse_recipe(values, "here") == recipe
    file = tmp_path / "mine.yaml"
    text = (REPO / "flash/configs/slow_4x16_r50.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("196", "5").replace("34", "1"), encoding="utf-8")
    mine = load_recipe(file)
    theirs = load_recipe("slow_4x16_r50")
    assert mine == replace(theirs, schedule=replace(theirs.schedule, epochs=5, warmup_epochs=1.0))


BASE = """model: x3d_s
dataset: d
source: [s]
data: {num_frames: 4, sampling_rate: 2, short_side: [32, 40], crop: 32}
optimizer: {name: sgd, lr: 0.1, reference_batch: 8, weight_decay: 0.0}
schedule: {policy: cosine, epochs: 4}
"""


def written(text: str, folder: Path) -> Recipe:
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return load_recipe(file)


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    recipe = written(BASE, tmp_path)
    assert recipe.optimizer.momentum == 0.9 and recipe.augment.repeats == 1


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("lr: 0.1", "learning_rate: 0.1", "unknown key `optimizer.learning_rate`. "),
        (
            "reference_batch",
            "referense_batch",
            "`optimizer.referense_batch`. Did you mean reference_batch",
        ),
        ("model: x3d_s\n", "", "`model` is missing."),
        ("lr: 0.1", "lr: fast", "Expected `optimizer.lr` to be a number, but got 'fast'."),
        ("lr: 0.1", "lr: .nan", "Expected `optimizer.lr` to be a number, but got nan."),
        (
            "epochs: 4",
            "epochs: 4.5",
            "Expected `schedule.epochs` to be a whole number, but got 4.5.",
        ),
        (
            "epochs: 4",
            "epochs: true",
            "Expected `schedule.epochs` to be a whole number, but got True.",
        ),
        (
            "name: sgd",
            "name: lamb",
            "Expected `optimizer.name` to be one of sgd, adamw, but got 'lamb'.",
        ),
        ("[32, 40]", "[32]", "Expected `data.short_side` to be a list of 2, but got [32]."),
        ("[32, 40]", "[16, 40]", "Expected `data.short_side` to be a range from the crop (32) on"),
        (
            "epochs: 4",
            "epochs: 4, warmup_epochs: 4",
            "Expected `schedule.warmup_epochs` to be in 0..4",
        ),
        ("policy: cosine", "policy: steps", "Expected `schedule.steps` to be epochs with as many"),
        ("source: [s]", "source: s", "Expected `source` to be a list, but got 's'."),
        ("source: [s]", "source: [1]", "Expected `source[0]` to be a text, but got 1."),
        ("dataset: d", "dataset: d\ndataset: e", "not plain yaml: it has 'dataset' twice."),
        ("dataset: d", "dataset: &a d\ninit: *a", "not plain yaml: it has an alias (*)."),
        (
            "dataset: d",
            "dataset: !!python/object:os.system {}",
            "not plain yaml: could not determine",
        ),
        (BASE, "- a\n", "Expected `recipe` to be a mapping of names and values, but got ['a']."),
        ("dataset: d", "augment: 3\ndataset: d", "Expected `augment` to be a mapping of names and"),
        (
            "dataset: d",
            "published: {top1: good}\ndataset: d",
            "Expected `published.top1` to be a number",
        ),
    ],
)
def test_wrong_files_are_one_sentence(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"mine\.yaml: .*{re.escape(sentence)}"):
        written(BASE.replace(old, new), tmp_path)


@pytest.mark.parametrize(
    ("source", "changes", "sentence"),
    [
        ("slow_8x8_50", [], "There is no recipe 'slow_8x8_50'. Did you mean slow_8x8_r50"),
        ("slow_8x8_r50", ["optimizer.lr"], "Expected `set` to be name=value, as optimizer.lr=0.05"),
        ("slow_8x8_r50", ["lr=0.1"], "recipe slow_8x8_r50: unknown key `lr`."),
        ("slow_8x8_r50", ["model.name=a"], "`model.name` is below a value that has no parts."),
        ("slow_8x8_r50", ["optimizer.lr=[1"], "the value of optimizer.lr: not plain yaml"),
    ],
)
def test_wrong_names_and_changes_are_refused(
    source: str, changes: list[str], sentence: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        load_recipe(source, changes)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.yaml"):
        load_recipe(tmp_path / "nothing.yaml")


def test_recipes_are_in_the_wheel() -> None:
    build = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    patterns = re.search(r'package-data\]\n"\*" = \[(.*)\]', build)
    assert patterns is not None and '"*.yaml"' in patterns[1]


def test_values_that_are_no_recipe(tmp_path: Path) -> None:
    values: dict[str, Any] = asdict(load_recipe("x3d_s"))
    values["augment"]["mix_probability"] = 1.5
    with pytest.raises(
        ValueError, match=r"here: Expected `augment.mix_probability` to be in 0\.\.1"
    ):
        parse_recipe(values, "here")

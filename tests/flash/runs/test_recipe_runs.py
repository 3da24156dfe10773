# SPDX-License-Identifier: Apache-2.0
"""Runs that carry out a published recipe: each takes two steps on tiny videos, and does all that it says."""

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from flash.configs.files import load_recipe, recipe_names
from flash.configs.recipe import Recipe
from flash.runs import fit
from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.from_recipe import run_options, start_options
from flash.runs.reports.commands import plain_fields, train_command
from flash.runs.sources import Sources
from flash.runs.train import build_classifier
from pytorchvideo.layers.drop_path import DropPath
from pytorchvideo.models._registry import model_entry
from pytorchvideo.transforms.clip_recipe import ClipRecipe

NAMES = [name for name in recipe_names() if not name.startswith("ava")]
VECTORS = Path(__file__).resolve().parents[4] / "shared/reference/research/training_vectors.json"
TINY = [
    "data.short_side=[32, 40]",
    "data.crop=32",
    "schedule.epochs=2",
    "schedule.warmup_epochs=0.5",
]


def tiny(name: str, *changes: str) -> RunConfig:
    """The configuration of a short run by a recipe, on small clips."""
    frames = 8 if "slowfast" in name else 4
    sizes = [f"data.num_frames={frames}", "data.sampling_rate=1"]
    recipe = load_recipe(name, [*TINY, *sizes, *changes])
    options = run_options(recipe, batch_size=2) | {"clip_duration": 0.8}
    return RunConfig("clips", pretrained=False, batch_size=2, **options)


def some(folder: Path, *, count: int = 2, multi_label: bool = False) -> Sources:
    """So many videos of two classes each to train on, and two held out."""
    found = sorted(folder.glob("*/*.mp4"))
    by_label = {p.parent.name: [q for q in found if q.parent == p.parent] for p in found}
    train = [(str(p), label) for label, paths in by_label.items() for p in paths[:count]]
    val = [(str(paths[5]), label) for label, paths in by_label.items()]
    return Sources(sorted(by_label), train, val, multi_label=multi_label)


def each(names: list[str]) -> list[Any]:
    """Those of deep networks marked as slow."""
    return [pytest.param(n, marks=pytest.mark.slow) if "r101" in n else n for n in names]


@pytest.mark.parametrize("name", each(NAMES))
def test_each_recipe_takes_two_steps(
    name: str,
    folder: Path,
    tmp_path: Path,
    shallow: Callable[[], AbstractContextManager[None]],
) -> None:
    config = tiny(name, "schedule.epochs=1", "regularize.precise_bn_batches=1").completed()
    sources, run = some(folder, multi_label=config.multi_label), RunFolder(tmp_path)
    with shallow():
        classifier = build_classifier(config, sources)
        before = [p.clone() for p in classifier.network.classifier.parameters()]
        history, skipped = fit.fit(classifier, config, sources, run, Console(file=StringIO()))
    assert (len(history), skipped) == (1, [])
    state = torch.load(run.checkpoint, weights_only=True)
    assert state["global_step"] == 2
    changed = zip(before, classifier.network.classifier.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in changed)


@pytest.fixture
def mvit(folder: Path, shallow: Callable[[], AbstractContextManager[None]]) -> nn.Module:
    with shallow():
        return build_classifier(tiny("mvit_b_16x4"), some(folder))


def test_an_mvit_has_the_parameter_groups_of_its_recipe(mvit: Any) -> None:
    optimizer = mvit.configure_optimizers()
    names = {parameter: name for name, parameter in mvit.backbone.named_parameters()}
    decays = {
        names[p]: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    # by their names: weights of layers decay, and the encodings of positions
    for name, decay in decays.items():
        is_matrix = name.endswith(
            ("weight", "pos_embed_spatial", "pos_embed_temporal", "cls_token")
        )
        is_matrix |= name.endswith("pos_embed_class")
        is_norm = "norm" in name
        assert decay == (0.05 if is_matrix and not is_norm else 0.0), name
    assert set(decays) == set(names.values())
    assert isinstance(optimizer, torch.optim.AdamW) and optimizer.defaults["betas"] == (0.9, 0.999)


def test_positions_without_decay(
    folder: Path, shallow: Callable[[], AbstractContextManager[None]]
) -> None:
    names = ["pos_embed_spatial", "pos_embed_temporal", "cls_token"]
    config = tiny("mvit_b_16x4", f"optimizer.no_decay=[{', '.join(names)}]")
    with shallow():
        classifier = build_classifier(config, some(folder))
    free = {
        p
        for group in classifier.configure_optimizers().param_groups
        if group["weight_decay"] == 0
        for p in group["params"]
    }
    for name, parameter in classifier.backbone.named_parameters():
        if name.rpartition(".")[2] in names:
            assert parameter in free, name
    with pytest.raises(ValueError, match=r"`exempt` to be names of parameters, but got \['pos'\]"):
        build_classifier(
            tiny("x3d_s", "optimizer.no_decay=[pos]"), some(folder)
        ).configure_optimizers()


def test_paths_are_dropped_more_towards_the_scores(mvit: Any) -> None:
    rates = [m.drop_prob for m in mvit.modules() if isinstance(m, DropPath)]
    count = len(mvit.backbone.blocks)
    assert rates == pytest.approx([0.2 * i / (count - 1) for i in range(1, count)])


@pytest.mark.parametrize(
    ("name", "changes", "batch_size"),
    [
        # the public trainer's rates are of 512 clips, and its first one does not grow with them
        ("slow_8x8_r50", ["schedule.warmup_start_lr=0.00125"], 512),
        ("mvit_b_16x4", [], 256),
    ],
)
def test_rates_of_a_run_are_the_published_ones(
    name: str, changes: list[str], batch_size: int
) -> None:
    if not VECTORS.is_file():
        pytest.skip("the shared training_vectors.json is not there")
    recipe = load_recipe(name, changes)
    options = run_options(recipe, batch_size=batch_size)
    config = RunConfig("clips", pretrained=False, batch_size=batch_size, **options).completed()
    net = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=config.lr or 0)
    of_epoch = 1000  # steps
    schedule = fit.schedule_of(config, of_epoch)(optimizer)
    base, (factor,) = schedule.base_lrs[0], schedule.lr_lambdas
    cases = [
        case
        for case in json.loads(VECTORS.read_text())["lr"]
        if math.isclose(case["base"], base) and case["max_epoch"] == recipe.schedule.epochs
    ]
    assert len(cases) == 7
    for case in cases:
        assert base * factor(case["epoch"] * of_epoch) == pytest.approx(case["lr"], rel=1e-6)


def test_fewer_epochs_keep_the_shares_of_the_schedule() -> None:
    options = run_options(load_recipe("slow_8x8_r50"), batch_size=64) | {"epochs": 49, "lr": 1.0}
    schedule = fit.schedule_of(RunConfig("clips", **options), 10)(
        torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    )
    factor = schedule.lr_lambdas[0]
    # 34 of 196 epochs are 8.5 of 49; the first rate is a tenth of the highest
    assert factor(0) == pytest.approx(0.1)
    assert factor(85) == pytest.approx(0.5 * (1 + math.cos(math.pi * 34 / 196)))


def test_a_clip_is_seen_several_times(folder: Path) -> None:
    data = fit.training_data(tiny("mvit_b_16x4").completed(), some(folder))
    batch = next(iter(data.train_dataloader()))
    assert batch["video"].shape == (4, 3, 4, 32, 32)
    indices = batch["video_index"].tolist()
    assert indices[0] == indices[1] != indices[2] == indices[3]
    assert batch["label"].tolist()[0] == batch["label"].tolist()[1]
    assert not torch.equal(batch["video"][0], batch["video"][1])


def test_gradients_are_clipped(
    folder: Path, tmp_path: Path, shallow: Callable[[], AbstractContextManager[None]]
) -> None:
    config = tiny(
        "slow_8x8_r50",
        "regularize.clip_norm=0.001",
        "optimizer.weight_decay=0",
        "optimizer.momentum=0",
        "optimizer.nesterov=false",
        "schedule.epochs=1",
    ).completed()
    with shallow():
        classifier = build_classifier(config, some(folder))
        before = {name: p.detach().clone() for name, p in classifier.named_parameters()}
        fit.fit(classifier, config, some(folder), RunFolder(tmp_path), Console(file=StringIO()))
    moved = sum(
        float((p.detach() - before[n]).square().sum()) for n, p in classifier.named_parameters()
    )
    # two steps, none with a gradient longer than that
    assert 0 < math.sqrt(moved) <= 2 * (config.lr or 0) * 0.001 * 1.001


def test_frames_are_of_the_whole_video(folder: Path) -> None:
    config = tiny("ssv2_slow_8x8_r50").completed()
    assert config.recipe().whole_video and not config.flip
    data = fit.training_data(config, some(folder))
    picked = {tuple(data.train_dataset.reader._own_filter(list(range(9)))) for _ in range(60)}
    assert len(picked) > 5
    edges = [0, 2, 4, 6, 8]
    for frames in picked:
        assert all(a <= f <= b for f, a, b in zip(frames, edges, edges[1:], strict=False))
    assert data.val_dataset.reader._own_filter(list(range(9))) == [1, 3, 5, 7]
    sampler = data.train_dataset.reader.clip_sampler
    assert [float(t) for t in sampler(None, 7.5, {})[:2]] == [0, 7.5]


def test_a_model_of_whole_videos_keeps_to_them() -> None:
    clip = tiny("ssv2_slow_8x8_r50").completed().recipe()
    assert ClipRecipe.from_dict(json.loads(json.dumps(clip.to_dict()))) == clip
    assert (clip.whole_video, clip.channels) == (True, "bgr")
    assert "whole_video" not in tiny("x3d_s").completed().recipe().to_dict()


def test_a_run_keeps_its_recipe(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    for name in NAMES:
        config = tiny(name).completed()
        file.write_text(json.dumps(config.to_dict()))
        again = RunConfig.from_file(file)
        assert again == config
        assert again.training_recipe == config.training_recipe
        assert isinstance(again.training_recipe, Recipe)
    broken = config.to_dict()
    broken["training"]["optimizer"]["lr"] = "fast"
    file.write_text(json.dumps(broken))
    with pytest.raises(ValueError, match=r"config\.json: .*`optimizer\.lr` to be a number"):
        RunConfig.from_file(file)


def test_weights_to_begin_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("PYTORCHVIDEO_OFFLINE", "1")
    recipe = load_recipe("charades_slow_8x8_r50")
    with pytest.raises(
        ValueError, match=r"published weights of slow_r50, and .* is set\. Give --weights FILE"
    ):
        start_options(recipe, {})
    assert start_options(recipe, {"pretrained": False}) == {}
    assert start_options(load_recipe("slow_8x8_r50"), {}) == {"pretrained": False}
    file = model_entry("slow_r50").weights.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    assert start_options(recipe, {}) == {"pretrained": False, "weights": str(file)}


def test_what_a_run_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="slow_r50_detection"):
        run_options(load_recipe("ava_slow_4x16_r50"))
    with pytest.raises(
        ValueError, match=r"`regularize\.drop_path` to be 0, but got 0\.1\. x3d_s has no"
    ):
        run_options(load_recipe("x3d_s", ["regularize.drop_path=0.1"]))
    with pytest.raises(ValueError, match="`spec` to be rand and parts"):
        run_options(load_recipe("x3d_s", ["augment.rand_augment=augmix"]))


def grid_config(*changes: str) -> RunConfig:
    """Six epochs of multigrid: shapes of 1, 2, 2 and 4 frames, then whole clips."""
    changes = ("schedule.epochs=4", "multigrid.steps=[0, 3]", "multigrid.base_clips=2", *changes)
    config = tiny("x3d_s", *changes, "schedule.warmup_epochs=1", "regularize.precise_bn_batches=2")
    return replace(config, batch_size=1).completed()


@pytest.mark.slow
def test_a_multigrid_run_goes_on_to_the_bit(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shallow: Callable[[], AbstractContextManager[None]],
) -> None:
    config, sources = grid_config(), some(folder, count=6)
    assert config.epochs == 6

    def run(out: Path) -> dict[str, torch.Tensor]:
        with shallow():
            classifier = build_classifier(config, sources)
            fit.fit(classifier, config, sources, RunFolder(out), Console(file=StringIO()))
        return classifier.network.state_dict()

    whole = run(tmp_path / "whole")
    record = fit.RunRecorder.on_train_epoch_end

    def ends(self: fit.RunRecorder, trainer: Any, pl_module: Any) -> None:
        record(self, trainer, pl_module)
        if len(self.history) == 3:
            raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(fit.RunRecorder, "on_train_epoch_end", ends)
        with pytest.raises(OSError, match="the machine is gone"):
            run(tmp_path / "cut")
    again = run(tmp_path / "cut")
    assert whole.keys() == again.keys()
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name


def test_clips_of_multigrid_follow_the_recipe(folder: Path) -> None:
    data = fit.training_data(grid_config("data.inverse_uniform=true"), some(folder, count=6))
    train: Any = data.train_dataset
    train.set_epoch(5)
    scales = {}
    for crop, transform in train._transforms.items():
        steps = transform.transforms[0].transform.transforms
        scale = next(step for step in steps if hasattr(step, "inverse_uniform"))
        scales[crop] = (scale.min_size, scale.max_size, scale.inverse_uniform)
    # 32 to 40 for crops of 32; the lower end goes with the crop
    assert scales == {16: (16, 40, True), 23: (23, 40, True), 32: (32, 40, True)}


def test_what_multigrid_does_not_go_with_is_refused() -> None:
    on = "multigrid.epoch_factor=1.5"
    for name, change, said in (
        ("mvit_b_16x4", on, r"model \(mvit_base_16x4\)"),
        ("x3d_s", "regularize.ema=0.9", "regularize.ema"),
        ("ssv2_slow_8x8_r50", on, "data.whole_video"),
    ):
        with pytest.raises(ValueError, match=f"without `multigrid`, which does not .* its {said}"):
            run_options(load_recipe(name, [on, change]))
    steps = ["schedule.policy=steps", "schedule.steps=[0, 9]", "schedule.factors=[1.0, 0.5]"]
    with pytest.raises(
        ValueError, match=r"`schedule.factors` to be powers of multigrid.gamma \(0\.1"
    ):
        run_options(load_recipe("x3d_s", [on, *steps]))
    for option, value in (("ema", 0.9), ("lr_find", True)):
        with pytest.raises(ValueError, match="without a recipe of multigrid, but got both"):
            replace(grid_config(), **{option: value}).completed()
    with pytest.raises(ValueError, match="a strategy that trains the network, but got 'probe'"):
        replace(tiny("x3d_s"), strategy="probe", weights=__file__).completed()


def test_the_command_of_a_run_names_its_recipe() -> None:
    changes = ["optimizer.lr=0.2", "data.short_side=[182, 200]", "augment.rand_augment=rand-m3"]
    options = run_options(load_recipe("x3d_xs", changes), batch_size=4) | {"epochs": 7}
    config = RunConfig("clips", pretrained=False, batch_size=4, **options).completed()
    words = train_command(config, Path("out")).split(" --")
    wanted = ["config x3d_xs", "set optimizer.lr=0.2", "set 'data.short_side=[182, 200]'"]
    wanted += ["set 'augment.rand_augment=\"rand-m3\"'", "batch-size 4", "epochs 7", "out out"]
    assert set(wanted) <= set(words)
    assert not [
        word for word in words if word.startswith(("training", "frames", "optimizer", "lr"))
    ]
    again = load_recipe("x3d_xs", [change.replace("'", "") for change in changes])
    assert again == config.training_recipe
    fields = plain_fields(config)
    assert "training" not in fields and fields["recipe"].startswith("--config x3d_xs --set ")

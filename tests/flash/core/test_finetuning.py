# SPDX-License-Identifier: Apache-2.0
"""Strategies: what trains, what the optimiser holds, what frozen BatchNorm does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BackboneFinetuning, BaseFinetuning
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import IterableDataset

import flash
from flash.core.data.data_module import DataModule
from flash.core.finetuning import (
    STRATEGIES,
    FlashBaseFinetuning,
    Freeze,
    FreezeUnfreeze,
    NoFreeze,
    UnfreezeMilestones,
    resolve_strategy,
)
from flash.video import VideoClassifier

# x3d_xs has 3,794,274 parameters with 400 classes, 819,600 of them in its classifier, 31,416 in BatchNorm
ALL = 3_794_274 - 819_600 + 4_098
HEAD_AND_NORM = 31_416 + 4_098
HEAD = 2 * 2_048 + 2


class Clips(IterableDataset[Any]):
    """Two random clips that x3d_xs takes."""

    def __iter__(self) -> Iterator[Any]:
        for label in range(2):
            yield {"video": torch.randn(3, 4, 32, 32), "label": label}


class Watch(pl.Callback):
    """Notes at each epoch how many parameters train, and how many of them the optimiser holds."""

    def __init__(self) -> None:
        self.trains: list[int] = []
        self.missing: list[int] = []
        self.groups: list[int] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        (optimizer,) = trainer.optimizers
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        trains = [p for p in pl_module.parameters() if p.requires_grad]
        self.trains.append(sum(p.numel() for p in trains))
        self.missing.append(sum(id(p) not in held for p in trains))
        self.groups.append(len(optimizer.param_groups))


def classifier(**kwargs: Any) -> VideoClassifier:
    # pools for clips of 32 pixels
    kwargs = {"num_classes": 2, "backbone_kwargs": {"crop_size": 32}} | kwargs
    return VideoClassifier(pretrained=False, **kwargs)


def flash_head() -> nn.Module:
    """The head of Flash: a linear layer on the 400 scores of the backbone."""
    return nn.Sequential(nn.Flatten(), nn.Linear(400, 2))


class Tiny(nn.Module):
    """A trunk with BatchNorm and a classifier, as the models of the zoo have them."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(1))
        self.classifier = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.trunk(x).flatten(1))


def trainer(epochs: int = 1, **kwargs: Any) -> flash.Trainer:
    return flash.Trainer(
        max_epochs=epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Watch()],
        **kwargs,
    )


def finetune(model: pl.LightningModule, strategy: Any, epochs: int = 1, **kwargs: Any) -> Watch:
    run = trainer(epochs)
    run.finetune(model, datamodule=DataModule({"train": Clips()}), strategy=strategy, **kwargs)
    watch = next(c for c in run.callbacks if isinstance(c, Watch))
    assert set(watch.missing) == {0}
    return watch


@pytest.mark.parametrize(
    ("strategy", "train_bn", "own_head", "count"),
    [
        ("no_freeze", True, False, ALL),
        ("freeze", True, False, HEAD_AND_NORM),
        ("freeze", False, False, HEAD),
        # Flash's own counts, with its head
        ("no_freeze", True, True, 3_795_076),
        ("freeze", True, True, 32_218),
        ("freeze", False, True, 802),
    ],
)
def test_trainable_parameters(strategy: str, train_bn: bool, own_head: bool, count: int) -> None:
    model = classifier(head=flash_head() if own_head else None)
    watch = finetune(model, strategy, train_bn=train_bn)
    assert watch.trains == [count]
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count


@pytest.mark.parametrize(
    ("strategy", "counts"),
    [
        (("freeze_unfreeze", 1), [32_218, 3_795_076, 3_795_076]),
        (("unfreeze_milestones", ((1, 2), 3)), [32_218, 851_818, 3_795_076]),
    ],
)
def test_unfreezing_in_steps(strategy: Any, counts: list[int]) -> None:
    watch = finetune(classifier(head=flash_head()), strategy, epochs=3)
    assert watch.trains == counts
    assert set(watch.groups) == {1}


@pytest.mark.parametrize(("train_bn", "moves"), [(True, True), (False, False)])
def test_batch_norm_of_a_frozen_backbone(train_bn: bool, moves: bool) -> None:
    model = classifier(backbone=Tiny(), backbone_kwargs=None)
    norms = [m for m in model.backbone.modules() if isinstance(m, _BatchNorm)]
    before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
    weights = {name: value.clone() for name, value in model.backbone.named_parameters()}
    finetune(model, "freeze", epochs=2, train_bn=train_bn)
    after = [norm.running_mean for norm in norms if norm.running_mean is not None]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) is moves
    assert all(norm.training is train_bn for norm in norms)
    changed = {n for n, v in model.backbone.named_parameters() if not torch.equal(v, weights[n])}
    norm_weights = {"trunk.1.weight", "trunk.1.bias"} if train_bn else set()
    assert changed == {"classifier.weight", "classifier.bias"} | norm_weights


def test_no_freeze_moves_every_part() -> None:
    model = classifier(backbone=Tiny(), backbone_kwargs=None)
    weights = {name: value.clone() for name, value in model.named_parameters()}
    finetune(model, "no_freeze")
    assert [n for n, v in model.named_parameters() if torch.equal(v, weights[n])] == []


def test_a_later_strategy_replaces_an_earlier_one() -> None:
    model, run = classifier(backbone=Tiny(), backbone_kwargs=None), trainer()
    data = DataModule({"train": Clips()})
    run.finetune(model, datamodule=data, strategy="freeze")
    run.fit_loop.max_epochs = 3
    run.finetune(model, datamodule=data, strategy=("freeze_unfreeze", 0))
    assert sum(isinstance(c, FlashBaseFinetuning) for c in run.callbacks) == 1
    assert all(p.requires_grad for p in model.parameters())


def test_freezing_a_module_without_a_head_is_refused() -> None:
    net = nn.Sequential(
        nn.Conv3d(3, 2, 3), nn.BatchNorm3d(2), nn.AdaptiveAvgPool3d(1), nn.Flatten()
    )
    with pytest.raises(ValueError, match="Nothing but BatchNorm is left to train: Sequential"):
        finetune(classifier(backbone=net, backbone_kwargs=None), "freeze")


def test_a_callback_of_lightning() -> None:
    class HeadOnly(BaseFinetuning):
        def freeze_before_training(self, pl_module: Any) -> None:
            self.freeze(pl_module.backbone.blocks[:5], train_bn=True)

        def finetune_function(self, *args: Any) -> None:
            pass

    model = classifier()
    finetune(model, HeadOnly())
    first = next(model.backbone.blocks[1].parameters())
    assert not first.requires_grad
    assert all(p.requires_grad for p in model.backbone.blocks[5].parameters())


# what it unfreezes includes the BatchNorm that it never froze
@pytest.mark.filterwarnings("ignore:The provided params to be frozen already exist")
def test_lightnings_backbone_finetuning() -> None:
    model = classifier(backbone=Tiny(), backbone_kwargs=None)
    callback = BackboneFinetuning(unfreeze_backbone_at_epoch=1, verbose=False)
    watch = finetune(model, callback, epochs=2)
    # it freezes the classifier inside the backbone, too
    assert watch.trains == [8, sum(p.numel() for p in model.parameters())]
    assert watch.groups == [1, 2]


@pytest.mark.parametrize(
    "strategy", [None, 3, ("freeze", 1), ("no_freeze", True), (1, 2), ("freeze_unfreeze", "x")]
)
def test_strategies_of_the_wrong_kind(strategy: Any) -> None:
    with pytest.raises(TypeError, match="Expected `strategy` to be"):
        resolve_strategy(strategy)


@pytest.mark.parametrize(
    "argument", [3, ((1, 2),), ((1, 2, 3), 4), ((1, "2"), 3), ((1, 2), True), ((1, 2), -1)]
)
def test_milestones_of_the_wrong_kind(argument: Any) -> None:
    with pytest.raises(TypeError, match=r'like \("unfreeze_milestones", \(\(3, 6\), 4\)\)'):
        resolve_strategy(("unfreeze_milestones", argument))


def test_unknown_strategy_lists_the_known_ones() -> None:
    wanted = "one of freeze, freeze_unfreeze, no_freeze, unfreeze_milestones, but got 'frozen'"
    with pytest.raises(ValueError, match=wanted):
        resolve_strategy("frozen")
    with pytest.raises(ValueError, match="but got 'frozen'"):
        trainer().finetune(classifier(), strategy="frozen")


def test_bare_names_use_the_epochs_of_flash() -> None:
    known = {name: resolve_strategy(name) for name in STRATEGIES}
    milestones = {n: c.milestones for n, c in known.items() if isinstance(c, FlashBaseFinetuning)}
    assert known["no_freeze"] is None
    assert milestones == {
        "freeze": [],
        "freeze_unfreeze": [(10, None)],
        "unfreeze_milestones": [(5, 5), (10, None)],
    }


def test_strategies_as_callbacks() -> None:
    model = classifier(head=flash_head())
    assert finetune(model, Freeze(train_bn=False)).trains == [802]
    assert finetune(classifier(head=flash_head()), NoFreeze()).trains == [3_795_076]
    own = UnfreezeMilestones(unfreeze_milestones=(1, 2), num_layers=3)
    named = resolve_strategy(("unfreeze_milestones", ((1, 2), 3)))
    assert isinstance(named, UnfreezeMilestones)
    assert own.milestones == named.milestones == [(1, 3), (2, None)]
    assert FreezeUnfreeze(unfreeze_epoch=4).milestones == [(4, None)]


def test_a_module_without_backbone_is_told_what_to_do() -> None:
    class Plain(pl.LightningModule):
        def training_step(self, batch: Any, batch_idx: int) -> None:
            pass

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            pass

        def configure_optimizers(self) -> None:
            pass

    with pytest.raises(TypeError, match=r"Expected Plain to have an nn.Module `backbone`"):
        trainer().finetune(Plain(), datamodule=DataModule({"train": Clips()}), strategy="freeze")


def test_resumed_run_is_where_it_was(tmp_path: Path) -> None:
    data = DataModule({"train": Clips()})
    strategy = ("freeze_unfreeze", 1)
    first = trainer(2)
    first.finetune(
        classifier(backbone=Tiny(), backbone_kwargs=None), datamodule=data, strategy=strategy
    )
    first.save_checkpoint(tmp_path / "run.ckpt")
    second, model = trainer(3), classifier(backbone=Tiny(), backbone_kwargs=None)
    second.finetune(model, datamodule=data, strategy=strategy, ckpt_path=tmp_path / "run.ckpt")
    watch = next(c for c in second.callbacks if isinstance(c, Watch))
    assert (watch.trains, watch.missing) == ([sum(p.numel() for p in model.parameters())], [0])
    assert len(second.optimizers[0].state) == len(list(model.parameters()))

# SPDX-License-Identifier: Apache-2.0
"""Callbacks of the trainer: averages, stopping, resuming, layouts, precision, accumulation."""

import errno
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import flash
from flash.core.callbacks import PreciseBN, get_random_state, set_random_state, stopping
from flash.core.data.data_module import DataModule
from flash.core.model import Task
from flash.core.trainer import _devices
from pytorchvideo.data.clip_loader import ClipDataLoader
from pytorchvideo.layers import update_bn_stats


class Net(Task):
    """A small 3-D network with BatchNorm and dropout; notes its weights after each step."""

    def __init__(self, dropout: float = 0.0, **kwargs: Any) -> None:
        defaults: dict[str, Any] = {"optimizer": "SGD", "learning_rate": 0.1}
        super().__init__(F.cross_entropy, **defaults | kwargs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.backbone = nn.Sequential(
                nn.Conv3d(3, 4, 3),
                nn.BatchNorm3d(4),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.AdaptiveAvgPool3d(1),
                nn.Flatten(),
                nn.Linear(4, 2),
            )
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x)

    def on_train_batch_end(self, *args: Any) -> None:
        self.seen.append(self.backbone[0].weight.detach().clone())


class Clips(IterableDataset[Any]):
    """Eight clips with noise of Python's, NumPy's and torch's generators."""

    def __iter__(self) -> Iterator[Any]:
        for label in [0, 1] * 4:
            noise = random.random() + float(np.random.rand())  # noqa: NPY002
            yield {"video": torch.randn(3, 4, 8, 8) + noise, "label": label}


def data() -> DataModule:
    return DataModule({"train": Clips()}, batch_size=4)


def fixed(count: int = 8, batch_size: int = 4) -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(2)
    clips = torch.randn(count, 3, 4, 8, 8, generator=generator)

    def collate(items: list[Any]) -> dict[str, Tensor]:
        return {
            "video": torch.stack([clip for clip, _ in items]),
            "label": torch.stack([label for _, label in items]),
        }

    labels = torch.arange(count) % 2
    return DataLoader(TensorDataset(clips, labels), batch_size=batch_size, collate_fn=collate)


def trainer(**kwargs: Any) -> flash.Trainer:
    quiet: dict[str, Any] = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "accelerator": "cpu",
        "max_epochs": 1,
    }
    return flash.Trainer(**quiet | kwargs)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.backbone.state_dict().items()}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor], **tolerance: float) -> None:
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, **(tolerance or {"rtol": 0, "atol": 0}))


def test_moving_average_by_hand() -> None:
    decay = 0.8
    net = Net()
    trainer(ema=decay, max_epochs=3).fit(net, fixed())
    # the first step is where the average starts
    average = net.seen[0]
    for value in net.seen[1:]:
        average = decay * average + (1 - decay) * value
    assert len(net.seen) == 6
    torch.testing.assert_close(net.backbone[0].weight.detach(), average)


def test_validation_sees_the_average() -> None:
    class Watched(Net):
        def on_validation_batch_start(self, *args: Any) -> None:
            self.validated = self.backbone[0].weight.detach().clone()

    net = Watched()
    run = trainer(ema=0.5, num_sanity_val_steps=0)
    run.fit(net, fixed(), fixed())
    torch.testing.assert_close(net.validated, (net.seen[0] + net.seen[1]) / 2)
    torch.testing.assert_close(net.backbone[0].weight.detach(), net.validated)


@pytest.mark.parametrize("decay", [1.0, -0.1, "0.9", True])
def test_unfit_decay(decay: Any) -> None:
    with pytest.raises(ValueError, match=r"`ema` to be a decay in \[0, 1\)"):
        trainer(ema=decay)


@pytest.mark.parametrize("spec", ["val_cross_entropy", {"monitor": "val_cross_entropy"}])
def test_early_stopping(spec: Any) -> None:
    # at a rate of 0 nothing gets better: the first epoch, then as many as the patience
    run = trainer(early_stopping=spec, max_epochs=20, num_sanity_val_steps=0)
    net = Net(learning_rate=0.0)
    net.backbone[1].momentum = 0.0
    run.fit(net, fixed(), fixed())
    assert run.current_epoch == 1 + 3


def test_forms_of_early_stopping() -> None:
    own = EarlyStopping("val_accuracy", mode="max")
    assert stopping(own) is own
    assert stopping({"monitor": "val_loss", "mode": "max"}).mode == "max"
    assert stopping("val_f1_score").mode == "max"
    for unfit in (3, {"patience": 2}, None):
        with pytest.raises(TypeError, match="`early_stopping` to be the name of a logged value"):
            stopping(unfit)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`compile` to be True, False or the arguments"):
        trainer(compile="inductor")


def test_random_state_is_plain(tmp_path: Path) -> None:
    torch.save(get_random_state(), tmp_path / "state.pt")

    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    first = draw()
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draw() == first


@pytest.mark.parametrize("ema", [None, 0.5])
def test_resumed_run_is_the_uninterrupted_one(tmp_path: Path, ema: float | None) -> None:
    schedule = ("cosine_schedule_with_warmup", {"num_warmup_steps": 2, "num_training_steps": 8})
    make: dict[str, Any] = {
        "dropout": 0.5,
        "optimizer": ("SGD", {"momentum": 0.9}),
        "lr_scheduler": schedule,
    }

    class Interrupted(pl.Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if trainer.current_epoch == 1:
                trainer.save_checkpoint(tmp_path / "half.ckpt")

    whole = Net(**make)
    trainer(max_epochs=4, ema=ema, callbacks=[Interrupted()]).fit(whole, datamodule=data())
    torch.manual_seed(99)
    random.seed(99)
    half = Net(**make)
    run = trainer(max_epochs=4, ema=ema)
    run.fit(half, datamodule=data(), ckpt_path=str(tmp_path / "half.ckpt"))
    assert run.current_epoch == 4
    assert len(half.seen) == 4
    for value, wanted in zip(half.seen, whole.seen[4:], strict=True):
        assert torch.equal(value, wanted)
    assert_same(weights(whole), weights(half))


def test_resumed_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    items = [
        {"video": torch.randn(3, 4, 8, 8, generator=generator), "label": i % 2} for i in range(12)
    ]

    class Interrupted(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *args: Any) -> None:
            if trainer.global_step == 4:  # the first of three batches of the second epoch
                trainer.save_checkpoint(tmp_path / "middle.ckpt")

    whole, rest = Net(dropout=0.5), Net(dropout=0.5)
    loader = ClipDataLoader(items, batch_size=4, seed=3)
    trainer(max_epochs=3, callbacks=[Interrupted()]).fit(whole, loader)
    torch.manual_seed(99)
    again = ClipDataLoader(items, batch_size=4, seed=3)
    trainer(max_epochs=3).fit(rest, again, ckpt_path=str(tmp_path / "middle.ckpt"))
    assert len(rest.seen) == 5
    for value, wanted in zip(rest.seen, whole.seen[4:], strict=True):
        assert torch.equal(value, wanted)


def test_deterministic_mode() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    found = []
    try:
        for _ in range(2):
            torch.manual_seed(3)
            random.seed(3)
            np.random.seed(3)  # noqa: NPY002
            net = Net(dropout=0.5)
            trainer(deterministic=True).fit(net, datamodule=data())
            assert torch.are_deterministic_algorithms_enabled()
            found.append(weights(net))
    finally:
        torch.use_deterministic_algorithms(before)
    assert_same(*found)


def test_accumulated_gradients_are_those_of_a_large_batch() -> None:
    small, large = Net(), Net()
    for net in (small, large):
        # statistics of a batch are not those of its halves
        net.on_train_epoch_start = net.backbone[1].eval  # type: ignore[method-assign,assignment]
    trainer(accumulate_grad_batches=2).fit(small, fixed(batch_size=4))
    trainer().fit(large, fixed(batch_size=8))
    assert_same(weights(small), weights(large), rtol=1e-5, atol=1e-6)


def test_clipped_gradients() -> None:
    net = Net(learning_rate=1.0)
    before = weights(net)
    trainer(gradient_clip_val=1e-3).fit(net, fixed(batch_size=8))
    after = weights(net)
    moved = sum(
        float((after[name] - before[name]).square().sum())
        for name, _ in net.backbone.named_parameters()
    )
    assert moved**0.5 == pytest.approx(1e-3, rel=1e-3)


def test_bf16_keeps_float32_weights() -> None:
    class Seen(Net):
        def check_logits(self, logits: Tensor) -> None:
            self.dtype_seen = logits.dtype

    net = Seen()
    trainer(precision="bf16-mixed").fit(net, fixed())
    assert net.dtype_seen is torch.bfloat16
    assert {value.dtype for value in net.parameters()} == {torch.float32}


def test_channels_last_changes_the_layout_only() -> None:
    plain, laid = Net(), Net()
    trainer().fit(plain, fixed())
    trainer(channels_last_3d=True).fit(laid, fixed())
    weight = laid.backbone[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert_same(weights(plain), weights(laid), rtol=1e-4, atol=1e-5)


def test_compiled_backbone_learns_the_same() -> None:
    plain, compiled = Net(), Net()
    trainer().fit(plain, fixed())
    trainer(compile={"backend": "eager"}).fit(compiled, fixed())
    assert_same(weights(plain), weights(compiled), rtol=1e-5, atol=1e-6)
    assert list(compiled.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize(
    ("gpus", "accelerator", "devices"),
    [(0, "cpu", 1), ([], "cpu", 1), (-1, "gpu", -1), (2, "gpu", 2), ([0, 1], "gpu", [0, 1])],
)
def test_gpus_of_old(gpus: Any, accelerator: str, devices: Any) -> None:
    found = _devices(gpus, {})
    assert found == {"accelerator": accelerator, "devices": devices}


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))  # Lightning's way leads here
    run = trainer()
    run.fit(Net(), fixed())
    run.save_checkpoint(tmp_path / "run" / "last.ckpt")
    before = (tmp_path / "run" / "last.ckpt").read_bytes()
    save = torch.save

    def half(content: Any, file: Path) -> None:
        save(content, file)
        os.truncate(file, 1000)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(
        OSError, match=rf"The disk of {tmp_path / 'run'} is full; last\.ckpt was not"
    ):
        run.save_checkpoint(tmp_path / "run" / "last.ckpt")
    assert os.listdir(tmp_path / "run") == ["last.ckpt"]
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == before


# -- statistics of BatchNorm ------------------------------------------------------------------------------------


class Validated(Net):
    """Notes the statistics and weights with which it was validated."""

    def on_validation_batch_end(self, *args: Any) -> None:
        self.validated = {k: v.clone() for k, v in self.backbone.state_dict().items()}


def of_batches(net: Net, state: dict[str, Tensor], count: int, **how: Any) -> dict[str, Tensor]:
    """The state of a network after the statistics of its last batches were computed in one call."""
    fresh = Net()
    fresh.backbone.load_state_dict(state)
    update_bn_stats(fresh, [batch["video"] for batch in fixed(12)][-count:], **how)
    return weights(fresh)


@pytest.mark.parametrize("ema", [None, 0.5])
def test_statistics_are_computed_anew_for_the_weights_that_are_validated(
    ema: float | None,
) -> None:
    net = Validated()
    run = trainer(precise_bn=2, ema=ema, num_sanity_val_steps=0, max_epochs=2)
    run.fit(net, fixed(12), fixed())
    assert_same(of_batches(net, net.validated, 2), net.validated)
    assert_same(weights(net), net.validated)  # nothing comes after it


def test_statistics_of_early_epochs_cost_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def counted(model: Any, data: Any, count: int, **how: Any) -> int:
        looked.append(len(data))
        return update_bn_stats(model, data, count, **how)

    monkeypatch.setattr("flash.core.callbacks.update_bn_stats", counted)
    options = {"num_sanity_val_steps": 1, "max_epochs": 3}
    trainer(precise_bn=True, **options).fit(Net(), fixed(24), fixed())
    assert looked == [2, 2, 6]  # a quarter of six batches, then all of them
    looked.clear()
    limited = PreciseBN(share=1.0, memory_limit_bytes=2 * 4 * 3 * 4 * 8 * 8 * 4)  # of two batches
    trainer(precise_bn=limited, **options).fit(Net(), fixed(24), fixed())
    assert looked == [2, 2, 2]
    looked.clear()
    trainer(precise_bn=3, max_epochs=2).fit(Net(), fixed(24))
    assert looked == [2, 2, 3]  # without a validation at the end of the epoch, and of the training


def test_statistics_of_a_compiled_backbone() -> None:
    plain, compiled = Net(), Net()
    trainer(precise_bn=True).fit(plain, fixed(), fixed())
    trainer(precise_bn=True, compile={"backend": "eager"}).fit(compiled, fixed(), fixed())
    assert_same(weights(plain), weights(compiled), rtol=1e-5, atol=1e-6)


def test_frozen_statistics_stay() -> None:
    net = Net()
    before = weights(net)
    net.head_modules = lambda: [net.backbone[6]]  # type: ignore[method-assign]
    run = trainer(precise_bn=True, max_epochs=1)
    run.finetune(net, fixed(), fixed(), strategy="freeze", train_bn=False)
    after = weights(net)
    assert torch.equal(after["1.running_mean"], before["1.running_mean"])
    assert not torch.equal(after["6.weight"], before["6.weight"])


def test_precise_statistics_of_a_module_of_ones_own() -> None:
    """Lightning's trainer, batches that are tuples, and an ``inputs`` of one's own."""

    class Own(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(1)
            self.out = nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.norm(x))

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return self(batch[0]).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    x = torch.arange(8.0)[:, None]
    loader = DataLoader(TensorDataset(x, x), batch_size=4)
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing"), False)
    quiet |= dict.fromkeys(("enable_progress_bar", "enable_model_summary"), False)
    for inputs, wanted in ((None, 3.5), (lambda batch: 2 * batch[1], 7.0)):
        own = Own()
        callback = PreciseBN(inputs=inputs)
        pl.Trainer(max_epochs=1, accelerator="cpu", callbacks=[callback], **quiet).fit(own, loader)
        assert own.norm.running_mean.item() == pytest.approx(wanted)


def test_unfit_arguments_of_precise_statistics() -> None:
    with pytest.raises(ValueError, match="`num_batches` to be >= 1"):
        trainer(precise_bn=0)
    with pytest.raises(ValueError, match=r"`share` to be in \(0, 1\]"):
        PreciseBN(share=0.0)
    with pytest.raises(TypeError, match="`precise_bn` to be True, a number of batches"):
        trainer(precise_bn="yes")

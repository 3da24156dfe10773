# SPDX-License-Identifier: Apache-2.0
"""Batch norm by parts of a batch in a LightningModule of someone else."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from flash.core.callbacks import PreciseBN, SubBatchNorm, averaging
from pytorchvideo.layers import SubBatchNorm3d


class Someone(pl.LightningModule):
    """Keeps what its norm makes of each batch, and the kind of the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []
        self.kinds: list[type] = []
        self.build()

    def build(self) -> None:
        self.net = nn.Sequential(nn.BatchNorm3d(1), nn.Flatten(), nn.Linear(8, 1))

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return self.net(clip)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.seen.append(self.net[0](batch).detach())
        self.kinds.append(type(self.net[0]))
        return self(batch).mean()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Late(Someone):
    """Builds its network when training begins."""

    def build(self) -> None:
        pass

    def configure_model(self) -> None:
        if not hasattr(self, "net"):
            super().build()


CLIPS = torch.arange(8.0).repeat_interleave(8).reshape(8, 1, 2, 2, 2) ** 2


def fit(
    module: pl.LightningModule, folder: Path, *callbacks: pl.Callback, epochs: int = 1, **more: Any
) -> Any:
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_epochs=epochs,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, DataLoader(list(CLIPS), batch_size=8, num_workers=0), **more)
    return trainer


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*log_every_n"
)


@pytest.mark.parametrize("kind", [Someone, Late])
def test_parts_have_statistics_of_their_own(kind: type[Someone], tmp_path: Path) -> None:
    module = kind()
    trainer = fit(module, tmp_path, SubBatchNorm(2))
    assert module.kinds == [SubBatchNorm3d]
    for part in (0, 1):  # sample n is of part n % 2
        own = CLIPS[part::2]
        wanted = (own - own.mean()) / (own.var(correction=0) + 1e-5).sqrt()
        assert torch.allclose(module.seen[0][part::2], wanted, atol=1e-5)
    # plain again, with the statistics of both: the mean is that of the means
    assert type(module.net[0]) is nn.BatchNorm3d
    share = module.net[0].num_batches_tracked
    assert share == 2  # seen, and once more in the loss
    assert module.net[0].running_mean.item() == pytest.approx(CLIPS.mean().item() * (1 - 0.9**2))
    optimised = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert {id(p) for p in module.parameters()} == optimised


def test_checkpoints_are_those_of_plain_norms(tmp_path: Path) -> None:
    plain = Someone()
    module = Someone()
    module.load_state_dict(plain.state_dict())
    trainer = fit(module, tmp_path, SubBatchNorm(4), PreciseBN(1))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)["state_dict"]
    assert saved.keys() == plain.state_dict().keys()
    plain.load_state_dict(saved)
    # precise statistics are those of the whole batch
    assert saved["net.0.running_mean"].item() == pytest.approx(CLIPS.mean().item())
    # and a run goes on from it, with another number of parts
    again = Someone()
    fit(again, tmp_path, SubBatchNorm(2), epochs=2, ckpt_path=tmp_path / "a.ckpt")
    assert again.kinds == [SubBatchNorm3d]  # of the second epoch
    averaged = Someone()
    fit(averaged, tmp_path, SubBatchNorm(2), averaging(0.5))
    assert averaged.kinds == [SubBatchNorm3d]
    assert type(again.net[0]) is nn.BatchNorm3d


def test_what_is_refused(tmp_path: Path) -> None:
    for wrong in (0, True, 2.0):
        with pytest.raises(ValueError, match="`num_splits` to be a number of parts"):
            SubBatchNorm(wrong)  # type: ignore[arg-type]
    module = Someone()
    module.net[0] = nn.Identity()
    with pytest.raises(ValueError, match="`pl_module` to be one with a BatchNorm3d, but got 'Some"):
        fit(module, tmp_path, SubBatchNorm(2))

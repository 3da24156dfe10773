# SPDX-License-Identifier: Apache-2.0
"""Learning rates that grow with the number of processes, in a LightningModule of someone else."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader

from flash.core.callbacks import ScaleByWorld


class Someone(pl.LightningModule):
    """Keeps the rate of every step."""

    def __init__(self, scheduler: Any) -> None:
        super().__init__()
        self.layer, self.scheduler, self.rates = nn.Linear(1, 1), scheduler, []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        return self.layer(batch).mean()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        schedule = {"scheduler": self.scheduler(optimizer), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


SCHEDULERS = {
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 1 / (step + 1)),
    "step": lambda o: lr_scheduler.StepLR(o, 2, 0.5),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 6, eta_min=0.01),
    "cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.2, 8),
    "chain": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.5, 2), lr_scheduler.CosineAnnealingLR(o, 4, 0.01)], [2]
    ),
}


def fit(
    scheduler: Any,
    folder: Path,
    callback: pl.Callback | None,
    epochs: int = 2,
    ckpt: str | None = None,
) -> tuple[list[float], str]:
    module = Someone(scheduler)
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_epochs=epochs,
        callbacks=[] if callback is None else [callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(
        module, DataLoader(torch.ones(3, 1), batch_size=1), ckpt_path=ckpt, weights_only=False
    )
    path = str(folder / "last.ckpt")
    trainer.save_checkpoint(path)
    return module.rates, path


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available"),
]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_rate_of_the_run_is_scaled(name: str, tmp_path: Path) -> None:
    plain, _ = fit(SCHEDULERS[name], tmp_path, None)
    scaled, _ = fit(SCHEDULERS[name], tmp_path, ScaleByWorld(batch_size=24, reference=8))
    assert len(plain) == 6 and len(set(plain)) > 2
    assert scaled == pytest.approx([3 * rate for rate in plain])


def test_a_run_that_resumes_is_scaled_once(tmp_path: Path) -> None:
    scheduler = SCHEDULERS["step"]
    whole, _ = fit(scheduler, tmp_path, ScaleByWorld(16, reference=8), epochs=4)
    _, path = fit(scheduler, tmp_path, ScaleByWorld(16, reference=8))
    rest, _ = fit(scheduler, tmp_path / "rest", ScaleByWorld(16, reference=8), epochs=4, ckpt=path)
    assert rest == pytest.approx(whole[6:])
    # as on twice as many processes
    more, _ = fit(scheduler, tmp_path / "more", ScaleByWorld(32, reference=8), epochs=4, ckpt=path)
    assert more == pytest.approx([2 * rate for rate in whole[6:]])


def test_a_callback_serves_several_runs(tmp_path: Path) -> None:
    callback = ScaleByWorld(16, reference=8)
    runs = [fit(SCHEDULERS["step"], tmp_path, callback)[0] for _ in range(2)]
    assert runs[0] == runs[1] and runs[0][0] == pytest.approx(0.2)


def test_impossible_batches_are_refused() -> None:
    with pytest.raises(ValueError, match="`reference` to be >= 1, but got 0"):
        ScaleByWorld(8, reference=0)

# SPDX-License-Identifier: Apache-2.0
"""A learning rate for a run by Lightning's finder: rates from low to high, and the loss at each."""

import contextlib
import io
from typing import Any

from pytorch_lightning.tuner import Tuner
from rich.console import Console

from flash.core.schedules import count_batches
from flash.runs.config import RunConfig
from flash.runs.fit import quiet_lightning, run_trainer, seed_epoch, training_data
from flash.runs.folder import RunFolder
from flash.runs.sources import Sources
from flash.video.classification.model import VideoClassifier

_LOWEST, _HIGHEST = 1e-6, 1.0
_FEWEST, _MOST = 30, 100  # steps


def find_rate(
    classifier: VideoClassifier,
    config: RunConfig,
    sources: Sources,
    folder: RunFolder,
    console: Console,
) -> float:
    """Returns the rate at which the loss falls fastest, and draws the losses into the folder of the run.

    Args:
        classifier: with the weights to start from, which it has afterwards, too.
        config: of the run.
        sources: the videos.
        folder: gets ``lr_find.png``.
        console: shows what was found.

    Raises:
        ValueError: the loss falls at none.
    """
    batches = count_batches(len(sources.train), config.batch_size, config.workers or 0)
    steps = min(_MOST, max(_FEWEST, batches // config.accumulate))
    seed_epoch(config.seed, 0)
    folder.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    console.print(f"looking for a learning rate in {steps} steps", highlight=False)
    # Lightning's finder prints a bar of its own
    with quiet_lightning(), contextlib.redirect_stderr(io.StringIO()):
        trainer = run_trainer(
            config, folder, max_epochs=-1, logger=False, check_val_every_n_epoch=10**6
        )
        finder = Tuner(trainer).lr_find(
            classifier,
            datamodule=training_data(config, sources),
            min_lr=_LOWEST,
            max_lr=_HIGHEST,
            num_training=steps,
            update_attr=False,
        )
        found = None if finder is None else finder.suggestion(skip_begin=steps // 10)
    if finder is None or found is None:
        raise ValueError(
            f"--lr find: in {steps} steps there was no rate at which the loss falls. Give --lr a number."
        )
    figure: Any = finder.plot(suggest=True)
    figure.savefig(folder.rates, dpi=120, bbox_inches="tight")
    console.print(
        f"learning rate {found:.2g}, where the loss falls fastest in {steps} steps: {folder.rates}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    return float(found)

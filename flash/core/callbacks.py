# SPDX-License-Identifier: Apache-2.0
"""Callbacks of ``flash.Trainer`` by name: averaged weights, early stopping, exact resuming."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.trainer.states import TrainerFn

from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file

_KEY = "random_state"


class RandomState(pl.Callback):
    """Keeps the state of the random generators in checkpoints, so that a resumed run draws what it would have drawn.

    Only of runs in one process: a checkpoint is written by one rank, whose draws are not those of the others.
    In the middle of an epoch the data has to know its place, too, as a ``ClipDataLoader`` does.
    """

    def __init__(self) -> None:
        self._loaded: Mapping[str, Any] | None = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.world_size == 1:
            checkpoint[_KEY] = get_random_state()

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # before the loader of the resumed epoch is made, which draws its seed
        if trainer.world_size == 1 and trainer.state.fn == TrainerFn.FITTING and _KEY in checkpoint:
            self._loaded = checkpoint[_KEY]
            set_random_state(checkpoint[_KEY])

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # in the middle of an epoch that seed had been drawn before the checkpoint was written
        if self._loaded is not None and trainer.fit_loop.restarted_mid_epoch:
            set_random_state(self._loaded)
        self._loaded = None


class WholeCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint in the place of the old one in one step, after all of it has reached the disk.

    Lightning's own passes through the folder for temporary files, and copies from there if that is another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Writes a file; see Lightning's ``CheckpointIO``. URLs are left to Lightning."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as part:
            torch.save(checkpoint, part)


def get_random_state() -> dict[str, Any]:
    """Returns the state of Python's, NumPy's and PyTorch's generators as plain types and tensors."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Sets what :func:`get_random_state` returned; GPUs are left alone where their number differs."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count() > 0:
        torch.cuda.set_rng_state_all(state["cuda"])


def averaging(decay: float) -> EMAWeightAveraging:
    """Returns the callback of an exponential moving average of the weights and statistics.

    Validation sees the averaged weights, and the model has them at the end.

    Raises:
        ValueError: unless the decay is a share.
    """
    if isinstance(decay, bool) or not isinstance(decay, (int, float)) or not 0 <= decay < 1:
        advice = "0.999 forgets a step in about a thousand."
        raise ValueError(expected("ema", "a decay in [0, 1)", decay, advice))
    return EMAWeightAveraging(decay=decay)


def stopping(spec: str | Mapping[str, Any] | EarlyStopping) -> EarlyStopping:
    """Returns the callback of early stopping.

    Args:
        spec: the value to watch, such as ``"val_accuracy"``, or ``EarlyStopping``'s arguments with it as
            ``monitor``. Names with ``loss`` or ``entropy`` are to fall, all others to rise, unless ``mode`` says it.

    Raises:
        TypeError: for another kind of argument, or without ``monitor``.

    >>> stopping("val_cross_entropy").mode, stopping({"monitor": "val_accuracy", "patience": 5}).mode
    ('min', 'max')
    """
    if isinstance(spec, EarlyStopping):
        return spec
    arguments = {"monitor": spec} if isinstance(spec, str) else spec
    if not isinstance(arguments, Mapping) or not isinstance(arguments.get("monitor"), str):
        wanted = 'the name of a logged value, or arguments such as {"monitor": "val_accuracy"}'
        raise TypeError(expected("early_stopping", wanted, spec))
    falls = any(word in arguments["monitor"] for word in ("loss", "entropy"))
    return EarlyStopping(**{"mode": "min" if falls else "max", **arguments})

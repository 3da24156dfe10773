# SPDX-License-Identifier: Apache-2.0
"""Callbacks of ``flash.Trainer``: averaged weights, early stopping, exact resuming, statistics of BatchNorm,
learning rates that grow with the batch."""

import math
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, EMAWeightAveraging, WeightAveraging
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.trainer.states import TrainerFn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from flash.core.data.io.input import INPUT_KEYS, first_of
from flash.core.published_rates import batch_scale
from flash.core.sub_batch_norm import SubBatchNorm as SubBatchNorm
from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file
from pytorchvideo.layers.precise_bn import update_bn_stats

_KEY = "random_state"
# of optimisers and schedulers, where they keep learning rates
_GROUP_KEYS = ("lr", "initial_lr", "max_lr", "min_lr")
_SCHEDULER_KEYS = ("eta_min", "min_lrs", "base_lrs", "_last_lr")


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


class PreciseBN(pl.Callback):
    """Computes the running statistics of BatchNorm anew before every validation and at the end of training.

    A short training ends before the moving averages of BatchNorm have caught up with the weights, and the model is at
    chance in evaluation though it has learned; see :mod:`pytorchvideo.layers.precise_bn`. The statistics come from
    training batches of a moment ago, which are kept: nothing is decoded twice. Before a validation these are one in
    ``1 / share`` of those since the last one, which costs a few percent of the time; after the last epoch they are
    all that are kept. Layers that were in eval mode in training, as frozen ones are, stay as they are, and with
    averaged weights the statistics are those of the average.

    Args:
        num_batches: training batches to keep, at most.
        share: of the batches of an epoch to look at before a validation, one at least.
        memory_limit_bytes: of the batches that are kept, one at least.
        inputs: what of a batch ``model(...)`` takes, None of a batch to leave out; by default ``video`` or ``input`` of
            a dict, and the first of a list or tuple.

    In several processes the statistics are those of all. What is kept is not in checkpoints: a run that is resumed in
    the middle of an epoch ends with statistics of other clips than one that never stopped, and with the same weights.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        num_batches: int = 16,
        *,
        share: float = 0.25,
        memory_limit_bytes: int = 512 << 20,
        inputs: Callable[[Any], Any] | None = None,
    ) -> None:
        if isinstance(num_batches, bool) or num_batches < 1:
            raise ValueError(expected("num_batches", ">= 1", num_batches))
        if not 0 < share <= 1:
            raise ValueError(expected("share", "in (0, 1]", share))
        self.num_batches, self.share, self.memory_limit_bytes = (
            num_batches,
            share,
            memory_limit_bytes,
        )
        self._inputs = _clips_of if inputs is None else inputs
        self._kept: deque[Any] = deque(maxlen=num_batches)
        self._norms: set[torch.nn.Module] = set()
        self._since = 0  # batches since the last validation
        self._used = 0  # batches behind the present statistics, 0 after a step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Keeps the batch, unless later ones of the epoch will take its place."""
        self._since, self._used = self._since + 1, 0
        if not self._norms:
            self._norms = {
                m for m in pl_module.modules() if isinstance(m, _BatchNorm) and m.training
            }
        total = trainer.num_training_batches
        is_early = total - batch_idx > self.num_batches and trainer.val_check_batch == total
        if not self._norms or (is_early and math.isfinite(total)):
            return
        inputs = self._inputs(batch)
        if inputs is None:
            return
        self._kept.append(inputs)
        while len(self._kept) > 1 and sum(map(_bytes_of, self._kept)) > self.memory_limit_bytes:
            self._kept.popleft()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts anew, as a run does that is resumed here."""
        self._norms = set()
        self._kept.clear()
        self._since = 0

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Updates before the first batch: averaged weights have been put in place by then."""
        if batch_idx == dataloader_idx == 0 and trainer.state.fn == TrainerFn.FITTING:
            is_last = trainer.max_epochs == trainer.current_epoch + 1
            self._update(trainer, pl_module, all_kept=is_last)
            self._since = 0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Updates where no validation did, or where this epoch turned out to be the last."""
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        averages = any(isinstance(one, WeightAveraging) for one in callbacks)
        if not averages and (self._used == 0 or trainer.should_stop):
            self._update(trainer, pl_module, all_kept=trainer.should_stop)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Updates from all that is kept, unless that has been done, and lets go of it."""
        self._update(trainer, pl_module, all_kept=True)
        self._kept.clear()

    def _update(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *, all_kept: bool
    ) -> None:
        wanted = len(self._kept) if all_kept else max(1, math.ceil(self.share * self._since))
        batches = list(self._kept)[-wanted:]
        if not batches or self._used >= len(batches):
            return
        with trainer.precision_plugin.forward_context():
            update_bn_stats(pl_module, batches, len(batches), norms=self._norms)
        self._used = len(batches)


def _clips_of(batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return first_of(batch, INPUT_KEYS)
    return batch[0] if isinstance(batch, Sequence) else batch


def _bytes_of(inputs: Any) -> int:
    if isinstance(inputs, torch.Tensor):
        return inputs.nbytes
    if isinstance(inputs, Mapping):
        return sum(map(_bytes_of, inputs.values()))
    return sum(map(_bytes_of, inputs)) if isinstance(inputs, (list, tuple)) else 0


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


def precise(spec: bool | int | PreciseBN) -> PreciseBN:
    """Returns the callback of precise BN: of True with its defaults, of a number with so many batches.

    Raises:
        TypeError: for another kind of argument.
        ValueError: the number is below 1.
    """
    if isinstance(spec, PreciseBN):
        return spec
    if not isinstance(spec, int):
        raise TypeError(expected("precise_bn", "True, a number of batches or a PreciseBN", spec))
    return PreciseBN() if spec is True else PreciseBN(spec)


def after_averages(callbacks: Sequence[pl.Callback]) -> list[pl.Callback]:
    """Returns callbacks in an order in which the statistics of BatchNorm are those of averaged weights."""
    averages = [place for place, one in enumerate(callbacks) if isinstance(one, WeightAveraging)]
    if not averages:
        return list(callbacks)
    last = averages[-1] + 1
    early = [one for one in callbacks[:last] if isinstance(one, PreciseBN)]
    others = [one for one in callbacks[:last] if not isinstance(one, PreciseBN)]
    return [*others, *early, *callbacks[last:]]


class ScaleByWorld(pl.Callback):
    """Multiplies all learning rates by the clips of a step of all processes over those that the rates are for.

    The rates of the optimisers are multiplied when training begins, with those that schedulers keep: what they start
    from, and where ``CosineAnnealingLR``, ``OneCycleLR`` and ``ReduceLROnPlateau`` end. A run that resumes from a
    checkpoint with another number of processes is scaled from that one's.

    Args:
        batch_size: clips of a process in a step, with repeated ones.
        reference: clips in a step that the rates are for; PySlowFast's configurations state them for a node, of 64 as a
            rule.

    Accumulated batches (``Trainer(accumulate_grad_batches=...)``) count. See
    :func:`flash.core.published_rates.batch_scale`.

    Raises:
        ValueError: a number is not positive.

    Example::

        Trainer(devices=8, num_nodes=8, callbacks=[ScaleByWorld(batch_size=8, reference=64)])  # 0.1 becomes 0.8
    """

    def __init__(self, batch_size: int, reference: int = 64) -> None:
        for name, value in (("batch_size", batch_size), ("reference", reference)):
            if value < 1:
                raise ValueError(expected(name, ">= 1", value))
        self.batch_size, self.reference = batch_size, reference
        self.factor = 1.0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit":
            # it makes optimisers anew, and a checkpoint is read afterwards
            self.factor = 1.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # after a checkpoint is loaded, whose rates have its factor already
        clips = self.batch_size * trainer.accumulate_grad_batches
        factor = batch_scale(clips, trainer.world_size, self.reference)
        change, self.factor = factor / self.factor, factor
        for optimizer in trainer.optimizers:
            _scale_groups(optimizer, change)
        for config in trainer.lr_scheduler_configs:
            _scale_scheduler(config.scheduler, change)

    def state_dict(self) -> dict[str, Any]:
        """Returns the factor that the rates of a checkpoint have."""
        return {"factor": self.factor}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what :meth:`state_dict` returned."""
        self.factor = float(state_dict["factor"])


def _scale_groups(optimizer: Optimizer, change: float) -> None:
    for group in optimizer.param_groups:
        for key in _GROUP_KEYS:
            if key in group:
                group[key] = group[key] * change


def _scale_scheduler(scheduler: Any, change: float) -> None:
    for key in _SCHEDULER_KEYS:
        value = getattr(scheduler, key, None)
        if isinstance(value, list):
            setattr(scheduler, key, [rate * change for rate in value])
        elif value is not None:
            setattr(scheduler, key, value * change)
    for inner in getattr(scheduler, "_schedulers", ()):  # SequentialLR, ChainedScheduler
        _scale_scheduler(inner, change)

# SPDX-License-Identifier: Apache-2.0
"""``flash.Trainer``: Lightning's trainer that also fine-tunes and predicts with names."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, RichModelSummary, RichProgressBar
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO

from flash.core.callbacks import (
    PreciseBN,
    RandomState,
    WholeCheckpoints,
    after_averages,
    averaging,
    precise,
    stopping,
)
from flash.core.data.io.output import Output, answers, resolve_output
from flash.core.finetuning import resolve_strategy
from flash.core.model import Task
from flash.core.progress_bar import Summary, TrainingBar
from pytorchvideo._checks import expected


class Trainer(pl.Trainer):
    """A ``pytorch_lightning.Trainer`` with :meth:`Trainer.finetune`, and :meth:`Trainer.predict` that answers in words.

    Takes the arguments of Lightning's trainer (``accelerator``, ``precision="bf16-mixed"``,
    ``accumulate_grad_batches``, ``gradient_clip_val``, ``deterministic=True``, ...) and those below. Without
    TensorBoard the default log is Lightning's csv. A run in one process that is resumed with ``ckpt_path``
    at the end of an epoch goes on as if it had not been interrupted, down to the random numbers.

    Args:
        gpus: Flash's and old Lightning's number or list of GPUs; 0 is the CPU, -1 all.
        ema: decay of a moving average of the weights, e.g. 0.999: validation and the trained model use
            the average.
        early_stopping: the value to watch, e.g. ``"val_accuracy"``, or the arguments of Lightning's
            ``EarlyStopping``.
        precise_bn: compute the running statistics of BatchNorm anew before validations and at the end, which short
            trainings need: True, the most batches to do it from, or a :class:`flash.core.callbacks.PreciseBN`.
        compile: compile the backbone with ``torch.compile`` before training, or its arguments.
        channels_last_3d: keep the weights of 3-D convolutions with the channels last, which is faster on
            many devices; results are the same but for rounding.
        kwargs: Lightning's.
    """

    def __init__(
        self,
        *,
        gpus: int | Sequence[int] | None = None,
        ema: float | None = None,
        early_stopping: str | Mapping[str, Any] | EarlyStopping | None = None,
        precise_bn: bool | int | PreciseBN = False,
        compile: bool | Mapping[str, Any] = False,
        channels_last_3d: bool = False,
        **kwargs: Any,
    ) -> None:
        self._strategy_callback: pl.Callback | None = None
        self._compile = _compile_arguments(compile)
        self._channels_last_3d = channels_last_3d
        if gpus is not None:
            kwargs.update(_devices(gpus, kwargs))
        wants_default_log = kwargs.get("logger") in (None, True) and not kwargs.get("barebones")
        if wants_default_log and not (find_spec("tensorboard") or find_spec("tensorboardX")):
            kwargs["logger"] = CSVLogger(kwargs.get("default_root_dir") or ".")
        given = kwargs.get("callbacks") or []
        callbacks = [given] if isinstance(given, pl.Callback) else list(given)
        if ema is not None:
            callbacks.append(averaging(ema))
        if early_stopping is not None:
            callbacks.append(stopping(early_stopping))
        if precise_bn is not False:
            callbacks.insert(0, precise(precise_bn))
        super().__init__(**{**kwargs, "callbacks": [RandomState(), *after_averages(callbacks)]})
        self._replace_defaults(callbacks)
        with suppress(NotImplementedError):  # of strategies that write folders
            if type(self.strategy.checkpoint_io) is TorchCheckpointIO:
                self.strategy.checkpoint_io = WholeCheckpoints()

    def _replace_defaults(self, given: Sequence[pl.Callback]) -> None:
        """Puts the bar and the summary of this library in the place of those that Lightning added by itself."""
        ours: dict[type, type[pl.Callback]] = {
            RichProgressBar: TrainingBar,
            RichModelSummary: Summary,
        }
        self.callbacks: list[pl.Callback] = [
            ours[type(one)]() if type(one) in ours and one not in given else one
            for one in self.callbacks
        ]

    def fit(
        self,
        model: pl.LightningModule,
        train_dataloaders: Any = None,
        val_dataloaders: Any = None,
        datamodule: pl.LightningDataModule | None = None,
        ckpt_path: Any = None,
        weights_only: bool | None = None,
        *,
        train_dataloader: Any = None,
    ) -> None:
        """Trains ``model`` as it is: what is frozen stays frozen.

        ``train_dataloader`` is Flash's name for ``train_dataloaders``; the rest is Lightning's.
        """
        train_dataloaders = _either(
            "train_dataloaders", train_dataloaders, "train_dataloader", train_dataloader
        )
        self._lay_out(model)
        with _quiet():
            super().fit(
                model, train_dataloaders, val_dataloaders, datamodule, ckpt_path, weights_only
            )

    def _lay_out(self, model: pl.LightningModule) -> None:
        """Changes how a model computes, not what: its state dict stays the same."""
        if self._channels_last_3d:
            for parameter in model.parameters():
                if parameter.ndim == 5:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
        if self._compile is not None:
            network = getattr(model, "backbone", model)
            network.compile(**self._compile)

    def finetune(
        self,
        model: pl.LightningModule,
        train_dataloader: Any = None,
        val_dataloaders: Any = None,
        datamodule: pl.LightningDataModule | None = None,
        strategy: str | tuple[Any, ...] | pl.Callback = "no_freeze",
        train_bn: bool = True,
        *,
        train_dataloaders: Any = None,
        ckpt_path: Any = None,
    ) -> None:
        """Trains ``model`` under a fine-tuning strategy.

        Args:
            model: a :class:`flash.Task`, or any LightningModule with a ``backbone``.
            train_dataloader: training batches, unless ``datamodule`` has them.
            val_dataloaders: validation batches.
            datamodule: both of them.
            strategy: see :mod:`flash.core.finetuning`: a name, ``(name, arguments)`` or a
                ``BaseFinetuning`` callback. By default everything trains.
            train_bn: whether BatchNorm layers of a frozen backbone go on learning.
            train_dataloaders: Lightning's name for ``train_dataloader``.
            ckpt_path: checkpoint to go on from.

        Raises:
            ValueError: for an unknown strategy.
            TypeError: for something that is no strategy.
        """
        callback = resolve_strategy(strategy, train_bn)
        loaders = _either(
            "train_dataloader", train_dataloader, "train_dataloaders", train_dataloaders
        )
        # the strategy of an earlier call ends with it
        self.callbacks = [kept for kept in self.callbacks if kept is not self._strategy_callback]
        self._strategy_callback = callback
        if callback is not None and callback not in self.callbacks:
            # before the checkpoint callback, which Lightning keeps last
            self.callbacks.insert(0, callback)
        self.fit(model, loaders, val_dataloaders, datamodule, ckpt_path)

    def validate(self, *args: Any, **kwargs: Any) -> Any:
        """Lightning's ``validate``."""
        with _quiet():
            return super().validate(*args, **kwargs)

    def test(self, *args: Any, **kwargs: Any) -> Any:
        """Lightning's ``test``."""
        with _quiet():
            return super().test(*args, **kwargs)

    def save_checkpoint(
        self, filepath: Any, weights_only: bool | None = False, storage_options: Any = None
    ) -> None:
        """Lightning's ``save_checkpoint``; by default with what a resumed run needs."""
        super().save_checkpoint(filepath, weights_only, storage_options)

    def predict(  # type: ignore[override]
        self,
        model: pl.LightningModule | None = None,
        dataloaders: Any = None,
        output: str | Output | None = None,
        datamodule: pl.LightningDataModule | None = None,
        return_predictions: bool | None = None,
        ckpt_path: Any = None,
        weights_only: bool | None = None,
    ) -> Any:
        """Predicts every sample of a loader.

        Args:
            model: the task; None is the one that was trained last.
            dataloaders: batches, unless ``datamodule`` has them.
            output: ``"labels"``, ``"classes"``, ``"probabilities"``, ``"logits"``, ``"preds"``, ``"top_k"``,
                ``"fiftyone"``, ``"raw"`` or an :class:`flash.core.data.io.output.Output`; None is the task's own
                ``output``, else ``"raw"``: the sample dicts without frames and sound, with the logits as ``preds``.
            datamodule: a datamodule with predict data.
            return_predictions: as Lightning's.
            ckpt_path: as Lightning's.
            weights_only: as Lightning's.

        Returns:
            A list of batches, each a list with one answer a sample. For a LightningModule that is no
            :class:`flash.Task` what Lightning returns, and ``output`` must be None.
        """
        if model is None and ckpt_path is None:
            model = self.lightning_module
        resolve_output(output)  # a wrong name is said before the work
        with _quiet():
            batches: Any = super().predict(
                model, dataloaders, datamodule, return_predictions, ckpt_path, weights_only
            )
        task = self.lightning_module
        if not isinstance(task, Task):
            if output is not None:
                raise TypeError(
                    expected("output", "None for a module that is no flash.Task", output)
                )
            return batches
        if batches is None:
            return None
        shown = task.output if output is None else output
        if batches and isinstance(batches[0], list):  # several loaders
            return [[answers(batch, task, shown) for batch in loader] for loader in batches]
        return [answers(batch, task, shown) for batch in batches]


def _devices(gpus: int | Sequence[int], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Lightning's arguments for Flash's ``gpus``."""
    if "accelerator" in kwargs or "devices" in kwargs:
        raise TypeError("Expected either `gpus` or `accelerator` and `devices`, but got both.")
    count = gpus if isinstance(gpus, int) else list(gpus)
    return {"accelerator": "gpu" if count else "cpu", "devices": count or 1}


def _compile_arguments(spec: bool | Mapping[str, Any]) -> dict[str, Any] | None:
    if isinstance(spec, bool):
        return {} if spec else None
    if not isinstance(spec, Mapping):
        wanted = "True, False or the arguments of torch.compile"
        raise TypeError(expected("compile", wanted, spec))
    return dict(spec)


def _either(first: str, value: Any, second: str, other: Any) -> Any:
    if value is not None and other is not None:
        raise TypeError(
            f"Expected one of `{first}` and `{second}`, two names of one argument, but got both."
        )
    return other if value is None else value


# What Lightning warns of though nothing is wrong: decoding in the main process is a valid choice, so is
# training without validation data, and the class that its tree helpers ask for is torch's business. DDP compares
# strides of dimensions of size 1 too, which say nothing of where anything lies: those of the gradients of pointwise and
# depthwise kernels differ from their parameters'. Autograd brings any other difference in line before DDP looks.
_NOISE = (
    ".*does not have many workers.*",
    "Total length of `list` across ranks is zero.*",
    ".*but have no `val_dataloader`.*",
    "Grad strides do not match bucket view strides.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
)
# advertisements for other packages
logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(
    lambda record: "Tip: For seamless" not in record.getMessage()
)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in _NOISE:
            warnings.filterwarnings("ignore", message=message)
        yield

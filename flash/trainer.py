# SPDX-License-Identifier: Apache-2.0
"""``flash.Trainer``: Lightning's trainer that also fine-tunes and predicts with names."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from flash.finetuning import resolve_strategy
from flash.outputs import Output, resolve_output
from flash.task import Task
from pytorchvideo._checks import expected


class Trainer(pl.Trainer):
    """A ``pytorch_lightning.Trainer`` with :meth:`finetune` and a :meth:`predict` that answers in words.

    Takes the arguments of Lightning's trainer. Without TensorBoard the default log is Lightning's csv.
    The old ``gpus=N`` is understood.
    """

    def __init__(self, *, gpus: int | None = None, **kwargs: Any) -> None:
        self._strategy_callback: pl.Callback | None = None
        if gpus is not None:
            if "accelerator" in kwargs or "devices" in kwargs:
                raise TypeError(
                    "Expected either `gpus` or `accelerator` and `devices`, but got both."
                )
            kwargs["accelerator"] = "gpu" if gpus else "cpu"
            kwargs["devices"] = gpus or 1
        wants_default_log = kwargs.get("logger") in (None, True) and not kwargs.get("barebones")
        if wants_default_log and not (find_spec("tensorboard") or find_spec("tensorboardX")):
            kwargs["logger"] = CSVLogger(kwargs.get("default_root_dir") or ".")
        super().__init__(**kwargs)

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
        with _quiet():
            super().fit(
                model, train_dataloaders, val_dataloaders, datamodule, ckpt_path, weights_only
            )

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
            strategy: see :mod:`flash.finetuning`: a name, ``(name, arguments)`` or a
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
        callbacks: list[pl.Callback] = list(self.callbacks)  # type: ignore[has-type]
        self.callbacks = [kept for kept in callbacks if kept is not self._strategy_callback]
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
            output: ``"labels"``, ``"classes"``, ``"probabilities"``, ``"logits"``, ``"preds"``, ``"raw"``
                or an :class:`flash.outputs.Output`; None is the task's own ``output``, else ``"raw"``:
                the sample dicts without pictures and sound, with the logits as ``preds``.
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
        shown = resolve_output(
            task.output if output is None else output, task.labels, task.multi_label
        )
        if batches and isinstance(batches[0], list):  # several loaders
            return [[_answers(batch, shown) for batch in loader] for loader in batches]
        return [_answers(batch, shown) for batch in batches]


def _answers(batch: Mapping[str, Any], output: Output | None) -> list[Any]:
    """One answer for each sample of a batch dict whose ``preds`` are (B, N) logits."""
    preds = batch["preds"]
    if output is not None:
        return [output(logits) for logits in preds]
    return [{key: _sample_of(value, i) for key, value in batch.items()} for i in range(len(preds))]


def _sample_of(value: Any, index: int) -> Any:
    value = value[index]
    return value.item() if isinstance(value, torch.Tensor) and value.ndim == 0 else value


def _either(first: str, value: Any, second: str, other: Any) -> Any:
    if value is not None and other is not None:
        raise TypeError(
            f"Expected one of `{first}` and `{second}`, two names of one argument, but got both."
        )
    return other if value is None else value


# What Lightning warns of though nothing is wrong: decoding in the main process is a valid choice, so is
# training without validation data, and the class that its tree helpers ask for is torch's business.
_NOISE = (
    ".*does not have many workers.*",
    "Total length of `list` across ranks is zero.*",
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

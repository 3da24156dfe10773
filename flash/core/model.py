# SPDX-License-Identifier: Apache-2.0
"""A task: a network with its loss, metrics and optimiser, ready for :class:`flash.Trainer`."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric

from flash.core.data.io.input import INPUT_KEYS, TARGET_KEYS, first_of
from flash.core.data.io.output import OUTPUT_NAMES, Output
from flash.core.finetuning import STRATEGIES, FlashBaseFinetuning
from flash.core.layer_decay import decayed_groups, scale_rates
from flash.core.optimizer_names import (
    OptimizerSpec,
    SchedulerSpec,
    optimizer_classes,
    optimizer_factory,
    scheduler_factory,
    schedulers,
)
from flash.core.schedules import training_steps
from flash.core.weight_decay import (
    by_decay,
    check_decay_rules,
    set_decays,
    weight_decay_exceptions,
)
from pytorchvideo._checks import expected

Scorer = Callable[[Tensor, Tensor], Tensor]
ScorerSpec = Scorer | Sequence[Scorer] | Mapping[str, Scorer]

_STAGES = ("train", "val", "test")
_INPUTS = ("audio", *INPUT_KEYS)


class Task(pl.LightningModule):
    """Base of the tasks: the steps, what they log, and how the optimiser is built.

    Values are logged as ``train_``, ``val_`` or ``test_`` plus the name of the loss or metric, e.g.
    ``val_accuracy`` and ``train_cross_entropy``.

    Args:
        loss_fn: ``(logits, targets) -> scalar``, or several in a list or dict; several are added up.
        optimizer: see :func:`flash.core.optimizer_names.optimizer_factory`.
        lr_scheduler: see :func:`flash.core.optimizer_names.scheduler_factory`; None keeps the rate.
        metrics: a ``torchmetrics.Metric`` or callable ``(logits, targets)``, or a list or dict of them.
        learning_rate: None leaves the optimiser's own default.
        output: what :meth:`flash.Trainer.predict` returns unless it is told; see :mod:`flash.core.data.io.output`.
        layer_decay: share of the learning rate that a layer passes on to the one before it, see
            :mod:`flash.core.layer_decay`; 1 gives all layers the same.
        decay_rules: which parameters have another weight decay than the optimiser's: keywords of
            :func:`flash.core.weight_decay.weight_decay_exceptions`, e.g. ``{"zero_1d": True}``; None for none.

    Attributes:
        labels: class names in the order of the logits.
        multi_label: whether targets are (B, N) with a 1 for each class of a sample.
        threshold: probability from which a class counts, with ``multi_label``.
    """

    labels: list[str] | None = None
    multi_label: bool = False
    threshold: float = 0.5

    def __init__(
        self,
        loss_fn: ScorerSpec,
        optimizer: OptimizerSpec = "Adam",
        lr_scheduler: SchedulerSpec | None = None,
        metrics: ScorerSpec | None = None,
        learning_rate: float | None = None,
        output: str | Output | None = None,
        layer_decay: float = 1.0,
        decay_rules: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not 0 < layer_decay <= 1:
            raise ValueError(expected("layer_decay", "in 0..1, and not 0", layer_decay))
        self.layer_decay = layer_decay
        self.decay_rules = check_decay_rules(decay_rules)
        self.learning_rate = learning_rate
        self.output = output
        self._optimizer_factory = optimizer_factory(optimizer, learning_rate)
        self._scheduler_factory = None if lr_scheduler is None else scheduler_factory(lr_scheduler)
        self._losses = _named("loss_fn", loss_fn)
        self._metrics = {} if metrics is None else _named("metrics", metrics)
        # a loss with weights moves with the model; each stage counts in its own copy of a metric
        self.loss_modules = nn.ModuleDict(
            {name: loss for name, loss in self._losses.items() if isinstance(loss, nn.Module)}
        )
        self.metric_modules = nn.ModuleDict(
            {
                f"{stage}_{name}": metric.clone()
                for stage in _STAGES
                for name, metric in self._metrics.items()
                if isinstance(metric, Metric)
            }
        )

        # Lightning's own mean is that of one process, and rounds the number of samples
        plain = [name for name in self._metrics if f"val_{name}" not in self.metric_modules]
        self.mean_modules = nn.ModuleDict(
            {
                f"{stage}_{name}": MeanMetric(nan_strategy="disable")
                for stage in _STAGES
                for name in (*self._losses, "loss", *plain)
            }
        )

    def step(self, batch: Mapping[str, Any], stage: str) -> Tensor:
        """Returns the loss of a batch and logs it with the metrics of ``stage``."""
        inputs, targets = first_of(batch, INPUT_KEYS), first_of(batch, TARGET_KEYS)
        if stage == "train":
            inputs, targets = self.prepare_training(inputs, targets)
        logits = self(inputs)
        self.check_logits(logits)
        losses = {name: loss(logits, targets) for name, loss in self._losses.items()}
        total = sum(losses.values(), logits.new_zeros(()))
        values: dict[str, Any] = {f"{stage}_{name}": value for name, value in losses.items()}
        if len(losses) > 1:
            values[f"{stage}_loss"] = total
        classes = self.metric_targets(targets)
        for name, metric in self._metrics.items():
            values[f"{stage}_{name}"] = self._score(f"{stage}_{name}", metric, logits, classes)
        for name, value in values.items():
            if name in self.mean_modules:
                # once for each sample: without its nan strategy MeanMetric has no weights
                mean = torch.as_tensor(value, device=logits.device).detach().expand(len(logits))
                value = cast(MeanMetric, self.mean_modules[name])
                # as above, the forward pass keeps the batch's value for the step's log
                value(mean) if stage == "train" else value.update(mean)
            self.log(
                name,
                value,
                on_step=stage == "train",
                on_epoch=True,
                prog_bar=True,
                batch_size=len(logits),
            )
        return total

    def _score(self, name: str, metric: Scorer, logits: Tensor, targets: Tensor) -> Any:
        if name not in self.metric_modules:
            return metric(logits, targets)
        module = self.metric_modules[name]
        # the forward pass, unlike update(), also keeps this batch's value for the step's log
        module(logits.detach(), targets)
        return module

    def check_logits(self, logits: Tensor) -> None:
        """Raises if the network's answer does not fit the task; the base class accepts all."""

    def prepare_training(self, inputs: Any, targets: Tensor) -> tuple[Any, Tensor]:
        """Changes a batch on the device, in training only; the base class leaves it as it is."""
        return inputs, targets

    def metric_targets(self, targets: Tensor) -> Tensor:
        """Returns the targets as metrics take them; the base class leaves them as they are."""
        return targets

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> Tensor:
        return self.step(batch, "train")

    def validation_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        self.step(batch, "val")

    def test_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        self.step(batch, "test")

    def predict_step(
        self, batch: Any, batch_idx: int = 0, dataloader_idx: int = 0
    ) -> dict[str, Any]:
        """Returns the batch without its frames and sound, and with the logits as ``preds``."""
        if isinstance(batch, Tensor):
            return {"preds": self(batch)}
        kept = {key: value for key, value in batch.items() if key not in _INPUTS}
        return {**kept, "preds": self(first_of(batch, INPUT_KEYS))}

    def configure_optimizers(self) -> Any:
        """Builds the optimiser on every parameter that trains at any time of the run."""
        parameters = self._parameters_to_optimize()
        if self.layer_decay == 1 and self.decay_rules is None:
            optimizer = self._optimizer_factory(parameters)
        else:
            network = getattr(self, "backbone", self)
            layers = [(parameters, 1.0)]
            if self.layer_decay < 1:
                layers = list(decayed_groups(network, parameters, self.layer_decay))
            others = weight_decay_exceptions(network, **(self.decay_rules or {}))
            groups = [
                (part, share, decay)
                for layer, share in layers
                for part, decay in by_decay(layer, others)
            ]
            optimizer = self._optimizer_factory([{"params": part} for part, _, _ in groups])
            scale_rates(optimizer, [share for _, share, _ in groups])
            set_decays(optimizer, [decay for _, _, decay in groups])
        if self._scheduler_factory is None:
            return optimizer
        trainer = self._trainer
        steps = None if trainer is None else partial(training_steps, trainer)
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler_factory(optimizer, steps)}

    def _parameters_to_optimize(self) -> list[nn.Parameter]:
        callbacks: list[pl.Callback] = getattr(self._trainer, "callbacks", [])
        for callback in callbacks:
            if isinstance(callback, FlashBaseFinetuning):
                return callback.parameters_to_optimize(self)
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @classmethod
    def available_optimizers(cls) -> list[str]:
        """Names that ``optimizer`` takes."""
        return sorted(optimizer_classes())

    @classmethod
    def available_lr_schedulers(cls) -> list[str]:
        """Names that ``lr_scheduler`` takes."""
        return sorted(schedulers())

    @classmethod
    def available_schedulers(cls) -> list[str]:
        """Flash's former name for :meth:`available_lr_schedulers`."""
        return cls.available_lr_schedulers()

    @classmethod
    def available_finetuning_strategies(cls) -> list[str]:
        """Names that ``Trainer.finetune(strategy=...)`` takes."""
        return sorted(STRATEGIES)

    @classmethod
    def available_outputs(cls) -> list[str]:
        """Names that ``Trainer.predict(output=...)`` takes."""
        return list(OUTPUT_NAMES)


def _named(argument: str, spec: Any) -> dict[str, Any]:
    """Loss functions or metrics by the name under which they are logged."""
    if isinstance(spec, Mapping):
        named = dict(spec)
    elif isinstance(spec, Sequence):
        named = {_name_of(scorer): scorer for scorer in spec}
    else:
        named = {_name_of(spec): spec}
    if not named or not all(callable(scorer) for scorer in named.values()):
        raise TypeError(expected(argument, "a callable, or a list or dict of them", spec))
    return named


def _name_of(scorer: Any) -> str:
    """``F.cross_entropy`` -> cross_entropy, ``MulticlassF1Score()`` -> f1_score."""
    name = getattr(scorer, "__name__", None) or type(scorer).__name__
    name = re.sub(r"^(Multiclass|Multilabel|Binary)(?=[A-Z])", "", name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()

# SPDX-License-Identifier: Apache-2.0
"""Strategies of :meth:`flash.Trainer.finetune`: the parameters that train in each epoch.

=========================  ======================================================================
``"no_freeze"``            everything trains from the first epoch
``"freeze"``               the head trains, and by default the backbone's BatchNorm
``"freeze_unfreeze"``      ``"freeze"`` until epoch 10, then everything
``"unfreeze_milestones"``  ``"freeze"`` until epoch 5, then the last 5 layers too, from epoch 10 everything
=========================  ======================================================================

Other epochs are given as ``("freeze_unfreeze", 3)`` and ``("unfreeze_milestones", ((3, 6), 4))``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import BaseFinetuning
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo._checks import expected

STRATEGIES = ("freeze", "freeze_unfreeze", "no_freeze", "unfreeze_milestones")

_EXAMPLES = {
    "freeze_unfreeze": '("freeze_unfreeze", 3): unfreeze at epoch 3',
    "unfreeze_milestones": '("unfreeze_milestones", ((3, 6), 4)): the last 4 layers at epoch 3, all at epoch 6',
}


class FlashBaseFinetuning(pl.Callback):
    """Freezes the backbone of a model before training and unfreezes it in steps.

    The optimiser gets every parameter that is to train at any time of the run, in one group, so a
    scheduler, a resumed run and a later unfreezing all see the same optimiser.

    Args:
        milestones: ``(epoch, num_layers)`` pairs: from this epoch on the last ``num_layers`` leaf
            modules of the backbone train; None is all of them. Empty: the backbone stays frozen.
        train_bn: whether the frozen backbone's BatchNorm goes on learning. False also stops its
            running statistics: the layers stay in eval mode.
    """

    def __init__(
        self, milestones: Sequence[tuple[int, int | None]] = (), train_bn: bool = True
    ) -> None:
        super().__init__()
        self.milestones = sorted(milestones, key=lambda milestone: milestone[0])
        self.train_bn = train_bn
        self._frozen_norms: list[nn.Module] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Freezes before the optimiser is built."""
        if stage != "fit":
            return
        self._apply(pl_module, epoch=0)
        norms = {
            p for m in pl_module.modules() if isinstance(m, _BatchNorm) for p in m.parameters()
        }
        if not self.milestones and all(
            p in norms or not p.requires_grad for p in pl_module.parameters()
        ):
            raise ValueError(
                f"Nothing but BatchNorm is left to train: {type(_backbone(pl_module)).__name__} is frozen and "
                "has no head. Pass head=..., or use another strategy."
            )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reaches the state of this epoch, also when the run was resumed in the middle."""
        self._apply(pl_module, trainer.current_epoch)
        for norm in self._frozen_norms:
            norm.eval()

    def parameters_to_optimize(self, module: nn.Module) -> list[nn.Parameter]:
        """Every parameter that trains at some epoch: all of them if something is unfrozen later."""
        if any(num_layers is None for _, num_layers in self.milestones):
            return list(module.parameters())
        later = {
            id(parameter)
            for _, num_layers in self.milestones
            for layer in _last_layers(_backbone(module), num_layers)
            for parameter in layer.parameters(recurse=False)
        }
        return [p for p in module.parameters() if p.requires_grad or id(p) in later]

    def _apply(self, module: nn.Module, epoch: int) -> None:
        backbone = _backbone(module)
        trained: set[nn.Module] = set(getattr(module, "head_modules", list)())
        for start, num_layers in self.milestones:
            if epoch >= start:
                trained.update(_last_layers(backbone, num_layers))
        self._frozen_norms = []
        for layer in backbone.modules():
            is_norm = isinstance(layer, _BatchNorm)
            trains = layer in trained or (is_norm and self.train_bn)
            for parameter in layer.parameters(recurse=False):
                parameter.requires_grad_(trains)
            if is_norm and trains:
                layer.train(module.training)
            elif is_norm:
                self._frozen_norms.append(layer)


class NoFreeze(FlashBaseFinetuning):
    """Everything trains from the first epoch."""

    def __init__(self) -> None:
        super().__init__([(0, None)])


class Freeze(FlashBaseFinetuning):
    """The backbone stays frozen; see :class:`FlashBaseFinetuning` for ``train_bn``."""

    def __init__(self, *, train_bn: bool = True) -> None:
        super().__init__(train_bn=train_bn)


class FreezeUnfreeze(FlashBaseFinetuning):
    """The backbone is frozen until an epoch.

    Args:
        unfreeze_epoch: the first epoch in which everything trains.
        train_bn: see :class:`FlashBaseFinetuning`.
    """

    def __init__(self, *, unfreeze_epoch: int = 10, train_bn: bool = True) -> None:
        super().__init__([(unfreeze_epoch, None)], train_bn)


class UnfreezeMilestones(FlashBaseFinetuning):
    """The backbone is unfrozen in two steps.

    Args:
        unfreeze_milestones: the epoch from which the last layers train, and that from which all do.
        num_layers: how many the last layers are.
        train_bn: see :class:`FlashBaseFinetuning`.
    """

    def __init__(
        self,
        *,
        unfreeze_milestones: tuple[int, int] = (5, 10),
        num_layers: int = 5,
        train_bn: bool = True,
    ) -> None:
        first, second = unfreeze_milestones
        super().__init__([(first, num_layers), (second, None)], train_bn)


def _backbone(module: nn.Module) -> nn.Module:
    backbone = getattr(module, "backbone", None)
    if not isinstance(backbone, nn.Module):
        raise TypeError(
            f"Expected {type(module).__name__} to have an nn.Module `backbone` for the strategy to freeze. "
            'Use strategy="no_freeze" or a BaseFinetuning callback of your own.'
        )
    return backbone


def _last_layers(backbone: nn.Module, num_layers: int | None) -> Iterator[nn.Module]:
    """The last leaf modules in definition order, e.g. dropout, projection and pool; all modules for None."""
    if num_layers is None:
        yield from backbone.modules()
        return
    leaves = [layer for layer in backbone.modules() if not any(True for _ in layer.children())]
    yield from leaves[-num_layers:]


def resolve_strategy(
    strategy: str | tuple[Any, ...] | pl.Callback, train_bn: bool = True
) -> pl.Callback | None:
    """Returns the callback of a fine-tuning strategy; None where nothing is frozen.

    Args:
        strategy: a name, a ``(name, arguments)`` pair, or a ``BaseFinetuning`` callback.
        train_bn: see :class:`FlashBaseFinetuning`; a callback of the caller's decides itself.

    Raises:
        TypeError: if ``strategy`` is of no such type, or a pair has unfit arguments.
        ValueError: for an unknown name.

    >>> resolve_strategy("no_freeze") is None
    True
    """
    if isinstance(strategy, (BaseFinetuning, FlashBaseFinetuning)):
        return strategy
    name, argument = (
        strategy if isinstance(strategy, tuple) and len(strategy) == 2 else (strategy, None)
    )
    if not isinstance(name, str):
        wanted = "the name of a strategy, a (name, arguments) pair or a BaseFinetuning callback"
        raise TypeError(expected("strategy", wanted, strategy, f"Names: {', '.join(STRATEGIES)}."))
    if name not in STRATEGIES:
        raise ValueError(expected("strategy", f"one of {', '.join(STRATEGIES)}", name))
    if name in ("no_freeze", "freeze"):
        if argument is not None:
            raise TypeError(expected("strategy", f"{name!r} without arguments", strategy))
        return None if name == "no_freeze" else Freeze(train_bn=train_bn)
    if name == "freeze_unfreeze":
        epoch = 10 if argument is None else argument
        if not _is_count(epoch):
            raise TypeError(expected("strategy", f"like {_EXAMPLES[name]}", strategy))
        return FreezeUnfreeze(unfreeze_epoch=epoch, train_bn=train_bn)
    epochs, num_layers = ((5, 10), 5) if argument is None else _pair(argument, name, strategy)
    first, second = _pair(epochs, name, strategy)
    if not all(_is_count(value) for value in (first, second, num_layers)):
        raise TypeError(expected("strategy", f"like {_EXAMPLES[name]}", strategy))
    return UnfreezeMilestones(
        unfreeze_milestones=(first, second), num_layers=num_layers, train_bn=train_bn
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _pair(value: Any, name: str, strategy: Any) -> tuple[Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(expected("strategy", f"like {_EXAMPLES[name]}", strategy))
    return value[0], value[1]

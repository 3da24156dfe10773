# SPDX-License-Identifier: Apache-2.0
"""LARS and LAMB, optimisers for large batches, and their schedule.

LARS: You et al., arXiv 1708.03888. LAMB: You et al., arXiv 1904.00962, algorithm 2. They are not in torch.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pytorchvideo._checks import expected


class LARS(Optimizer):
    """SGD with momentum, where the step of each layer goes by the sizes of its weights w and gradient g.

    The gradient with its decay, ``g + weight_decay * w``, is scaled by ``trust_coefficient * |w| / (|g| +
    weight_decay * |w| + eps)``. Parameters without decay, as biases have it, take the step of SGD.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        momentum, dampening, weight_decay, nesterov: as of ``torch.optim.SGD``.
        trust_coefficient: size of a step as a share of the weights.
        eps: added to the divisor.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        trust_coefficient: float = 0.001,
        eps: float = 1e-8,
    ) -> None:
        _check_not_negative(lr=lr, momentum=momentum, weight_decay=weight_decay, eps=eps)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(
                expected("nesterov", "False without momentum, or with dampening", nesterov)
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "trust_coefficient": trust_coefficient,
            "eps": eps,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes a step; ``closure`` computes the loss again."""
        loss = _loss(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.add_(self._direction(weight, weight.grad, group), alpha=-group["lr"])
        return loss

    def _direction(self, weight: Tensor, step: Tensor, group: dict[str, Any]) -> Tensor:
        decay, momentum = group["weight_decay"], group["momentum"]
        if decay:
            size, slope = weight.norm(), step.norm()
            scale = group["trust_coefficient"] * size / (slope + decay * size + group["eps"])
            scale = torch.where((size > 0) & (slope > 0), scale, torch.ones_like(scale))
            step = step.add(weight, alpha=decay) * scale
        if not momentum:
            return step
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = step.clone()
        else:
            state["momentum_buffer"].mul_(momentum).add_(step, alpha=1 - group["dampening"])
        buffer: Tensor = state["momentum_buffer"]
        return step.add(buffer, alpha=momentum) if group["nesterov"] else buffer


class LAMB(Optimizer):
    """Adam with decoupled decay, where the step u of each layer is scaled by ``|w| / |u|`` for its weights w.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: decays of the running means of the gradient and its square.
        eps: added to the divisor.
        weight_decay: share of the weights that is part of the step.
        exclude_from_layer_adaptation: do not scale, which is AdamW. May differ by group.
        amsgrad: divide by the largest mean square so far.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        exclude_from_layer_adaptation: bool = False,
        amsgrad: bool = False,
    ) -> None:
        _check_not_negative(lr=lr, weight_decay=weight_decay, eps=eps)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(expected("betas", "two numbers in [0, 1)", betas))
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "exclude_from_layer_adaptation": exclude_from_layer_adaptation,
            "amsgrad": amsgrad,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Takes a step; ``closure`` computes the loss again."""
        loss = _loss(closure)
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)
        return loss

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (beta1, beta2) = self.state[weight], group["betas"]
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = torch.zeros_like(weight)
        state["step"] += 1
        mean = state["exp_avg"].lerp_(gradient, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        if group["amsgrad"]:
            square = torch.maximum(state["max_exp_avg_sq"], square, out=state["max_exp_avg_sq"])
        mean = mean / (1 - beta1 ** state["step"])
        root = (square / (1 - beta2 ** state["step"])).sqrt()
        update = mean / (root + group["eps"]) + group["weight_decay"] * weight
        if not group["exclude_from_layer_adaptation"]:
            size, length = weight.norm(), update.norm()
            ratio = torch.where((size > 0) & (length > 0), size / length, torch.ones_like(size))
            update = update * ratio
        weight.add_(update, alpha=-group["lr"])


class LinearWarmupCosineAnnealingLR(LRScheduler):
    """A linear rise over epochs, then half a cosine down.

    Args:
        optimizer: whose rates are the highest.
        warmup_epochs: calls of ``step`` up to the highest rate.
        max_epochs: calls up to the lowest.
        warmup_start_lr: first rate.
        eta_min: last rate.
        last_epoch: the call to go on from; -1 begins.

    Raises:
        ValueError: unless ``0 < warmup_epochs < max_epochs``.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_epochs: int,
        max_epochs: int,
        warmup_start_lr: float = 0.0,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < warmup_epochs < max_epochs:
            wanted = f"between 0 and max_epochs = {max_epochs}"
            raise ValueError(expected("warmup_epochs", wanted, warmup_epochs))
        self.warmup_epochs, self.max_epochs = warmup_epochs, max_epochs
        self.warmup_start_lr, self.eta_min = warmup_start_lr, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """Returns the rate of each group now."""
        return [self._rate(base) for base in self.base_lrs]

    def _rate(self, base: float | Tensor) -> float | Tensor:
        epoch = min(self.last_epoch, self.max_epochs)
        # as in Flash, the first of W epochs has the lowest rate and the last of them the highest
        rise = max(1, self.warmup_epochs - 1)
        if epoch < self.warmup_epochs:
            return self.warmup_start_lr + epoch * (base - self.warmup_start_lr) / rise
        done = (epoch - self.warmup_epochs) / (self.max_epochs - self.warmup_epochs)
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * done)) / 2


def _loss(closure: Callable[[], Any] | None) -> Any:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _check_not_negative(**arguments: float) -> None:
    for name, value in arguments.items():
        if value < 0:
            raise ValueError(expected(name, ">= 0", value))

# SPDX-License-Identifier: Apache-2.0
"""Incremental operators, and their making from the layers of a network.

An operator is a function of the next frames and of what it kept of earlier ones. What is kept lies in a dict of
tensors outside of the operators, so that a step is done as a whole or not at all.
"""

import copy
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pytorchvideo.layers._cpu_fast_path import Chain, run_chain
from pytorchvideo.layers._residual_block import ResBlock, add_branches
from pytorchvideo.layers.attention import MultiScaleBlock
from pytorchvideo.layers.nonlocal_net import NonLocal
from pytorchvideo.layers.squeeze_excitation import SqueezeExcitation
from pytorchvideo.layers.swish import Swish
from pytorchvideo.models._parts.head_parts import check_pool_fits, three
from pytorchvideo.models._parts.residual_stages import ResStage
from pytorchvideo.models.head import ResNetBasicHead
from pytorchvideo.models.net import MultiPathWayWithFuse, Net
from pytorchvideo.models.x3d import ProjectedPool

# Layers that treat every frame by itself, in evaluation mode.
_FRAMEWISE = (
    *(nn.BatchNorm3d, nn.Dropout, nn.Dropout3d, nn.Identity),
    *(nn.ReLU, nn.SiLU, Swish, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh),
)
_POOLS = (nn.AvgPool3d, nn.MaxPool3d)

State = dict[int, torch.Tensor]
AnyLayer = TypeVar("AnyLayer", bound=nn.Module)


class Memory:
    """What operators keep from step to step: the past is read, the future written."""

    def __init__(self, past: State, future: State) -> None:
        self.past, self.future = past, future

    def join(self, key: int, x: torch.Tensor) -> torch.Tensor:
        """The frames that were kept under ``key``, and ``x`` after them."""
        old = self.past.get(key)
        return x if old is None else torch.cat((old, x), dim=2)

    def keep(self, key: int, x: torch.Tensor, frames: int) -> None:
        """Keeps the last ``frames`` of ``x``."""
        if frames:
            last = x[:, :, -frames:]
            # a view keeps all of a long piece alive
            self.future[key] = last.clone() if x.shape[2] > 2 * frames + 1 else last


class Operator:
    """A part of a network: the next frames (B, C, t, H, W) in, those that can be computed now out, or None."""

    delay = 0

    def run(self, x: torch.Tensor, memory: Memory) -> torch.Tensor | None:
        """Takes the next frames of its input."""
        raise NotImplementedError


class Framewise(Operator):
    """Layers that treat every frame by itself."""

    def __init__(self, layers: list[nn.Module]) -> None:
        self.layers = layers

    def run(self, x: torch.Tensor, memory: Memory) -> torch.Tensor:
        return run_chain(self.layers, x)


class Past(Operator):
    """Puts the frames in front of its input that a temporal kernel needs, zeros where a stream begins."""

    def __init__(self, key: int, frames: int) -> None:
        self.key, self.frames, self.delay = key, frames, frames // 2

    def run(self, x: torch.Tensor, memory: Memory) -> torch.Tensor | None:
        if self.key not in memory.past:
            # what a clip has before its first frame
            x = F.pad(x, (0, 0, 0, 0, self.delay, 0))
        x = memory.join(self.key, x)
        memory.keep(self.key, x, self.frames)
        return x if x.shape[2] > self.frames else None


class Delay(Operator):
    """Gives every frame ``delay`` frames later."""

    def __init__(self, key: int, delay: int) -> None:
        self.key, self.delay = key, delay

    def run(self, x: torch.Tensor, memory: Memory) -> torch.Tensor | None:
        old = memory.past.get(self.key)
        if old is not None and old.shape[2] == x.shape[2] == self.delay:
            memory.keep(self.key, x, self.delay)
            return old
        joined = memory.join(self.key, x)
        memory.keep(self.key, joined, self.delay)
        return joined[:, :, : -self.delay] if joined.shape[2] > self.delay else None


class Excitation(Operator):
    """Squeeze-excitation whose mean is that of a frame and those before it, ``frames`` in all."""

    def __init__(self, key: int, excitation: SqueezeExcitation, frames: int) -> None:
        self.key, self.gate, self.frames = key, excitation.block, frames

    def run(self, x: torch.Tensor, memory: Memory) -> torch.Tensor:
        # (B, C, earlier frames + t, 1, 1)
        means = memory.join(self.key, x.mean(dim=(3, 4), keepdim=True))
        memory.keep(self.key, means, self.frames - 1)
        total = means.shape[2]
        windows = [
            means[:, :, max(0, end - self.frames) : end].mean(dim=2, keepdim=True)
            for end in range(total - x.shape[2] + 1, total + 1)
        ]
        window = windows[0] if len(windows) == 1 else torch.cat(windows, dim=2)
        return x * run_chain((self.gate,), window)


class Sequence(Operator):
    """Operators one after the other."""

    def __init__(self, operators: list[Operator]) -> None:
        self.operators = operators
        self.delay = sum(operator.delay for operator in operators)

    def run(self, x: torch.Tensor, memory: Memory) -> torch.Tensor | None:
        out: torch.Tensor | None = x
        for operator in self.operators:
            if out is None:
                break
            out = operator.run(out, memory)
        return out


class Residual(Operator):
    """A residual block whose shortcut waits for the branch."""

    def __init__(self, shortcut: Sequence, branch: Sequence, activation: Sequence) -> None:
        self.shortcut, self.branch, self.activation = shortcut, branch, activation
        self.delay = branch.delay

    def run(self, x: torch.Tensor, memory: Memory) -> torch.Tensor | None:
        shortcut, residual = self.shortcut.run(x, memory), self.branch.run(x, memory)
        if shortcut is None or residual is None:
            return None
        return self.activation.run(add_branches(shortcut, residual), memory)


class Head(Operator):
    """The head: it pools each frame first, and then takes the mean of the newest ``frames``."""

    def __init__(
        self,
        key: int,
        layers: tuple[Sequence, nn.Module, Sequence],
        head: ResNetBasicHead,
        frames: int,
    ) -> None:
        self.key, self.head, self.frames = key, head, frames
        self.before, self.pool, self.after = layers

    def run(self, x: torch.Tensor, memory: Memory) -> torch.Tensor | None:
        before = self.before.run(x, memory)
        if before is None:
            return None
        check_pool_fits(before, self.pool)
        # (B, C, earlier frames + t, H', W')
        pooled = memory.join(self.key, self.pool(before))
        memory.keep(self.key, pooled, self.frames - 1)
        if pooled.shape[2] < self.frames:
            return None
        window = pooled[:, :, -self.frames :].mean(dim=2, keepdim=True)
        features = self.after.run(window, memory)
        return None if features is None else self.head.scores(features)


class Builder:
    """Makes the operators of a network.

    Args:
        model: the network; its layers are used, and named in errors.
        num_frames: frames of the window.
        folds: batch norms become part of the convolutions before them, in copies of their weights.
    """

    def __init__(self, model: nn.Module, num_frames: int, *, folds: bool = False) -> None:
        self.num_frames, self.folds = num_frames, folds
        self._names = {layer: name for name, layer in model.named_modules()}
        self._keys = itertools.count()

    def network(self, model: nn.Module) -> Sequence:
        """Returns the operators of all blocks, the last of which gives scores.

        Raises:
            ValueError: a layer cannot run frame by frame.
        """
        if not isinstance(model, Net):
            raise self._error(model, _reason(model))
        trunk = self._sequence(
            block for block in model.blocks if block is not model.classification_head
        )
        head = model.classification_head
        if type(head) is not ResNetBasicHead:
            raise self._error(model if head is None else head, "has no head with an average pool")
        return Sequence([*trunk.operators, self._head(head)])

    def _sequence(self, layers: Iterable[nn.Module | None]) -> Sequence:
        """Operators of layers that run one after the other; what lies between two with a state is one chain."""
        parts = itertools.chain.from_iterable(map(self._parts, layers))
        operators: list[Operator] = []
        for is_operator, group in itertools.groupby(parts, lambda part: isinstance(part, Operator)):
            if is_operator:
                operators.extend(cast(Iterator[Operator], group))
            else:
                chain = list(cast(Iterator[nn.Module], group))
                operators.append(Framewise(_folded(chain) if self.folds else chain))
        return Sequence(operators)

    def _parts(self, layer: nn.Module | None) -> Iterator[nn.Module | Operator]:
        """Layers that treat every frame by itself, and operators for all others."""
        if layer is None:
            return
        if isinstance(layer, ResBlock):
            yield self._residual(layer)
        elif isinstance(layer, SqueezeExcitation):
            yield Excitation(next(self._keys), layer, self.num_frames)
        elif type(layer) is nn.Conv3d:
            yield from self._convolution(layer)
        elif isinstance(layer, nn.BatchNorm3d) and layer.running_mean is None:
            raise self._error(layer, "keeps no statistics")
        elif isinstance(layer, _FRAMEWISE) or (
            isinstance(layer, _POOLS) and _over_time(layer) == (1, 1, 0)
        ):
            yield layer
        else:
            for child in self._children(layer):
                yield from self._parts(child)

    def _children(self, layer: nn.Module) -> Iterable[nn.Module | None]:
        if isinstance(layer, ResStage):
            return layer.res_blocks
        if type(layer) is nn.Sequential:
            return layer
        if isinstance(layer, Chain) and type(layer).forward is Chain.forward:
            return layer.chain()
        raise self._error(layer, _reason(layer))

    def _convolution(self, conv: nn.Conv3d) -> Iterator[nn.Module | Operator]:
        if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
            raise self._error(conv, "pads with something else than a number of zeros")
        kernel, stride, padding = _over_time(conv)
        if stride != 1:
            raise self._error(conv, f"has a temporal stride of {stride}")
        frames = (kernel - 1) * conv.dilation[0]
        if 2 * padding != frames:
            raise self._error(conv, "changes the number of frames")
        if frames:
            yield Past(next(self._keys), frames)
            conv = _with(conv, padding=(0, *conv.padding[1:]))
        yield conv

    def _residual(self, block: ResBlock) -> Operator:
        if block.branch_fusion is not add_branches:
            raise self._error(block, "does not add its branches")
        branch = self._sequence([block.branch2])
        shortcut = self._sequence([block.branch1_conv, block.branch1_norm])
        if shortcut.delay:
            raise self._error(block, "has a temporal kernel on its shortcut")
        waits = [Delay(next(self._keys), branch.delay)] if branch.delay else []
        activation = self._sequence([block.activation])
        return Residual(Sequence([*shortcut.operators, *waits]), branch, activation)

    def _head(self, head: ResNetBasicHead) -> Operator:
        pool, before, after = head.pool, Sequence([]), Sequence([])
        if isinstance(pool, ProjectedPool):
            *first, pool, conv, norm, act = pool.chain()
            before, after = self._sequence(first), self._sequence([conv, norm, act])
        if before.delay or after.delay:
            raise self._error(head, "has a temporal kernel")
        frame_pool: nn.Module
        size: Any = getattr(pool, "output_size", None)
        if isinstance(pool, nn.AdaptiveAvgPool3d) and three(size)[0] == 1:
            frame_pool = _with(pool, output_size=(None, *three(size)[1:]))
        elif isinstance(pool, nn.AvgPool3d) and three(pool.padding)[0] == 0:
            sizes = {name: three(getattr(pool, name))[1:] for name in ("kernel_size", "stride")}
            frame_pool = _with(pool, **{name: (1, *size) for name, size in sizes.items()})
        else:
            raise self._error(head if pool is None else pool, "is no average over the whole clip")
        return Head(next(self._keys), (before, frame_pool, after), head, self.num_frames)

    def _error(self, layer: nn.Module, reason: str) -> ValueError:
        name, kind = self._names.get(layer, ""), type(layer).__name__
        where = f"its layer {name} ({kind})" if name else f"this one ({kind})"
        return ValueError(
            f"Expected a network that can run frame by frame, but {where} {reason}. "
            "The incremental mode is for X3D and Slow; run other networks on whole clips."
        )


def _reason(layer: nn.Module) -> str:
    """Why a layer that is not known does not run frame by frame."""
    parts = list(layer.modules())
    if any(isinstance(one, (MultiScaleBlock, NonLocal, nn.MultiheadAttention)) for one in parts):
        return "has attention over all frames of a clip"
    if any(isinstance(one, MultiPathWayWithFuse) for one in parts):
        return "has several pathways, each with frames of its own"
    if isinstance(layer, _POOLS):
        return "is a pool over time, which only the head may have"
    return "is not known to treat every frame by itself"


def _over_time(layer: nn.Module) -> tuple[int, int, int]:
    """Kernel, stride and padding along time."""
    kernel, stride, padding = (
        three(getattr(layer, name))[0] for name in ("kernel_size", "stride", "padding")
    )
    return kernel, stride, padding


def _with(layer: AnyLayer, **settings: object) -> AnyLayer:
    """The layer with other settings; its parameters and hooks are those of the first one, now and later."""
    view = copy.copy(layer)
    vars(view).update(settings)
    return view


def _folded(chain: list[nn.Module]) -> list[nn.Module]:
    """The chain with batch norms folded into copies of the convolutions before them.

    Weights of Tx1x1 kernels lie tap by tap, as :mod:`pytorchvideo.layers._cpu_fast_path` can use them without a copy.
    """
    layers: list[nn.Module] = []
    for layer in chain:
        last = layers[-1] if layers else None
        if isinstance(last, nn.Conv3d) and isinstance(layer, nn.BatchNorm3d):
            # a new layer in an old network is in training mode, which means nothing to a convolution
            conv = fuse_conv_bn_eval(copy.copy(last).eval(), layer)
            if conv.kernel_size[1:] == (1, 1) and conv.weight.device.type == "cpu":
                conv = conv.to(memory_format=torch.channels_last_3d)
            layers[-1] = conv
        else:
            layers.append(layer)
    return layers

# SPDX-License-Identifier: Apache-2.0
"""Fused convolution, batch norm and activation for inference on a CPU.

On a GPU and in every graph (compiled, exported, traced) a chain calls its layers, nothing else. On a CPU, eagerly, most
of the time of a video network is not arithmetic: PyTorch takes 1x1x1 and Tx1x1 convolutions through a slow kernel
on one thread, and every large result in memory of its own costs more than what is computed. So a convolution
runs in oneDNN there, on channels that lie together. Where no gradients are wanted a batch norm in evaluation mode
becomes part of the convolution's weight, and an activation writes into the convolution's result. Layers with
hooks are called, as everywhere: this is the rule of the fast path of ``torch.nn.TransformerEncoderLayer``.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.layers.swish import Swish

Layers = Sequence[nn.Module | None]
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class Chain(nn.Module):
    """A module whose layers run one after the other, in the order in which they are given.

    Args:
        layers: by name; None is no layer, and can be replaced by one later.
    """

    def __init__(self, **layers: nn.Module | None) -> None:
        super().__init__()
        self._names = tuple(layers)
        for name, layer in layers.items():
            self.register_module(name, layer)

    def chain(self) -> Layers:
        """Returns the layers in their order; None is no layer."""
        return tuple(self._modules.get(name) for name in self._names)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            return run_chain(self.chain(), x)
        for layer in self.children():
            x = layer(x)
        return x

    def __prepare_scriptable__(self) -> nn.Module:
        """TorchScript, which asks for this, runs the children: they must be the chain."""
        if list(self.children()) != [layer for layer in self.chain() if layer is not None]:
            raise ValueError(
                f"Expected the children of a {type(self).__name__} to be the layers that it runs, for TorchScript, but "
                f"it has {[name for name, _ in self.named_children()]}."
            )
        return self


class Wrapper(Chain):
    """A chain of the one layer ``kernel``; other children are no part of it."""

    def __init__(self, kernel: nn.Module) -> None:
        super().__init__()
        self.kernel = kernel

    def chain(self) -> Layers:
        return (self.kernel,)

    def __prepare_scriptable__(self) -> nn.Module:
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            return run_chain((self.kernel,), x)
        return self.kernel(x)


class Activation(Chain):
    """The same of a layer ``act``."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act

    def chain(self) -> Layers:
        return (self.act,)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            return run_chain((self.act,), x)
        return self.act(x)


def run_chain(layers: Layers, x: torch.Tensor) -> torch.Tensor:
    """Returns ``x`` (B, C, T, H, W) after all layers; None is no layer.

    >>> run_chain([nn.ReLU(), None, nn.Flatten()], torch.tensor([[[-1.0]], [[2.0]]])).tolist()
    [[0.0], [2.0]]
    """
    if not _is_eager_on_cpu(x):
        for layer in layers:
            x = x if layer is None else layer(x)
        return x
    fuses = not torch.is_grad_enabled()
    todo = list(_flat(layers))
    while todo:
        layer = todo.pop(0)
        if not isinstance(layer, nn.Conv3d) or not _is_convertible(layer, x):
            x = layer(x)
            continue
        norm = _foldable(todo[0]) if todo and fuses else None
        if norm is not None:
            todo.pop(0)
        x = _convolved(layer, norm, x)
        if fuses and todo and type(todo[0]) in _IN_PLACE and _is_unobserved(todo[0]):
            x = _IN_PLACE[type(todo.pop(0))](x, inplace=True)
    return x


def is_recorded(x: object) -> bool:
    """Whether a graph is recorded with ``x``, whose sizes and values must stay free then."""
    recorded = torch.jit.is_tracing() or torch.compiler.is_compiling()
    return recorded or isinstance(x, torch.fx.Proxy)


# Up to this size (C * T * H) PyTorch takes dilated convolutions of one clip through a kernel that is slower yet.
_LEAST_DILATED = 20_480
_FORWARDS = (Chain.forward, Wrapper.forward, Activation.forward)
_IN_PLACE = {nn.ReLU: F.relu, nn.SiLU: F.silu, Swish: F.silu}


def _is_eager_on_cpu(x: torch.Tensor) -> bool:
    return (
        # no subclass: those of graphs and of distributed tensors have ways of their own
        type(x) is torch.Tensor
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.ndim == 5
        and not torch.is_autocast_enabled("cpu")
        and not torch.jit.is_tracing()
        and not torch.compiler.is_compiling()
    )


def _flat(layers: Iterable[nn.Module | None]) -> Iterator[nn.Module]:
    """The layers, those of nested chains among them, without what changes nothing."""
    for layer in layers:
        if layer is None:
            continue
        if not _is_unobserved(layer):
            yield layer
        elif isinstance(layer, Chain) and type(layer).forward in _FORWARDS:
            yield from _flat(layer.chain())
        elif type(layer) is nn.Sequential:
            yield from _flat(layer)
        elif type(layer) is not nn.Identity:
            yield layer


def _is_unobserved(layer: nn.Module) -> bool:
    """Whether nobody watches the layer or has replaced its forward, so that it need not be called."""
    hooks = (
        *(layer._forward_hooks, layer._forward_pre_hooks),
        *(layer._backward_hooks, layer._backward_pre_hooks),
    )
    return not any(hooks) and "forward" not in vars(layer)


def _is_convertible(conv: nn.Conv3d, x: torch.Tensor) -> bool:
    return (
        type(conv) is nn.Conv3d
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and conv.weight.dtype == x.dtype
        and conv.weight.device == x.device
        and _is_unobserved(conv)
    )


def _foldable(norm: nn.Module) -> nn.BatchNorm3d | None:
    """The layer, if it is a batch norm that a convolution can take into its weight."""
    if not isinstance(norm, nn.BatchNorm3d) or type(norm) is not nn.BatchNorm3d:
        return None
    folds = not norm.training and norm.running_mean is not None and _is_unobserved(norm)
    return norm if folds else None


def _convolved(conv: nn.Conv3d, norm: nn.BatchNorm3d | None, x: torch.Tensor) -> torch.Tensor:
    """``norm(conv(x))`` in memory of its own, channels last."""
    weight, bias = conv.weight, conv.bias
    if norm is not None:
        scale, shift = scale_and_shift(norm)
        weight = weight * scale.view(-1, 1, 1, 1, 1)
        bias = shift if bias is None else bias * scale + shift
    padding = cast(tuple[int, int, int], conv.padding)
    (kernel_t, *kernel), (stride_t, *stride) = conv.kernel_size, conv.stride
    (pad_t, *pad), (dilation_t, *dilation) = padding, conv.dilation
    x = x.contiguous(memory_format=torch.channels_last_3d)
    batch, frames = x.shape[0], x.shape[2]
    if batch == 1 and frames == kernel_t and _is_product(conv):
        return _product(weight, bias, x[..., :: stride[0], :: stride[1]])
    framewise = kernel_t == stride_t == 1 and pad_t == 0
    # Where a kernel is 1 in height and width, PyTorch takes its own slow kernel on one thread, unless the convolution
    # is strided or dilated. The distance between the taps of a kernel with one tap is of no effect but this.
    large = framewise or batch > 1 or conv.groups > 1 or x.shape[1:4].numel() > _LEAST_DILATED
    if kernel == [1, 1] and large:
        dilation = [2, 2]
    if not framewise:
        dilations = (dilation_t, *dilation)
        y = F.conv3d(x, weight, bias, conv.stride, padding, dilations, conv.groups)
        return y.contiguous(memory_format=torch.channels_last_3d)
    # (B, C, T, H, W) -> (B * T, C, H, W), without a copy
    images = x.transpose(1, 2).flatten(0, 1)
    y = F.conv2d(images, weight[:, :, 0], bias, stride, pad, dilation, conv.groups)
    return y.unflatten(0, (batch, frames)).transpose(1, 2)


def _is_product(conv: nn.Conv3d) -> bool:
    """Whether the convolution of a single output frame is a product of matrices."""
    plain = conv.groups == conv.stride[0] == 1 and conv.dilation == (1, 1, 1)
    weight = conv.weight
    # the weights of one frame of the kernel can be used without a copy
    by_frame = weight.shape[2] == 1 or weight.stride(1) == 1
    return plain and by_frame and conv.kernel_size[1:] == (1, 1) and conv.padding == (0, 0, 0)


def _product(weight: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    """One frame of a Tx1x1 convolution of as many frames; BLAS is faster than oneDNN there."""
    # (1, C, T, H, W) -> (1, T, H, W, C), as the channels lie together
    x = x.permute(0, 2, 3, 4, 1)
    y = F.linear(x[:, :1], weight[:, :, 0, 0, 0], bias)
    for t in range(1, x.shape[1]):
        y += F.linear(x[:, t : t + 1], weight[:, :, t, 0, 0])
    return y.permute(0, 4, 1, 2, 3)


def scale_and_shift(norm: BatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch norm in evaluation mode as ``scale * x + shift``, (C,) each.

    Raises:
        ValueError: it keeps no statistics.
    """
    mean, var = norm.running_mean, norm.running_var
    if mean is None or var is None:
        kind = type(norm).__name__
        raise ValueError(expected("norm", "a batch norm with running statistics", kind))
    scale = torch.rsqrt(var + norm.eps)
    scale = scale if norm.weight is None else scale * norm.weight.detach()
    shift = -mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias.detach()

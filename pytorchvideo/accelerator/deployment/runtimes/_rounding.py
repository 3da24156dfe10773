# SPDX-License-Identifier: Apache-2.0
"""Rounding of int8 weights with errors that cancel each other.

The nearest of 255 values for each weight on its own is not the best choice for their sum: inputs of a layer, above all
those after a ReLU, are correlated, so that errors of many weights add up. Here the weights are rounded one after the
other, and those that follow make up for the errors before them, as E. Frantar et al., "GPTQ: Accurate Post-Training
Quantization for Generative Pre-trained Transformers", ICLR 2023, do it for linear layers; a convolution is one, of
patches.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.nn import functional as F

from pytorchvideo.accelerator.deployment._program import Inputs, arguments_of

_aten = torch.ops.aten
_LAYERS = {_aten.linear.default, _aten.conv2d.default, _aten.conv3d.default}
# The largest of the integers that stand for weights; the smallest is its negative.
_LARGEST = 127
# Inputs that are looked at, and patches of each, chosen by chance, whose products are summed up.
_INPUTS, _PATCHES = 16, 1024
# Share of the mean of the diagonal that is added to it, and columns that are handled together, as in the paper.
_DAMPING, _BLOCK = 0.01, 128


@torch.no_grad()
def round_weights(program: ExportedProgram, calibration: Sequence[Inputs]) -> None:
    """Rounds the weights of a program in place, to 127 steps of equal size on either side of zero for each channel.

    The largest weight of a channel keeps its value, so that a converter that divides it by 127 finds the same steps.
    The last layer, the classifier, stays as it is, and so do grouped convolutions, whose channels have too few
    weights for errors to cancel.

    Args:
        program: of ATen operators.
        calibration: inputs of the program.
    """
    # its tensors are those of the program
    graph = program.module(check_guards=False)
    moments = _Moments(fx.GraphModule(graph, graph.graph))
    for inputs in calibration[:: -(-len(calibration) // _INPUTS)]:
        moments.run(*inputs)
    for weight, found in moments.found.values():
        weight.copy_(rounded(weight.flatten(1), found).view_as(weight))


def rounded(weight: torch.Tensor, moments: torch.Tensor) -> torch.Tensor:
    """Returns rows of weights (N, K) in 127 steps on either side of zero, for inputs of these second moments (K, K)."""
    # what matters most comes first, while there is much left to make up for it
    order = moments.diagonal().argsort(descending=True)
    left = weight[:, order].clone()
    step = left.abs().amax(1).clamp(min=torch.finfo(left.dtype).tiny) / _LARGEST
    fixed = left.abs().argmax(1)
    matrix = moments[order][:, order].clone()
    matrix.diagonal().add_(_DAMPING * matrix.diagonal().mean() + torch.finfo(left.dtype).tiny)
    # The upper Cholesky factor of the inverse, without that of the inverse, which float32 is too coarse for: with the
    # order of rows and columns reversed, it is the inverse of the factor.
    upper = torch.linalg.cholesky(matrix.flip(0, 1)).flip(0, 1)
    factor = torch.linalg.solve_triangular(upper, torch.eye(len(upper)).to(upper), upper=True)
    result = torch.empty_like(left)
    columns = left.shape[1]
    for begin in range(0, columns, _BLOCK):
        end = min(begin + _BLOCK, columns)
        errors = left.new_empty(len(left), end - begin)
        for i in range(begin, end):
            column = left[:, i]
            value = (column / step).round().clamp(-_LARGEST, _LARGEST) * step
            value = torch.where(fixed == i, weight[:, order[i]], value)
            error = (column - value) / factor[i, i]
            left[:, i + 1 : end] -= error[:, None] * factor[i, i + 1 : end]
            result[:, i], errors[:, i - begin] = value, error
        left[:, end:] -= errors @ factor[begin:end, end:]
    return result[:, order.argsort()]


class _Moments(fx.Interpreter):
    """Runs a graph and sums up the products of the inputs of its layers.

    Attributes:
        found: weights (N, ...) of K values a row and the sums (K, K), by name.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        layers = [node for node in graph.graph.nodes if node.target in _LAYERS]
        self.layers = {node for node in layers[:-1] if _weight(node).op == "get_attr"}
        self.found: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.chance = torch.Generator().manual_seed(0)

    def run_node(self, n: fx.Node) -> Any:
        if n in self.layers and arguments_of(n).get("groups", 1) == 1:
            name = cast(str, _weight(n).target)
            x, weight = self.env[cast(fx.Node, n.args[0])], self.env[_weight(n)]
            patches = self._patches(n, x, weight)
            _, before = self.found.get(name, (weight, 0))
            self.found[name] = (weight, before + patches.T @ patches)
        return super().run_node(n)

    def _patches(self, node: fx.Node, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Some of what a layer multiplies a row of its weight with, (N, K)."""
        if node.target is _aten.linear.default:
            rows = x.reshape(-1, x.shape[-1])
            return rows[self._some(len(rows))]
        sizes = weight.shape[2:]
        given = arguments_of(node)
        stride, padding, dilation = (
            _each(given[name], len(sizes)) for name in ("stride", "padding", "dilation")
        )
        x = F.pad(x, [p for size in reversed(padding) for p in (size, size)])
        for i, size in enumerate(sizes):
            x = x.unfold(2 + i, (size - 1) * dilation[i] + 1, stride[i])[..., :: dilation[i]]
        # (B, C, *positions, *kernel) -> (N, C * kernel)
        x = x.movedim(1, 1 + len(sizes))
        positions = x.shape[: 1 + len(sizes)]
        return x[torch.unravel_index(self._some(math.prod(positions)), positions)].flatten(1)

    def _some(self, count: int) -> torch.Tensor:
        return torch.randperm(count, generator=self.chance)[:_PATCHES]


def _weight(node: fx.Node) -> fx.Node:
    """The second argument of a layer."""
    return cast(fx.Node, node.args[1])


def _each(sizes: int | Sequence[int], dims: int) -> list[int]:
    """A size for each dimension."""
    listed = [sizes] if isinstance(sizes, int) else list(sizes)
    return listed * dims if len(listed) == 1 else listed

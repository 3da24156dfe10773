# SPDX-License-Identifier: Apache-2.0
"""Networks of clips as networks of images, exactly: for processors whose operators end at images."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from pytorchvideo.accelerator.deployment._program import Inputs, arguments_of, make_program
from pytorchvideo.accelerator.deployment.images.operators import (
    ON_IMAGES,
    ImageConv,
    Images,
    is_clip,
    pointwise,
    refuse,
)

_aten = torch.ops.aten


def without_3d_operators(model: nn.Module, example: Inputs) -> nn.Module:
    """Returns a copy of a model, in evaluation mode, without operators of clips.

    Convolutions, pools and batch norms of clips become operators of images. Batch norms become part of the
    convolution before them where nothing else sees its result, and convolutions of single pixels elsewhere.

    Args:
        model: takes tensors and returns tensors; it is not modified.
        example: its arguments. The result takes tensors of these shapes.

    Raises:
        ExportError: the model cannot be exported, or has an operator of clips that has no such form.

    >>> conv, x = nn.Conv3d(2, 4, 3, stride=2, padding=1), torch.rand(1, 2, 5, 8, 8)
    >>> torch.allclose(without_3d_operators(conv, (x,))(x), conv(x), atol=1e-6)
    True
    """
    graph = export_images(model, example).module(check_guards=False)
    return fx.GraphModule(graph, graph.graph).eval()


def export_images(
    model: nn.Module,
    example: Inputs,
    *,
    runtime: str = "images",
    instead: Mapping[Any, Callable[..., Any]] | None = None,
) -> ExportedProgram:
    """Exports a model without operators of clips; see :func:`without_3d_operators`.

    Args:
        model: likewise.
        example: likewise.
        runtime: for the sentence of an error.
        instead: functions that take the place of operators for which it has no good code.
    """
    graph = make_program(model, example, runtime=runtime).module(check_guards=False)
    for node in list(graph.graph.nodes):
        if node.target is _aten.conv3d.default:
            norm = _norm_after(node)
            _replace(graph, node, norm or node, _make_conv(graph, node, norm))
        elif _is_norm(node) and node.users:
            _replace(graph, node, node, _make_norm(graph, node))
        elif node.op == "call_function" and _is_unknown(node):
            refuse(str(node.target), "layers that the zoo's models have")
    graph.graph.eliminate_dead_code()
    # a new module holds only the tensors that are still read
    images = _ImageModel(fx.GraphModule(graph, graph.graph), instead or {})
    return make_program(images, example, runtime=runtime)


class _ImageModel(nn.Module):
    """A graph whose tensors of five dimensions are images."""

    def __init__(self, graph: fx.GraphModule, instead: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self.graph_module = graph
        self.instead = dict(instead)

    def forward(self, *args: torch.Tensor) -> Any:
        return _Walk(self.graph_module, self.instead).run(*args)


class _Walk(fx.Interpreter):
    def __init__(self, graph: fx.GraphModule, instead: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__(graph)
        self.instead = instead

    def call_function(
        self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> torch.Tensor | Images:
        leaves = [leaf for arg in args for leaf in (arg if isinstance(arg, list) else (arg,))]
        if any(is_clip(leaf) for leaf in leaves):
            if target in ON_IMAGES:
                result = ON_IMAGES[target](*args, **kwargs)
                if result is not None:
                    return result
            elif torch.Tag.pointwise in target.tags:
                return pointwise(target, args, kwargs)
            args = fx.node.map_aggregate(args, _as_tensor)
        if target in self.instead:
            return self.instead[target](*args, **kwargs)
        return super().call_function(target, args, kwargs)

    def output(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return super().output(target, fx.node.map_aggregate(args, _as_tensor), kwargs)


def _as_tensor(x: Any) -> Any:
    return x.clip() if isinstance(x, Images) else x


def _tensor(graph: fx.GraphModule, node: fx.Node | None) -> torch.Tensor | None:
    return None if node is None else _required(graph, node)


def _required(graph: fx.GraphModule, node: fx.Node) -> torch.Tensor:
    """The parameter or buffer of this node."""
    if node.op != "get_attr":
        refuse(f"an operator whose weight ({node}) is computed", "weights that are parameters")
    owner, _, name = cast(str, node.target).rpartition(".")
    return cast(torch.Tensor, getattr(graph.get_submodule(owner), name)).detach()


def _is_norm(node: fx.Node) -> bool:
    """Whether it is a batch norm of clips."""
    return node.target is _aten.batch_norm.default and node.meta["val"].ndim == 5


def _is_unknown(node: fx.Node) -> bool:
    """Whether it is an operator of clips, by its name, that is not among those that have a form for images."""
    return "3d" in str(node.target) and node.target not in ON_IMAGES


def _norm_after(node: fx.Node) -> fx.Node | None:
    """The batch norm that alone sees the result of a convolution, if there is one."""
    users = list(node.users)
    return users[0] if len(users) == 1 and _is_norm(users[0]) else None


def _make_conv(graph: fx.GraphModule, node: fx.Node, norm: fx.Node | None) -> ImageConv:
    """A convolution of images that computes a convolution of clips and the batch norm after it."""
    given = arguments_of(node)
    weight, bias = _required(graph, given["weight"]), _tensor(graph, given["bias"])
    if norm is not None:
        scale, shift = _scale_and_shift(graph, norm)
        weight = weight * scale.view(-1, 1, 1, 1, 1)
        bias = shift if bias is None else bias * scale + shift
    sizes = {name: given[name] for name in ("stride", "padding", "dilation", "groups")}
    return ImageConv(weight, bias, node.all_input_nodes[0].meta["val"].shape[2], **sizes)


def _make_norm(graph: fx.GraphModule, node: fx.Node) -> ImageConv:
    """A batch norm as a convolution of single pixels, each channel by itself."""
    scale, shift = _scale_and_shift(graph, node)
    frames = node.all_input_nodes[0].meta["val"].shape[2]
    return ImageConv(scale.view(-1, 1, 1, 1, 1), shift, frames, groups=len(scale))


def _scale_and_shift(graph: fx.GraphModule, node: fx.Node) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch norm as ``scale * x + shift``."""
    given = arguments_of(node)
    mean, var = _tensor(graph, given["running_mean"]), _tensor(graph, given["running_var"])
    if mean is None or var is None or given["training"]:
        refuse("batch_norm with the statistics of a batch", "one with running statistics")
    scale = torch.rsqrt(var + given["eps"])
    weight, bias = _tensor(graph, given["weight"]), _tensor(graph, given["bias"])
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return scale, shift if bias is None else shift + bias


def _replace(graph: fx.GraphModule, first: fx.Node, last: fx.Node, module: nn.Module) -> None:
    """Puts a module in the place of one node, or of two that follow each other."""
    name = f"images_{last.name}"
    graph.add_submodule(name, module)
    with graph.graph.inserting_before(last):
        made = graph.graph.call_module(name, (first.all_input_nodes[0],))
    made.meta = dict(last.meta)
    last.replace_all_uses_with(made)

# SPDX-License-Identifier: Apache-2.0
"""Graphs of models (``torch.export``), from which every artefact is made."""

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import fx, nn
from torch.export import Dim, ExportedProgram

from pytorchvideo.accelerator.deployment._errors import export_errors

Inputs = tuple[torch.Tensor, ...]

# The largest batch of an artefact that takes any.
_MOST_CLIPS = 1024


class Positional(nn.Module):
    """A network called with one tensor after the other, as runtimes do.

    Args:
        model: it is used as it is.
        pathways: the first so many tensors are handed over as a list; None hands all over one by one.
    """

    def __init__(self, model: nn.Module, pathways: int | None) -> None:
        super().__init__()
        self.model = model
        self.pathways = pathways

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Returns what the network does."""
        if self.pathways is None:
            answer: torch.Tensor = self.model(*inputs)
        else:
            answer = self.model(list(inputs[: self.pathways]), *inputs[self.pathways :])
        return answer


def make_program(
    model: nn.Module, example: Inputs, *, runtime: str, dynamic_batch: bool = False
) -> ExportedProgram:
    """Exports a copy of a model in evaluation mode.

    Args:
        model: takes the example's tensors one by one.
        example: float32, with the batch first.
        runtime: for the sentence of an error.
        dynamic_batch: let the batch have any size up to 1024, the same for all inputs.

    Raises:
        ExportError: the model has code that no graph can hold.
    """
    plain = copy.deepcopy(model).eval().requires_grad_(False).cpu().float()
    own = getattr(model, "dynamic_shapes", None)
    shapes = None if own is None else own()
    if dynamic_batch:
        # a batch of one would be taken for a constant
        example = tuple(x.repeat_interleave(2, dim=0) for x in example)
        shapes = (tuple({0: Dim("batch", max=_MOST_CLIPS)} for _ in example),)
    advice = (
        "Leave out --dynamic-batch." if dynamic_batch else "Send the model's name with a report."
    )
    with export_errors(runtime, "exported by torch.export", advice), torch.no_grad():
        return torch.export.export(plain, example, dynamic_shapes=shapes)


def names_of(example: Sequence[torch.Tensor], model: nn.Module | None = None) -> list[str]:
    """Returns a name for each input: those of the model, where it says them.

    >>> names_of([torch.zeros(1)]), names_of([torch.zeros(1), torch.zeros(1)])
    (['clip'], ['clip_0', 'clip_1'])
    """
    own: list[str] | None = getattr(model, "input_names", None)
    if own is not None:
        return own
    return ["clip"] if len(example) == 1 else [f"clip_{i}" for i in range(len(example))]


def arguments_of(node: fx.Node) -> dict[str, Any]:
    """Returns the arguments of a node by name, with those that are left at their defaults."""
    schema = cast(Any, node.target)._schema.arguments
    values = {argument.name: argument.default_value for argument in schema}
    names = [argument.name for argument in schema]
    return values | dict(zip(names, node.args, strict=False)) | dict(node.kwargs)

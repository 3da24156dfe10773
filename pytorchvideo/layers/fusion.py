# SPDX-License-Identifier: Apache-2.0
"""Fusion of several feature sequences: streams (B, S, D_i) in, (B, S', D) out."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.layers._factories import whole_numbers


def _max(stacked: torch.Tensor) -> torch.Tensor:
    return stacked.max(dim=0).values


def _sum(stacked: torch.Tensor) -> torch.Tensor:
    return stacked.sum(dim=0)


def _prod(stacked: torch.Tensor) -> torch.Tensor:
    return stacked.prod(dim=0)


# Named functions, so that a layer can be pickled.
_REDUCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "max": _max,
    "prod": _prod,
    "sum": _sum,
}


def make_fusion_layer(method: str, feature_dims: Sequence[int]) -> nn.Module:
    """Builds a layer that fuses streams of features.

    Args:
        method: "concat" along the features, "temporal_concat" along the sequence, or "max", "sum" or "prod" of
            corresponding elements.
        feature_dims: features D_i of every stream; all the same but for "concat".

    Returns:
        :class:`ConcatFusion`, :class:`TemporalConcatFusion` or :class:`ReduceFusion`; ``output_dim`` says how many
        features its result has.

    Raises:
        ValueError: an unknown method, or features that it cannot fuse.

    >>> make_fusion_layer("concat", [8, 16]).output_dim
    24
    """
    check_choice("method", method, ("concat", "temporal_concat", *_REDUCTIONS))
    if method == "concat":
        return ConcatFusion(feature_dims)
    if method == "temporal_concat":
        return TemporalConcatFusion(feature_dims)
    return ReduceFusion(feature_dims, _REDUCTIONS[method])


class _Fusion(nn.Module):
    """Knows the features of its streams and checks those that come."""

    def __init__(self, feature_dims: Sequence[int]) -> None:
        super().__init__()
        self.feature_dims = whole_numbers("feature_dims", feature_dims)

    @property
    def output_dim(self) -> int:
        """Features of the result."""
        return self.feature_dims[0]

    def check(self, input_list: Sequence[torch.Tensor]) -> None:
        """Raises a ValueError unless there is a tensor for every stream, with its number of features."""
        if tuple(x.shape[-1] for x in input_list) != self.feature_dims:
            dims = ", ".join(f"(B, S, {dim})" for dim in self.feature_dims)
            raise ValueError(expected("input_list", dims, [tuple(x.shape) for x in input_list]))

    def extra_repr(self) -> str:
        return f"feature_dims={self.feature_dims}"


class _UniformFusion(_Fusion):
    """One whose streams all have the same number of features."""

    def __init__(self, feature_dims: Sequence[int]) -> None:
        super().__init__(feature_dims)
        if len(set(self.feature_dims)) > 1:
            raise ValueError(expected("feature_dims", "one number for all streams", feature_dims))


class ConcatFusion(_Fusion):
    """Joins the features of streams of one length: (B, S, D_i) -> (B, S, sum of D_i).

    Args:
        feature_dims: features of every stream.
    """

    @property
    def output_dim(self) -> int:
        """Features of the result."""
        return sum(self.feature_dims)

    def forward(self, input_list: Sequence[torch.Tensor]) -> torch.Tensor:
        self.check(input_list)
        return torch.cat(list(input_list), dim=-1)


class TemporalConcatFusion(_UniformFusion):
    """Joins sequences one after the other: (B, S_i, D) -> (B, sum of S_i, D).

    Args:
        feature_dims: features of every stream, all the same.

    Raises:
        ValueError: they differ.
    """

    def forward(self, input_list: Sequence[torch.Tensor]) -> torch.Tensor:
        self.check(input_list)
        return torch.cat(list(input_list), dim=-2)


class ReduceFusion(_UniformFusion):
    """Reduces corresponding elements of streams of one shape: (B, S, D) each -> (B, S, D).

    Args:
        feature_dims: features of every stream, all the same.
        reduce_fn: maps the stacked streams (streams, B, S, D) to (B, S, D).

    Raises:
        ValueError: the features differ.
    """

    def __init__(
        self, feature_dims: Sequence[int], reduce_fn: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        super().__init__(feature_dims)
        self.reduce_fn = reduce_fn

    def forward(self, input_list: Sequence[torch.Tensor]) -> torch.Tensor:
        self.check(input_list)
        return self.reduce_fn(torch.stack(list(input_list)))

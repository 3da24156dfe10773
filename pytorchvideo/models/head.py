# SPDX-License-Identifier: Apache-2.0
"""Heads: from the last feature map of a network to class scores.

Every head keeps its last learnt layer in a child that :attr:`ClassificationHead.classifier` names, so that
any model can be given other classes.
"""

import torch
from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.layers._build import ModuleFactory, Size3, build_activation
from pytorchvideo.models.weight_init import init_linear

_ADAPTIVE_POOLS = (nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d)


class ClassificationHead(nn.Module):
    """A head whose last learnt layer can be replaced.

    A subclass keeps that layer, a linear layer or a 1x1x1 convolution, in the child ``classifier_name``
    and computes in :meth:`features` what the layer sees.
    """

    classifier_name = "proj"

    @property
    def classifier(self) -> nn.Module:
        """The layer that turns features into scores."""
        return self.get_submodule(self.classifier_name)

    @property
    def num_features(self) -> int:
        """Channels that the classifier sees."""
        layer = self._known_classifier()
        return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Returns what the classifier sees, averaged over its positions: (B, num_features)."""
        raise NotImplementedError

    def reset_classifier(self, num_classes: int) -> None:
        """Puts a new classifier, freshly initialised, in the place of the old one.

        Raises:
            ValueError: ``num_classes`` is not positive, or the classifier is of an unknown kind.
        """
        if num_classes < 1:
            raise ValueError(expected("num_classes", ">= 1", num_classes))
        old = self._known_classifier()
        with_bias = old.bias is not None
        new: nn.Linear | nn.Conv3d
        if isinstance(old, nn.Linear):
            new = nn.Linear(old.in_features, num_classes, bias=with_bias)
        else:
            new = nn.Conv3d(old.in_channels, num_classes, kernel_size=1, bias=with_bias)
        init_linear(new)
        setattr(self, self.classifier_name, new.to(old.weight.device, old.weight.dtype))

    def _known_classifier(self) -> nn.Linear | nn.Conv3d:
        layer = self.classifier
        if not isinstance(layer, (nn.Linear, nn.Conv3d)):
            kind = type(layer).__name__
            raise ValueError(expected("classifier", "a Linear or a Conv3d layer", kind))
        return layer


class ResNetBasicHead(ClassificationHead):
    """Pool, dropout, linear layer at every position left, activation, average over the positions.

    Args:
        pool: makes the feature map smaller, or None.
        dropout: or None.
        proj: a layer on the channels of (..., C).
        activation: on (B, num_classes, T, H, W), or None.
        output_pool: makes one position of all, (B, num_classes); None returns the map of scores.

    A clip larger than the pool expects gives more positions, whose scores are averaged.
    """

    def __init__(
        self,
        pool: nn.Module | None = None,
        dropout: nn.Module | None = None,
        proj: nn.Module | None = None,
        activation: nn.Module | None = None,
        output_pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if proj is None:
            raise ValueError(expected("proj", "a module", proj))
        self.pool = pool
        self.dropout = dropout
        self.proj = proj
        self.activation = activation
        self.output_pool = output_pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self._pooled(x)
        x = x if self.dropout is None else self.dropout(x)
        # (B, C, T, H, W) -> (B, T, H, W, C) -> (B, num_classes, T, H, W)
        x = self.proj(x.permute(0, 2, 3, 4, 1)).permute(0, 4, 1, 2, 3)
        x = x if self.activation is None else self.activation(x)
        return x if self.output_pool is None else self.output_pool(x).flatten(1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self._pooled(x).mean(dim=(2, 3, 4))

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool is None:
            return x
        check_pool_fits(x, getattr(self.pool, "pool", self.pool))
        pooled: torch.Tensor = self.pool(x)
        return pooled


def check_pool_fits(x: torch.Tensor, pool: nn.Module) -> None:
    """Raises a ValueError where an average pool is larger than the feature map (B, C, T, H, W).

    The comparison is left out while a graph is recorded, so that sizes stay free there.
    """
    if not isinstance(pool, nn.AvgPool3d):
        return
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return
    kernel, padding = _three(pool.kernel_size), _three(pool.padding)
    sizes = zip(x.shape[2:], kernel, padding, strict=True)
    if any(size + 2 * pad < k for size, k, pad in sizes):
        raise ValueError(
            f"Expected at least {kernel} positions (T, H, W) before the head's pool, but got "
            f"{tuple(x.shape[2:])}. Use a longer or larger clip, or build the model for this one: "
            "create_model(name, num_frames=..., crop_size=...)."
        )


def _three(size: int | tuple[int, ...]) -> tuple[int, ...]:
    return (size,) * 3 if isinstance(size, int) else tuple(size)


def make_pool(
    pool: ModuleFactory | None,
    *,
    output_size: Size3,
    kernel_size: Size3 | None,
    stride: Size3,
    padding: Size3,
) -> nn.Module | None:
    """Builds a head's pool: an adaptive one by its output size, any other by its kernel."""
    if pool is None:
        return None
    if pool in _ADAPTIVE_POOLS:
        return pool(output_size=tuple(output_size))
    if kernel_size is None:
        raise ValueError(expected("pool_kernel_size", "three numbers (T, H, W)", kernel_size))
    return pool(kernel_size=tuple(kernel_size), stride=tuple(stride), padding=tuple(padding))


def create_res_basic_head(
    *,
    in_features: int,
    out_features: int,
    pool: ModuleFactory | None = nn.AvgPool3d,
    output_size: Size3 = (1, 1, 1),
    pool_kernel_size: Size3 = (1, 7, 7),
    pool_stride: Size3 = (1, 1, 1),
    pool_padding: Size3 = (0, 0, 0),
    dropout_rate: float = 0.5,
    activation: ModuleFactory | None = None,
    output_with_global_average: bool = True,
) -> ResNetBasicHead:
    """Builds the head of the ResNet family, (B, in_features, T, H, W) -> (B, out_features).

    Args:
        in_features: channels of the feature map.
        out_features: number of classes.
        pool: pool class; ``nn.AdaptiveAvgPool3d`` takes ``output_size``, others the kernel; None for none.
        output_size: (T, H, W) after an adaptive pool.
        pool_kernel_size: (T, H, W) of any other pool.
        pool_stride: its stride.
        pool_padding: its padding.
        dropout_rate: 0 for no dropout.
        activation: e.g. ``nn.Softmax`` (over the classes) or ``nn.Sigmoid``; None returns logits.
        output_with_global_average: average the scores over positions; otherwise they are returned as
            (B, out_features, T', H', W').
    """
    return ResNetBasicHead(
        pool=make_pool(
            pool,
            output_size=output_size,
            kernel_size=pool_kernel_size,
            stride=pool_stride,
            padding=pool_padding,
        ),
        dropout=nn.Dropout(dropout_rate) if dropout_rate > 0 else None,
        proj=nn.Linear(in_features, out_features),
        activation=build_activation(activation),
        output_pool=nn.AdaptiveAvgPool3d(1) if output_with_global_average else None,
    )


class SequencePool(nn.Module):
    """A sequence of tokens (B, N, C) as one of them, or as their mean.

    Args:
        mode: "cls" is the first token, "mean" the mean, both (B, C); "none" returns the sequence.

    Raises:
        ValueError: an unknown mode.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        check_choice("mode", mode, ("cls", "mean", "none"))
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mode == "none":
            return x
        return x[:, 0] if self.mode == "cls" else x.mean(dim=1)

    def extra_repr(self) -> str:
        return f"mode={self.mode!r}"


class VisionTransformerBasicHead(ClassificationHead):
    """Pool of the tokens, dropout, linear layer, activation; all but the linear layer may be None."""

    def __init__(
        self,
        sequence_pool: nn.Module | None = None,
        dropout: nn.Module | None = None,
        proj: nn.Module | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if proj is None:
            raise ValueError(expected("proj", "a module", proj))
        self.sequence_pool = sequence_pool
        self.dropout = dropout
        self.proj = proj
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.sequence_pool is None else self.sequence_pool(x)
        x = self.proj(x if self.dropout is None else self.dropout(x))
        return x if self.activation is None else self.activation(x)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.sequence_pool is None else self.sequence_pool(x)
        return x.mean(dim=1) if x.ndim == 3 else x


def create_vit_basic_head(
    *,
    in_features: int,
    out_features: int,
    seq_pool_type: str = "cls",
    dropout_rate: float = 0.5,
    activation: ModuleFactory | None = None,
) -> VisionTransformerBasicHead:
    """Builds the head of a vision transformer, (B, N, in_features) -> (B, out_features).

    Args:
        in_features: channels of the tokens.
        out_features: number of classes.
        seq_pool_type: see :class:`SequencePool`; with "none" every token gets scores.
        dropout_rate: 0 for no dropout.
        activation: of the scores, e.g. ``nn.Softmax`` (over the classes); None returns logits.
    """
    return VisionTransformerBasicHead(
        sequence_pool=SequencePool(seq_pool_type),
        dropout=nn.Dropout(dropout_rate) if dropout_rate > 0 else None,
        proj=nn.Linear(in_features, out_features),
        activation=build_activation(activation, dim=-1),
    )

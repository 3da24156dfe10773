# SPDX-License-Identifier: Apache-2.0
"""Parts of heads: a replaceable classifier, pools, scores of feature maps."""

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.layers._cpu_fast_path import is_recorded
from pytorchvideo.layers._factories import ModuleFactory, Size3
from pytorchvideo.models.weight_init import init_linear

_ADAPTIVE_POOLS = (nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d)


class NoClassifierError(AttributeError, ValueError):
    """A network without a classifier: ``hasattr(model, "classifier")``, as torch asks too, is False, not an error."""


class TooSmallError(ValueError, RuntimeError):
    """A clip that the pool of a head is larger than; a RuntimeError too, as that of the pool itself."""


def check_num_classes(name: str, number: int) -> None:
    """Raises a ValueError for a number of classes below 1.

    >>> check_num_classes("model_num_class", 0)
    Traceback (most recent call last):
    ValueError: Expected `model_num_class` to be >= 1, but got 0. For features instead of ...
    """
    if number < 1:
        advice = "For features instead of scores, call model.forward_features."
        raise ValueError(expected(name, ">= 1", number, advice))


class ReplaceableClassifier(nn.Module):
    """A head whose last learnt layer can be replaced.

    A subclass keeps that layer, a linear layer or a 1x1x1 convolution, in the child ``classifier_name``.
    """

    classifier_name = "proj"
    # TorchScript would compile properties
    __jit_unused_properties__ = ("classifier", "num_features")

    @property
    def classifier(self) -> nn.Module:
        """The layer that turns features into scores."""
        return self._classifier_or_error()

    @property
    def num_features(self) -> int:
        """Channels that the classifier sees."""
        layer = self._known_classifier()
        return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels

    def reset_classifier(self, num_classes: int) -> None:
        """Puts a new classifier, freshly initialised, in the place of the old one.

        Raises:
            ValueError: ``num_classes`` is not positive, or the classifier is of an unknown kind.
        """
        check_num_classes("num_classes", num_classes)
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
        layer = self._classifier_or_error()
        if not isinstance(layer, (nn.Linear, nn.Conv3d)):
            kind = type(layer).__name__
            raise NoClassifierError(expected("classifier", "a Linear or a Conv3d layer", kind))
        return layer

    def _classifier_or_error(self) -> nn.Module:
        layer: nn.Module | None = getattr(self, self.classifier_name)
        if layer is None:
            raise NoClassifierError(
                f"This head has no classifier: its `{self.classifier_name}` is None, so that it returns features."
            )
        return layer


class ClassificationHead(ReplaceableClassifier):
    """A head for whole clips, which computes in :meth:`ClassificationHead.features` what its classifier sees."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Returns what the classifier sees, averaged over its positions: (B, num_features)."""
        raise NotImplementedError


class PoolAndProject(ReplaceableClassifier):
    """The parts that the heads of the ResNet family share.

    With ``head.proj = None`` the head returns what the classifier would see, and the activation, which is one of
    scores, is left out.
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

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the scores of a pooled map (B, C, T, H, W): a map of them, or (B, num_classes)."""
        x = x if self.dropout is None else self.dropout(x)
        if self.proj is not None:
            # (B, C, T, H, W) -> (B, T, H, W, C) -> (B, num_classes, T, H, W)
            x = self.proj(x.permute(0, 2, 3, 4, 1)).permute(0, 4, 1, 2, 3)
            x = x if self.activation is None else self.activation(x)
        return x if self.output_pool is None else self.output_pool(x).flatten(1)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the map that the pool leaves of a feature map (B, C, T, H, W)."""
        if not torch.jit.is_scripting():
            return x if self.pool is None else apply_pool(self.pool, x)
        return x if self.pool is None else self.pool(x)


def apply_pool(pool: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Returns what a pool leaves of a feature map (B, C, T, H, W) that, with its padding, is as large as the pool.

    PyTorch's average pools refuse a map that is smaller without the padding; their zeros are put around it here.

    Raises:
        ValueError: the map is too small for an average pool.
    """
    check_pool_fits(x, getattr(pool, "pool", pool))
    if not isinstance(pool, nn.AvgPool3d) or is_recorded(x) or not any(three(pool.padding)):
        return pool(x)
    kernel, padding = three(pool.kernel_size), three(pool.padding)
    if all(size >= k for size, k in zip(x.shape[2:], kernel, strict=True)):
        return pool(x)
    around = [pad for pad in reversed(padding) for _ in range(2)]
    sums = F.avg_pool3d(F.pad(x, around), kernel, pool.stride, ceil_mode=pool.ceil_mode)
    if pool.count_include_pad:
        return sums
    ones = F.pad(torch.ones_like(x[:1, :1]), around)
    return sums / F.avg_pool3d(ones, kernel, pool.stride, ceil_mode=pool.ceil_mode)


def check_pool_fits(x: torch.Tensor, pool: nn.Module) -> None:
    """Raises a ValueError where an average pool is larger than the feature map (B, C, T, H, W).

    The comparison is left out while a graph is recorded, so that sizes stay free there.
    """
    if not isinstance(pool, nn.AvgPool3d) or is_recorded(x):
        return
    kernel, padding = three(pool.kernel_size), three(pool.padding)
    sizes = zip(x.shape[2:], kernel, padding, strict=True)
    if any(size + 2 * pad < k for size, k, pad in sizes):
        raise TooSmallError(
            f"Expected at least {kernel} positions (T, H, W) before the head's pool, but got "
            f"{tuple(x.shape[2:])}. Use a longer or larger clip, or build the model for this one: "
            "create_model(name, num_frames=..., crop_size=...)."
        )


def three(size: int | tuple[int, ...]) -> tuple[int, ...]:
    """A size for each of (T, H, W); one number is that of all three."""
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

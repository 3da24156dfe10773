# SPDX-License-Identifier: Apache-2.0
"""Initial weights of convolutional networks and of vision transformers."""

from typing import Literal

from torch import nn

from pytorchvideo._checks import check_choice

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm)


def init_net_weights(
    model: nn.Module, init_std: float = 0.01, style: Literal["resnet", "vit"] = "resnet"
) -> None:
    """Gives a network its initial weights, in place.

    Args:
        model: the network.
        init_std: standard deviation of the linear layers.
        style: "resnet" draws convolutions by fan-out for ReLU (arXiv 1502.01852) and lets every residual
            branch begin at zero, through the last norm of its bottleneck (arXiv 1706.02677); "vit" draws
            linear layers, class tokens and position embeddings from a truncated normal distribution.

    Raises:
        ValueError: an unknown style.
    """
    check_choice("style", style, ("resnet", "vit"))
    if style == "resnet":
        _init_resnet(model, init_std)
    else:
        _init_vit(model, init_std)


def _init_resnet(model: nn.Module, init_std: float) -> None:
    for module in model.modules():
        if isinstance(module, _CONVOLUTIONS):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, _NORMS) and module.weight is not None:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            init_linear(module, init_std)
    for module in model.modules():
        # The norms have all been set to one above, so the order of the two loops matters.
        last = getattr(module, "norm_c", None)
        if isinstance(last, _NORMS) and last.weight is not None:
            nn.init.zeros_(last.weight)


def _init_vit(model: nn.Module, init_std: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=init_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm) and module.elementwise_affine:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        if last == "cls_token" or last.startswith("pos_embed"):
            nn.init.trunc_normal_(parameter, std=init_std)


def init_linear(module: nn.Linear | nn.Conv3d, init_std: float = 0.01) -> None:
    """Draws a classifier's weights from N(0, ``init_std``) and zeroes its bias, in place."""
    nn.init.normal_(module.weight, std=init_std)
    if module.bias is not None:
        nn.init.zeros_(module.bias)

# SPDX-License-Identifier: Apache-2.0
"""Non-local blocks: self-attention over the positions of a clip (arXiv 1711.07971, figure 2)."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import check_choice
from pytorchvideo.layers._factories import ModuleFactory, Size3, build_norm, size3


class NonLocal(nn.Module):
    """Adds to a feature map (B, C, T, H, W) what its positions see in each other; the shape stays.

    With N = T * H * W positions, theta, phi and g of shape (B, N, D), and M pooled positions in phi and g::

        softmax:      x + norm(conv_out(softmax(theta phi^T / sqrt(D)) g))
        dot_product:  x + norm(conv_out(theta phi^T g / M))

    The (N, M) table of positions is never kept: the first goes through ``scaled_dot_product_attention``, the
    second is bracketed as theta (phi^T g).

    Args:
        conv_theta: C -> D channels, of the positions that look.
        conv_phi: C -> D channels, of the positions that are looked at.
        conv_g: C -> D channels, of what is seen there.
        conv_out: D -> C channels.
        pool: applied before ``conv_phi`` and ``conv_g``; None for none.
        norm: of the result, before it is added; None for none.
        instantiation: "softmax" (called embedded Gaussian in the paper) or "dot_product".

    Raises:
        ValueError: an unknown instantiation.
    """

    def __init__(
        self,
        *,
        conv_theta: nn.Module,
        conv_phi: nn.Module,
        conv_g: nn.Module,
        conv_out: nn.Module,
        pool: nn.Module | None = None,
        norm: nn.Module | None = None,
        instantiation: Literal["softmax", "dot_product"] = "dot_product",
    ) -> None:
        super().__init__()
        check_choice("instantiation", instantiation, ("softmax", "dot_product"))
        self.conv_theta = conv_theta
        self.conv_phi = conv_phi
        self.conv_g = conv_g
        self.conv_out = conv_out
        self.pool = pool
        self.norm = norm
        self.instantiation = instantiation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        looked_at = x if self.pool is None else self.pool(x)
        # (B, D, T, H, W) -> (B, 1, N, D), one head
        theta, phi, g = (
            conv(one).flatten(2).transpose(1, 2).unsqueeze(1)
            for conv, one in (
                (self.conv_theta, x),
                (self.conv_phi, looked_at),
                (self.conv_g, looked_at),
            )
        )
        if self.instantiation == "softmax":
            seen = F.scaled_dot_product_attention(theta, phi, g)
        else:
            seen = theta @ (phi.transpose(2, 3) @ g / phi.shape[2])
        # (B, 1, N, D) -> (B, D, T, H, W)
        seen = self.conv_out(seen.squeeze(1).transpose(1, 2).unflatten(2, x.shape[2:]))
        return x + (seen if self.norm is None else self.norm(seen))


def create_nonlocal(
    *,
    dim_in: int,
    dim_inner: int,
    pool_size: Size3 = (1, 1, 1),
    instantiation: Literal["softmax", "dot_product"] = "softmax",
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
) -> NonLocal:
    """Builds a non-local block from 1x1x1 convolutions, (B, dim_in, T, H, W) -> the same shape.

    Args:
        dim_in: channels of the feature map.
        dim_inner: channels in which positions are compared; the paper takes half of ``dim_in``.
        pool_size: (T, H, W) of the maximum pool over the positions that are looked at; (1, 1, 1) for none.
        instantiation: "softmax" or "dot_product".
        norm: called with channels, eps and momentum; None for none.
        norm_eps: its eps.
        norm_momentum: its momentum.

    >>> create_nonlocal(dim_in=16, dim_inner=8, pool_size=(1, 2, 2))(torch.zeros(2, 16, 4, 8, 8)).shape
    torch.Size([2, 16, 4, 8, 8])
    """
    pool = size3(pool_size)
    return NonLocal(
        conv_theta=nn.Conv3d(dim_in, dim_inner, kernel_size=1),
        conv_phi=nn.Conv3d(dim_in, dim_inner, kernel_size=1),
        conv_g=nn.Conv3d(dim_in, dim_inner, kernel_size=1),
        conv_out=nn.Conv3d(dim_inner, dim_in, kernel_size=1),
        pool=nn.MaxPool3d(pool) if max(pool) > 1 else None,
        norm=build_norm(norm, dim_in, norm_eps, norm_momentum),
        instantiation=instantiation,
    )

# SPDX-License-Identifier: Apache-2.0
"""Convolutions side by side."""

import pytest
import torch
from torch.nn import functional as F

from pytorchvideo.layers import ConvReduce3D

KERNELS = ((3, 1, 1), (1, 1, 3))
PADDINGS = ((1, 0, 0), (0, 0, 1))


def test_sum_is_one_convolution_with_a_cross() -> None:
    conv = ConvReduce3D(in_channels=2, out_channels=3, kernel_size=KERNELS, padding=PADDINGS)
    assert sorted(conv.state_dict()) == [
        f"convs.{i}.{name}" for i in (0, 1) for name in ("bias", "weight")
    ]
    cross = torch.zeros(3, 2, 3, 1, 3)
    cross[:, :, :, :, 1:2] += conv.convs[0].weight
    cross[:, :, 1:2] += conv.convs[1].weight
    x = torch.randn(2, 2, 5, 2, 6)
    bias = conv.convs[0].bias + conv.convs[1].bias
    torch.testing.assert_close(conv(x), F.conv3d(x, cross, bias, padding=(1, 0, 1)))


def test_cat_joins_the_channels() -> None:
    conv = ConvReduce3D(
        in_channels=4,
        out_channels=6,
        kernel_size=(1, (3, 3, 3), 3),
        stride=(2, (2, 2, 2), 2),
        padding=(None, 1, (2, 2, 2)),
        padding_mode=(None, "circular", None),
        dilation=(None, None, 2),
        groups=(1, 2, None),
        bias=(True, False, None),
        reduction_method="cat",
    )
    x = torch.randn(1, 4, 6, 6, 6)
    assert conv(x).shape == (1, 18, 3, 3, 3)
    torch.testing.assert_close(conv(x)[:, 6:12], conv.convs[1](x))
    first, second, third = conv.convs
    assert (first.bias is None, second.bias is None, third.bias is None) == (False, True, False)
    assert (second.groups, second.padding_mode, third.dilation) == (2, "circular", (2, 2, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reduction_method": "mean"}, "one of sum, cat, but got 'mean'"),
        ({"stride": ((1, 1, 1),)}, r"`stride` to be a list with an entry for each kernel"),
        ({"bias": False}, "`bias` to be a list with an entry for each kernel, but got False"),
        ({"kernel_size": ()}, "`kernel_size` to be a list with an entry"),
    ],
)
def test_errors(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvReduce3D(**({"in_channels": 1, "out_channels": 1, "kernel_size": KERNELS} | arguments))

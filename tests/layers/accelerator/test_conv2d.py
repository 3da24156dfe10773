# SPDX-License-Identifier: Apache-2.0
"""Convolutions of pictures that compute those of clips."""

import itertools

import pytest
import torch
from torch import nn

from pytorchvideo.layers.accelerator.mobile_cpu.convolutions import (
    FramesConv2d,
    TimeConv2d,
    as_conv2d,
)


def all_sizes() -> list[dict[str, object]]:
    """Kernels of the zoo and others, with strides, dilations, paddings and groups."""
    kernels = [(1, 1, 1), (3, 1, 1), (5, 1, 1), (1, 3, 3), (3, 3, 3), (5, 7, 7), (2, 1, 3)]
    strides = [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 2, 2)]
    return [
        {
            "kernel_size": kernel,
            "stride": stride,
            "dilation": dilation,
            "padding": tuple(d * (k // 2) if padded else 0 for k, d in zip(kernel, dilation, strict=True)),
            "groups": groups,
            "bias": groups > 1,
        }
        for kernel, stride, dilation, padded, groups in itertools.product(
            kernels, strides, [(1, 1, 1), (2, 1, 1), (1, 2, 2)], [True, False], [1, 2, 4]
        )
    ]  # fmt: skip


def test_every_size() -> None:
    x = torch.linspace(-1, 1, 2 * 4 * 9 * 13 * 14).sin().view(2, 4, 9, 13, 14)
    for sizes in all_sizes():
        conv = nn.Conv3d(4, 8, **sizes)  # type: ignore[arg-type]
        with torch.no_grad():
            torch.testing.assert_close(
                as_conv2d(conv)(x), conv(x), rtol=1e-5, atol=1e-5, msg=str(sizes)
            )


@pytest.mark.parametrize("frames", range(1, 6))
@pytest.mark.parametrize("kernel", [1, 3])
def test_clips_of_every_length(frames: int, kernel: int) -> None:
    conv = nn.Conv3d(3, 6, (3, kernel, kernel), padding=(1, kernel // 2, kernel // 2))
    x = torch.linspace(-1, 1, 3 * frames * 25).cos().view(1, 3, frames, 5, 5)
    torch.testing.assert_close(as_conv2d(conv)(x), conv(x), rtol=1e-5, atol=1e-5)


def test_kinds_and_parameters() -> None:
    conv = nn.Conv3d(2, 4, (3, 1, 1), dtype=torch.float64).eval()
    made = as_conv2d(conv)
    assert isinstance(made, TimeConv2d)
    assert made.conv.weight.dtype == torch.float64
    assert not made.conv.training
    made.conv.weight.data.zero_()
    assert conv.weight.count_nonzero() == conv.weight.numel()
    assert isinstance(as_conv2d(nn.Conv3d(2, 4, 1, stride=(1, 2, 2))), FramesConv2d)


@pytest.mark.parametrize(
    ("sizes", "got"),
    [({"padding": "same"}, "'same'"), ({"padding_mode": "circular"}, "'circular'")],
)
def test_other_paddings(sizes: dict[str, str], got: str) -> None:
    conv = nn.Conv3d(2, 4, 3, **sizes)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=f"padding` to be of zeros and given in numbers, but got {got}"
    ):
        as_conv2d(conv)

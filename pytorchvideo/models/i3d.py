# SPDX-License-Identifier: Apache-2.0
"""The original I3D: Inception-v1 with its 2-D kernels inflated to 3-D (arXiv 1705.07750, figure 3).

For a clip (B, 3, T, S, S) with values in [-1, 1]::

    Conv3d_1a_7x7    7x7x7 stride 2                       (B,   64, T/2, S/2,  S/2)
    MaxPool3d_2a_3x3 1x3x3 stride 1,2,2                   (B,   64, T/2, S/4,  S/4)
    Conv3d_2b, 2c    1x1x1, 3x3x3                         (B,  192, T/2, S/4,  S/4)
    MaxPool3d_3a_3x3 1x3x3 stride 1,2,2; Mixed_3b, 3c     (B,  480, T/2, S/8,  S/8)
    MaxPool3d_4a_3x3 3x3x3 stride 2; Mixed_4b ... 4f      (B,  832, T/4, S/16, S/16)
    MaxPool3d_5a_2x2 2x2x2 stride 2; Mixed_5b, 5c         (B, 1024, T/8, S/32, S/32)
    logits           2x7x7 average pool, dropout, 1x1x1 convolution, mean over positions   (B, classes)

Names and padding are those of the published TensorFlow weights: state-dict keys follow the figure's layers, and
every layer pads as TensorFlow's SAME does, with the extra pixel at the end.
"""

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo.layers._cpu_fast_path import run_chain
from pytorchvideo.layers._factories import Size3, size3
from pytorchvideo.models._parts.head_parts import apply_pool, check_num_classes
from pytorchvideo.models.head import ClassificationHead
from pytorchvideo.models.net import ClassificationModel
from pytorchvideo.models.weight_init import init_linear, init_net_weights

# Output channels of an Inception block: 1x1 branch; 3x3 branch, reduced and full; the second 3x3 branch (5x5 in
# the 2-D network), reduced and full; pool branch. Figure 3 with the widths of arXiv 1409.4842, table 1.
MIXED_CHANNELS = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
# The pools that stand before a layer: kernel, stride.
_POOLS = {
    "Conv3d_2b_1x1": ("MaxPool3d_2a_3x3", (1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ("MaxPool3d_3a_3x3", (1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ("MaxPool3d_4a_3x3", (3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ("MaxPool3d_5a_2x2", (2, 2, 2), (2, 2, 2)),
}


def pad_same(x: torch.Tensor, kernel: list[int], stride: list[int]) -> torch.Tensor:
    """Pads (B, C, T, H, W) with zeros as TensorFlow's SAME does; every kernel must be >= its stride.

    >>> pad_same(torch.zeros(1, 1, 1, 4, 5), kernel=[1, 3, 3], stride=[1, 2, 2]).shape
    torch.Size([1, 1, 1, 5, 7])
    """
    padding: list[int] = []
    for i in (2, 1, 0):
        total = kernel[i] - stride[i] + (-x.shape[2 + i]) % stride[i]
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


class Unit3D(nn.Module):
    """Convolution without bias, batch norm, ReLU; padded as TensorFlow's SAME."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        # An odd kernel at stride 1 is padded alike on both sides, which the convolution does itself.
        padding = kernel // 2 if stride == 1 else 0
        self.conv3d = nn.Conv3d(
            channels_in, channels_out, kernel, stride=stride, padding=padding, bias=False
        )
        self.bn = nn.BatchNorm3d(channels_out, eps=1e-3)
        self.kernel, self.stride = [kernel] * 3, [stride] * 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.stride[0] > 1:
            x = pad_same(x, self.kernel, self.stride)
        if not torch.jit.is_scripting():
            return F.relu(run_chain((self.conv3d, self.bn), x), inplace=True)
        return F.relu(self.bn(self.conv3d(x)), inplace=True)


class MaxPoolSame(nn.Module):
    """A max pool padded as TensorFlow's SAME; for inputs that are never negative, as after a ReLU."""

    def __init__(self, kernel: Size3, stride: Size3) -> None:
        super().__init__()
        self.kernel, self.stride = list(kernel), list(stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.max_pool3d(pad_same(x, self.kernel, self.stride), self.kernel, self.stride)

    def extra_repr(self) -> str:
        return f"kernel={tuple(self.kernel)}, stride={tuple(self.stride)}"


class InceptionBlock(nn.Module):
    """Four branches side by side, joined by channels.

    Args:
        channels_in: channels of the input.
        channels: the six widths of a row of :data:`MIXED_CHANNELS`.
    """

    def __init__(self, channels_in: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        c0, c1a, c1b, c2a, c2b, c3b = channels
        self.b0 = Unit3D(channels_in, c0, 1)
        self.b1a = Unit3D(channels_in, c1a, 1)
        self.b1b = Unit3D(c1a, c1b, 3)
        self.b2a = Unit3D(channels_in, c2a, 1)
        self.b2b = Unit3D(c2a, c2b, 3)
        self.b3a = nn.MaxPool3d(3, stride=1, padding=1)
        self.b3b = Unit3D(channels_in, c3b, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))]
        return torch.cat(branches, dim=1)


class InceptionHead(ClassificationHead):
    """Average pool, dropout, 1x1x1 convolution, mean over the positions left: (B, C, T, H, W) -> (B, classes)."""

    classifier_name = "conv3d"

    def __init__(
        self, channels_in: int, num_classes: int, pool_kernel_size: Size3, dropout_rate: float
    ) -> None:
        super().__init__()
        self.pool = nn.AvgPool3d(size3(pool_kernel_size), stride=1)
        self.dropout = nn.Dropout(dropout_rate)
        self.conv3d = nn.Conv3d(channels_in, num_classes, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(x) if torch.jit.is_scripting() else apply_pool(self.pool, x)
        x = self.dropout(x)
        x = x if self.conv3d is None else self.conv3d(x)
        return x.mean(dim=(2, 3, 4))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return apply_pool(self.pool, x).mean(dim=(2, 3, 4))


class InceptionI3D(ClassificationModel):
    """The network of the figure above; see :func:`create_i3d_inception` for the arguments."""

    def __init__(
        self,
        *,
        input_channel: int = 3,
        model_num_class: int = 400,
        dropout_rate: float = 0.5,
        head_pool_kernel_size: Size3 = (2, 7, 7),
    ) -> None:
        super().__init__(input_channel)
        layers: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": Unit3D(input_channel, 64, 7, stride=2),
            "Conv3d_2b_1x1": Unit3D(64, 64, 1),
            "Conv3d_2c_3x3": Unit3D(64, 192, 3),
        }
        channels_in = 192
        for name, channels in MIXED_CHANNELS.items():
            layers[name] = InceptionBlock(channels_in, channels)
            channels_in = channels[0] + channels[2] + channels[4] + channels[5]
        for name, layer in layers.items():
            if name in _POOLS:
                pool_name, kernel, stride = _POOLS[name]
                self.add_module(pool_name, MaxPoolSame(kernel, stride))
            self.add_module(name, layer)
        self.logits = InceptionHead(
            channels_in, model_num_class, head_pool_kernel_size, dropout_rate
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            return super().forward(x)
        for layer in self.children():
            x = layer(x)
        return x

    @property
    def classification_head(self) -> ClassificationHead:
        return self.logits

    def forward_trunk(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            if layer is not self.logits:
                x = layer(x)
        return x


def create_i3d_inception(
    *,
    input_channel: int = 3,
    model_num_class: int = 400,
    dropout_rate: float = 0.5,
    head_pool_kernel_size: Size3 = (2, 7, 7),
) -> InceptionI3D:
    """Builds the original I3D, (B, input_channel, T, H, W) with values in [-1, 1] -> (B, model_num_class).

    Args:
        input_channel: 3 for RGB, 2 for optical flow.
        model_num_class: number of classes.
        dropout_rate: before the classifier.
        head_pool_kernel_size: (T, H, W) of the head's average pool; one an eighth of the frames and a
            thirty-second of the side, or smaller, must be left.
    """
    check_num_classes("model_num_class", model_num_class)
    model = InceptionI3D(
        input_channel=input_channel,
        model_num_class=model_num_class,
        dropout_rate=dropout_rate,
        head_pool_kernel_size=head_pool_kernel_size,
    )
    init_net_weights(model)
    # by fan-out, as the other convolutions, few classes would begin with scores of some twenty
    init_linear(model.classifier)  # type: ignore[arg-type]
    return model


def head_pool_sizes(num_frames: int, crop_size: int) -> dict[str, Any]:
    """Arguments of :func:`create_i3d_inception` for clips of another size.

    >>> head_pool_sizes(64, 224), head_pool_sizes(8, 112)
    ({'head_pool_kernel_size': (2, 7, 7)}, {'head_pool_kernel_size': (1, 4, 4)})
    """
    side = math.ceil(crop_size / 32)
    return {"head_pool_kernel_size": (min(2, math.ceil(num_frames / 8)), side, side)}


# Arguments of `create_i3d_inception` that differ from its defaults.
VARIANTS: dict[str, dict[str, Any]] = {"i3d_inception": {}}

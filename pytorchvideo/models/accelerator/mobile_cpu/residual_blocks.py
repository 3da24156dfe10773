# SPDX-License-Identifier: Apache-2.0
"""The residual block of EfficientX3D."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from pytorchvideo.layers._cpu_fast_path import run_chain
from pytorchvideo.layers.accelerator._arithmetic import Arithmetic, make_arithmetic
from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase, check_blob_size
from pytorchvideo.layers.accelerator.mobile_cpu.activation_functions import make_activation
from pytorchvideo.layers.accelerator.mobile_cpu.attention import SqueezeExcitation
from pytorchvideo.layers.accelerator.mobile_cpu.convolutions import (
    Conv3d3x3x3DwBnAct,
    Conv3dPwBnAct,
    Conv3dTemporalKernel1BnAct,
)
from pytorchvideo.layers.utils import round_width


class X3dBottleneckBlock(EfficientBlockBase):
    """An inverted bottleneck with squeeze-excitation (arXiv 2004.04730, figure 2).

    Args:
        in_channels: channels of the input.
        mid_channels: channels of the depthwise convolution.
        out_channels: channels of the output.
        use_residual: add the input, projected where the block changes its shape.
        spatial_stride: of the depthwise convolution.
        se_ratio: hidden channels of the squeeze-excitation over ``mid_channels``; 0 for none.
        act_functions: names of the activations after the first convolution, after the squeeze-excitation,
            and of the result.
        bias: whether each of the three convolutions has a bias.
        use_bn: whether each has a batch norm; the projection has one where the last has.
        norm_eps: eps of the norms.
        norm_momentum: momentum of the norms.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        out_channels: int,
        use_residual: bool = True,
        spatial_stride: int = 1,
        se_ratio: float = 0.0625,
        act_functions: Sequence[str] = ("relu", "relu", "relu"),
        bias: Sequence[bool] = (False, False, False),
        use_bn: Sequence[bool] = (True, True, True),
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.in_channels, self.mid_channels = in_channels, mid_channels
        self.spatial_stride = spatial_stride
        norms: dict[str, Any] = {"norm_eps": norm_eps, "norm_momentum": norm_momentum}
        conv_0 = Conv3dPwBnAct(
            in_channels, mid_channels, bias[0], act_functions[0], use_bn[0], **norms
        )
        conv_1 = Conv3d3x3x3DwBnAct(
            mid_channels, spatial_stride, bias[1], "identity", use_bn[1], **norms
        )
        conv_2 = Conv3dPwBnAct(mid_channels, out_channels, bias[2], "identity", use_bn[2], **norms)
        self.layers = nn.Sequential()
        self.layers.add_module("conv_0", conv_0)
        self.layers.add_module("conv_1", conv_1)
        if se_ratio > 0:
            reduced = round_width(mid_channels, se_ratio)
            self.layers.add_module("se", SqueezeExcitation(mid_channels, reduced, is_3d=True))
        self.layers.add_module("act_func_1", make_activation(act_functions[1]))
        self.layers.add_module("conv_2", conv_2)
        self.use_residual = use_residual
        self._res_proj = None
        if use_residual and (spatial_stride != 1 or in_channels != out_channels):
            self._res_proj = Conv3dTemporalKernel1BnAct(
                in_channels,
                out_channels,
                bias=bias[2],
                spatial_stride=spatial_stride,
                activation="identity",
                use_bn=use_bn[2],
                **norms,
            )
        self.final_act = make_activation(act_functions[2])
        self.arithmetic: Any = Arithmetic()

    def convert(
        self,
        input_blob_size: Sequence[int],
        *args: Any,
        convert_for_quantize: bool = False,
        native_conv3d_op_qnnpack: bool = False,
        **kwargs: Any,
    ) -> None:
        """Puts all layers into their deployable forms, in place.

        Args:
            input_blob_size: shape (B, C, T, H, W) of the input; the deployable form takes others, too.
            args: of no effect.
            convert_for_quantize: of no effect on these layers; blocks of your own may look at it.
            native_conv3d_op_qnnpack: the processor has convolutions of clips: keep them.
            kwargs: of no effect.

        Raises:
            RuntimeError: it was converted before.
            ValueError: the block takes no input of this shape.
        """
        self._begin_convert()
        check_blob_size(input_blob_size, 5, self.in_channels)
        switches = {
            "convert_for_quantize": convert_for_quantize,
            "native_conv3d_op_qnnpack": native_conv3d_op_qnnpack,
        }
        batch, _, frames, *image = input_blob_size
        # padded kernels with an odd size: a stride rounds up
        reduced = [-(-side // self.spatial_stride) for side in image]
        for name, layer in self.layers.named_children():
            sides = image if name in ("conv_0", "conv_1") else reduced
            channels = self.in_channels if name == "conv_0" else self.mid_channels
            size = (batch, channels, frames, *sides)
            cast(EfficientBlockBase, layer).convert(size, **switches)
        if self._res_proj is not None:
            self._res_proj.convert(input_blob_size, **switches)
        self.final_act.convert(input_blob_size, **switches)
        if self.use_residual:
            self.arithmetic = make_arithmetic()
        self.convert_flag = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.layers(x) if torch.jit.is_scripting() else run_chain((self.layers,), x)
        if self.use_residual:
            shortcut = x if self._res_proj is None else self._res_proj(x)
            out = self.arithmetic.add(out, shortcut)
        return self.final_act(out)

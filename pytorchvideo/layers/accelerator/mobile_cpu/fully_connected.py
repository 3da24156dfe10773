# SPDX-License-Identifier: Apache-2.0
"""Linear layers of mobile networks."""

from torch import nn

from pytorchvideo.layers.accelerator.efficient_block import NoOpConvertBlock


class FullyConnected(NoOpConvertBlock):
    """A linear layer, (..., in_features) -> (..., out_features); its state-dict keys begin ``model.``."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__(nn.Linear(in_features, out_features, bias=bias))

# SPDX-License-Identifier: Apache-2.0
"""Networks that score boxes, on the trunk of any model for whole clips.

::

    stage        tensor, of a clip of T frames and S x S pixels
    trunk        (B, C, T', S/16, S/16), or S/32 where its last stage keeps its stride
    mean         over time                                          (B, C, 1, h, w)
    RoIAlign     of each box, on resolution x resolution cells      (N, C, r, r)
    max          over the box                                       (N, C, 1, 1)
    classifier   dropout and a linear layer                         (N, num_classes)

The head is that of SlowFast on AVA (arXiv 1812.03982, section 5). ``slow_r50_detection`` and ``slowfast_r50_detection``
are built by their own families, with the names of tensors of their published weights; here the trunk is a network
that was built as a classifier, so that its weights for whole clips can be loaded before.
"""

from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import ModuleFactory
from pytorchvideo.models._parts.pathways import PoolConcatPathway
from pytorchvideo.models.accelerator.mobile_cpu.efficient_x3d import EfficientX3d
from pytorchvideo.models.head import create_res_roi_pooling_head
from pytorchvideo.models.i3d import InceptionI3D
from pytorchvideo.models.net import ClassificationModel, DetectionBBoxNetwork, Net, check_input
from pytorchvideo.models.vision_transformers import MultiscaleVisionTransformers
from pytorchvideo.models.weight_init import init_net_weights
from pytorchvideo.models.x3d import ProjectedPool

__all__ = ["FeatureMaps", "load_trunk", "with_roi_head"]

# side of a clip over that of the last feature map, of every family; the last stage doubles it
_STRIDE = 32


class FeatureMaps(nn.Module):
    """The last feature map of a network without its head, the mean over time: (B, C, 1, H, W), of clips of any length.

    Args:
        network: a classifier of whole clips.

    Raises:
        TypeError: a network without feature maps.

    Attributes:
        channels: C.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, ClassificationModel):
            wanted = "a network of the zoo for whole clips"
            raise TypeError(expected("network", wanted, type(network).__name__))
        self.input_channels = network.input_channels
        last: nn.Module = nn.Identity()
        if isinstance(network, Net):
            self.channels = network.num_features
            parts: list[Any] = list(network.blocks)
            *blocks, head = parts
            if isinstance(blocks[-1], PoolConcatPathway):
                blocks[-1] = _over_time_alone(blocks[-1])
            projection = getattr(head, "pool", None)
            if isinstance(projection, ProjectedPool):  # X3D widens the map before its pool
                names = ("pre_conv", "pre_norm", "pre_act")
                found = [getattr(projection, name) for name in names]
                last = nn.Sequential(*(part for part in found if part is not None))
                self.channels = _width(last)
            self.trunk: nn.Module = Net(
                blocks=nn.ModuleList(blocks), input_channels=network.input_channels
            )
        elif isinstance(network, MultiscaleVisionTransformers):
            self.channels = network.num_features
            network.head = None
            self.trunk = network
        elif isinstance(network, EfficientX3d):
            if network.head is None:
                raise TypeError(expected("network", "one with its head", "enable_head=False"))
            last = network.head.get_submodule("conv_5")
            self.channels = _width(last)
            network.head = network.projection = None
            self.trunk = network
        elif isinstance(network, InceptionI3D):
            self.channels = network.num_features
            layers = {name: child for name, child in network.named_children() if name != "logits"}
            self.trunk = nn.Sequential()
            for name, layer in layers.items():
                self.trunk.add_module(name, layer)
        else:
            wanted = "a network of the zoo with feature maps"
            raise TypeError(expected("network", wanted, type(network).__name__))
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if isinstance(self.trunk, MultiscaleVisionTransformers):
            return self._of_tokens(x)
        if not torch.jit.is_scripting():
            check_input(x, self.input_channels)
        return self.last(self.trunk(x)).mean(dim=2, keepdim=True)

    def _of_tokens(self, x: torch.Tensor) -> torch.Tensor:
        tokens, grid = self.trunk.forward_tokens(x)  # type: ignore[operator]
        count = grid[0] * grid[1] * grid[2]
        # the class token comes first
        tokens = tokens[:, -count:]
        # (B, T * H * W, C) -> (B, C, T, H, W) -> (B, C, 1, H, W)
        return tokens.transpose(1, 2).unflatten(2, list(grid)).mean(dim=2, keepdim=True)


def _width(layers: nn.Module) -> int:
    """Channels of the last convolution."""
    return [layer.out_channels for layer in layers.modules() if isinstance(layer, nn.Conv3d)][-1]


def _over_time_alone(pools: PoolConcatPathway) -> PoolConcatPathway:
    """The pools of several pathways without their pools over the picture."""
    kernels: list[Any] = [pool.kernel_size for pool in pools.pool or ()]
    return PoolConcatPathway(
        pool=nn.ModuleList(nn.AvgPool3d((size[0], 1, 1), stride=(1, 1, 1)) for size in kernels)
    )


def _last_stage(network: nn.Module) -> nn.Module | None:
    """The stage whose stride can become a dilation, None where a pool or an attention makes it."""
    if isinstance(network, EfficientX3d):
        return network.s5
    if not isinstance(network, Net):
        return None
    blocks = [block for block in network.blocks if not isinstance(block, PoolConcatPathway)]
    return blocks[-2]  # the head is last


def _dilate(stage: nn.Module) -> None:
    """Makes the stride in space of a stage a dilation: the map stays twice as large, weights stay the same.

    As the stages of the published models for boxes are built: all of its convolutions in space are dilated.
    """
    for layer in stage.modules():
        if not isinstance(layer, nn.Conv3d):
            continue
        frames = layer.stride[0]
        if layer.stride[1:] == (2, 2):
            layer.stride = (frames, 1, 1)
        if max(layer.kernel_size[1:]) > 1:
            layer.dilation = (layer.dilation[0], 2, 2)
            padding: Any = layer.padding
            layer.padding = (padding[0], 2 * padding[1], 2 * padding[2])
            # what `padding_mode` uses, in the order of F.pad
            layer._reversed_padding_repeated_twice = [
                side for size in reversed(layer.padding) for side in (size, size)
            ]


def with_roi_head(
    network: nn.Module,
    num_classes: int,
    *,
    activation: ModuleFactory | None = None,
    aligned: bool = True,
    resolution: int | tuple[int, int] = (7, 7),
    sampling_ratio: int = 0,
    dropout_rate: float = 0.5,
    dilated: bool = True,
) -> DetectionBBoxNetwork:
    """Returns the trunk of a network with a head that scores boxes; the network's layers are used, not copied.

    Args:
        network: a model of the zoo for whole clips, with its head, e.g. of ``create_model("x3d_s", weights=FILE)``.
        num_classes: number of classes.
        activation: ``nn.Sigmoid`` for actions that do not exclude each other, ``nn.Softmax`` for those that do; None
            returns logits.
        aligned: whether RoIAlign shifts by half a pixel, so that a cell of a box is where its pixels are.
        resolution: (height, width) of the part of the map that a box becomes.
        sampling_ratio: points a cell and axis; 0 for as many as it has positions.
        dropout_rate: before the classifier.
        dilated: keep the last stage of convolutional networks as large as the one before, by a dilation in the place of
            its stride: a position of the map is then 16 pixels of the clip instead of 32.

    Raises:
        TypeError: a network that is none of the zoo for whole clips.

    >>> from pytorchvideo.models import create_model
    >>> model = with_roi_head(create_model("x3d_xs"), 5)
    >>> model(torch.rand(1, 3, 4, 64, 96), torch.tensor([[0.0, 10.0, 10.0, 40.0, 60.0]])).shape
    torch.Size([1, 5])
    """
    stage = _last_stage(network) if dilated else None
    if stage is not None:
        _dilate(stage)
    maps = FeatureMaps(network)
    head = create_res_roi_pooling_head(
        in_features=maps.channels,
        out_features=num_classes,
        resolution=resolution,
        spatial_scale=(1 if stage is None else 2) / _STRIDE,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        pool=None,
        dropout_rate=dropout_rate,
        activation=activation,
        output_with_global_average=False,
    )
    init_net_weights(head)
    return DetectionBBoxNetwork(maps, head)


def load_trunk(model: nn.Module, network: nn.Module) -> None:
    """Copies the weights of a classifier of whole clips into the trunk of a model for boxes; its head stays.

    Args:
        model: of :func:`with_roi_head`, or a model for boxes of the zoo.
        network: the model for whole clips with the same trunk, which cannot be used afterwards.

    Raises:
        ValueError: it has another trunk.
    """
    trunk: Any = model.get_submodule("model")
    source = FeatureMaps(network) if isinstance(trunk, FeatureMaps) else network
    state = source.state_dict()
    own = trunk.state_dict()
    wrong = next((k for k, v in own.items() if k not in state or state[k].shape != v.shape), None)
    if wrong is not None:
        raise ValueError(
            f"Expected `network` to have the trunk of the model for boxes, but it lacks its tensor {wrong}."
        )
    trunk.load_state_dict({key: state[key] for key in own})

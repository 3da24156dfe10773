# SPDX-License-Identifier: Apache-2.0
"""Networks whose parts users replace, as projects do with the models of the zoo."""

import pytest
import torch
from torch import nn

from pytorchvideo.models.resnet import create_resnet


@pytest.mark.parametrize("channels", [1, 2])
def test_a_stem_for_other_channels(channels: int) -> None:
    model = create_resnet(model_num_class=5, stem_dim_out=4, head_pool_kernel_size=(1, 1, 1)).eval()
    model.blocks[0].conv = nn.Conv3d(channels, 4, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
    with torch.no_grad():
        assert model(torch.rand(1, channels, 2, 32, 32)).shape == (1, 5)
        assert model.forward_features(torch.rand(1, channels, 2, 32, 32)).shape[0] == 1
        with pytest.raises(ValueError, match=r"clips \(B, 3, T, H, W\), but got \(1, 4, 2, 32, 32"):
            model(torch.rand(1, 4, 2, 32, 32))


def test_a_head_without_its_parts() -> None:
    model = create_resnet(model_num_class=5, stem_dim_out=4, head_pool_kernel_size=(1, 1, 1)).eval()
    model.blocks[-1].proj = nn.Sequential(
        nn.Dropout(0.5), nn.Linear(model.blocks[-1].proj.in_features, 3)
    )
    trunk = nn.Sequential(*next(iter(model.children()))[:-1])
    with torch.no_grad():
        assert model(torch.rand(2, 3, 2, 32, 32)).shape == (2, 3)
        assert trunk(torch.rand(2, 3, 2, 32, 32)).shape[:2] == (2, 128)

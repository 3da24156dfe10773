# SPDX-License-Identifier: Apache-2.0
"""EfficientX3D and its block in both forms, its head, and files that are state dicts themselves."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
    convert_to_deployable_form,
)
from pytorchvideo.models import create_model
from pytorchvideo.models.accelerator.mobile_cpu.efficient_x3d import EfficientX3d, create_x3d
from pytorchvideo.models.accelerator.mobile_cpu.residual_blocks import X3dBottleneckBlock


def test_depths() -> None:
    with torch.device("meta"):
        model = create_x3d(expansion="L")
    assert [len(getattr(model, f"s{i}")) for i in (2, 3, 4, 5)] == [5, 10, 25, 15]
    assert sum(p.numel() for p in model.parameters()) == 6_153_432
    assert len(model.state_dict()) == 1146
    with pytest.raises(ValueError, match="`expansion` to be one of XS, S, M, L, but got 'XL'"):
        EfficientX3d(expansion="XL")


def test_head() -> None:
    clip = torch.randn(2, 3, 4, 32, 64)
    model = EfficientX3d(num_classes=5, head_act="relu", dropout=0.0).eval()
    with torch.no_grad():
        features = model.forward_features(clip)
        assert features.shape == (2, 2048)
        scores = model.classifier(features)
        torch.testing.assert_close(model(clip), scores.relu())
    model.projection.train()
    model.training = True
    with torch.no_grad():
        torch.testing.assert_close(model(clip), scores)
    model.reset_classifier(3)
    assert model(clip).shape == (2, 3)


def test_without_head() -> None:
    model = EfficientX3d(enable_head=False).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 4, 64, 64)).shape == (1, 192, 4, 2, 2)
    with pytest.raises(ValueError, match="without a classification head"):
        model.reset_classifier(3)


def test_the_file_is_the_state_dict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    wanted = create_model("efficient_x3d_xs").state_dict()
    torch.save(wanted, folder / "efficient_x3d_xs_original_form.pyth")
    model = create_model("efficient_x3d_xs", pretrained=True)
    assert all(torch.equal(v, wanted[k]) for k, v in model.state_dict().items())


def test_block_is_its_layers() -> None:
    block = X3dBottleneckBlock(4, 6, 4, act_functions=("relu", "swish", "hswish")).eval()
    x = torch.randn(2, 4, 3, 8, 8)
    layers = block.layers
    inner = nn.functional.silu(layers.se(layers.conv_1(layers.conv_0(x))))
    torch.testing.assert_close(block(x), nn.functional.hardswish(x + layers.conv_2(inner)))
    assert block._res_proj is None
    alone = X3dBottleneckBlock(4, 6, 8, use_residual=False, spatial_stride=2, se_ratio=0)
    assert alone(x).shape == (2, 8, 3, 4, 4)
    assert "se" not in dict(alone.layers.named_children())


@pytest.mark.parametrize("quantize", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"out_channels": 6, "spatial_stride": 2, "act_functions": ("hswish", "swish", "identity")},
        {"spatial_stride": 3, "se_ratio": 0, "bias": (True, False, True)},
        {"use_residual": False, "use_bn": (False, True, False), "act_functions": ("swish",) * 3},
    ],
)
def test_block_converts(arguments: dict[str, Any], quantize: bool) -> None:
    block = X3dBottleneckBlock(
        **({"in_channels": 4, "mid_channels": 8, "out_channels": 4} | arguments)
    )
    with torch.no_grad():
        block(
            torch.linspace(-9, 9, 4 * 3 * 9 * 7).sin().view(1, 4, 3, 9, 7)
        )  # moves the statistics
        x = torch.linspace(-5, 5, 2 * 4 * 3 * 7 * 5).cos().view(2, 4, 3, 7, 5)
        made = copy.deepcopy(block.eval())
        made.convert(x.shape, convert_for_quantize=quantize)
        torch.testing.assert_close(made(x), block(x), rtol=1e-4, atol=1e-4)
    with pytest.raises(
        RuntimeError, match="X3dBottleneckBlock to be in its original form, but got"
    ):
        made.convert(x.shape)
    with pytest.raises(ValueError, match=r"with C = 4, but got \(2, 3, 3, 7, 5\)"):
        block.convert((2, 3, 3, 7, 5))
    assert not any(getattr(m, "convert_flag", False) for m in block.modules())


@pytest.mark.parametrize(
    "arguments", [{"expansion": "L", "head_act": "swish"}, {"expansion": "M", "enable_head": False}]
)
def test_networks_convert(arguments: dict[str, Any]) -> None:
    model = EfficientX3d(num_classes=3, **arguments).eval()
    clip = torch.linspace(0, 300, 3 * 5 * 45 * 38).sin().view(1, 3, 5, 45, 38)
    with torch.no_grad():
        made = convert_to_deployable_form(model, clip)
        torch.testing.assert_close(made(clip), model(clip), rtol=1e-4, atol=1e-4)

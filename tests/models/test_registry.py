# SPDX-License-Identifier: Apache-2.0
"""Models by name: near names, sizes translated for each family, overrides, files of weights."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pytorchvideo.models import create_model, get_weights, list_models, model_entry


def head_pool(model: nn.Module) -> nn.AvgPool3d:
    (pool,) = [m for m in model.modules() if isinstance(m, nn.AvgPool3d)]
    return pool


def test_names_of_a_task() -> None:
    videos, pictures = list_models("video classification"), list_models("image classification")
    assert "mvit_base_16x4" in videos
    assert pictures == ["mvit_base_16"]
    assert list_models("detection") == ["slow_r50_detection", "slowfast_r50_detection"]
    assert not set(videos) & set(pictures)
    assert model_entry("slow_r50", "video classification").name == "slow_r50"
    with pytest.raises(
        ValueError, match="slow_r50 is a model for video classification, not for detection"
    ):
        model_entry("slow_r50", "detection")
    with pytest.raises(ValueError, match="`task` to be one of detection, image classification"):
        list_models("video")  # type: ignore[arg-type]


def test_names() -> None:
    names = list_models()
    assert names == sorted(names)
    assert {"slow_r50", "c2d_r50", "i3d_r50", "x3d_xs", "x3d_l", "i3d_inception"} <= set(names)


@pytest.mark.parametrize("function", [create_model, get_weights, model_entry])
def test_unknown_name(function: object) -> None:
    with pytest.raises(ValueError, match=r"no model named 'slow_r5'\. Did you mean slow_r50"):
        function("slow_r5")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "sizes", "kernel"),
    [
        ("slow_r50", {}, (8, 7, 7)),
        ("slow_r50", {"num_frames": 4}, (4, 7, 7)),
        ("slow_r50", {"crop_size": 100}, (8, 4, 4)),
        ("i3d_r50", {}, (4, 7, 7)),
        ("c2d_r50", {"num_frames": 16, "crop_size": 256}, (8, 8, 8)),
        ("x3d_xs", {}, (4, 5, 5)),
        ("x3d_m", {"num_frames": 5}, (5, 7, 7)),
        ("x3d_l", {"crop_size": 64}, (16, 2, 2)),
        ("i3d_inception", {}, (2, 7, 7)),
        ("i3d_inception", {"num_frames": 8, "crop_size": 128}, (1, 4, 4)),
    ],
)
def test_sizes(name: str, sizes: dict[str, int], kernel: tuple[int, ...]) -> None:
    with torch.device("meta"):
        model = create_model(name, **sizes)
    assert head_pool(model).kernel_size == kernel
    entry = model_entry(name)
    frames = sizes.get("num_frames", entry.num_frames)
    side = sizes.get("crop_size", entry.crop_size)
    with torch.no_grad():
        assert model.eval()(torch.empty(1, 3, frames, side, side, device="meta")).shape == (1, 400)


def test_builder_arguments_go_first() -> None:
    with torch.device("meta"):
        model = create_model("slow_r50", head_pool_kernel_size=(2, 3, 3), model_num_class=6)
        assert create_model("slow_r50", num_classes=6, dropout_rate=0.0).blocks[-1].dropout is None
    assert head_pool(model).kernel_size == (2, 3, 3)
    assert model.classifier.out_features == 6


def test_file_goes_before_the_download(tmp_path: Path) -> None:
    source = create_model("x3d_xs", num_classes=4, depth_factor=0.5)
    torch.save(source.state_dict(), tmp_path / "a.pth")
    model = create_model(
        "x3d_xs", pretrained=True, weights=tmp_path / "a.pth", num_classes=4, depth_factor=0.5
    )
    assert torch.equal(model.classifier.weight, source.classifier.weight)


@pytest.mark.parametrize(
    ("name", "sizes", "kernels"),
    [
        ("slowfast_r50", {}, [(8, 7, 7), (32, 7, 7)]),
        ("slowfast_r50", {"num_frames": 8, "crop_size": 64}, [(2, 2, 2), (8, 2, 2)]),
        ("slowfast_r50_4x16", {}, [(4, 7, 7), (32, 7, 7)]),
        ("slowfast_16x8_r101_50_50", {"crop_size": 256}, [(16, 8, 8), (64, 8, 8)]),
    ],
)
def test_sizes_of_pathways(
    name: str, sizes: dict[str, int], kernels: list[tuple[int, ...]]
) -> None:
    with torch.device("meta"):
        model = create_model(name, **sizes)
    pools = [m for m in model.modules() if isinstance(m, nn.AvgPool3d)]
    assert [pool.kernel_size for pool in pools] == kernels

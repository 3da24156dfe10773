# SPDX-License-Identifier: Apache-2.0
"""Layers of networks, and the rates that they learn at."""

from typing import Any

import pytest
import torch
from torch import nn

from flash.core.layer_decay import parameter_layers
from flash.video import VideoClassifier
from pytorchvideo.models._registry import create_model


def layers(network: nn.Module) -> dict[str, int]:
    found = parameter_layers(network)
    return {name: found[parameter] for name, parameter in network.named_parameters()}


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("x3d_xs", 6, "blocks.0.conv.conv_t.weight", "blocks.5.proj.weight"),
        ("slow_r50", 6, "blocks.0.norm.weight", "blocks.5.proj.weight"),
        # one stage of both pathways is one layer
        ("slowfast_r50", 6, "blocks.0.multipathway_blocks.1.conv.weight", "blocks.6.proj.weight"),
        ("mvit_base_16x4", 18, "patch_embed.patch_model.weight", "head.proj.weight"),
        ("efficient_x3d_xs", 7, "s1.pathway0_stem_conv_xy.kernel.conv.weight", "projection.model.weight"),
    ],
)  # fmt: skip
def test_layers_of_the_zoo(name: str, count: int, first: str, last: str) -> None:
    with torch.device("meta"):
        found = layers(create_model(name))
    assert set(found.values()) == set(range(count))
    assert (found[first], found[last]) == (0, count - 1)
    # the order of registration is that from the pixels to the scores
    assert list(found.values()) == sorted(found.values())


def test_layers_of_an_encoder() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.VideoMAEConfig(
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=16,
        patch_size=4,
    )
    with torch.device("meta"):
        found = layers(transformers.VideoMAEForVideoClassification(config))
    depth = {n.split("encoder.layer.")[-1][0]: d for n, d in found.items() if "encoder.layer" in n}
    assert depth == {"0": 1, "1": 2, "2": 3}
    assert found["classifier.weight"] == 4
    assert all(d == 0 for n, d in found.items() if "embeddings" in n)


def test_rates_of_a_classifier() -> None:
    model = VideoClassifier(
        2,
        pretrained=False,
        backbone_kwargs={"crop_size": 32},
        optimizer=("adamw", {"weight_decay": 0.05}),
        learning_rate=0.1,
        layer_decay=0.5,
        head=nn.Linear(400, 2),
    )
    optimizer: Any = model.configure_optimizers()
    depth = parameter_layers(model.backbone)
    found = {
        parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]
    }
    assert set(found) == set(model.parameters())
    for parameter in model.backbone.parameters():
        assert found[parameter] == pytest.approx(0.1 * 0.5 ** (5 - depth[parameter]))
    assert all(found[parameter] == 0.1 for parameter in model.head.parameters())
    assert all(group["weight_decay"] == 0.05 for group in optimizer.param_groups)


def test_frozen_layers_have_no_group_and_schedules_keep_the_ratios() -> None:
    model = VideoClassifier(
        2,
        pretrained=False,
        backbone_kwargs={"crop_size": 32},
        learning_rate=0.1,
        layer_decay=0.1,
        lr_scheduler=("ConstantLR", {"factor": 0.5}),
    )
    for parameter in model.backbone.blocks[:4].parameters():
        parameter.requires_grad_(False)
    record: Any = model.configure_optimizers()
    groups = record["optimizer"].param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.005, 0.05])


@pytest.mark.parametrize("decay", [0.0, 1.5, -1.0])
def test_unfit_decay(decay: float) -> None:
    with pytest.raises(ValueError, match=r"`layer_decay` to be in 0..1, and not 0"):
        VideoClassifier(2, pretrained=False, layer_decay=decay)


def test_rules_of_weight_decay_go_with_layers() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)),
        nn.Sequential(nn.Conv3d(4, 4, 1, bias=False), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
        nn.Linear(4, 2),
    )
    rules = {"zero_1d": True, "exempt": ["2.weight"]}
    options: dict[str, Any] = {"optimizer": ("SGD", {"weight_decay": 0.5}), "learning_rate": 1.0}
    model = VideoClassifier(2, backbone=net, layer_decay=0.5, decay_rules=rules, **options)
    names = {parameter: name for name, parameter in net.named_parameters()}
    groups = model.configure_optimizers().param_groups
    found = {names[p]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert found == {
        "0.0.weight": (0.25, 0.5),
        "0.0.bias": (0.25, 0.0),
        "0.1.weight": (0.25, 0.0),
        "0.1.bias": (0.25, 0.0),
        "1.0.weight": (0.5, 0.5),
        "2.weight": (1.0, 0.0),
        "2.bias": (1.0, 0.0),
    }
    assert model.hparams["decay_rules"] == rules
    with pytest.raises(
        TypeError, match="`decay_rules` to be a mapping with batch_norm_decay, zero"
    ):
        VideoClassifier(2, backbone=net, decay_rules={"zero1d": True})
    own = VideoClassifier(2, backbone=net, optimizer="Rprop", decay_rules={"zero_1d": True})
    with pytest.raises(TypeError, match=r"`optimizer` to be one with a weight_decay.*Rprop"):
        own.configure_optimizers()

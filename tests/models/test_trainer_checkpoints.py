# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of LightningModules: classifiers, and what self-supervision leaves beside the network."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytorchvideo.models import BYOL, SimCLR, create_model
from pytorchvideo.models.trainer_checkpoints import read_trainer_checkpoint

CLIP = torch.rand(1, 3, 8, 64, 64, generator=torch.Generator().manual_seed(0))
SMALL: dict[str, Any] = {"crop_size": 64}


class Module(nn.Module):
    """What a LightningModule is for its checkpoint: a module with the network as an attribute."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class MoCo(nn.Module):
    """A queue, a network and its momentum copy."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.backbone_mmt = backbone, copy.deepcopy(backbone)
        self.register_buffer("queue", torch.rand(4, 16))
        with torch.no_grad():
            next(self.backbone_mmt.parameters()).zero_()


@pytest.fixture(autouse=True)
def _shallow(shallow: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    with shallow():
        yield


def slow(classes: int = 5) -> Any:
    return create_model("slow_r50", num_classes=classes, **SMALL).eval()


def written(folder: Path, module: nn.Module) -> Path:
    """A checkpoint with what Lightning 1.6 keeps beside the tensors."""
    others = {"epoch": 3, "pytorch-lightning_version": "1.6.5", "callbacks": {"PreciseBn": {}}}
    torch.save({"state_dict": module.state_dict(), **others}, folder / "last.ckpt")
    return folder / "last.ckpt"


def trunks_are_equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for (key, a), b in pairs if "proj" not in key)


def test_a_classifier(tmp_path: Path) -> None:
    net = slow()
    found = read_trainer_checkpoint(written(tmp_path, Module(model=net)), "slow_r50", **SMALL)
    assert (found.prefix, found.has_classifier, found.left) == ("model.", True, {})
    with torch.no_grad():
        assert torch.equal(found.model.model(CLIP), net(CLIP))


def projected() -> tuple[Any, nn.Module]:
    """A network whose classifier is a projector of two layers."""
    net = slow()
    net.blocks[-1].proj = nn.Sequential(nn.Linear(2048, 16), nn.ReLU(), nn.Linear(16, 8))
    return net, nn.Linear(8, 8)


def test_networks_of_self_supervision(tmp_path: Path) -> None:
    net, mlp = projected()
    cases: list[tuple[nn.Module, str, dict[str, int]]] = [
        (
            SimCLR(mlp, net),
            "model.backbone.",
            {"model.mlp": 2, "model.backbone": 4},
        ),
        (MoCo(net), "model.backbone.", {"model.backbone": 4, "model.queue": 1}),
        (
            BYOL(net, mlp, feature_dim=8, predictor_inner=4),
            "model.backbone.0.",
            {"model.backbone.0": 4, "model.backbone.1": 2},
        ),
    ]
    for module, prefix, left in cases:
        file = written(tmp_path, Module(model=module))
        found = read_trainer_checkpoint(file, "slow_r50", num_classes=7, **SMALL)
        assert (found.prefix, found.has_classifier) == (prefix, False)
        assert left.items() <= found.left.items()
        assert trunks_are_equal(found.model.model, slow(7)) is False
        own = {k: v for k, v in found.model.model.state_dict().items() if "proj" not in k}
        assert all(torch.equal(value, net.state_dict()[key]) for key, value in own.items())
        # every tensor is accounted for
        assert len(own) + sum(found.left.values()) == len(module.state_dict())
        assert found.model.model(CLIP).shape == (1, 7)
    momentum = read_trainer_checkpoint(
        written(tmp_path, Module(model=MoCo(net))),
        "slow_r50",
        prefix="model.backbone_mmt.",
        **SMALL,
    )
    assert next(momentum.model.model.parameters()).abs().sum() == 0
    assert momentum.left["model.backbone"] == len(net.state_dict())


def test_a_linear_layer_beside_the_network(tmp_path: Path) -> None:
    """``SSLFineTuningModel``: what classifies is called ``mlp``."""
    net = slow()
    net.blocks[-1].proj = nn.Identity()
    mlp = nn.Linear(2048, 3)
    file = written(tmp_path, Module(model=Module(backbone=net, mlp=nn.Sequential(mlp))))
    found = read_trainer_checkpoint(file, "slow_r50", classifier="model.mlp", **SMALL)
    assert found.has_classifier and found.left == {}
    with torch.no_grad():
        features = found.model.model.forward_features(CLIP)
        assert torch.allclose(found.model.model(CLIP), mlp(features), atol=1e-5)
    with pytest.raises(
        ValueError, match=r"`classifier` to be the name of one linear layer of 2048"
    ):
        read_trainer_checkpoint(file, "slow_r50", classifier="model.head", **SMALL)


def test_what_is_refused(tmp_path: Path) -> None:
    net = slow()
    file = written(tmp_path, Module(model=net))
    with pytest.raises(ValueError, match="with x3d_xs in it, whose first tensor is blocks"):
        read_trainer_checkpoint(file, "x3d_xs")
    net.blocks[0].extra = nn.Linear(1, 1)
    with pytest.raises(
        ValueError, match=r"also has blocks\.0\.extra\.weight, .*: it is not slow_r50"
    ):
        read_trainer_checkpoint(written(tmp_path, Module(model=net)), "slow_r50", **SMALL)
    del net.blocks[0].extra
    del net.blocks[1]
    with pytest.raises(ValueError, match=r"has no blocks\.\d.* more: it is not slow_r50"):
        read_trainer_checkpoint(written(tmp_path, Module(model=net)), "slow_r50", **SMALL)
    torch.save({"state_dict": {"a": torch.zeros(1)}}, file)
    with pytest.raises(ValueError, match="with slow_r50 in it, whose first tensor is blocks"):
        read_trainer_checkpoint(file, "slow_r50")
    torch.save({"state_dict": {}, "hyper_parameters": Path}, file)
    with pytest.raises(ValueError, match="writes its tensors alone"):
        read_trainer_checkpoint(file, "slow_r50")

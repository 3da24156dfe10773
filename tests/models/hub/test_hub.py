# SPDX-License-Identifier: Apache-2.0
"""Entry points: importable, overridable, and loadable by torch.hub from a folder that is not installed."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import pytorchvideo.models.hub as hub
from pytorchvideo.models import Net, create_resnet, list_models, model_entry
from pytorchvideo.models.hub import csn, r2plus1d, resnet, slowfast, vision_transformers, x3d
from pytorchvideo.models.hub.utils import MODEL_ZOO_ROOT_DIR, hub_model_builder

REPO = Path(__file__).resolve().parents[3]


def test_every_model_has_an_entry_point() -> None:
    assert sorted(hub.__all__) == list_models()


def test_hubconf_has_every_entry_point() -> None:
    tree = ast.parse((REPO / "hubconf.py").read_text(encoding="utf-8"))
    imported = [n for n in tree.body if isinstance(n, ast.ImportFrom)]
    assert sorted(a.name for n in imported for a in n.names) == list_models()


@pytest.mark.parametrize("name", hub.__all__)
def test_arguments(name: str) -> None:
    argument = model_entry(name).classes_argument
    with torch.device("meta"):
        model = getattr(hub, name)(False, True, **{argument: 3})
    assert model.classifier.weight.shape[0] == 3
    others = ("detection", "inception", "efficient", "mvit")
    assert (type(model) is Net) == (not any(word in name for word in others))


def test_arguments_of_the_entry_point_can_be_changed() -> None:
    with torch.device("meta"):
        slow = hub.slow_r50(model_depth=101, head_pool_kernel_size=(4, 7, 7))
        x3d = hub.x3d_s(input_clip_length=6, input_crop_size=96)
    assert len(slow.blocks[3].res_blocks) == 23
    assert x3d.blocks[-1].pool.pool.kernel_size == (6, 3, 3)


def test_load_from_a_folder(tmp_path: Path) -> None:
    """In a copy, so that the installed package cannot be what is found; with weights put in place."""
    folder = tmp_path / "repository"
    shutil.copytree(REPO / "pytorchvideo", folder / "pytorchvideo")
    shutil.copy(REPO / "hubconf.py", folder)
    checkpoints = tmp_path / "home/hub/checkpoints"
    checkpoints.mkdir(parents=True)
    state = hub.x3d_xs().state_dict()
    torch.save({"model_state": state}, checkpoints / "X3D_XS.pyth")
    code = f"""
import torch
model = torch.hub.load({str(folder)!r}, source="local", model="x3d_xs", pretrained=True)
import pytorchvideo
print(type(model).__module__, type(model).__name__, pytorchvideo.__file__)
print(float(model.state_dict()["blocks.5.proj.weight"].double().sum()))
"""
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"TORCH_HOME": str(tmp_path / "home"), "PATH": "", "OMP_NUM_THREADS": "1"},
    ).stdout.split("\n")
    package = folder / "pytorchvideo/__init__.py"
    assert answer[0] == f"pytorchvideo.models.net Net {package}"
    assert float(answer[1]) == pytest.approx(float(state["blocks.5.proj.weight"].double().sum()))


def test_hub_model_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    source = create_resnet(model_num_class=2, head_pool=None)
    torch.save({"model_state": source.state_dict()}, tmp_path / "published.pyth")
    model = hub_model_builder(
        create_resnet,
        pretrained=True,
        progress=False,
        checkpoint_path=(tmp_path / "published.pyth").as_uri(),
        default_config={"model_num_class": 5, "head_pool": nn.AvgPool3d},
        model_num_class=2,
        head_pool=None,
    )
    assert model.blocks[-1].pool is None, "None is a choice, not a missing argument"
    assert torch.equal(model.classifier.weight, source.classifier.weight)


def test_addresses_by_module() -> None:
    """Names under which code written for PyTorchVideo finds addresses and arguments."""
    modules = (csn, r2plus1d, resnet, slowfast, vision_transformers, x3d)
    paths = {name: url for module in modules for name, url in module.checkpoint_paths.items()}
    others = {"efficient_x3d_s", "efficient_x3d_xs", "i3d_inception"}
    assert set(paths) == set(list_models()) - others
    assert all(url.startswith(f"{MODEL_ZOO_ROOT_DIR}/") for url in paths.values())
    assert paths["slow_r50"] == f"{resnet.root_dir}/kinetics/SLOW_8x8_R50.pyth"
    config = vision_transformers.mvit_video_base_32x3_config
    assert (config["temporal_size"], config["spatial_size"]) == (32, 224)


def test_builders_of_ones_own_checkpoint(tmp_path: Path) -> None:
    """``_resnet`` and ``_slowfast`` of PyTorchVideo, which clients import."""
    model = resnet._resnet(default_config={"model_num_class": 2}, head_pool=None)
    assert model.classifier.out_features == 2
    assert slowfast._slowfast(model_depth=18, model_num_class=3).classifier.out_features == 3

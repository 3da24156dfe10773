# SPDX-License-Identifier: Apache-2.0
"""Which model is meant, and what its classes are called."""

from pathlib import Path

import pytest
import torch

from flash.evaluation import load_predictor, read_names
from pytorchvideo.models._registry import create_model


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "run\nwalk\n"),
        ("a.json", '["run", "walk"]'),
        ("b.json", '{"\\"walk\\"": 1, "run": 0}'),
        ("c.json", '{"0": "run", "1": "walk"}'),
    ],
)
def test_names_in_every_form(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert read_names(tmp_path / name) == ["run", "walk"]


def test_names_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file of class names"):
        read_names(tmp_path / "none.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match="a class name a line"):
        read_names(tmp_path / "empty.txt")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad.json is no json"):
        read_names(tmp_path / "bad.json")


def test_which_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--run DIR"):
        load_predictor()
    with pytest.raises(ValueError, match="but got both"):
        load_predictor(run=tmp_path, model="x3d_xs")
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        load_predictor(model="x3d_xs", weights=tmp_path / "none.pth")
    weights = tmp_path / "w.pth"
    torch.save({"model_state": create_model("x3d_xs", num_classes=2).state_dict()}, weights)
    (tmp_path / "labels.txt").write_text("run\nwalk\n")
    predictor = load_predictor(model="x3d_xs", weights=weights, labels=tmp_path / "labels.txt")
    assert predictor.labels == ["run", "walk"]


@pytest.mark.slow
def test_real_weights_name_real_clips(shared_data: Path, shared_weights: Path) -> None:
    weights = shared_weights / "i3d_inception_rgb_kinetics400.pth"
    predictor = load_predictor(model="i3d_inception", weights=weights)
    for name, label in (
        ("mmaction2_demo_arm_wrestling.mp4", "arm wrestling"),
        ("decord_kinetics_flipping_a_pancake.mkv", "flipping pancake"),
        ("sam2_05_default_juggle.mp4", "juggling soccer ball"),
    ):
        named = predictor.predict(shared_data / "clips" / name, clips=1, top_k=1)
        assert named[0][0] == label

# SPDX-License-Identifier: Apache-2.0
"""Clip recipes and the download of weights."""

import hashlib
import json
import re
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.models import ClipRecipe, create_model, get_weights, list_models
from pytorchvideo.models._weights import fetch

SMALL = ClipRecipe(num_frames=4, sampling_rate=2, side_size=32, crop_size=24)


@given(
    frames=st.integers(1, 64),
    rate=st.integers(1, 32),
    fps=st.floats(1, 240),
    side=st.integers(32, 512),
    ratio=st.none() | st.tuples(st.integers(1, 8), st.just(1)),
)
def test_recipe_survives_json(
    frames: int, rate: int, fps: float, side: int, ratio: tuple[int, ...] | None
) -> None:
    recipe = ClipRecipe(frames, rate, fps, side, side // 2, pathway_ratio=ratio)
    assert ClipRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert recipe.clip_duration_sec == pytest.approx(frames * rate / fps)


def test_recipe_arguments() -> None:
    with pytest.raises(ValueError, match=r"crop_size` to be in 1\.\.100, but got 112"):
        ClipRecipe(8, 8, side_size=100, crop_size=112)
    with pytest.raises(ValueError, match="num_frames, sampling_rate, frames_per_second"):
        ClipRecipe(0, 8)
    with pytest.raises(ValueError, match="`recipe` to be made of"):
        ClipRecipe.from_dict({"frames": 8})


def test_evaluation_transform_is_the_closed_form() -> None:
    # A clip without detail stays flat under any resize, so the pipeline is its normalisation alone.
    levels = torch.arange(0, 250, 25, dtype=torch.float32)
    clip = levels[None, :, None, None].expand(3, 10, 40, 60).contiguous()
    before = clip.clone()
    out = SMALL.transforms()(clip)
    assert out.shape == (3, 4, 24, 24)
    picked = levels[[0, 3, 6, 9]]
    torch.testing.assert_close(out[1, :, 5, 7], (picked / 255 - 0.45) / 0.225)
    assert torch.equal(clip, before)


def test_training_transform() -> None:
    clip = torch.rand(3, 10, 40, 60) * 255
    transform = SMALL.transforms(train=True, horizontal_flip_prob=1.0)
    assert transform(clip).shape == (3, 4, 24, 24)
    for step in ("UniformTemporalSubsample", "Normalize", "RandomShortSideScale", "RandomCrop"):
        assert step in repr(transform)


def test_transform_of_samples() -> None:
    sample = {"video": torch.rand(3, 10, 40, 60) * 255, "label": 1}
    out = SMALL.transforms(key="video")(sample)
    assert out["video"].shape == (3, 4, 24, 24)
    assert out["label"] == 1


@pytest.mark.parametrize("name", list_models())
def test_transform_fits_the_model(name: str) -> None:
    weights = get_weights(name)
    recipe = weights.recipe
    clip = torch.zeros(3, recipe.num_frames, 30, 40)
    out = weights.transforms()(clip)
    pathways = [out] if recipe.pathway_ratio is None else out
    for ratio, one in zip(recipe.pathway_ratio or (1,), pathways, strict=True):
        frames = recipe.num_frames // ratio
        # of 30 x 40 pixels the short side becomes 256, and nothing is cut off without a crop
        crop = recipe.crop_size
        assert one.shape == (3, frames, *((256, 341) if crop is None else (crop, crop)))
    assert repr(weights).startswith((f"Weights({name}, top1=", f"Weights({name}, mAP="))


@pytest.fixture
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of weights, and no network."""

    def offline(url: str, *args: object, **kwargs: object) -> None:
        raise URLError("no network in tests")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path


def test_offline_says_where_the_file_goes(torch_home: Path) -> None:
    file = torch_home / "hub/checkpoints/X3D_XS.pyth"
    wanted = rf"Could not download https://\S+/kinetics/X3D_XS\.pyth \(.*put it at {re.escape(str(file))}"
    with pytest.raises(ConnectionError, match=wanted):
        create_model("x3d_xs", pretrained=True)


def test_no_public_address(torch_home: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no public address.*checkpoints/i3d_inception\.pth"
    ):
        create_model("i3d_inception", pretrained=True)


def test_file_put_in_place_is_used(torch_home: Path) -> None:
    folder = torch_home / "hub/checkpoints"
    folder.mkdir(parents=True)
    wanted = create_model("x3d_xs").state_dict()
    torch.save({"model_state": wanted}, folder / "X3D_XS.pyth")
    model = create_model("x3d_xs", pretrained=True)
    assert all(torch.equal(v, wanted[k]) for k, v in model.state_dict().items())
    assert create_model("x3d_xs", pretrained=True, num_classes=3).classifier.out_features == 3


def test_wrong_file_in_place(torch_home: Path) -> None:
    folder = torch_home / "hub/checkpoints"
    folder.mkdir(parents=True)
    (folder / "X3D_XS.pyth").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"Cannot read weights from .*X3D_XS\.pyth"):
        create_model("x3d_xs", pretrained=True)


def test_hash(tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    file.write_bytes(b"weights" * 1000)
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    assert fetch(None, file, right) == file
    with pytest.raises(
        ValueError, match=r"a\.pth is not the published file: its SHA-256 is not 00"
    ):
        fetch(None, file, "00" * 32)


def test_download(tmp_path: Path) -> None:
    """The real download, from a file: address."""
    published = tmp_path / "published.pth"
    published.write_bytes(b"weights")
    file = fetch(published.as_uri(), tmp_path / "cache/checkpoints/published.pth", progress=False)
    assert file.read_bytes() == b"weights"

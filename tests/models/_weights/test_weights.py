# SPDX-License-Identifier: Apache-2.0
"""Clip recipes and the download of weights."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.transforms import Compose

from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler
from pytorchvideo.models import ClipRecipe, create_model, get_weights, list_models
from pytorchvideo.models._weights.weights import fetch
from pytorchvideo.transforms import create_video_transform
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_frames", 1 << 40),
        ("num_frames", "8"),
        ("num_frames", True),
        ("num_frames", None),
        ("sampling_rate", 1.5),
        ("frames_per_second", float("nan")),
        ("frames_per_second", "30"),
        ("side_size", -1),
        ("crop_size", 1 << 20),
        ("mean", []),
        ("mean", 0.5),
        ("mean", [float("inf")]),
        ("std", [0]),
        ("pathway_ratio", [0.5]),
        ("pathway_ratio", [4] * 17),
    ],
)
def test_a_recipe_of_a_file_has_sizes_that_a_machine_can_hold(name: str, value: object) -> None:
    given = {"num_frames": 8, "sampling_rate": 2, name: value}
    with pytest.raises(ValueError, match=f"Expected `{name}` to be what a recipe can have, but"):
        ClipRecipe.from_dict(given)


def test_a_recipe_of_a_file_makes_no_clips_beyond_a_gibibyte() -> None:
    # each number alone may be as large; 4 bytes for each of 3 x 64 x 1182 x 1182 are just below 2^30
    given = {"num_frames": 64, "sampling_rate": 2, "side_size": 1182, "crop_size": 1182}
    assert ClipRecipe.from_dict(given).side_size == 1182
    for change in ({"side_size": 1183}, {"num_frames": 65}, {"side_size": 8192, "crop_size": None}):
        with pytest.raises(
            ValueError, match=r"`num_frames, side_size` to be .* 1 GiB, but got '\d"
        ):
            ClipRecipe.from_dict(given | change)


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


@pytest.mark.parametrize("height", [41, 64, 90])
@pytest.mark.parametrize("name", ["x3d_xs", "slowfast_r50", "slow_r50_detection"])
def test_steps_without_torchvision_are_those_with_it(name: str, height: int) -> None:
    """Also where the crop is not in the middle of a whole number of pixels."""
    own = get_weights(name).recipe
    crop_size = None if own.crop_size is None else 32
    recipe = replace(own, num_frames=8, side_size=37, crop_size=crop_size)
    clip = torch.rand(3, 9, height, 55) * 255
    expected = recipe.transforms()(clip)
    made = nn.Sequential(*recipe.evaluation_steps())(clip)
    for mine, theirs in zip(made, expected, strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("name", list_models("video classification"))
def test_factory_of_transforms_agrees(name: str) -> None:
    recipe = get_weights(name).recipe
    assert recipe.crop_size is not None
    preset = create_video_transform(
        "val",
        num_samples=recipe.num_frames,
        video_mean=recipe.mean,
        video_std=recipe.std,
        min_size=recipe.side_size,
        crop_size=recipe.crop_size,
    )
    clip = torch.rand(3, recipe.num_frames + 1, 30, 41) * 255
    wanted = preset(clip)
    if "ssv2" in name or "charades" in name:
        wanted = wanted.flip(0)
    if recipe.pathway_ratio is not None:
        wanted = uniform_temporal_subsample_repeated(wanted, recipe.pathway_ratio)
    torch.testing.assert_close(get_weights(name).transforms()(clip), wanted, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("protocol", "clips", "crops"), [("10x3", 10, 3), ("5x1", 5, 1), ("2x3", 2, 3)]
)
def test_views_are_crops_of_one_decode(
    make_video: Callable[..., Path], protocol: str, clips: int, crops: int
) -> None:
    path = make_video("views.mp4", num_frames=30, height=48, width=80)
    recipe = replace(SMALL, pathway_ratio=(2, 1))
    keywords, transform = recipe.views(protocol)
    decoded: list[torch.Tensor] = []

    def watched(sample: dict[str, Any]) -> dict[str, Any]:
        decoded.append(sample["video"].clone())
        sample["full"] = recipe_without_crop(sample["video"])
        return dict(transform(sample))

    recipe_without_crop = Compose(replace(SMALL, crop_size=None).transforms().transforms)
    sampler = make_clip_sampler("constant_clips_per_video", **keywords)
    paths = [(str(path), {"label": 1})]
    samples = list(LabeledVideoDataset(paths, sampler, transform=watched, decode_audio=False))
    assert [(s["clip_index"], s["aug_index"]) for s in samples] == [
        (clip, crop) for clip in range(clips) for crop in range(crops)
    ]
    for first in range(0, len(samples), crops):
        for crop in range(crops):
            sample = samples[first + crop]
            # every view is of the frames that the first one was made of
            assert torch.equal(decoded[first + crop], decoded[first])
            # 48x80 becomes 32x53; of 29 pixels of room a centre crop leaves 14 to the left, the middle view 15
            left = (0, 15, 29)[crop] if crops == 3 else 14
            slow, fast = sample["video"]
            torch.testing.assert_close(fast, sample["full"][..., 4:28, left : left + 24])
            assert torch.equal(slow, fast[:, [0, 3]])


def test_published_views() -> None:
    unpublished = []
    for name in list_models("video classification"):
        weights = get_weights(name)
        if "clip" not in weights.protocol or "crop" not in weights.protocol:
            unpublished.append(name)
            with pytest.raises(ValueError, match=f"The scores of {name} do not say how many views"):
                weights.views()
            continue
        sampler, transform = weights.views()
        assert f"{sampler['clips_per_video']} clip" in weights.protocol
        assert f"x {sampler['augs_per_clip']} crop" in weights.protocol
        assert sampler["clip_duration"] == weights.recipe.clip_duration_sec
        assert ("UniformCropVideo" in repr(transform)) == (sampler["augs_per_clip"] == 3)
    assert unpublished == ["efficient_x3d_s", "efficient_x3d_xs", "i3d_inception"]
    assert get_weights("i3d_inception").views("2x3").clip_sampler["clips_per_video"] == 2


@pytest.mark.parametrize("protocol", ["10", "10x2", "0x3", "x3", "10 x 3"])
def test_wrong_protocol(protocol: str) -> None:
    with pytest.raises(ValueError, match="`protocol` to be clips x 1 or 3 crops, but got"):
        SMALL.views(protocol)


def test_whole_pictures_have_no_crops() -> None:
    whole = replace(SMALL, crop_size=None)
    assert whole.views("2x1").clip_sampler["augs_per_clip"] == 1
    assert whole.transforms()(torch.zeros(3, 8, 40, 60)).shape == (3, 4, 32, 48)
    with pytest.raises(ValueError, match="`protocol` to be clips x 1 for whole frames"):
        whole.views("2x3")

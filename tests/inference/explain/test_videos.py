# SPDX-License-Identifier: Apache-2.0
"""Explanations of videos: labels, clips, boxes, the order of colours, and the files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pytorchvideo._progress import Step
from pytorchvideo.inference import VideoPredictor
from pytorchvideo.inference.explain.files import FILES
from pytorchvideo.inference.explain.videos import method_for
from pytorchvideo.models import create_model
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)


@pytest.fixture(scope="module")
def video(make_video: Callable[..., Path]) -> Path:
    return make_video("a.mp4", num_frames=30, fps=10)


@pytest.fixture(scope="module")
def predictor(make_model_file: Callable[..., Path]) -> VideoPredictor:
    return VideoPredictor.from_file(make_model_file(RECIPE))


class Bright(nn.Module):
    """Logits of "red" and "blue": how much there is of the first and of the last channel."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(3, 3, 1, bias=False)
        nn.init.dirac_(self.layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).mean(dim=(2, 3, 4))[:, [0, 2]]


def test_the_likeliest_label_is_explained(predictor: VideoPredictor, video: Path) -> None:
    found = predictor.explain(video)
    assert found.method == "gradcam"
    (clip,) = found.clips
    (scores,) = predictor.predict_clips(video, clips=1)
    assert found.label == predictor.labels[int(scores.scores.argmax())]
    assert clip.score == pytest.approx(float(scores.scores.max()), abs=1e-4)
    assert (clip.start_sec, clip.end_sec) == (scores.start_sec, scores.end_sec)
    assert clip.frames.shape == (3, 4, 32, 32)
    assert clip.heat.shape == (4, 32, 32)
    assert 0 <= float(clip.heat.min()) <= float(clip.heat.max()) <= 1
    assert clip.curve == pytest.approx(clip.heat.mean(dim=(1, 2)).tolist())
    # of 10 frames those at 0, 3, 6 and 9
    assert clip.times == pytest.approx([clip.start_sec + 0.3 * t for t in range(4)])


def test_one_label_is_explained_in_all_clips(predictor: VideoPredictor, video: Path) -> None:
    steps: list[Step] = []
    found = predictor.explain(video, clips="uniform", progress=steps.append)
    assert [(step.done, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert [clip.start_sec for clip in found.clips] == [0.0, 1.0, 2.0]
    assert found.label == predictor.predict(video, clips="uniform", top_k=1)[0][0]
    other = next(label for label in predictor.labels if label != found.label)
    asked = predictor.explain(video, label=other, clips="uniform")
    assert asked.label == other
    assert [a.score + b.score for a, b in zip(found.clips, asked.clips, strict=True)] == (
        pytest.approx([1.0] * 3, abs=1e-5)
    )


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_frames_have_their_own_colours(channels: str, make_video: Callable[..., Path]) -> None:
    recipe = replace(RECIPE, channels=channels)
    path = make_video("b.mp4", num_frames=20, fps=10)
    frames = [
        VideoPredictor(Bright(), one, ["red", "blue"]).explain(
            path, layers=["layer"], method="gradcam"
        )
        for one in (RECIPE, recipe)
    ]
    assert torch.equal(frames[0].clips[0].frames, frames[1].clips[0].frames)
    # a network of the other order finds the other label
    assert (frames[0].label == frames[1].label) is (channels == "rgb")


def test_files_hold_what_was_found(predictor: VideoPredictor, video: Path, tmp_path: Path) -> None:
    found = predictor.explain(video, clips=2, box=(0, 0, 40, 1000))
    assert found.save(tmp_path / "why") == list(FILES)
    assert {path.name for path in (tmp_path / "why").iterdir()} == set(FILES)
    written = json.loads((tmp_path / "why/explanation.json").read_text())
    assert written["label"] == found.label
    for clip, saved in zip(found.clips, written["clips"], strict=True):
        assert [row["mean"] for row in saved["frames"]] == pytest.approx(clip.curve, abs=1e-5)
        assert saved["share_in_box"] == pytest.approx(clip.share_in_box, abs=1e-5)
        assert saved["points_at_box"] in (True, False)
    with av.open(str(tmp_path / "why/explanation.mp4")) as container:
        assert len(list(container.decode(video=0))) == 8
        assert container.streams.video[0].average_rate == 4
    with Image.open(tmp_path / "why/explanation.gif") as animation:
        assert animation.info["loop"] == 0


def test_what_cannot_be_explained_is_said(predictor: VideoPredictor, video: Path) -> None:
    with pytest.raises(ValueError, match=r"no label 'wolk'\. Did you mean walk"):
        predictor.explain(video, label="wolk")
    with pytest.raises(ValueError, match=r"method.*gradcam, rollout, occlusion"):
        predictor.explain(video, method="guess")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="maps are of one view"):
        predictor.explain(video, clips="2x3")
    own = VideoPredictor(Bright(), RECIPE, ["red", "blue"])
    with pytest.raises(ValueError, match=r"no layers known .* Bright"):
        own.explain(video, method="gradcam")
    with pytest.raises(FileNotFoundError, match="missing"):
        predictor.explain("missing.mp4")


def test_every_method_explains_and_one_suits_each_network(video: Path) -> None:
    torch.manual_seed(0)
    network = create_model("x3d_xs", num_classes=2, num_frames=4, crop_size=32)
    named = VideoPredictor(network, RECIPE, ["run", "walk"], name="x3d_xs", batch_size=16)
    unnamed = VideoPredictor(network, RECIPE, ["run", "walk"])
    assert [method_for(named), method_for(unnamed)] == ["gradcam", "occlusion"]
    for method in ("occlusion", "integrated-gradients"):
        (clip,) = named.explain(video, method=method, label="walk").clips
        assert clip.heat.shape == (4, 32, 32)
        assert 0 <= float(clip.heat.min()) <= float(clip.heat.max()) <= 1
    with pytest.raises(ValueError, match="which only gradcam takes"):
        named.explain(video, method="occlusion", layers=["blocks.4"])
    with pytest.raises(ValueError, match="for a roll-out"):
        named.explain(video, method="rollout")


def test_several_pathways_have_a_map_each(video: Path) -> None:
    torch.manual_seed(0)
    recipe = replace(RECIPE, num_frames=8, frames_per_second=8, pathway_ratio=(4, 1))
    network = create_model("slowfast_r50", num_classes=2, num_frames=8, crop_size=32)
    predictor = VideoPredictor(network, recipe, ["run", "walk"], name="slowfast_r50")
    (clip,) = predictor.explain(video).clips
    assert [one.shape for one in clip.pathways] == [(2, 32, 32), (8, 32, 32)]
    assert clip.frames.shape == (3, 8, 32, 32)
    assert clip.heat.shape == (8, 32, 32)
    assert float(clip.heat.max()) == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(ValueError, match="of the pathway with 2 frames"):
        predictor.explain(video, layers=[f"blocks.4.multipathway_blocks.{n}" for n in (1, 0)])

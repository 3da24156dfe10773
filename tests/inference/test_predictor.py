# SPDX-License-Identifier: Apache-2.0
"""``VideoPredictor``: against a full decode by hand, and the model file in plain PyTorch."""

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.windows import clip_windows
from pytorchvideo.inference.predictor import (
    ClipScores,
    VideoPredictor,
)
from pytorchvideo.models._registry import create_model
from pytorchvideo.models.net import DetectionBBoxNetwork
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.functional import uniform_crop

# clips of half a second; pixels in 0..1 reach the model unchanged
RECIPE = ClipRecipe(
    num_frames=4,
    sampling_rate=4,
    frames_per_second=32,
    side_size=32,
    crop_size=32,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)
LABELS = ["red", "green", "blue"]


class MeanColour(nn.Module):
    """Logits: ten times the mean of red, green and blue; notes the batches that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[tuple[int, ...]] = []
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(tuple(x.shape))
        return x.mean(dim=(2, 3, 4)) * self.scale


@pytest.fixture(scope="module")
def video(make_video: Callable[..., Path]) -> Path:
    """Two seconds at 16 frames per second: red on the left, green in the middle, blue grows on the right."""
    frames = np.zeros((32, 48, 96, 3), np.uint8)
    frames[:, :, :32, 0] = 255
    frames[:, :, 32:64, 1] = 255
    frames[:, :, 64:, 2] = np.linspace(150, 255, 32, dtype=np.uint8)[:, None, None]
    return make_video("thirds.mp4", frames=frames, fps=16)


def predictor(**kwargs: Any) -> VideoPredictor:
    return VideoPredictor(MeanColour(), RECIPE, LABELS, **kwargs)


def by_hand(path: Path, start: float, end: float, position: int | None = None) -> Tensor:
    """Probabilities of one clip with every frame decoded; ``position`` of a side crop."""
    with EncodedVideo.from_path(path) as opened:
        clip = opened.get_clip(start, end)["video"]
    steps = RECIPE.transforms().transforms
    for step in steps if position is None else steps[:-1]:
        clip = step(clip)
    if position is not None:
        clip = uniform_crop(clip, 32, position)
    return (clip.mean(dim=(1, 2, 3)) * 10).softmax(dim=0)


def test_clips_are_those_of_a_full_decode(video: Path) -> None:
    found = predictor().predict_clips(video, clips=3)
    assert [(c.start_sec, c.end_sec) for c in found] == [(0, 0.5), (0.75, 1.25), (1.5, 2.0)]
    for clip in found:
        torch.testing.assert_close(clip.scores, by_hand(video, clip.start_sec, clip.end_sec))
    named = predictor().predict(video, clips=3, top_k=2)
    mean = torch.stack([clip.scores for clip in found]).mean(dim=0)
    assert [label for label, _ in named] == [LABELS[i] for i in mean.argsort(descending=True)[:2]]
    assert named[0][1] == pytest.approx(float(mean.max()))


def test_three_views_see_both_sides(video: Path) -> None:
    (clip,) = predictor().predict_clips(video, clips=1, views=3)
    sides = [by_hand(video, 0.75, 1.25, position) for position in range(3)]
    torch.testing.assert_close(clip.scores, torch.stack(sides).mean(dim=0))
    # left, centre and right show another colour each
    assert [int(side.argmax()) for side in sides] == [0, 1, 2]
    assert predictor().predict(video, clips=1, top_k=1)[0][0] == "green"


def test_a_part_of_the_video(video: Path) -> None:
    found = predictor().predict_clips(video, clips=2, start_sec=0.25, end_sec=1.5)
    assert [(c.start_sec, c.end_sec) for c in found] == [(0.25, 0.75), (1.0, 1.5)]
    for clip in found:
        torch.testing.assert_close(clip.scores, by_hand(video, clip.start_sec, clip.end_sec))
    (tail,) = predictor().predict_clips(video, start_sec=1.75, end_sec=9)
    assert (tail.start_sec, tail.end_sec) == (1.75, 2.0)
    with pytest.raises(ValueError, match=r"thirds.mp4"):
        predictor().predict(video, start_sec=2.5)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_batches_are_bounded_and_change_nothing(video: Path, batch_size: int) -> None:
    one = predictor(batch_size=batch_size)
    found = one.predict(video, clips=3, views=3)
    assert isinstance(one.model, MeanColour)
    assert max(shape[0] for shape in one.model.batches) <= batch_size
    assert sum(shape[0] for shape in one.model.batches) == 9
    for (label, score), (other, wanted) in zip(
        found, predictor().predict(video, clips=3, views=3), strict=True
    ):
        assert (label, score) == (other, pytest.approx(wanted, rel=1e-5))


def test_only_the_frames_of_the_recipe_are_loaded(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    get_clip = EncodedVideo.get_clip

    def spy(self: EncodedVideo, *args: Any, **kwargs: Any) -> Any:
        clip = get_clip(self, *args, **kwargs)
        sizes.append(clip["video"].shape[1])  # type: ignore[union-attr]
        return clip

    monkeypatch.setattr(EncodedVideo, "get_clip", spy)
    predictor().predict(video, clips=2)
    assert sizes == [4, 4]  # of eight


@pytest.mark.parametrize("num_frames", [1, 3, 8])
def test_videos_shorter_than_a_clip(make_video: Callable[..., Path], num_frames: int) -> None:
    path = make_video(f"short{num_frames}.mp4", num_frames=num_frames, fps=16)
    one = predictor()
    (clip,) = one.predict_clips(path, clips=4)
    assert clip.start_sec == 0
    assert clip.end_sec == pytest.approx(num_frames / 16, abs=0.01)
    assert isinstance(one.model, MeanColour)
    assert one.model.batches == [(1, 3, 4, 32, 32)]


@given(duration=st.floats(0.01, 100), clip=st.floats(0.1, 20), clips=st.integers(1, 20))
def test_windows_lie_inside_and_are_spread_evenly(duration: float, clip: float, clips: int) -> None:
    windows = clip_windows(duration, clip, clips)
    assert all(0 <= start < end <= duration * (1 + 1e-9) for start, end in windows)
    if duration <= clip:
        assert windows == [(0.0, duration)]
        return
    assert len(windows) == clips
    # as much is left out before the first clip as after the last
    assert windows[0][0] == pytest.approx(duration - windows[-1][1], abs=1e-9 * duration)
    steps = np.diff([start for start, _ in windows])
    assert np.allclose(steps, steps[:1].repeat(len(steps)))


def test_bad_files_are_named(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    one = predictor()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(FileNotFoundError, match=r"nothing.mp4"):
        one.predict(tmp_path / "nothing.mp4")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        one.predict(tmp_path)
    for name in ("empty.mp4", "text.mp4"):
        with pytest.raises(VideoError, match=name):
            one.predict(tmp_path / name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": 0}, "`clips` to be 1 to 100,000, but got 0"),
        ({"views": 2}, r"`views` to be 1 \(the centre\) or 3"),
        ({"top_k": 0}, "`top_k` to be >= 1, but got 0"),
    ],
)
def test_arguments_out_of_range(video: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        predictor().predict(video, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`batch_size` to be >= 1"):
        predictor(batch_size=0)


def test_labels_that_are_not_the_models(video: Path) -> None:
    with pytest.raises(ValueError, match=r"return \(B, 2\), one logit a label, but got \(4, 3\)"):
        VideoPredictor(MeanColour(), RECIPE, ["a", "b"]).predict(video)


def test_pathways_and_half_precision(video: Path) -> None:
    class Pathways(MeanColour):
        def forward(self, x: Any) -> Tensor:
            slow, fast = x
            assert slow.shape[2] * 2 == fast.shape[2]
            assert fast.dtype == torch.float64
            return super().forward(fast)

    values = {**RECIPE.to_dict(), "pathway_ratio": [2, 1]}
    two = VideoPredictor(Pathways().double(), ClipRecipe.from_dict(values), LABELS)
    for (label, score), (other, wanted) in zip(
        two.predict(video), predictor().predict(video), strict=True
    ):
        assert (label, score) == (other, pytest.approx(wanted, rel=1e-4))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of x3d_xs for three classes and clips of 32 pixels."""
    path = tmp_path_factory.mktemp("model") / "model.pt"
    kwargs = {"crop_size": 32}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = create_model("x3d_xs", num_classes=3, crop_size=32)
    PretrainedModel(model, "x3d_xs", RECIPE, kwargs, tuple(LABELS)).save(path)
    return path


def test_model_file_holds_plain_types(saved: Path) -> None:
    content = torch.load(saved, weights_only=True)
    assert {k: type(v) for k, v in content.items()} == {
        "format": str,
        "version": int,
        "model_name": str,
        "model_kwargs": dict,
        "model_state": dict,
        "labels": list,
        "recipe": dict,
        "multi_label": bool,
        "threshold": float,
    }
    assert [p.name for p in saved.parent.iterdir()] == ["model.pt"]


def test_model_file_in_a_new_process_without_lightning(saved: Path, video: Path) -> None:
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from pytorchvideo.inference.predictor import VideoPredictor\n"
        f"print(VideoPredictor.from_file({str(saved)!r}).predict({str(video)!r}))\n"
        "assert 'pytorch_lightning' not in sys.modules\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    wanted = VideoPredictor.from_file(saved).predict(video)
    found = ast.literal_eval(answer.stdout)
    assert [label for label, _ in found] == [label for label, _ in wanted]
    assert [s for _, s in found] == pytest.approx([s for _, s in wanted], abs=1e-5)


def test_files_that_are_no_model_files(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.pt"):
        VideoPredictor.from_file(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no model")
    with pytest.raises(ValueError, match=r"text.pt"):
        VideoPredictor.from_file(tmp_path / "text.pt")
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt is not a model file of the format .*save"):
        VideoPredictor.from_file(tmp_path / "other.pt")
    torch.save({"pytorch-lightning_version": "2.6"}, tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match="It is a Lightning checkpoint"):
        VideoPredictor.from_file(tmp_path / "run.ckpt")
    torch.save({**torch.load(saved, weights_only=True), "version": 2}, tmp_path / "later.pt")
    with pytest.raises(ValueError, match=r"has version 2 .* reads up to 1"):
        VideoPredictor.from_file(tmp_path / "later.pt")


def test_scores_of_a_clip_are_a_value() -> None:
    assert ClipScores(0, 1, torch.ones(1)).end_sec == 1


MEMORY = """
import json, resource, sys
import torch
from torch.utils.data import SequentialSampler

from flash.runs.fit_head import VideoViews
from flash.serve.service import Service
from pytorchvideo.inference.timeline.make import TimelineOptions, make_timeline
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler
from pytorchvideo.transforms.clip_recipe import ClipRecipe

torch.set_num_threads(1)
unit = 1 if sys.platform == "darwin" else 1024  # of the peak, in bytes
small, large, out = sys.argv[1:]
recipe = ClipRecipe(num_frames=12, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)

class Mean(torch.nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3, 4))

predictor = VideoPredictor(Mean(), recipe, ["red", "green", "blue"])

def use(path, name):
    seen = [clip.scores for clip in predictor.predict_clips(path, clips=1)]
    Service(predictor).answer(path)
    make_timeline(predictor, path, f"{out}/{name}", TimelineOptions(every_sec=1.0))
    list(VideoViews([path], recipe, views=2, seed=0).clips(range(1)))
    dataset = LabeledVideoDataset(
        [(path, {})], make_clip_sampler("uniform", 3), SequentialSampler, recipe.transforms(key="video")
    )
    return [*seen, *(sample["video"] for sample in dataset)]

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

use(small, "small")
before = peak()
shapes = [list(made.shape) for made in use(large, "large")]
print(json.dumps({"bytes": peak() - before, "shapes": shapes}))
"""


@pytest.mark.slow
def test_large_frames_are_never_held_together(
    make_bomb: Callable[..., Path], tmp_path: Path
) -> None:
    """Twelve frames of 12 megapixels are 1.7 GB as float32; one is 180 MB so and as bytes, and some memory is kept."""
    pytest.importorskip("resource", reason="the peak of a process is asked of Unix")
    small, large = make_bomb("small.mov", 200, 200), make_bomb("large.mov", 4000, 3000)
    run = subprocess.run(
        [sys.executable, "-c", MEMORY, str(small), str(large), str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(run.stdout)
    assert found["shapes"] == [[3], [3, 12, 32, 32]]
    assert found["bytes"] < 500e6


def test_a_huge_picture_is_refused_in_a_sentence(make_bomb: Callable[..., Path]) -> None:
    with pytest.raises(
        VideoError, match=r"^bomb\.mov: reading pictures of 16000x15000 pixels may take"
    ):
        predictor().predict(make_bomb("bomb.mov"))


def test_a_network_that_scores_boxes_is_refused_with_what_to_do() -> None:
    network = DetectionBBoxNetwork(nn.Identity(), nn.Identity())
    with pytest.raises(ValueError, match=r"whole clips, such as slow_r50.*pytorchvideo detect"):
        VideoPredictor(network, RECIPE, ["a", "b"])


def test_a_recipe_of_whole_videos_looks_at_all_of_one(video: Path) -> None:
    with EncodedVideo.from_path(video) as opened:
        frames = opened.get_clip(0, opened.duration)["video"]
    # the middles of four equal parts of 32 frames: of 0..8, 8..16, 16..23, 23..31 with halves to the even one
    picked = frames[:, [4, 12, 19, 27]] / 255
    model = MeanColour()
    wanted = model(RECIPE.transforms()(picked * 255)[None]).softmax(dim=1)[0]
    predictor = VideoPredictor(model, replace(RECIPE, whole_video=True), LABELS)
    (only,) = predictor.predict_clips(video, clips=4)
    torch.testing.assert_close(only.scores, wanted)
    # from the first of these frames to the last
    assert (only.start_sec, only.end_sec) == pytest.approx((4 / 16, 27 / 16))
    assert len(predictor.predict_clips(video, clips=2, end_sec=1.5)) == 2

# SPDX-License-Identifier: Apache-2.0
"""Time lapses: clips in which no frame begins, for each walker over the clips of a video."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from flash.runs.fit_head import VideoViews
from flash.serve.service import Service
from pytorchvideo.inference.clips import Clip, End
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.inference.timeline.make import TimelineOptions, make_timeline
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(
    num_frames=4, sampling_rate=5, frames_per_second=10, side_size=16, crop_size=16
)  # 2 s
LABELS = ["red", "green", "blue"]


class Colour(nn.Module):
    """Says which channel is the brightest."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x.mean(dim=(2, 3, 4))


@pytest.fixture(scope="module")
def predictor() -> VideoPredictor:
    return VideoPredictor(Colour(), RECIPE, LABELS)


@pytest.fixture(scope="module")
def video(make_video: Callable[..., Path]) -> Path:
    """Two frames of red, two of green, two of blue: one in four seconds."""
    frames = np.zeros((6, 32, 32, 3), np.uint8)
    for k, frame in enumerate(frames):
        frame[..., k // 2] = 220
    return make_video("still.mp4", fps=Fraction(1, 4), frames=frames)


@pytest.mark.parametrize("every", [2.0, 1.0])
def test_a_timeline_shows_the_frame_that_stands(
    predictor: VideoPredictor, video: Path, tmp_path: Path, every: float
) -> None:
    made = make_timeline(predictor, video, tmp_path / "out", TimelineOptions(every_sec=every))
    assert list(made.gaps()) == []
    assert [s.label for s in made.segments()] == LABELS
    assert [s.start_sec for s in made.segments()] == pytest.approx([0, 8, 16], abs=1)


def test_a_prediction_leaves_out_the_clips_without_a_frame(
    predictor: VideoPredictor, video: Path
) -> None:
    clips = predictor.predict_clips(video, clips="uniform")
    assert [(c.start_sec, c.end_sec) for c in clips] == [(t, t + 2) for t in range(0, 24, 4)]
    assert [LABELS[int(c.scores.argmax())] for c in clips] == [
        label for label in LABELS for _ in range(2)
    ]


def test_a_prediction_where_no_clip_has_a_frame_takes_the_one_on_show(
    predictor: VideoPredictor, video: Path
) -> None:
    (clip,) = predictor.predict_clips(video, clips=1, start_sec=9, end_sec=11.5)
    assert LABELS[int(clip.scores.argmax())] == "green"
    answer = Service(predictor).answer(video)
    assert answer.gif[:3] == b"GIF"


def test_every_view_of_a_probe_has_a_frame(video: Path) -> None:
    *clips, end = VideoViews([str(video)], RECIPE, views=8, seed=0).clips(range(1))
    assert end == End(0)
    assert [clip.views[0].shape for clip in clips if isinstance(clip, Clip)] == [(3, 4, 16, 16)] * 8

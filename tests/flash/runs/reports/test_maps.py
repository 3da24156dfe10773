# SPDX-License-Identifier: Apache-2.0
"""Maps in reports: which clips, in which order, and for which networks."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from flash.runs.reports.maps import explained_clips, maps_html
from flash.runs.reports.report import Report
from flash.runs.reports.run_page import render_report
from pytorchvideo.evaluation.scores import ClipResult
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)
LABELS = ("run", "walk")


@pytest.fixture(scope="module")
def predictor(make_model_file: Callable[..., Path]) -> VideoPredictor:
    return VideoPredictor.from_file(make_model_file(RECIPE, LABELS))


def results(video: Path, shares: list[float]) -> list[ClipResult]:
    """Videos labelled "run" with these scores of it."""
    return [ClipResult(str(video), "run", (share, 1 - share), LABELS) for share in shares]


def test_five_of_either_end_are_explained(
    predictor: VideoPredictor, make_video: Callable[..., Path]
) -> None:
    video = make_video("a.mp4", num_frames=20, fps=10)
    shares = [0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.55, 0.1, 0.3]
    clips = explained_clips(predictor, results(video, shares))
    assert [clip.result.true_score for clip in clips] == [
        *(0.99, 0.95, 0.9, 0.8, 0.7),
        *(0.1, 0.3, 0.55, 0.6),
    ]
    assert {clip.method for clip in clips} == {"gradcam"}
    with Image.open(io.BytesIO(clips[0].gif)) as animation:
        width, height = animation.size
    assert width > 1.9 * height
    html = maps_html(clips)
    assert html.count("<img ") == 9
    worst, best = html.index("Furthest from the truth"), html.index("Surest and correct")
    assert worst < html.index('class="wrong">walk 90.0%') < best < html.index("run 99.0%")
    page = Report("t", "s", LABELS, results(video, shares), explained=clips)
    assert '<section id="maps">' in render_report(page)


def test_videos_that_are_gone_are_left_out(
    predictor: VideoPredictor, make_video: Callable[..., Path]
) -> None:
    video = make_video("a.mp4", num_frames=20, fps=10)
    found = explained_clips(predictor, results(video, [0.9]) + results(Path("gone.mp4"), [0.8]))
    assert [clip.result.true_score for clip in found] == [0.9]
    assert maps_html([]) == ""


def test_networks_whose_maps_take_long_have_none(predictor: VideoPredictor) -> None:
    unknown = VideoPredictor(predictor.model, RECIPE, LABELS)
    assert explained_clips(unknown, results(Path("a.mp4"), [0.9])) == []

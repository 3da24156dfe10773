# SPDX-License-Identifier: Apache-2.0
"""Published protocols: positions against vectors of PySlowFast, scores against the formula written out."""

import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytorchvideo._positions import FrameTimes
from pytorchvideo.data import EncodedVideo, make_clip_sampler
from pytorchvideo.data.windows import FrameRule, frame_times
from pytorchvideo.evaluation.protocols import (
    OTHER_VIEWS,
    PROTOCOLS,
    Protocol,
    ProtocolViews,
    VideoScores,
    combine_views,
    score_videos,
    view_scores,
)
from pytorchvideo.inference.clips import CropViews
from pytorchvideo.models import create_model, get_weights
from pytorchvideo.models.head import ResNetBasicHead
from pytorchvideo.models.i3d import InceptionHead
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.functional import (
    short_side_scale,
    uniform_crop,
    uniform_temporal_subsample,
)

VECTORS = Path(__file__).resolve().parents[3] / "shared/reference/research/view_positions.json"
# typed in from the same source: frames, a second, T, tau, clips, rule -> frames of the first and of the last clip
TYPED: list[tuple[int, float, int, int, int, Any, list[int], list[int]]] = [
    (*(300, 30, 4, 12, 10, "share"), [0, 15, 31, 47], [226, 242, 258, 273]),
    (
        *(250, 25, 8, 8, 10, "share"),
        [0, 7, 14, 22, 29, 37, 44, 52],
        [177, 184, 191, 199, 206, 214, 221, 229],
    ),
    (*(40, 30, 8, 8, 10, "share"), [0, 9, 18, 27, 36, 39, 39, 39], [0, 9, 18, 27, 36, 39, 39, 39]),
    (*(240, 24, 4, 16, 1, "offsets"), [94, 110, 127, 144], [94, 110, 127, 144]),
    (
        *(100, 12, 8, 1, 1, "whole"),
        [6, 18, 31, 43, 56, 68, 80, 93],
        [6, 18, 31, 43, 56, 68, 80, 93],
    ),
    (*(7, 12, 8, 1, 1, "whole"), [0, 1, 2, 2, 3, 4, 4, 5], [0, 1, 2, 2, 3, 4, 4, 5]),
    (*(50, 24, 4, 16, 10, "rounded"), [0, 16, 32, 48], [1, 17, 33, 49]),
]


def of_rule(starts: Any, clips: int, num_frames: int, sampling_rate: int) -> ProtocolViews:
    recipe = ClipRecipe(num_frames=num_frames, sampling_rate=sampling_rate)
    return ProtocolViews(Protocol(clips=clips, crops=1, starts=starts), recipe)


@pytest.mark.parametrize(
    ("count", "rate", "frames", "tau", "clips", "starts", "first", "last"), TYPED
)
def test_frames_of_clips(
    count: int,
    rate: float,
    frames: int,
    tau: int,
    clips: int,
    starts: Any,
    first: list[int],
    last: list[int],
) -> None:
    found = of_rule(starts, clips, frames, tau).frames(FrameTimes.regular(count, rate))
    assert (len(found), found[0], found[-1]) == (clips, first, last)


def test_positions_are_those_of_pyslowfast() -> None:
    if not VECTORS.is_file():
        pytest.skip("the shared view_positions.json is not there")
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    for case in vectors["kinetics"]:
        starts = "offsets" if case["use_offset_sampling"] else "share"
        views = of_rule(starts, case["clips"], case["num_frames"], case["sampling_rate"])
        found = views.frames(FrameTimes.regular(case["num_video_frames"], case["fps"]))
        assert found == [position["frames"] for position in case["positions"]], case
    for case in vectors["charades"]:
        views = of_rule("rounded", case["views"], case["num_frames"], case["sampling_rate"])
        found = views.frames(FrameTimes.regular(case["video_frames"], 24))
        assert [clip[0] for clip in found] == case["first_frames"]
        assert [clip[-1] for clip in found] == case["last_frames"]
    for case in vectors["ssv2"]:
        views = of_rule("whole", 1, case["num_frames"], 1)
        assert views.frames(FrameTimes.regular(case["video_frames"], 30)) == [case["val"]]
    for case in vectors["ava"]:
        views = of_rule("keyframe", 1, case["num_frames"], case["sampling_rate"])
        assert views.around((case["sec"] - 900) * 30, case["video_frames"]) == case["seq"]
    assert [len(vectors[k]) for k in ("kinetics", "crops", "ava", "ssv2", "charades")] == [
        *(11, 21, 9, 5, 4)
    ]


def test_crops_are_those_of_pyslowfast() -> None:
    if not VECTORS.is_file():
        pytest.skip("the shared view_positions.json is not there")
    for case in json.loads(VECTORS.read_text(encoding="utf-8"))["crops"]:
        height, width, size = case["height"], case["width"], case["size"]
        places = torch.arange(height * width).view(1, height, width)
        found = uniform_crop(places, size, case["spatial_idx"])
        assert divmod(int(found[0, 0, 0]), width) == (case["top"], case["left"]), case
        assert found.shape == (1, size, size)


@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_starts_in_seconds_are_those_of_the_clip_sampler(
    seconds: float, make_video: Callable[..., Path]
) -> None:
    path = make_video("seconds.mp4", num_frames=round(25 * seconds), fps=25)
    recipe = ClipRecipe(num_frames=4, sampling_rate=12)
    sampler = make_clip_sampler("constant_clips_per_video", recipe.clip_duration_sec, 3)
    with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as video:
        found = of_rule("seconds", 3, 4, 12).frames(frame_times(video))
        for frames in found:
            window = sampler(None, video.duration, {})
            clip = video.get_clip(window.clip_start_sec, window.clip_end_sec)["video"]
            assert clip is not None
            wanted = uniform_temporal_subsample(clip, 4)
            assert torch.equal(video.get_frames(indices=frames).data, wanted)
    assert found[0][0] == 0
    # the last frame of the last clip is that of the video, or the clip is longer
    assert found[-1][-1] == round(25 * seconds) - 1


def test_a_clip_in_a_pause_has_the_frame_on_show() -> None:
    # a second between two frames
    times = FrameTimes(
        10, 1.0, FrameTimes.regular(10, 1).duration, FrameTimes.regular(10, 1).count_before
    )
    assert of_rule("seconds", 4, 2, 3).frames(times)[1] == [3, 3]


def test_every_row_of_the_zoo_has_its_protocol() -> None:
    rows = {
        "slow_r50": (10, 3, "share", "mean", "rgb", 256),
        "x3d_l": (10, 3, "seconds", "mean", "rgb", 356),
        "mvit_base_32x3": (5, 1, "offsets", "mean", "rgb", 224),
        "slowfast_r50_ssv2": (1, 3, "whole", "mean", "bgr", 256),
        "slow_r50_charades": (10, 3, "rounded", "max", "bgr", 256),
        "slow_r50_detection": (1, 1, "keyframe", "mean", "rgb", None),
    }
    for name, row in rows.items():
        views = get_weights(name).views("official")
        of = views.protocol
        clip = views.recipe
        found = (of.clips, of.crops, of.starts, of.combine, clip.channels, clip.crop_size)
        assert found == row, name
    assert len(PROTOCOLS) == 22
    for name, protocol in PROTOCOLS.items():
        weights = get_weights(name)
        counted = f"{protocol.clips} clip{'s' * (protocol.clips > 1)} x {protocol.crops} crop"
        assert counted in weights.protocol or "AVA" in weights.protocol, name
        if protocol.crops == 3:
            assert weights.recipe.side_size == weights.recipe.crop_size, name
    with pytest.raises(
        ValueError, match="that the scores of efficient_x3d_xs are of are not known"
    ):
        get_weights("efficient_x3d_xs").views("official")


@pytest.mark.parametrize(
    ("name", "keeps"),
    [("slow_r50", True), ("x3d_m", True), ("mvit_base_16x4", True), ("slow_r50_charades", False)],
)
def test_clips_of_videos_of_other_rates(name: str, keeps: bool) -> None:
    views = get_weights(name).views("official")
    spans = []
    for rate in (25, 50):
        first = views.frames(FrameTimes.regular(10 * rate, rate))[0]
        spans.append((first[-1] - first[0]) / rate)
    assert views.protocol.keeps_seconds == keeps
    assert (abs(spans[0] - spans[1]) < 2 / 25) == keeps


def test_rows_of_weights_that_are_not_here() -> None:
    views, published = OTHER_VIEWS["MAE_VIT_L_16x4"]
    assert (views.protocol.clips, views.protocol.crops, published) == (7, 3, 84.8)
    assert (views.recipe.side_size, views.recipe.crop_size) == (224, 224)
    starts = [
        clip[0] for clip in OTHER_VIEWS["MVITv2_B_32x3"][0].frames(FrameTimes.regular(300, 30))
    ]
    assert starts == [0, 51, 102, 153, 204]


@pytest.mark.parametrize("name", ["slow_r50", "slowfast_r50_ssv2", "mvit_base_16x4"])
def test_views_go_to_other_processes(name: str) -> None:
    views = get_weights(name).views("official")
    crops = CropViews(views.recipe, positions=(0, 1, 2))
    rule, again = pickle.loads(pickle.dumps((FrameRule(views.frames), crops)))
    times = FrameTimes.regular(100, 25)
    assert rule.rule(times) == views.frames(times)
    frames = torch.rand(3, views.recipe.num_frames, 8, 10)
    for one, other in zip(again(0, 0, frames), crops(0, 0, frames), strict=True):
        torch.testing.assert_close(one, other)


class Tiny(nn.Module):
    """A network with 2 x 2 positions for clips of 32 x 32: a pool of a quarter of its map, and scores of each part."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 6, (1, 8, 8), (1, 8, 8))
        pool = nn.AvgPool3d((4, 2, 2), stride=(1, 2, 2))
        self.head = ResNetBasicHead(
            pool=pool, proj=nn.Linear(6, classes), output_pool=nn.AdaptiveAvgPool3d(1)
        )

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return self.head(self.stem(clip).relu())


def tiny() -> Tiny:
    torch.manual_seed(0)
    model = Tiny().eval()
    with torch.no_grad():
        model.head.proj.weight.mul_(8)  # scores of positions that differ
    return model


def logits_of_positions(model: Tiny, clip: torch.Tensor) -> list[torch.Tensor]:
    """Logits (classes,) of the four parts of a clip (3, 4, 32, 32), by a convolution and means."""
    maps = nn.functional.conv3d(clip[None], model.stem.weight, model.stem.bias, (1, 8, 8)).relu()
    parts = [maps[0, :, :, y : y + 2, x : x + 2].mean((1, 2, 3)) for y in (0, 2) for x in (0, 2)]
    return [model.head.proj.weight @ part + model.head.proj.bias for part in parts]


@torch.no_grad()
def test_scores_of_a_view_are_the_mean_of_those_of_its_positions() -> None:
    model, clip = tiny(), torch.rand(3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    clip[..., :16] *= 6  # positions that see something else
    logits = logits_of_positions(model, clip)
    official = Protocol(clips=1, crops=1, starts="share")
    wanted = sum(part.exp() / part.exp().sum() for part in logits) / 4
    torch.testing.assert_close(view_scores(model, clip[None], official)[0], wanted)
    hub = replace(official, per_position=False)
    after = torch.stack(logits).mean(0).exp()
    torch.testing.assert_close(view_scores(model, clip[None], hub)[0], after / after.sum())
    assert (wanted - after / after.sum()).abs().max() > 0.01
    charades = replace(official, activation="sigmoid")
    wanted = sum(1 / (1 + (-part).exp()) for part in logits) / 4
    torch.testing.assert_close(view_scores(model, clip[None], charades)[0], wanted)
    # the model is as it was, and one that returns a map, as PySlowFast builds them, has the same scores
    assert model.head.activation is None
    scores = view_scores(model, clip[None], official)
    model.head.output_pool = None
    assert model(clip[None]).shape == (1, 5, 1, 2, 2)
    torch.testing.assert_close(view_scores(model, clip[None], official), scores)
    model.head.activation = nn.Softmax(dim=1)  # as r2plus1d_r50 has it
    torch.testing.assert_close(view_scores(model, clip[None], official), scores)


@torch.no_grad()
def test_scores_of_a_classifier_that_is_a_convolution() -> None:
    head = InceptionHead(6, 5, (2, 2, 2), 0.5).eval()
    maps = torch.randn(2, 6, 3, 4, 3, generator=torch.Generator().manual_seed(0))
    logits = nn.functional.conv3d(
        nn.functional.avg_pool3d(maps, 2, 1), 9 * head.conv3d.weight, head.conv3d.bias
    )
    head.conv3d.weight.mul_(9)
    wanted = logits.softmax(1).mean((2, 3, 4))
    torch.testing.assert_close(view_scores(head, maps, PROTOCOLS["slow_r50"]), wanted)
    assert (wanted - logits.mean((2, 3, 4)).softmax(1)).abs().max() > 0.01
    torch.testing.assert_close(head(maps), logits.mean((2, 3, 4)))  # as it was


@torch.no_grad()
def test_a_model_of_one_position_has_its_softmax() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 3)).eval()
    x = torch.randn(2, 2, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    for per_position in (True, False):
        protocol = replace(PROTOCOLS["slow_r50"], per_position=per_position)
        torch.testing.assert_close(view_scores(net, x, protocol), net(x).softmax(1))


@pytest.mark.slow
@torch.no_grad()
def test_a_real_clip_by_real_weights(shared_data: Path, shared_weights: Path) -> None:
    weights = shared_weights / "i3d_inception_rgb_kinetics400.pth"
    model = create_model("i3d_inception", weights=weights).eval()
    recipe = replace(get_weights("i3d_inception").recipe, num_frames=16, sampling_rate=8)
    views = ProtocolViews(Protocol(clips=2, crops=1, starts="share"), recipe)
    path = shared_data / "clips/mmaction2_demo_arm_wrestling.mp4"
    (found,) = score_videos(model, [path], views)
    assert isinstance(found, torch.Tensor)
    assert get_weights("i3d_inception").labels[int(found.argmax())] == "arm wrestling"
    # PySlowFast's arithmetic: the softmax of each position, the mean over these, the sum over views
    with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as video:
        times, total = frame_times(video), torch.zeros(400)
        span = 16 * 8 / 30 * times.rate
        for number in range(2):
            start = max(times.count - span, 0) * number / 2
            places = torch.linspace(start, start + span - 1, 16).clamp(0, times.count - 1).long()
            clip = video.get_frames(indices=places.tolist()).data.float()
            clip = (short_side_scale(clip / 255, 256) - 0.5) / 0.5
            maps = model.forward_trunk(uniform_crop(clip, 224, 1)[None])
            logits = model.logits.conv3d(model.logits.pool(maps))
            total += logits.softmax(1).mean((2, 3, 4))[0]
    torch.testing.assert_close(found.float() * 2, total, rtol=1e-4, atol=1e-5)


def test_a_model_in_training_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`model` to be in eval mode, .* Call model.eval"):
        view_scores(tiny().train(), torch.zeros(1, 3, 4, 32, 32), PROTOCOLS["slow_r50"])


RECIPE = ClipRecipe(num_frames=4, sampling_rate=3, side_size=32, crop_size=32)


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol(clips=3, crops=3, starts="share"),
        Protocol(clips=2, crops=1, starts="offsets", combine="sum"),
        PROTOCOLS["slow_r50_ssv2"],
        replace(PROTOCOLS["slow_r50_charades"], clips=2),
    ],
    ids=["kinetics", "mvit", "ssv2", "charades"],
)
@torch.no_grad()
def test_scores_of_a_video_are_those_of_the_formula(
    protocol: Protocol, make_video: Callable[..., Path]
) -> None:
    model, path = tiny(), make_video("formula.mp4", num_frames=40, height=48, width=76)
    is_bgr = protocol.starts in ("whole", "rounded")
    recipe = replace(RECIPE, channels="bgr" if is_bgr else "rgb")
    views = ProtocolViews(protocol, recipe)
    (found,) = score_videos(model, [path], views, batch_size=2)
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        frames = video.get_clip(0, 10)["video"]
    assert frames is not None and frames.shape == (3, 40, 48, 76)
    of_views = []
    for places in views.frames(FrameTimes.regular(40, 30)):
        clip = short_side_scale(frames[:, places] / 255, 32)  # 32 x 50
        clip = (clip - 0.45) / 0.225
        clip = clip[[2, 1, 0]] if is_bgr else clip
        for left in (0, 9, 18) if protocol.crops == 3 else (9,):
            parts = torch.stack(logits_of_positions(model, clip[..., left : left + 32]))
            scores = parts.softmax(1) if protocol.activation == "softmax" else parts.sigmoid()
            of_views.append(scores.mean(0).double())
    together = torch.stack(of_views)
    assert len(together) == protocol.views
    wanted = {"mean": together.mean(0), "sum": together.sum(0), "max": together.max(0).values}
    assert isinstance(found, torch.Tensor)
    torch.testing.assert_close(found, wanted[protocol.combine], rtol=1e-4, atol=1e-5)


def test_videos_keep_their_order_and_bad_ones_are_errors(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    good = make_video("good.mp4", num_frames=12)
    views = ProtocolViews(Protocol(clips=2, crops=1, starts="share"), RECIPE)
    first, second, third = score_videos(tiny(), [good, broken, good], views)
    assert isinstance(second, Exception) and "broken.mp4" in str(second)
    assert isinstance(first, torch.Tensor) and isinstance(third, torch.Tensor)
    torch.testing.assert_close(first, third)
    ava = get_weights("slow_r50_detection").views("official")
    with pytest.raises(ValueError, match=r"use views.around\(centre, count\)"):
        next(score_videos(tiny(), [good], ava))


def test_views_are_combined_without_a_finite_start() -> None:
    # with a start of -1e10, as PySlowFast has it, float32 loses these
    scores = torch.tensor([[-3.0, 0.25], [-2.0, 0.5]])
    assert combine_views(scores, "sum").tolist() == [-5.0, 0.75]
    assert combine_views(scores, "mean").tolist() == [-2.5, 0.375]
    assert combine_views(scores, "max").tolist() == [-2.0, 0.5]
    with pytest.raises(ValueError, match=re.escape("(views, classes), but got (0, 2)")):
        combine_views(scores[:0], "mean")


def test_views_come_in_any_order_from_any_process() -> None:
    scores = torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(0))
    ranks = [VideoScores(6), VideoScores(6)]
    for video in range(2):
        for view in (4, 0, 2, 5, 1, 3):
            ranks[view % 2].add(f"{video}.mp4", view, scores[video, view])
    ranks[0].merge(ranks[1])
    found = ranks[0].all()
    assert sorted(found) == ["0.mp4", "1.mp4"]
    torch.testing.assert_close(found["1.mp4"], scores[1].double().mean(0))


def test_missing_and_repeated_views_are_errors() -> None:
    found = VideoScores(30)
    for view in range(28):
        found.add("a.mp4", view, torch.zeros(2))
    with pytest.raises(ValueError, match=r"^View 28 and 1 more of 30 of a\.mp4 is missing"):
        found.of("a.mp4")
    with pytest.raises(ValueError, match=r"View 0 and 29 more of 30 of b\.mp4 is missing"):
        found.all(["b.mp4"])
    with pytest.raises(ValueError, match=r"View 3 of a\.mp4 came twice"):
        found.add("a.mp4", 3, torch.zeros(2))
    with pytest.raises(ValueError, match=r"in 0\.\.29, for a\.mp4, but got 30"):
        found.add("a.mp4", 30, torch.zeros(2))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"crops": 2}, "Expected `crops` to be 1 or 3, but got 2."),
        ({"clips": 0}, "Expected `clips` to be >= 1, but got 0."),
        ({"starts": "even"}, "Expected `starts` to be one of share, seconds, offsets"),
        ({"combine": "median"}, "Expected `combine` to be one of sum, mean, max"),
    ],
)
def test_wrong_protocols_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    arguments: dict[str, Any] = {"clips": 1, "crops": 1, "starts": "share"} | wrong
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Protocol(**arguments)


@pytest.mark.parametrize("starts", ["share", "seconds", "offsets", "rounded"])
def test_clips_of_another_length_keep_it(starts: Any) -> None:
    """Every 16th frame of 60 a second is every 8th of 30; by ``rounded`` frames are those of the file."""
    times = FrameTimes.regular(300, 25)
    of = Protocol(clips=3, crops=1, starts=starts)
    short = ProtocolViews(of, ClipRecipe(num_frames=4, sampling_rate=16, frames_per_second=60.0))
    other = 16 if starts == "rounded" else 8
    wanted = ProtocolViews(of, ClipRecipe(num_frames=4, sampling_rate=other))
    assert short.frames(times) == wanted.frames(times)
    odd = ProtocolViews(of, ClipRecipe(num_frames=4, sampling_rate=2, frames_per_second=25.0))
    assert float(odd.distance) == (2 if starts == "rounded" else pytest.approx(2.4))
    assert len(odd.frames(times)) == 3

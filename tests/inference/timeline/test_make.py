# SPDX-License-Identifier: Apache-2.0
"""Timelines: a model that names the colour of a clip, and videos whose colours are known."""

import csv
import io
import json
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from rich.console import Console
from torch import Tensor, nn

from flash.runs.progress import showing
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.inference.timeline import files as timeline_files
from pytorchvideo.inference.timeline.chart import heat_map
from pytorchvideo.inference.timeline.clips import ClipFile
from pytorchvideo.inference.timeline.make import TimelineOptions, make_timeline
from pytorchvideo.inference.timeline.timeline import Segment, Timeline, clock
from pytorchvideo.transforms.clip_recipe import ClipRecipe

MakeVideo = Callable[..., Path]
RECIPE = ClipRecipe(
    num_frames=4, sampling_rate=5, frames_per_second=10, side_size=16, crop_size=16
)  # 2 s
FILES = {f"timeline.{ending}" for ending in ("json", "csv", "srt", "vtt", "png")}
NO_TAGS = str.maketrans("<>{}", "‹›()")  # the signs that SubRip cannot write
LABELS = ["red", "green & <blue>", "blue"]


class Colour(nn.Module):
    """Probabilities that say which channel is the brightest; ``more`` classes that never are."""

    def __init__(self, more: int = 0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(3.0))
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        logits = self.scale * x.mean(dim=(2, 3, 4))
        return torch.cat([logits, logits.new_full((len(x), self.more), -9.0)], dim=1)


def predictor(more: int = 0, **arguments: Any) -> VideoPredictor:
    labels = [*LABELS, *(f"other {i}" for i in range(more))]
    return VideoPredictor(Colour(more), RECIPE, labels, **arguments)


def coloured(*stretches: tuple[int, int], fps: int = 10) -> np.ndarray:
    """Frames uint8 (T, 32, 32, 3): for each ``(channel, seconds)`` a stretch of that colour, with a little noise."""
    generator = np.random.default_rng(0)
    parts = []
    for channel, seconds in stretches:
        part = generator.integers(0, 20, (seconds * fps, 32, 32, 3), dtype=np.uint8)
        part[..., channel] += 200
        parts.append(part)
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def video(make_video: MakeVideo) -> Path:
    """20 s: red up to 8 s, green up to 14 s, blue up to 20 s."""
    frames = coloured((0, 8), (1, 6), (2, 6))
    options = {"x264-params": "keyint=10:scenecut=0"}
    return make_video("colours.mp4", fps=10, frames=frames, options=options)


def spans(timeline: Timeline) -> list[tuple[float, float, str]]:
    return [(s.start_sec, s.end_sec, s.label) for s in timeline.segments()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# -- what is said --------------------------------------------------------------------------------
def test_segments_are_the_stretches_of_the_video(video: Path, tmp_path: Path) -> None:
    made = make_timeline(predictor(), video, tmp_path / "out")
    assert spans(made) == [(0, 8, LABELS[0]), (8, 14, LABELS[1]), (14, 20, LABELS[2])]
    assert [segment.clips for segment in made.segments()] == [4, 3, 3]
    assert list(made.gaps()) == []
    assert repr(made) == f"Timeline({str(video)!r}, 0:00:20, 10 clips, {str(made.out)!r})"
    assert set(contents(made.out)) == FILES | {"progress.jsonl"}


def test_scores_are_those_of_the_predictor(video: Path, tmp_path: Path) -> None:
    model = predictor(batch_size=3)
    made = make_timeline(model, video, tmp_path, TimelineOptions(views=3))
    clips = list(made.clips())
    wanted = model.predict_clips(video, clips="uniform", views=3)
    assert [(c.start_sec, c.end_sec) for c in clips] == [(c.start_sec, c.end_sec) for c in wanted]
    for clip, other in zip(clips, wanted, strict=True):
        scores = torch.tensor([score for _, score in sorted(clip.best)], dtype=torch.float64)
        torch.testing.assert_close(scores, other.scores.double(), rtol=0, atol=6e-7)
        assert [score for _, score in clip.best] == sorted(scores.tolist(), reverse=True)


def test_short_changes_are_averaged_away_or_left_out(make_video: MakeVideo, tmp_path: Path) -> None:
    # green for 1 s within red, then red, then 2 s of green between red and blue
    frames = coloured((0, 5), (1, 1), (0, 4), (1, 2), (2, 6))
    path = make_video("flicker.mp4", fps=10, frames=frames)
    recipe = ClipRecipe(4, 1, frames_per_second=10, side_size=16, crop_size=16)  # 0.4 s
    model = VideoPredictor(Colour(), recipe, LABELS)
    made = make_timeline(model, path, tmp_path, TimelineOptions(every_sec=0.2))
    assert [label for *_, label in spans(made)] == [LABELS[i] for i in (0, 1, 0, 1, 2)]
    before = contents(tmp_path)
    options = TimelineOptions(every_sec=0.2, min_duration_sec=3.0)
    made = make_timeline(model, path, tmp_path, options, resume=True)
    (red, blue) = spans(made)
    assert red == (0.0, pytest.approx(10, abs=1.1), LABELS[0])
    assert blue == (pytest.approx(12, abs=1.1), 18.0, LABELS[2])
    written = json.loads((tmp_path / "timeline.json").read_text())
    assert written["settings"]["min_duration_sec"] == 3.0
    assert written["segments"] == [vars(segment) for segment in made.segments()]
    assert (tmp_path / "timeline.vtt").read_text().count("-->") == 2
    # clips keep what was said of them
    assert contents(tmp_path)["timeline.csv"] == before["timeline.csv"]


@pytest.mark.parametrize("every", [0.3, 0.5, 1.0, 3.0])
def test_clips_that_overlap_or_leave_gaps(video: Path, tmp_path: Path, every: float) -> None:
    made = make_timeline(predictor(), video, tmp_path, TimelineOptions(every_sec=every))
    starts = [clip.start_sec for clip in made.clips()]
    assert starts == pytest.approx([min(i * every, 18.0) for i in range(len(starts))])
    assert starts[-1] == 18.0
    found = spans(made)
    assert [label for *_, label in found] == LABELS
    assert (found[0][0], found[-1][1]) == (0.0, 20.0)
    for (_, end, _), (start, _, _), truth in zip(found, found[1:], (8, 14), strict=False):
        assert start == end
        # the nearest clip is at most half a step away, and half of its frames, 0.7 s apart, are after
        assert abs(start - truth) <= every / 2 + 0.35
    model = predictor()
    with EncodedVideo(video) as opened:
        frames = opened.get_clip(starts[2], starts[2] + 2)["video"]
    (scores,) = model.score_inputs([[RECIPE.transforms()(frames)]])
    assert dict(list(made.clips())[2].best)[0] == pytest.approx(float(scores[0]), abs=1e-6)


def test_part_of_a_video(video: Path, tmp_path: Path) -> None:
    made = make_timeline(
        predictor(), video, tmp_path / "a", TimelineOptions(start_sec=7, end_sec=13)
    )
    assert spans(made) == [(7, 9, LABELS[0]), (9, 13, LABELS[1])]
    short = make_timeline(predictor(), video, tmp_path / "b", TimelineOptions(start_sec=19.0))
    assert spans(short) == [(19, 20, LABELS[2])]


def test_least_score(make_video: MakeVideo, tmp_path: Path) -> None:
    frames = coloured((0, 4), (1, 4), (0, 4))
    frames[40:80] = 128  # grey: a third for each
    path = make_video("grey.mp4", fps=10, frames=frames)
    made = make_timeline(predictor(), path, tmp_path, TimelineOptions(min_score=0.5))
    assert spans(made) == [(0, 4, LABELS[0]), (8, 12, LABELS[0])]
    again = make_timeline(predictor(), path, tmp_path, TimelineOptions(min_score=0.0), resume=True)
    assert len(spans(again)) in (1, 3)
    assert spans(again)[-1][1] == 12
    assert json.loads((tmp_path / "timeline.json").read_text())["settings"]["min_score"] == 0.0


def test_progress_is_shown(video: Path, tmp_path: Path) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=200)
    with showing(console, "clips") as bar:
        make_timeline(predictor(batch_size=4), video, tmp_path, progress=bar)
    shown = text.getvalue()
    assert "10/10" in shown
    assert "clips/s" in shown
    assert "0:00:18 blue" in shown


# -- the files -----------------------------------------------------------------------------------
def test_json(video: Path, tmp_path: Path) -> None:
    made = make_timeline(predictor(), video, tmp_path, TimelineOptions(top_k=2))
    written = json.loads((tmp_path / "timeline.json").read_text())
    assert written["video"] == str(video)
    assert written["labels"] == LABELS
    assert written["settings"]["every_sec"] == 2.0
    assert [len(clip["labels"]) for clip in written["clips"]] == [2] * 10
    assert written["clips"][4]["start_sec"] == 8.0
    assert written["clips"][4]["labels"][0]["label"] == LABELS[1]
    assert [Segment(**segment) for segment in written["segments"]] == list(made.segments())
    assert written["gaps"] == []


def test_csv_of_few_classes(video: Path, tmp_path: Path) -> None:
    made = make_timeline(predictor(), video, tmp_path)
    with (tmp_path / "timeline.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["start_sec", "end_sec", "label", "score", *LABELS]
    for row, clip in zip(rows, made.clips(), strict=True):
        assert (float(row["start_sec"]), float(row["end_sec"])) == (clip.start_sec, clip.end_sec)
        assert row["label"] == LABELS[clip.best[0][0]]
        assert [float(row[label]) for label in LABELS] == [score for _, score in sorted(clip.best)]
        assert row["score"] == row[row["label"]]


def test_csv_of_many_classes_has_the_best(video: Path, tmp_path: Path) -> None:
    made = make_timeline(predictor(more=100), video, tmp_path, TimelineOptions(top_k=3))
    with (tmp_path / "timeline.csv").open(newline="") as file:
        header, first, *_ = csv.reader(file)
    ranks = ["label", "score", "label_2", "score_2", "label_3", "score_3"]
    assert header == ["start_sec", "end_sec", *ranks]
    assert first[2] == LABELS[0]
    assert float(first[3]) > float(first[5]) >= float(first[7])
    assert len(next(made.clips()).best) == 10


@pytest.mark.parametrize("ending", ["srt", "vtt"])
def test_subtitles_as_ffmpeg_reads_them(video: Path, tmp_path: Path, ending: str) -> None:
    made = make_timeline(predictor(), video, tmp_path, TimelineOptions(every_sec=0.7))
    file = tmp_path / f"timeline.{ending}"
    found = []
    with av.open(str(file)) as container:
        (stream,) = container.streams.subtitles
        for packet in container.demux(stream):
            if packet.size:
                start = float(packet.pts * packet.time_base)
                end = start + float(packet.duration * packet.time_base)
                found.append((start, end, bytes(packet).decode()))
    segments = list(made.segments())
    assert len(found) == len(segments) == 3
    for (start, end, text), segment in zip(found, segments, strict=True):
        assert (start, end) == pytest.approx((segment.start_sec, segment.end_sec), abs=6e-4)
        label = segment.label
        if ending == "vtt":
            label = label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        shown = label.translate(NO_TAGS) if ending == "srt" else label
        assert text.strip() == f"{shown} {segment.score:.0%}"


def test_stamps_of_hours_and_labels_with_ends_of_lines() -> None:
    file = io.StringIO()
    timeline_files.write_srt(file, [Segment(35999.9996, 360001.5, "two\n\nlines", 0.876, 1)])
    assert file.getvalue() == "1\n10:00:00,000 --> 100:00:01,500\ntwo lines 88%\n\n"
    assert clock(360001) == "100:00:01"


NAMES = ["<b>run</b> {\\an8}", "a --> b & c", "$\\frac{$", "_walk", "=1+1;-2"]


def test_names_are_no_markup_in_subtitles(tmp_path: Path) -> None:
    segments = [Segment(i, i + 1, name, 0.5, 1) for i, name in enumerate(NAMES)]
    for ending in ("srt", "vtt"):
        file = tmp_path / f"a.{ending}"
        with file.open("w", encoding="utf-8") as opened:
            getattr(timeline_files, f"write_{ending}")(opened, segments)
        if shutil.which("ffmpeg") is None:
            pytest.skip("ffmpeg is not installed")
        # FFmpeg's own reading of the subtitles, as a script of ASS
        run = subprocess.run(
            ["ffmpeg", "-v", "error", "-i", str(file), "-f", "ass", "-"],
            capture_output=True,
            check=True,
            text=True,
        )
        shown = [line.split(",", 9)[9] for line in run.stdout.splitlines() if "Dialogue:" in line]
        wanted = [f"{name} 50%".translate(NO_TAGS) for name in NAMES]
        shown = [re.sub(r"\\([{}])", r"\1", line) for line in shown]  # ASS's own escapes
        assert [line.translate(NO_TAGS) for line in shown] == wanted


def test_names_are_no_formulas_in_charts(video: Path, tmp_path: Path) -> None:
    named = predictor()
    named.labels = ["$\\frac{$", "_b", "<c>", *named.labels[3:]]
    made = make_timeline(named, video, tmp_path)
    axes = heat_map(made).axes[0]
    assert {text.get_text() for text in axes.get_yticklabels()} == {"$\\frac{$", "_b", "<c>"}


def test_chart_has_the_classes_over_time(video: Path, tmp_path: Path) -> None:
    made = make_timeline(predictor(more=100), video, tmp_path)
    figure = heat_map(made)
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    figure.draw_without_rendering()
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "red"  # for longest
    assert set(names) == set(LABELS)  # the others are never seen
    assert axes.get_xlim() == (0, 20)
    assert "0:00:10" in [label.get_text() for label in axes.get_xticklabels()]
    picture = axes.images[0].get_array()
    assert picture is not None
    assert picture.shape == (3, 1200)
    shown = [names[row] for row in np.asarray(picture).argmax(axis=0)]
    assert shown == [LABELS[0]] * 480 + [LABELS[1]] * 360 + [LABELS[2]] * 360
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


# -- interruptions -------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def finished(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A timeline that nothing interrupted, with groups that the clips do not fill."""
    out = tmp_path_factory.mktemp("finished")
    make_timeline(predictor(batch_size=4), video, out, TimelineOptions(every_sec=0.5))
    return out


def test_a_run_cut_anywhere_ends_with_the_same_files(
    video: Path, finished: Path, tmp_path: Path
) -> None:
    wanted = contents(finished)
    progress = wanted["progress.jsonl"]
    places = random.Random(0).sample(range(len(progress)), 6)
    for place in [0, 1, *places, len(progress) - 1, len(progress)]:
        (tmp_path / "progress.jsonl").write_bytes(progress[:place])
        make_timeline(
            predictor(batch_size=4), video, tmp_path, TimelineOptions(every_sec=0.5), resume=True
        )
        assert contents(tmp_path) == wanted, place


def test_an_exception_on_the_way(
    video: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = predictor(batch_size=4)
    score = model.score_inputs
    calls = iter(range(100))

    def fails(clips: Any) -> Tensor:
        if next(calls) == 3:
            raise KeyboardInterrupt("by the user")
        return score(clips)

    monkeypatch.setattr(model, "score_inputs", fails)
    with pytest.raises(KeyboardInterrupt, match="by the user"):
        make_timeline(model, video, tmp_path, TimelineOptions(every_sec=0.5))
    assert set(contents(tmp_path)) == {"progress.jsonl"}
    with pytest.raises(FileExistsError, match=r"holds a timeline already\. Give --resume"):
        make_timeline(model, video, tmp_path, TimelineOptions(every_sec=0.5))
    make_timeline(model, video, tmp_path, TimelineOptions(every_sec=0.5), resume=True)
    assert contents(tmp_path) == contents(finished)
    assert next(calls) == 11  # 10 groups, one of which failed once


def test_what_is_finished_is_not_computed_again(
    video: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(finished)
    model = predictor(batch_size=4)
    monkeypatch.setattr(model, "score_inputs", None)
    make_timeline(model, video, finished, TimelineOptions(every_sec=0.5), resume=True)
    assert contents(finished) == before


def test_a_folder_in_which_nothing_was_computed_is_free(video: Path, tmp_path: Path) -> None:
    ClipFile(tmp_path / "progress.jsonl", 4).begin({"version": 0})
    assert len(list(make_timeline(predictor(), video, tmp_path).segments())) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every_sec": 1.0}, r"was started with every_sec=0\.5, but got 1\.0\."),
        ({"top_k": 7}, r"was started with top_k=5, but got 7\."),
        ({"end_sec": 10.0}, r"was started with end_sec=None, but got 10\.0\."),
    ],
)
def test_other_settings_are_refused(
    video: Path, finished: Path, arguments: dict[str, Any], message: str
) -> None:
    asked = {"every_sec": 0.5} | arguments
    with pytest.raises(ValueError, match=message):
        make_timeline(
            predictor(batch_size=4), video, finished, TimelineOptions(**asked), resume=True
        )


def test_another_model_or_video_is_refused(
    video: Path, finished: Path, make_video: MakeVideo
) -> None:
    with pytest.raises(ValueError, match="was started with batch_size=4, but got 2"):
        make_timeline(
            predictor(batch_size=2), video, finished, TimelineOptions(every_sec=0.5), resume=True
        )
    other = predictor(batch_size=4)
    with torch.no_grad():
        other.model.scale.add_(0.1)
    with pytest.raises(ValueError, match=r"was started with model=[0-9a-f]+, but got"):
        make_timeline(other, video, finished, TimelineOptions(every_sec=0.5), resume=True)
    another = make_video("another.mp4", fps=10, frames=coloured((0, 4)))
    with pytest.raises(ValueError, match="was started with bytes="):
        make_timeline(
            predictor(batch_size=4), another, finished, TimelineOptions(every_sec=0.5), resume=True
        )


def test_a_file_of_something_else_is_refused(video: Path, tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text("hello\nyou\n")
    with pytest.raises(ValueError, match=r"progress\.jsonl is not the file of a timeline"):
        make_timeline(predictor(), video, tmp_path, resume=True)


# -- bad input -----------------------------------------------------------------------------------
def damaged_copy(video: Path, target: Path, start: float, end: float) -> Path:
    content = bytearray(video.read_bytes())
    with av.open(str(video)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size and start <= packet.pts * packet.time_base < end:
                content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("every", [2.0, 1.0])
def test_damaged_stretches_are_gaps(video: Path, tmp_path: Path, every: float) -> None:
    path = damaged_copy(video, tmp_path / "damaged.mp4", 10.2, 12)
    made = make_timeline(predictor(), path, tmp_path / "out", TimelineOptions(every_sec=every))
    (gap,) = made.gaps()
    assert (gap.start_sec, gap.end_sec, gap.clips) == ((10, 12, 1) if every == 2 else (9, 13, 3))
    assert "damaged.mp4, clip" in gap.reason
    around = [span for span in spans(made) if span[2] == LABELS[1]]
    assert (around[0][1], around[1][0]) == ((10, 12) if every == 2 else (9.5, 12.5))
    written = json.loads((made.out / "timeline.json").read_text())
    assert written["gaps"] == [vars(gap)]
    assert len(written["clips"]) == len(made.windows) - gap.clips
    with (made.out / "timeline.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == len(made.windows) + 1
    assert [row[2:] for row in rows if row[0] == "10.0"] == [[""] * 5]


def test_nothing_can_be_read(video: Path, tmp_path: Path) -> None:
    path = damaged_copy(video, tmp_path / "damaged.mp4", 2, 20)
    with pytest.raises(
        VideoError, match=r"damaged\.mp4: none of its 9 clips can be read; the first"
    ):
        make_timeline(predictor(), path, tmp_path / "out", TimelineOptions(start_sec=2.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every_sec": 0.0}, "Expected `every_sec` to be > 0 seconds, but got 0.0"),
        ({"views": 2}, "Expected `views` to be 1"),
        ({"top_k": 0}, "Expected `top_k` to be >= 1, but got 0"),
        ({"min_duration_sec": -1.0}, "`min_duration_sec` to be >= 0 seconds, but got -1.0"),
        ({"min_score": 1.5}, "Expected `min_score` to be a probability, 0 to 1, but got 1.5"),
        ({"start_sec": 30.0}, "lies beyond the end"),
        ({"start_sec": 3.0, "end_sec": 2.0}, "Expected `end_sec` to be at or after"),
    ],
)
def test_arguments_out_of_range(
    video: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_timeline(predictor(), video, tmp_path / "out", TimelineOptions(**arguments))
    assert not (tmp_path / "out").exists()


# -- memory --------------------------------------------------------------------------------------
def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("every", [2.0, 0.5])
def test_memory_does_not_grow_with_the_video(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (2400, 96, 128, 3), dtype=np.uint8)
    options = {"preset": "ultrafast", "g": "50", "crf": "40"}
    path = make_video("long.mp4", fps=10, frames=frames, options=options)  # 240 s, 88 MB decoded
    del frames
    model = predictor(batch_size=4)
    score, sizes = model.score_inputs, []

    def measured(clips: Any) -> Tensor:
        sizes.append(resident_bytes())
        return score(clips)

    monkeypatch.setattr(model, "score_inputs", measured)
    make_timeline(model, path, tmp_path, TimelineOptions(every_sec=every))
    assert len(sizes) >= 30
    early, late = np.median(sizes[5:10]), np.median(sizes[-5:])
    assert late - early < 8e6

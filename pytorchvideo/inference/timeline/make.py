# SPDX-License-Identifier: Apache-2.0
"""Making of timelines: predictions for sliding clips, in constant memory.

::

    OUT/
      progress.jsonl   what was asked for, then a line a clip; written as they are computed
      timeline.json    settings, labels, clips, segments, gaps
      timeline.csv     a row a clip
      timeline.srt     segments as subtitles
      timeline.vtt     the same for web pages
      timeline.png     chart of the likeliest classes

All but the first are written at the end, each whole or not at all, from the first. So a run that was interrupted goes
on where it was, and ends with the same files.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo._locks import alone_in
from pytorchvideo._progress import Meter, Progress, Step, silent
from pytorchvideo._text import counted
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.windows import SlidingWindows, part_of
from pytorchvideo.inference.clips import Clip, CropViews, clips_of_video
from pytorchvideo.inference.fingerprint import fingerprint
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.inference.timeline.clips import ClipFile, TimelineClip, kept_classes
from pytorchvideo.inference.timeline.files import write_files
from pytorchvideo.inference.timeline.timeline import PROGRESS, Timeline, clock

_VERSION = 1


@dataclass(frozen=True)
class TimelineOptions:
    """Options of a timeline.

    Attributes:
        every_sec: from the start of a clip to that of the next; None is the length of a clip.
        views: 1 looks at the centre of the picture, 3 also at both sides.
        start_sec: look at the video from here on.
        end_sec: look at it up to here; None is its end.
        top_k: labels of each clip in the files.
        min_score: probability from which a clip's likeliest label counts for a segment.
        min_duration_sec: no segment is shorter, see :meth:`Timeline.segments`; clips keep their own scores.

    Raises:
        ValueError: one of them is out of range.
    """

    every_sec: float | None = None
    views: int = 1
    start_sec: float = 0.0
    end_sec: float | None = None
    top_k: int = 5
    min_score: float = 0.0
    min_duration_sec: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise ValueError(expected("min_score", "a probability, 0 to 1", self.min_score))
        if not 0 <= self.min_duration_sec < float("inf"):
            raise ValueError(expected("min_duration_sec", ">= 0 seconds", self.min_duration_sec))
        if self.top_k < 1:
            raise ValueError(expected("top_k", ">= 1", self.top_k))
        if self.views not in (1, 3):
            raise ValueError(expected("views", "1 (the centre) or 3 (both sides too)", self.views))


def make_timeline(
    predictor: VideoPredictor,
    video: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: TimelineOptions = TimelineOptions(),
    *,
    resume: bool = False,
    progress: Progress = silent,
) -> Timeline:
    """Names what happens in each part of a video, and writes it to a folder.

    Args:
        predictor: the model; it gets ``predictor.batch_size`` clips at a time.
        video: a video file, as long as you like.
        out: folder for the files; see :mod:`pytorchvideo.inference.timeline.make`.
        options: which clips, and what is said of them.
        resume: go on with what is in ``out``, or start it if it had not begun. With another ``min_score`` or
            ``min_duration_sec``, the files of a finished one are written anew.
        progress: is called after each group of clips.

    Returns:
        What was written.

    Raises:
        FileExistsError: ``out`` holds a timeline, and ``resume`` is False.
        BlockingIOError: another process writes one there.
        FileNotFoundError, IsADirectoryError: ``video`` is no file.
        ValueError: ``out`` was begun with other settings.
        VideoError: (a RuntimeError) if no clip of the video can be read.
    """
    path, folder, clip_sec = os.fspath(video), Path(out), predictor.recipe.clip_duration_sec
    every = clip_sec if options.every_sec is None else options.every_sec
    # frames of overlapping clips are kept, in a quarter of the memory
    with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as opened:
        windows = SlidingWindows(
            *part_of(opened, options.start_sec, options.end_sec), clip_sec, every
        )
        settings = {
            "version": _VERSION,
            "video": path,
            "bytes": _size(path),
            "duration_sec": round(float(opened.duration), 6),
            "model": _fingerprint(predictor),
            "clip_sec": round(clip_sec, 6),
            "every_sec": every,
            "views": options.views,
            "start_sec": options.start_sec,
            "end_sec": options.end_sec,
            "top_k": options.top_k,
            "batch_size": predictor.batch_size,
        }
        with alone_in(folder):
            file = ClipFile(folder / PROGRESS, predictor.batch_size)
            done = _begin(file, settings, len(windows), resume)
            timeline = Timeline(
                folder,
                settings,
                tuple(predictor.labels),
                windows,
                options.min_score,
                options.min_duration_sec,
            )
            found = clips_of_video(
                opened,
                windows,
                predictor.recipe,
                CropViews(predictor.recipe, options.views),
                every_window=True,
                first=done,
            )
            _compute(timeline, predictor, found, file, done, progress)
            if not any(clip.best for clip in timeline.clips()):
                why = next(timeline.gaps()).reason
                raise VideoError(
                    f"{path}: none of its {counted(len(windows), 'clip')} can be read; the first: {why}"
                )
            write_files(timeline)
    return timeline


def _size(path: str) -> int | None:
    return os.stat(path).st_size if "://" not in path else None


def _fingerprint(predictor: VideoPredictor) -> str:
    """A mark of what the scores depend on besides the settings: the weights, the recipe, the labels."""
    known = [predictor.labels, predictor.recipe.to_dict(), predictor.multi_label]
    return fingerprint(predictor.model, known)


def _begin(file: ClipFile, settings: dict[str, Any], total: int, resume: bool) -> int:
    """Makes the file, or cuts it to where it can go on; returns how many clips are done."""
    before = file.settings()
    if before is None or not (resume or file.has_clips()):
        file.begin(settings)
        return 0
    folder = file.path.parent
    if not resume:
        raise FileExistsError(
            f"{folder} holds a timeline already. Give --resume to go on with it, or another --out."
        )
    for name, value in settings.items():
        # the same file may be named by another path
        if name != "video" and before.get(name) != value:
            raise ValueError(
                f"The timeline in {folder} was started with {name}={before.get(name)}, but got {value}. "
                "Go on with the same video, model and options, or choose another --out."
            )
    settings["video"] = before.get("video", settings["video"])
    return file.go_on(total)


def _compute(
    timeline: Timeline,
    predictor: VideoPredictor,
    found: Iterator[Clip],
    file: ClipFile,
    done: int,
    progress: Progress,
) -> None:
    """Adds the clips that are not done to the file, a group at a time."""
    labels, windows, meter = timeline.labels, timeline.windows, Meter()
    kept = kept_classes(len(labels), timeline.settings["top_k"])
    progress(Step(done, len(windows), meter=meter))
    while group := list(itertools.islice(found, file.group)):
        meter.start_model()
        clips = _scored(predictor, group, kept)
        meter.stop_model(len(clips))
        file.add(clips)
        latest = clips[-1]
        named = f" {labels[latest.best[0][0]]}" if latest.best else ""
        note = f"{clock(latest.start_sec)}{named}"
        progress(Step(done + meter.clips, len(windows), note, meter))


def _scored(predictor: VideoPredictor, group: Sequence[Clip], kept: int) -> list[TimelineClip]:
    readable = [clip.views for clip in group if clip.error is None]
    scores = iter(predictor.score_inputs(readable) if readable else ())
    return [
        TimelineClip.of_scores(clip.window, next(scores), kept)
        if clip.error is None
        else TimelineClip.unread(clip.window, str(clip.error))
        for clip in group
    ]

# SPDX-License-Identifier: Apache-2.0
"""Files of detected actions: a video with boxes, AVA's csv, json, subtitles and a chart of each person."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pytorchvideo._files import whole_file, write_whole
from pytorchvideo.data._annotations.ava_rows import write_ava_rows
from pytorchvideo.data._decode._pyav.write import TimedVideo
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.inference.detection.drawing import colour_of, draw_people
from pytorchvideo.inference.detection.found import VideoActions
from pytorchvideo.inference.detection.tracks import ActionSegment, Tracks
from pytorchvideo.inference.timeline.files import stamp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FRAMES_AT_ONCE = 16
_LEAST_SIDE = 360  # of a picture with names on it, in pixels
_LEAST_SCORE = 0.001  # in the csv of detections
# what players take for their own signs
_NO_TAGS = str.maketrans("<>{}", "‹›()")


def write_actions(actions: VideoActions, out: Path, *, name: str, video: bool = True) -> list[Path]:
    """Writes what was found in a video into a folder, and returns the files.

    ::

        NAME.mp4         with boxes, names and scores
        NAME.csv         video,second,x1,y1,x2,y2,class,score, as AVA's official evaluation has it; classes from 1
        NAME.json        all scores, the actions that count, and stretches of them
        NAME.srt         subtitles of all people; NAME.person_0.srt of one
        NAME.png         a chart, a row a person and action

    Args:
        actions: what was found.
        out: the folder.
        name: that of the files.
        video: also write the mp4.

    Raises:
        OSError: a file cannot be written.
        VideoError: (a RuntimeError) the video cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    tracks = Tracks(actions)
    segments = tracks.segments()
    files = [out / f"{name}.csv", out / f"{name}.json", out / f"{name}.srt"]
    write_ava_rows(files[0], _ava_rows(actions))
    write_whole(files[1], json.dumps(to_dict(actions, segments), indent=1) + "\n")
    write_whole(files[2], subtitles(segments))
    for person in sorted({segment.person for segment in segments}):
        of_one = [segment for segment in segments if segment.person == person]
        files.append(out / f"{name}.person_{person}.srt")
        write_whole(files[-1], subtitles(of_one))
    if segments:
        files.append(out / f"{name}.png")
        with whole_file(files[-1]) as part:
            chart = actions_chart(segments)
            chart.savefig(part, format="png", dpi=110, metadata={"Software": None})
    if video:
        files.insert(0, out / f"{name}.mp4")
        write_drawn(actions.video, files[0], tracks)
    return files


def _ava_rows(actions: VideoActions) -> Iterator[list[Any]]:
    name = Path(actions.video).stem
    for row in actions.rows:
        for number, score in enumerate(row.scores.tolist(), 1):
            if score >= _LEAST_SCORE:
                yield [name, row.time_sec, *row.box, number, score]


def to_dict(actions: VideoActions, segments: Sequence[ActionSegment]) -> dict[str, Any]:
    """Returns what was found as plain types, for json."""
    return {
        "video": actions.video,
        "labels": list(actions.labels),
        "every_sec": actions.every_sec,
        "threshold": actions.threshold,
        "people": [
            {
                "time_sec": round(row.time_sec, 6),
                "person": row.person,
                "person_score": round(row.person_score, 6),
                "box": [round(side, 6) for side in row.box],
                "actions": [
                    {"label": label, "score": round(score, 6)}
                    for label, score in actions.actions(row)
                ],
                "scores": [round(score, 6) for score in row.scores.tolist()],
            }
            for row in actions.rows
        ],
        "segments": [
            {
                "person": one.person,
                "start_sec": round(one.start_sec, 6),
                "end_sec": round(one.end_sec, 6),
                "labels": list(one.labels),
                "scores": [round(score, 6) for score in one.scores],
            }
            for one in segments
        ],
    }


def subtitles(segments: Sequence[ActionSegment]) -> str:
    """Returns stretches as subtitles in the format of SubRip, by time."""
    parts = []
    for number, one in enumerate(sorted(segments, key=lambda s: (s.start_sec, s.person)), 1):
        times = f"{stamp(one.start_sec, ',')} --> {stamp(one.end_sec, ',')}"
        each = zip(one.labels, one.scores, strict=True)
        said = ", ".join(f"{' '.join(label.split())} {score:.0%}" for label, score in each)
        said = said.translate(_NO_TAGS)
        parts.append(f"{number}\n{times}\nperson {one.person}: {said}\n\n")
    return "".join(parts)


def write_drawn(path: str | os.PathLike[str], out: Path, tracks: Tracks) -> None:
    """Writes a video with the boxes of people on it, an mp4 file at the times of its frames, without its sound.

    Small pictures become larger, so that names can be read.

    Raises:
        OSError: the file cannot be written.
        VideoError: (a RuntimeError) the video cannot be read.
    """
    with whole_file(out) as part:
        # the writer knows the format by the ending
        temporary = part.with_name(f"{part.name}.mp4")
        try:
            with EncodedVideo.from_path(
                os.fspath(path), decode_audio=False, dtype=torch.uint8
            ) as video:
                _draw_all(video, temporary, tracks)
            temporary.replace(part)
        finally:
            temporary.unlink(missing_ok=True)


def _draw_all(video: EncodedVideo, out: Path, tracks: Tracks) -> None:
    written = TimedVideo(out)
    try:
        for start in range(0, len(video), _FRAMES_AT_ONCE):
            places = list(range(start, min(start + _FRAMES_AT_ONCE, len(video))))
            found = video.get_frames(indices=places)
            pictures = (
                _enlarged(found.data).permute(1, 2, 3, 0).contiguous().numpy()
            )  # (T, H, W, 3)
            for picture, seconds in zip(pictures, found.pts_sec.tolist(), strict=True):
                written.write(draw_people(picture, tracks.at(seconds)), seconds)
    finally:
        written.close()


def _enlarged(frames: torch.Tensor) -> torch.Tensor:
    """Frames (3, T, H, W) whose short side is at least :data:`_LEAST_SIDE`, by a whole factor."""
    factor = -(-_LEAST_SIDE // min(frames.shape[-2:]))
    if factor < 2:
        return frames
    return frames.repeat_interleave(factor, dim=-2).repeat_interleave(factor, dim=-1)


def actions_chart(segments: Sequence[ActionSegment]) -> "Figure":
    """Draws the actions of each person over the time of a video: a row a person and action, darker where surer."""
    from matplotlib.figure import Figure

    rows = sorted({(one.person, label) for one in segments for label in one.labels})
    place = {row: number for number, row in enumerate(rows)}
    figure = Figure(figsize=(11, 1.0 + 0.3 * max(len(rows), 3)), layout="constrained")
    axes = figure.add_subplot()
    for one in segments:
        colour = tuple(channel / 255 for channel in colour_of(one.person))
        for label, score in zip(one.labels, one.scores, strict=True):
            span = [(one.start_sec, one.end_sec - one.start_sec)]
            height = (place[one.person, label] - 0.38, 0.76)
            axes.broken_barh(span, height, facecolors=colour, alpha=0.25 + 0.75 * score)
    names = [f"person {person}: {label}" for person, label in rows]
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(one.end_sec for one in segments))
    axes.set_xlabel("seconds")
    axes.spines[:].set_color("lightgrey")
    axes.grid(axis="x", color="lightgrey", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure

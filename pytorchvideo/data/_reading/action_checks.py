# SPDX-License-Identifier: Apache-2.0
"""Checks of annotated people against the videos that they are in."""

import warnings
from collections.abc import Sequence

from pytorchvideo._checks import shortened
from pytorchvideo.data._annotations.actions import ActionAnnotations, KeyFrame, is_of_ava
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._reading.key_frames import FrameFiles, Source
from pytorchvideo.data._reading.skipped import SkippedClip

#: Frames of each video of AVA: minutes 15 to 30 at 30 a second.
AVA_FRAMES = 27_030
_FRAMES_MORE_OR_LESS = 10
_OUTSIDE = 0.002  # shares of three decimals are rounded


def left_out_videos(annotations: ActionAnnotations, source: Source) -> list[SkippedClip]:
    """Returns the videos that are not there, or cannot be opened, or have nobody."""
    first: dict[str, str] = {}
    for frame in annotations.key_frames:
        first.setdefault(frame.video, frame.people[0].place)
    empty = annotations.videos_without_people()
    skipped = [SkippedClip(video, f"{place}: it has no person.") for video, place in empty.items()]
    for video, place in first.items():
        try:
            source.facts(video)
        except (VideoError, OSError) as error:
            skipped.append(SkippedClip(video, f"{place}: {error}"))
    return skipped


def check_times(frames: Sequence[KeyFrame], source: Source) -> None:
    """Raises a ValueError that names the line of the first time beyond the ends of its video."""
    for frame in frames:
        end = source.facts(frame.video).duration_sec + source.start_sec
        if not source.start_sec <= frame.time_sec < end:
            raise ValueError(
                f"{frame.people[0].place}: expected a time in {source.start_sec:g}..{end:g} s, "
                f"which {frame.video} has, but got {frame.time_sec:g} s."
            )


def warn_of_classes(annotations: ActionAnnotations) -> None:
    """Warns once of classes that nobody has, unless they are AVA's, of which parts of it lack many."""
    lacking = annotations.classes_without_rows()
    if lacking and not is_of_ava(annotations.label_map):
        names = ", ".join(f"{annotations.label_map[number]!r} (id {number})" for number in lacking)
        said = f"{annotations.source}: no line has the class {shortened(names, 400)}."
        warnings.warn(f"{said} Nothing can be learned or measured of it.", stacklevel=4)


def doubts(
    frames: Sequence[KeyFrame], source: Source, expected_frames: int | None = None
) -> list[str]:
    """Returns a sentence for each box outside of the picture, and each video with another number of frames.

    Args:
        frames: with boxes as shares.
        source: the videos.
        expected_frames: of each; by default those of AVA for lists of frames, and any for files.
    """
    found = []
    for frame in frames:
        for person in frame.people:
            if min(person.box) < -_OUTSIDE or max(person.box) > 1 + _OUTSIDE:
                box = ", ".join(f"{corner:.3f}" for corner in person.box)
                found.append(f"{person.place}: the box is not inside of the picture: {box}.")
    if isinstance(source, FrameFiles):
        wanted = AVA_FRAMES if expected_frames is None else expected_frames
        for video in dict.fromkeys(frame.video for frame in frames):
            count = source.count(video)
            if abs(count - wanted) > _FRAMES_MORE_OR_LESS:
                found.append(
                    f"{video}: expected {wanted:,} frames, but got {count:,}. Frames may lie at other seconds."
                )
    return found

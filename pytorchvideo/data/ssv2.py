# SPDX-License-Identifier: Apache-2.0
"""Something-Something V2 (Goyal et al., arXiv 1706.04261): 174 templates of actions on objects, 220,847 videos.

Videos are folders of frames. Three files describe them: the json of the templates (``{template: "index"}``), the json
of the videos (a list of ``{"id", "template", ...}``) and the list of frames (``_frame_lists.py``).
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from torch.utils.data import RandomSampler, Sampler

from pytorchvideo._checks import expected, shortened
from pytorchvideo._positions import frames_of_parts
from pytorchvideo._text import SMALL, read_json
from pytorchvideo.data._annotations.frame_lists import FrameListHandler, read_frame_lists
from pytorchvideo.data._annotations.left_out import warn_of_left_out
from pytorchvideo.data._reading.clip_reader import Transform
from pytorchvideo.data._reading.skipped import SkippedClip
from pytorchvideo.data.clip_sampling import (
    ClipInfo,
    ClipInfoList,
    ClipSampler,
    Seconds,
    exact_seconds,
)
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset

__all__ = ["SSv2"]


class SSv2(LabeledVideoDataset):
    """Yields the clips of Something-Something V2; a :class:`~pytorchvideo.data.LabeledVideoDataset` in everything else.

    A sample has ``video``, ``video_name`` (the folder of its frames), ``video_index``, ``clip_index``,
    ``aug_index`` and ``label``, the class id. Every clip is the whole video, 2 to 6 s of it: of the clip sampler only
    the number of clips counts, unless ``whole_videos`` is False.

    Args:
        label_name_file: json, ``{template: "index"}``.
        video_label_file: json, a list of ``{"id": ..., "template": ...}``, the template with or without brackets.
        video_path_label_file: list of frames, with the header ``original_vido_id video_id frame_id path labels``.
        clip_sampler: how many clips to take from a video.
        video_sampler: a sampler class; the order of the videos.
        transform: applied to each sample.
        video_path_prefix: put before the path of every frame.
        frames_per_clip: one frame out of each of this many segments of the clip; by default all frames.
        rand_sample_frames: a random frame of each segment, not the middle one.
        fps: frames per second.
        whole_videos: False takes the clips that the sampler says.
        options: other keyword-only arguments of :class:`~pytorchvideo.data.LabeledVideoDataset`.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file or line that cannot be read, named; an unknown template; or no video with frames. Videos
            without frames are left out, warned of once, and listed in ``skipped``.
    """

    def __init__(
        self,
        label_name_file: str,
        video_label_file: str,
        video_path_label_file: str,
        clip_sampler: ClipSampler,
        video_sampler: Callable[[Any], Sampler] = RandomSampler,
        transform: Transform | None = None,
        video_path_prefix: str = "",
        frames_per_clip: int | None = None,
        rand_sample_frames: bool = False,
        *,
        fps: float = 30.0,
        whole_videos: bool = True,
        **options: Any,
    ) -> None:
        if frames_per_clip is not None and frames_per_clip < 1:
            raise ValueError(expected("frames_per_clip", "a whole number >= 1", frames_per_clip))
        frames = read_frame_lists(video_path_label_file, video_path_prefix)
        labels = _read_labels(label_name_file, video_label_file)
        left_out = [SkippedClip(v, "it has no frames.") for v in labels if v not in frames]
        warn_of_left_out(left_out, len(labels))
        self._frames_per_clip = frames_per_clip
        self._rand_sample_frames = rand_sample_frames
        videos = [(name, {"label": label}) for name, label in labels.items() if name in frames]
        self._path_to_videos = [frames[name].paths for name, _ in videos]
        super().__init__(
            videos,
            _WholeVideos(clip_sampler) if whole_videos else clip_sampler,
            video_sampler,
            transform,
            decode_audio=False,
            frame_filter=None if frames_per_clip is None else self._one_per_segment,
            **options,
        )
        self.video_path_handler = FrameListHandler(frames, fps)
        for video in left_out:
            self.reader.skip_log.add(video, quietly=True)

    def _one_per_segment(self, indices: list[int]) -> list[int]:
        """One frame out of each segment of the clip; a clip of fewer frames repeats some."""
        parts = self._frames_per_clip or len(indices)
        chosen = frames_of_parts(len(indices), parts, at_random=self._rand_sample_frames)
        return [indices[i] for i in chosen]


class _WholeVideos(ClipSampler):
    """As many clips as another sampler takes, each of them the whole video."""

    def __init__(self, clip_sampler: ClipSampler) -> None:
        super().__init__(clip_sampler._clip_duration)
        self.clip_sampler = clip_sampler
        self._last_end: Seconds | None = None

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo | ClipInfoList:
        clip = self.clip_sampler(self._last_end, video_duration, annotation)
        start, end = Fraction(0), exact_seconds(video_duration)
        if isinstance(clip, ClipInfoList):
            count = len(clip.clip_start_sec)
            return clip._replace(clip_start_sec=[start] * count, clip_end_sec=[end] * count)
        self._last_end = clip.clip_end_sec
        return clip._replace(clip_start_sec=start, clip_end_sec=end)

    def reset(self) -> None:
        super().reset()
        self._last_end = None
        self.clip_sampler.reset()


def _read_labels(label_name_file: str, video_label_file: str) -> dict[str, int]:
    """Video id -> class id, in the order of the file."""
    ids = _read_templates(label_name_file)
    labels = {}
    videos = read_json(video_label_file)
    if not isinstance(videos, list):
        raise ValueError(f'{video_label_file}: expected a list of `{{"id", "template"}}`.')
    for number, video in enumerate(videos):
        if (
            not isinstance(video, dict)
            or not isinstance(video.get("id"), (str, int))
            or not isinstance(video.get("template"), str)
        ):
            wanted = 'an object with "id" and "template"'
            raise ValueError(f"{video_label_file}: " + expected(f"[{number}]", wanted, video))
        template = video["template"].replace("[", "").replace("]", "")
        if template not in ids:
            raise ValueError(
                f"{video_label_file}, video {shortened(str(video['id']))}: there is no template "
                f"{shortened(template)!r} in {label_name_file}."
            )
        labels[str(video["id"])] = ids[template]
    return labels


def _read_templates(file: str) -> dict[str, int]:
    """Template -> class id."""
    templates = read_json(file, max_bytes=SMALL)
    if not isinstance(templates, dict):
        raise ValueError(f'{file}: expected `{{template: "index"}}`.')
    ids: dict[str, int] = {}
    names: dict[int, str] = {}
    for template, index in templates.items():
        if not re.fullmatch(r"\d{1,9}", str(index)):
            raise ValueError(f"{file}: " + expected(template, 'a class number such as "3"', index))
        number = ids[template] = int(index)
        if number in names:
            raise ValueError(
                f"{file}: {names[number]!r} and {template!r} have the number {number}."
            )
        names[number] = template
    return ids

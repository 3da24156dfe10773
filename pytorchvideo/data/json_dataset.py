# SPDX-License-Identifier: Apache-2.0
"""Datasets whose annotations are one json file, ``{video_name: annotation}``, such as those of Ego4D."""

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from torch.utils.data import RandomSampler, Sampler

from pytorchvideo._checks import near_names
from pytorchvideo._text import read_json, seconds
from pytorchvideo.data._reading.clip_reader import Transform
from pytorchvideo.data.clip_sampling import (
    ClipInfo,
    ClipInfoList,
    ClipSampler,
    Seconds,
    exact_seconds,
)
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset

__all__ = [
    "UntrimmedClipSampler",
    "clip_recognition_dataset",
    "clip_recognition_names",
    "video_only_dataset",
]


def video_only_dataset(
    data_path: str,
    clip_sampler: ClipSampler,
    video_sampler: Callable[[Any], Sampler] = RandomSampler,
    transform: Transform | None = None,
    video_path_prefix: str = "",
    decode_audio: bool = True,
    decoder: str = "pyav",
    **options: Any,
) -> LabeledVideoDataset:
    """Makes a dataset of videos without labels.

    Args:
        data_path: json, ``{video_name: ...}``; only the names are used.
        clip_sampler: which clips to take from a video.
        video_sampler: a sampler class; the order of the videos.
        transform: applied to each sample.
        video_path_prefix: put before every name.
        decode_audio: whether samples have ``audio``.
        decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        options: the keyword-only arguments of :class:`~pytorchvideo.data.LabeledVideoDataset`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not json, or has no videos.
    """
    videos: list[tuple[str, dict[str, Any]]] = [
        (os.path.join(video_path_prefix, name), {}) for name in _read_videos(data_path)
    ]
    return LabeledVideoDataset(
        videos,
        clip_sampler,
        video_sampler,
        transform,
        decode_audio=decode_audio,
        decoder=decoder,
        **options,
    )


def clip_recognition_dataset(
    data_path: str,
    clip_sampler: ClipSampler,
    video_sampler: Callable[[Any], Sampler] = RandomSampler,
    transform: Transform | None = None,
    video_path_prefix: str = "",
    decode_audio: bool = True,
    decoder: str = "pyav",
    *,
    nouns: Sequence[str] | None = None,
    verbs: Sequence[str] | None = None,
    **options: Any,
) -> LabeledVideoDataset:
    """Makes a dataset of annotated stretches of longer videos, each with a noun and a verb.

    A sample also has ``clip_start_sec`` and ``clip_end_sec``, the annotated stretch, and the class ids
    ``noun_label`` and ``verb_label``. Clips are taken from the stretch (:class:`UntrimmedClipSampler`).
    Annotations that are unsure, or without a noun or a verb, are not used.

    Args:
        data_path: json, ``{video_name: {"benchmarks": {"forecasting_hands_objects": [annotation]}}}``, where an
            annotation has ``critical_frame_selection_parent_start_sec``, ``critical_frame_selection_parent_end_sec``
            and ``taxonomy`` with ``noun``, ``verb``, ``noun_unsure`` and ``verb_unsure``.
        clip_sampler: which clips to take from a stretch.
        video_sampler: a sampler class; the order of the stretches.
        transform: applied to each sample.
        video_path_prefix: put before every name.
        decode_audio: whether samples have ``audio``.
        decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        nouns: names of the noun classes 0, 1, 2...; by default those of this file, sorted. Give those of the training
            file to a validation set, so that both mean the same.
        verbs: the same for verbs.
        options: the keyword-only arguments of :class:`~pytorchvideo.data.LabeledVideoDataset`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not json, an annotation lacks something, a name is not in ``nouns`` or ``verbs``, or there is
            nothing to use.
    """
    found = list(_annotations(data_path))
    if not found:
        raise ValueError(f"{data_path} has no annotation with a noun and a verb that are sure.")
    own_nouns, own_verbs = _names(found)
    noun_ids = {name: i for i, name in enumerate(own_nouns if nouns is None else nouns)}
    verb_ids = {name: i for i, name in enumerate(own_verbs if verbs is None else verbs)}
    videos = []
    for name, start_sec, end_sec, noun, verb in found:
        info = {
            "clip_start_sec": start_sec,
            "clip_end_sec": end_sec,
            "noun_label": _id(noun_ids, noun, "nouns"),
            "verb_label": _id(verb_ids, verb, "verbs"),
        }
        videos.append((os.path.join(video_path_prefix, name), info))
    return LabeledVideoDataset(
        videos,
        UntrimmedClipSampler(clip_sampler),
        video_sampler,
        transform,
        decode_audio=decode_audio,
        decoder=decoder,
        **options,
    )


def clip_recognition_names(data_path: str) -> tuple[list[str], list[str]]:
    """Returns the names of the nouns and of the verbs in a file, in the order of their class ids."""
    return _names(list(_annotations(data_path)))


_Annotation = tuple[str, float, float, str, str]


def _names(annotations: list[_Annotation]) -> tuple[list[str], list[str]]:
    return sorted({noun for *_, noun, _ in annotations}), sorted({verb for *_, verb in annotations})


def _id(ids: dict[str, int], name: str, argument: str) -> int:
    if name not in ids:
        raise ValueError(f"There is no {name!r} in `{argument}`. {near_names(name, ids)}")
    return ids[name]


def _read_videos(data_path: str) -> dict[str, Any]:
    videos = read_json(data_path)
    if not isinstance(videos, dict) or not videos:
        raise ValueError(f"{data_path}: expected an object `{{video_name: annotation}}`.")
    return videos


def _annotations(data_path: str) -> Iterator[_Annotation]:
    """Video, start, end, noun and verb of the annotations that are sure."""
    for name, video in _read_videos(data_path).items():
        try:
            for annotation in video["benchmarks"]["forecasting_hands_objects"] or ():
                words = annotation["taxonomy"]
                noun, verb = words["noun"], words["verb"]
                unsure = words.get("noun_unsure") or words.get("verb_unsure")
                start = annotation["critical_frame_selection_parent_start_sec"]
                end = annotation["critical_frame_selection_parent_end_sec"]
                if noun is not None and verb is not None and not unsure:
                    yield name, seconds(start), seconds(end), str(noun), str(verb)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{data_path}, video {name!r}: an annotation cannot be read: {error!r}."
            ) from error


class UntrimmedClipSampler(ClipSampler):
    """Takes clips from the annotated stretch of a longer video, as another sampler takes them from a whole one.

    Args:
        clip_sampler: what works in the stretch ``[clip_start_sec, clip_end_sec)`` of the annotation.

    >>> from pytorchvideo.data.clip_sampling import make_clip_sampler
    >>> sampler = UntrimmedClipSampler(make_clip_sampler("uniform", 2))
    >>> sampler(None, 100, {"clip_start_sec": 10, "clip_end_sec": 15})
    ClipInfo(clip_start_sec=Fraction(10, 1), clip_end_sec=Fraction(12, 1), clip_index=0, aug_index=0,
             is_last_clip=False)
    """

    def __init__(self, clip_sampler: ClipSampler) -> None:
        super().__init__(clip_sampler._clip_duration)
        self._trimmed_clip_sampler = clip_sampler

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo | ClipInfoList:
        """Returns the next clip, in seconds of the whole video."""
        start = exact_seconds(annotation["clip_start_sec"])
        end = min(exact_seconds(annotation["clip_end_sec"]), exact_seconds(video_duration))
        last = None if last_clip_end_time is None else exact_seconds(last_clip_end_time) - start
        clip = self._trimmed_clip_sampler(last, max(end - start, Fraction(0)), annotation)
        if isinstance(clip, ClipInfoList):
            starts = [start + time for time in clip.clip_start_sec]
            ends = [start + time for time in clip.clip_end_sec]
            return clip._replace(clip_start_sec=starts, clip_end_sec=ends)
        return clip._replace(
            clip_start_sec=start + clip.clip_start_sec, clip_end_sec=start + clip.clip_end_sec
        )

    def reset(self) -> None:
        """Resets the sampler that works in the stretch."""
        super().reset()
        self._trimmed_clip_sampler.reset()

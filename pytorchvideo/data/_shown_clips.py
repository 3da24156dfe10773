# SPDX-License-Identifier: Apache-2.0
"""Clips to look at, of tensors, samples, batches and files: see :mod:`pytorchvideo.data.visualize`."""

import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pytorchvideo._checks import expected
from pytorchvideo.data.encoded_video import EncodedVideo

Source = torch.Tensor | Mapping[str, Any] | Sequence[Any] | str | os.PathLike[str]
Colours = Sequence[float] | torch.Tensor

_FRAMES_OF_FILE = 16
_KEYS = ("video", "input")  # of samples: ours, and Flash's


class CaptionedClip(NamedTuple):
    """A clip that can be shown.

    Attributes:
        frames: uint8 (3, T, H, W).
        caption: what is to be written on it; may be empty.
    """

    frames: torch.Tensor
    caption: str = ""


def unnormalize(clip: torch.Tensor, mean: Colours, std: Colours) -> torch.Tensor:
    """Returns what a clip was before ``Normalize(mean, std)``, as uint8.

    Args:
        clip: float (C, T, H, W) or (B, C, T, H, W).
        mean: a channel each, of values in [0, 1].
        std: a channel each.

    >>> unnormalize(torch.zeros(3, 1, 1, 1), (0.0, 0.5, 1.0), (0.2, 0.2, 0.2)).flatten()
    tensor([  0, 128, 255], dtype=torch.uint8)
    """
    shape = (-1, 1, 1, 1)
    mean = torch.as_tensor(mean, dtype=torch.float32, device=clip.device).reshape(shape)
    std = torch.as_tensor(std, dtype=torch.float32, device=clip.device).reshape(shape)
    return _to_uint8(clip.detach() * std + mean, white=1.0)


def read_clips(
    source: Source,
    *,
    mean: Colours | None = None,
    std: Colours | None = None,
    max_value: float = 255.0,
    class_names: Sequence[str] | None = None,
    num_frames: int = _FRAMES_OF_FILE,
) -> list[CaptionedClip]:
    """Returns the clips of whatever there is to look at.

    Args:
        source: a clip (C, T, H, W) or a batch (B, C, T, H, W) of 1 or 3 channels; a sample of a dataset or a
            batch of a loader, which are dicts with ``"video"`` (or Flash's ``"input"``); a list of all these, such as
            the pathways of a SlowFast model; a :class:`CaptionedClip`, for captions of your own; or the path of a
            video.
        mean: that of ``Normalize``, if the clips were normalised.
        std: that of ``Normalize``.
        max_value: white in floats that were not normalised: 255 as datasets deliver them, 1 after ``Div255``.
        class_names: names for the labels of samples.
        num_frames: of a file, spread evenly over it.

    Raises:
        ValueError: not laid out like that, or only one of ``mean`` and ``std``.
        FileNotFoundError: no such file.
        VideoError: (a RuntimeError) the file cannot be read.
    """
    if (mean is None) != (std is None):
        raise ValueError(expected("mean and std", "both given, or neither", (mean, std)))
    if isinstance(source, CaptionedClip):
        return [source]
    if isinstance(source, (str, os.PathLike)):
        return [CaptionedClip(read_file(source, num_frames), Path(source).name)]
    options: dict[str, Any] = {
        "mean": mean,
        "std": std,
        "max_value": max_value,
        "class_names": class_names,
        "num_frames": num_frames,
    }
    if isinstance(source, Mapping):
        key = next((key for key in _KEYS if key in source), None)
        if key is None:
            raise ValueError(expected("source", f"a sample with {_KEYS[0]!r}", list(source)))
        clips = read_clips(source[key], **options)
        captions = _captions(source, len(clips), class_names)
        return [CaptionedClip(c.frames, text) for c, text in zip(clips, captions, strict=True)]
    if isinstance(source, torch.Tensor):
        if source.ndim not in (4, 5) or source.shape[-4] not in (1, 3) or 0 in source.shape:
            wanted = "a clip (C, T, H, W) or a batch (B, C, T, H, W) of 1 or 3 channels"
            raise ValueError(expected("source", wanted, tuple(source.shape)))
        if mean is not None and std is not None:
            frames = unnormalize(source, mean, std)
        else:
            frames = _to_uint8(source.detach(), white=max_value)
        frames = frames.cpu().expand(*frames.shape[:-4], 3, *frames.shape[-3:])
        return [CaptionedClip(clip) for clip in (frames[None] if frames.ndim == 4 else frames)]
    return [clip for one in source for clip in read_clips(one, **options)]


def read_file(
    path: str | os.PathLike[str], num_frames: int = _FRAMES_OF_FILE, end_sec: float | None = None
) -> torch.Tensor:
    """Returns frames of a video, spread evenly from its start to ``end_sec``, as uint8 (3, T, H, W).

    Raises:
        FileNotFoundError: no such file.
        VideoError: (a RuntimeError) the file cannot be read.
    """

    def spread(indices: list[int]) -> list[int]:
        wanted = np.linspace(0, len(indices) - 1, min(num_frames, len(indices))).round()
        return [indices[int(i)] for i in wanted]

    with EncodedVideo.from_path(os.fspath(path), decode_audio=False, dtype=torch.uint8) as video:
        end = video.duration if end_sec is None else min(video.duration, Fraction(end_sec))
        clip = video.get_clip(0, end, frame_filter=spread)["video"]
    if clip is None:
        raise ValueError(f"{os.fspath(path)} has no frame from 0 to {float(end):g} s.")
    return clip


def _to_uint8(clip: torch.Tensor, white: float) -> torch.Tensor:
    if clip.dtype == torch.uint8:
        return clip
    return (clip.float() * (255 / white)).round().clamp(0, 255).to(torch.uint8)


def _captions(
    sample: Mapping[str, Any], count: int, class_names: Sequence[str] | None
) -> list[str]:
    """``class, file`` for each clip of a sample or a batch, as far as it says so."""
    columns = []
    for key in ("label", "target", "video_name"):
        values = sample.get(key)
        if isinstance(values, torch.Tensor):
            values = values.tolist()
        if values is None:
            continue
        values = list(values) if isinstance(values, (list, tuple)) else [values]
        # soft labels, as those of mixed batches, have no one name
        if count % len(values) or not isinstance(values[0], (int, str)):
            continue
        values *= count // len(values)  # once for each pathway
        if class_names is not None:
            values = [class_names[v] if isinstance(v, int) and v >= 0 else v for v in values]
        columns.append([str(value) for value in values])
    return [", ".join(parts) for parts in zip(*columns, strict=True)] or [""] * count

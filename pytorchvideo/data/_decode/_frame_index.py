# SPDX-License-Identifier: Apache-2.0
"""Frame indices: times and key frames of a video, kept in a file for its next opening."""

import hashlib
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pytorchvideo._files import whole_file
from pytorchvideo._text import counted

logger = logging.getLogger(__name__)

BESIDE = "beside"
_ENDING = ".frames.safetensors"
_TENSORS = ("pts", "is_keyframe", "is_reference")
_FORMAT = "3"  # of the files; those of another format are written anew
_unwritable: list[Path] = []  # the first folder that could not be written to


@dataclass(frozen=True, repr=False)
class FrameIndex:
    """The frames of a video in the order in which they are shown.

    Args:
        pts: int64 (N,), their times in ticks of the video stream, rising.
        is_keyframe: bool (N,), whether decoding can begin at it.
        is_reference: bool (N,), False where no other frame depends on it; True also where that is not known (VP9, AV1).
        time_base: seconds a tick.
        start: the tick that is second 0.
        duration: seconds from the first frame to the end of the last.
        is_trusted: whether the file says which frame is shown when; if not, and its pictures do not tell either, the
            flags of a frame may be those of a neighbour.
    """

    pts: torch.Tensor
    is_keyframe: torch.Tensor
    is_reference: torch.Tensor
    time_base: Fraction
    start: int
    duration: Fraction
    is_trusted: bool

    def __len__(self) -> int:
        return len(self.pts)

    def time(self, place: int) -> Fraction:
        """When a frame is shown, in seconds after the first."""
        return (int(self.pts[place]) - self.start) * self.time_base

    @cached_property
    def times(self) -> list[Fraction]:
        """When each frame is shown. For one of a long video, :meth:`time` is faster."""
        return [(pts - self.start) * self.time_base for pts in self.pts.tolist()]

    def count_before(self, tick: float) -> int:
        """How many frames are shown before a tick, which may be infinite."""
        return len(self) if math.isinf(tick) else int(torch.searchsorted(self.pts, int(tick)))

    def __repr__(self) -> str:
        frames = counted(len(self), "frame")
        key_frames = counted(int(self.is_keyframe.sum()), "key frame")
        return f"FrameIndex({frames}, {key_frames}, {float(self.duration):.3f} s)"


@dataclass(frozen=True)
class IndexCache:
    """The file that keeps the index of one video.

    Args:
        file: the file itself.
        stamp: of the video; another one means that the video has changed.
    """

    file: Path
    stamp: str

    @classmethod
    def of_file(cls, where: str | os.PathLike[str], video: Path) -> "IndexCache":
        """Keeps the index of a local video beside it, for ``"beside"``, or in a folder."""
        status = video.stat()
        stamp = f"{status.st_size} bytes, changed {status.st_mtime_ns} ns"
        if os.fspath(where) == BESIDE:
            return cls(video.with_name(video.name + _ENDING), stamp)
        return cls(_file_in(where, os.path.abspath(video)), stamp)

    @classmethod
    def of_url(
        cls, where: str | os.PathLike[str], url: str, info: Mapping[str, Any]
    ) -> "IndexCache":
        """Keeps the index of a remote video in a folder; ``info`` is what its file system says of it.

        Raises:
            ValueError: for ``"beside"``.
        """
        if os.fspath(where) == BESIDE:
            raise ValueError(
                f"Nothing can be kept beside the remote file {url}. Give `index_cache` the path of a folder."
            )
        return cls(_file_in(where, url), _digest(repr(sorted(info.items()))))

    def load(self) -> FrameIndex | None:
        """The index; None where there is none, or one of a video that has changed since, or a damaged file."""
        try:
            with safe_open(self.file, framework="pt") as file:
                texts = dict(file.metadata() or {})
                if (texts.get("format"), texts.get("stamp")) != (_FORMAT, self.stamp):
                    return None
                tensors = {name: file.get_tensor(name) for name in _TENSORS}
            if texts.pop("digest") != _digest_of(texts, tensors):
                raise ValueError("its bytes have changed")
            index = FrameIndex(
                **tensors,
                time_base=Fraction(texts["time_base"]),
                start=int(texts["start"]),
                duration=Fraction(texts["duration"]),
                is_trusted=texts["is_trusted"] == "True",
            )
            if not _is_whole(index):
                raise ValueError("it is none of a video")
            return index
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, ValueError, ZeroDivisionError) as error:
            logger.info("The frame index %s is read anew from the video: %s.", self.file, error)
            return None

    def save(self, index: FrameIndex) -> None:
        """Writes the file whole or not at all; the first folder that cannot be written to is named."""
        texts = {
            "format": _FORMAT,
            "stamp": self.stamp,
            "time_base": str(index.time_base),
            "start": str(index.start),
            "duration": str(index.duration),
            "is_trusted": str(index.is_trusted),
        }
        tensors = {name: getattr(index, name) for name in _TENSORS}
        texts["digest"] = _digest_of(texts, tensors)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self.file) as part:
                save_file(tensors, part, texts)
        except (OSError, SafetensorError) as error:  # the latter hides some of the former
            if not _unwritable:  # one of many, where videos lie in many
                _unwritable.append(self.file.parent)
                logger.warning("No frame index can be kept in %s: %s.", self.file.parent, error)


def _is_whole(index: FrameIndex) -> bool:
    """Whether an index, which anybody may have written, is one that :meth:`IndexCache.save` could have got."""
    pts, *flags = index.pts, index.is_keyframe, index.is_reference
    return (
        pts.dtype == torch.int64
        and pts.ndim == 1
        and len(pts) > 0
        and all(flag.dtype == torch.bool and flag.shape == pts.shape for flag in flags)
        and bool((pts[1:] >= pts[:-1]).all())
        and index.time_base > 0
        and index.duration >= 0
    )


def _file_in(folder: str | os.PathLike[str], video: str) -> Path:
    """One name for each video, and one that people recognise."""
    return Path(folder) / f"{Path(video).name[:100]}-{_digest(video)}{_ENDING}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest_of(texts: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> str:
    """Tells files whose bytes have changed: safetensors has no checksum."""
    parts = [repr(sorted(texts.items())).encode()]
    parts += [tensors[name].numpy().tobytes() for name in _TENSORS]
    return hashlib.sha256(b"".join(parts)).hexdigest()

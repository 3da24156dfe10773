# SPDX-License-Identifier: Apache-2.0
"""Reads damaged files in every way that the library has, in a process that may crash.

    python read_damaged.py

takes paths from standard input, a line each, and answers each with a line of json: how many reads gave a clip, how
many a clear error, and what went wrong besides. A crash or a hang is for the other side to see.
"""

import json
import resource
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pytorchvideo.data import ClipDataset, LabeledVideoDataset, make_clip_sampler
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav.whole import read_whole
from pytorchvideo.data.encoded_video import EncodedVideo

MEMORY = 3 << 30  # bytes that a few small clips must not need
OPTIONS: Any = {"dtype": torch.uint8, "time_limit_sec": 10.0}


def check_clip(clip: dict[str, Any]) -> None:
    """Raises an AssertionError for a clip that no transform could work with."""
    video, audio = clip["video"], clip["audio"]
    assert video is None or (video.ndim == 4 and video.shape[0] == 3), video.shape
    assert video is None or (video.numel() and video.dtype == torch.uint8), video.shape
    assert audio is None or (audio.ndim == 1 and audio.dtype == torch.float32), audio.shape


def clips(file: Any, name: str, audio: bool) -> None:
    """From the start, from the middle with a filter, and over the whole file."""
    with EncodedVideo(file, name, decode_audio=audio, **OPTIONS) as video:
        middle = video.duration / 2
        check_clip(video.get_clip(0, 0.4))
        check_clip(video.get_clip(middle, middle + 1, lambda indices: indices[::3]))
        check_clip(video.get_clip(0, min(video.duration, 5)))


def frames(path: Path) -> None:
    """The last and the first frame, and one at a time."""
    with EncodedVideo(path, decode_audio=False, **OPTIONS) as video:
        assert video.get_frames(indices=[-1, 0]).data.shape[:2] == (3, 2)
        assert video.get_frames(timestamps_sec=[video.duration / 3]).data.shape[:2] == (3, 1)


def sound(path: Path) -> None:
    """Sound alone."""
    with EncodedVideo(path, decode_video=False, **OPTIONS) as video:
        check_clip(video.get_clip(0, 1))


def datasets(path: Path) -> None:
    """Both kinds."""
    videos, sampler = [(str(path), {"label": 0})], make_clip_sampler("uniform", 0.5)
    for sample in LabeledVideoDataset(videos, sampler, decode_audio=False):
        check_clip({"audio": None, "video": sample["video"].to(torch.uint8)})
    assert len(ClipDataset(videos, sampler)) > 0


def read(path: Path) -> dict[str, Any]:
    """All ways to read a file."""

    def from_file() -> None:
        with open(path, "rb") as file:
            clips(file, path.name, False)

    ways: dict[str, Callable[[], Any]] = {
        "clips": lambda: clips(path, path.name, True),
        "file": from_file,
        "frames": lambda: frames(path),
        "sound": lambda: sound(path),
        "datasets": lambda: datasets(path),
        "whole": lambda: read_whole(path),
    }
    found: dict[str, Any] = {"good": 0, "refused": 0, "wrong": {}}
    for name, way in ways.items():
        try:
            way()
            found["good"] += 1
        except (VideoError, ValueError, RuntimeError) as error:
            named = path.name in str(error) and type(error) in (VideoError, ValueError)
            if named or "No video could be read" in str(error):
                found["refused"] += 1
            else:
                found["wrong"][name] = traceback.format_exc()
        except Exception:  # noqa: BLE001 - anything else is what we look for
            found["wrong"][name] = traceback.format_exc()
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for line in sys.stdin:
        print(json.dumps(read(Path(line.rstrip("\n")))), flush=True)  # noqa: T201

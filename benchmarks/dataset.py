# SPDX-License-Identifier: Apache-2.0
"""Throughput of the dataset, clips of 8 frames, against whole-clip reading and torchcodec.

For each video: three clips of two seconds, evenly spaced, 8 frames of each as float32, one thread, no sound.

- "ours": ``LabeledVideoDataset`` with a transform that begins with ``UniformTemporalSubsample(8)``.
- "old": what PyTorchVideo does. The file is read into memory; for each clip a seek to 1,024 ticks before it, all frames
  up to its end decoded, those in the clip made RGB, stacked, made float, permuted; then 8 are picked.
- "exact", "approximate": torchcodec alone in both seek modes, the frames at the same places, made float.
- "ours_uint8", "exact_uint8": the same without making float, ``dtype=torch.uint8`` of the dataset.

What is fair and what is not: all are given the path alone, and open and close the file in every run. "ours" and "old"
find their clips by time; torchcodec is told the places of the frames, which a constant rate gives. It leaves frames
permuted, as (T, C, H, W) over memory of (T, H, W, C); "ours" are contiguous in (C, T, H, W), which the next transform
is glad of. "ours" also pays for the dataset, its sampler and its samples; "old" pays for none of PyTorchVideo's
objects and is quicker than the original. torchcodec uses the FFmpeg of the system, the others that of PyAV. "same"
says whether the frames of "exact" equal those of "ours"; they do not where the times of the file are wrong, or rounded
so that one more falls into a clip.

Seconds are those of the processor, of the user and of the kernel; the median of the runs, which take turns.

    python benchmarks/dataset.py FOLDER_OR_VIDEO... [--repeats 3]
"""

import argparse
import io
import math
import time
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import torch
from _report import alternate, geometric_mean, write
from decode import CLIPS, FRAMES, SECONDS, eight, windows

from pytorchvideo.data import ConstantClipsPerVideoSampler, LabeledVideoDataset
from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.transforms import ApplyTransformToKey, UniformTemporalSubsample

try:
    from torchcodec.decoders import VideoDecoder
except (ImportError, RuntimeError, OSError):  # not installed, or no FFmpeg that it can load
    VideoDecoder = None

Windows = list[tuple[Fraction, Fraction]]
# which of ours stands beside the others
BESIDE = {"old": "ours", "exact": "ours", "approximate": "ours", "exact_uint8": "ours_uint8"}


def ours(path: Path, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """The dataset, as users make it."""
    dataset = LabeledVideoDataset(
        [(str(path), {"label": 0})],
        ConstantClipsPerVideoSampler(SECONDS, CLIPS),
        torch.utils.data.SequentialSampler,
        ApplyTransformToKey("video", UniformTemporalSubsample(FRAMES)),
        decode_audio=False,
        dtype=dtype,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [sample["video"] for sample in dataset]


def old(path: Path, clips: Windows) -> list[torch.Tensor]:
    """Everything of each clip, then 8 frames of it."""
    result = []
    with av.open(io.BytesIO(path.read_bytes())) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        base, start = stream.time_base, stream.start_time or 0
        for a, b in clips:
            low, high = math.ceil(a / base) + start, math.ceil(b / base) + start
            container.seek(max(low - 1024, 0), stream=stream)
            frames = {}
            for frame in container.decode(stream):
                if frame.pts >= high:
                    break
                if frame.pts >= low:
                    frames[frame.pts] = torch.from_numpy(frame.to_rgb().to_ndarray())
            data = torch.stack([frames[pts] for pts in sorted(frames)]).to(torch.float32)
            index = torch.tensor(eight(list(range(len(frames)))))
            result.append(data.permute(3, 0, 1, 2).index_select(1, index))
    return result


def torchcodec(
    path: Path, clips: Windows, mode: str, dtype: torch.dtype = torch.float32
) -> list[torch.Tensor]:
    """The frames at the same places, which a constant rate tells."""
    video = VideoDecoder(str(path), num_ffmpeg_threads=1, seek_mode=mode)
    rate, count = video.metadata.average_fps, len(video)
    result = []
    for a, b in clips:
        first, last = (math.ceil(float(t) * rate - 1e-3) for t in (a, b))
        places = range(first, min(count, last))
        result.append(video.get_frames_at(eight(list(places))).data.to(dtype))
    return result


def candidates(path: Path, clips: Windows) -> dict[str, Callable[[], object]]:
    """Those that can read a video."""
    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: ours(path),
        "ours_uint8": lambda: ours(path, torch.uint8),
        "old": lambda: old(path, clips),
    }
    if VideoDecoder is not None:
        for mode in ("exact", "approximate"):
            runs[mode] = lambda m=mode: torchcodec(path, clips, m)  # type: ignore[misc]
        runs["exact_uint8"] = lambda: torchcodec(path, clips, "exact", torch.uint8)
    for name, run in list(runs.items()):
        try:
            run()
        except (av.error.FFmpegError, RuntimeError, ValueError, IndexError) as error:
            print(f"{path.name}: {name} cannot read it: {str(error)[:80]}")
            del runs[name]
    return runs


def same_frames(path: Path, clips: Windows) -> bool:
    """Whether torchcodec gives the frames that the dataset gives."""
    theirs = (clip.transpose(0, 1) for clip in torchcodec(path, clips, "exact", torch.uint8))
    return all(map(torch.equal, ours(path, torch.uint8), theirs))


def main() -> None:
    """Prints a table and writes ``results/dataset.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    files = [f for p in args.paths for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
    rows = []
    for path in (f for f in files if f.suffix.lower() in VIDEO_SUFFIXES):
        try:
            with EncodedVideo.from_path(path, decode_audio=False) as video:
                clips = windows(video.duration)
        except VideoError as error:
            print(f"left out: {error}")
            continue
        runs = candidates(path, clips)
        if "ours" not in runs or len(runs) == 1:
            continue
        seconds = alternate(runs, args.repeats, time.process_time)
        row: dict[str, Any] = {"video": path.name, **seconds}
        if "exact" in runs:
            row["same"] = same_frames(path, clips)
        rows.append(row)
        figures = "  ".join(f"{name} {value * 1e3:8.1f}" for name, value in seconds.items())
        print(f"{path.name:48s} {figures}", flush=True)
    result: dict[str, object] = {"videos": rows}
    for name, mine in BESIDE.items():
        ratios = [row[name] / row[mine] for row in rows if name in row]
        if ratios:
            result[f"{name}_over_{mine}"] = {
                "geometric_mean": geometric_mean(ratios),
                "least": min(ratios),
            }
            print(
                f"{name}: {geometric_mean(ratios):.2f} times as long as {mine}, at least {min(ratios):.2f}"
            )
    print(f"written to {write('dataset', result)}")


if __name__ == "__main__":
    main()

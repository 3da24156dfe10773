# SPDX-License-Identifier: Apache-2.0
"""Pixel differences and speed of ``decode_resize=True``.

For each video larger than the size: 8 frames of the first two seconds, scaled to a short side of 256 pixels by FFmpeg
while it converts ("decoder"), and by ``ShortSideScale`` after it ("transform"), one thread. PSNR in dB between the
two, and of each against bilinear scaling with antialiasing, which FFmpeg's is too and the transform's is not.

    python benchmarks/decode_resize.py FOLDER_OR_VIDEO... [--size 256] [--repeats 5]
"""

import argparse
import math
import statistics
from pathlib import Path
from time import process_time
from typing import Any

import torch
import torch.nn.functional as F
from _report import alternate, geometric_mean, write

from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.transforms import ApplyTransformToKey, ShortSideScale
from pytorchvideo.transforms._pushdown import frame_resize

SECONDS, FRAMES = 2, 8


def eight(indices: list[int]) -> list[int]:
    """Indices that ``UniformTemporalSubsample(8)`` takes."""
    return [indices[int(i)] for i in torch.linspace(0, len(indices) - 1, FRAMES).long()]


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB of clips in 0..255; 99 for equal ones."""
    error = float((a - b).square().mean())
    return min(99.0, 10 * math.log10(255**2 / error)) if error else 99.0


def measure(path: Path, size: int, repeats: int) -> dict[str, Any] | None:
    """One row, or None for a video that is no larger than the size."""
    scale = ShortSideScale(size)
    resize = frame_resize(ApplyTransformToKey("video", scale))
    with EncodedVideo.from_path(path, decode_audio=False) as video:

        def by_decoder() -> torch.Tensor:
            return video.get_clip(0, SECONDS, eight, resize)["video"]

        def by_transform() -> torch.Tensor:
            return scale(video.get_clip(0, SECONDS, eight)["video"])

        whole = video.get_clip(0, SECONDS, eight)["video"]
        height, width = whole.shape[-2:]
        if min(height, width) <= size:
            return None
        a, b = by_decoder(), by_transform()
        smooth = F.interpolate(
            whole, a.shape[-2:], mode="bilinear", align_corners=False, antialias=True
        )
        seconds = alternate(
            {"decoder": by_decoder, "transform": by_transform}, repeats, process_time
        )
    return {
        "video": path.name,
        "height": height,
        "width": width,
        **seconds,
        "ratio": seconds["transform"] / seconds["decoder"],
        "psnr": psnr(a, b),
        "psnr_decoder_antialiased": psnr(a, smooth),
        "psnr_transform_antialiased": psnr(b, smooth),
    }


def main() -> None:
    """Prints a table and writes ``results/decode_resize.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    files: list[Path] = []
    for path in args.paths:
        files += sorted(path.iterdir()) if path.is_dir() else [path]
    print(f"{'video':45s} {'pixels':>9s} {'transf.':>7s} {'decoder':>7s} {'ratio':>5s}  PSNR, dB")
    rows = []
    for path in files:
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            continue
        try:
            row = measure(path, args.size, args.repeats)
        except VideoError as error:
            print(f"{path.name:45s} left out: {error}")
            continue
        if row is None:
            continue
        rows.append(row)
        print(
            f"{row['video']:45s} {row['width']:4d}x{row['height']:4d} {row['transform'] * 1e3:7.1f} "
            f"{row['decoder'] * 1e3:7.1f} {row['ratio']:5.2f}  {row['psnr']:.1f} "
            f"({row['psnr_decoder_antialiased']:.1f}, {row['psnr_transform_antialiased']:.1f})"
        )
    ratio = geometric_mean([row["ratio"] for row in rows])
    each = sorted(row["psnr"] for row in rows)
    smooth = statistics.median(row["psnr_decoder_antialiased"] for row in rows)
    print(
        f"{len(rows)} videos: {ratio:.2f} times as fast; PSNR {each[0]:.1f} to {each[-1]:.1f} dB, "
        f"median {statistics.median(each):.1f}; of the decoder against antialiased {smooth:.1f}"
    )
    summary = {
        "size": args.size,
        "geometric_mean_ratio": ratio,
        "psnr_median": statistics.median(each),
        "psnr_decoder_antialiased_median": smooth,
    }
    print(f"written to {write('decode_resize', {**summary, 'videos': rows})}")


if __name__ == "__main__":
    main()

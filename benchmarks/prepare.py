# SPDX-License-Identifier: Apache-2.0
"""Cost and gain of transcoding videos for training (``pytorchvideo prepare``).

For each video: its size and that of the new file, the seconds that the encoding took, the PSNR of 8 frames of the new
file with those of the old one, which FFmpeg has scaled to the same size, and how long the dataset takes for three clips
of two seconds, evenly spaced, 8 frames of each, short side 256, no sound, from the old and from the new file. Seconds
are those of the processor, one thread, in alternating runs.

    python benchmarks/prepare.py FOLDER_OR_VIDEO... [--short-side 320] [--gop 12] [--crf 21] [--repeats 3]
"""

import argparse
import statistics
import tempfile
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from _report import alternate, geometric_mean, write
from decode import CLIPS, FRAMES, SECONDS, eight, windows
from torchvision.transforms import Compose

from pytorchvideo.data import ConstantClipsPerVideoSampler, LabeledVideoDataset, TrainingFormat
from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav.transcode import transcode
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.transforms import ApplyTransformToKey, ShortSideScale, UniformTemporalSubsample

TRANSFORM = Compose([UniformTemporalSubsample(FRAMES), ShortSideScale(256)])


def read(path: Path) -> int:
    """The clips of one video, as a training reads them."""
    dataset = LabeledVideoDataset(
        [(str(path), {"label": 0})],
        ConstantClipsPerVideoSampler(SECONDS, CLIPS),
        torch.utils.data.SequentialSampler,
        ApplyTransformToKey("video", TRANSFORM),
        decode_audio=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sum(1 for _ in dataset)


def psnr(old: Path, new: Path) -> float:
    """Of 8 frames of the first clip, in dB."""
    with (
        EncodedVideo.from_path(old, decode_audio=False) as before,
        EncodedVideo.from_path(new, decode_audio=False) as after,
    ):
        start, end = windows(before.duration)[0]
        got = after.get_clip(start, end, eight)["video"]
        size = (got.shape[2], got.shape[3])
        wanted = before.get_clip(start, end, eight, lambda _height, _width: size)["video"]
    return float(10 * torch.log10(255**2 / (got - wanted).square().mean()))


def measure(path: Path, new: Path, wanted: TrainingFormat, repeats: int) -> dict[str, float | str]:
    """A row of the table; ``new`` is written."""
    begun = time.process_time()
    transcode(path, new, wanted)
    encoding = time.process_time() - begun
    seconds = alternate(
        {"before": lambda: read(path), "after": lambda: read(new)}, repeats, time.process_time
    )
    return {
        "video": path.name,
        "bytes_before": path.stat().st_size,
        "bytes_after": new.stat().st_size,
        "encoding_sec": encoding,
        "psnr_db": psnr(path, new),
        "reading_before_sec": seconds["before"],
        "reading_after_sec": seconds["after"],
    }


def main() -> None:
    """Prints a table and writes ``results/prepare.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--short-side", type=int, default=320)
    parser.add_argument("--gop", type=int, default=12)
    parser.add_argument("--crf", type=int, default=21)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    wanted = TrainingFormat(args.short_side, args.gop, args.crf, audio=False)
    files = [f for p in args.paths for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for path in (f for f in files if f.suffix.lower() in VIDEO_SUFFIXES):
            try:
                row = measure(path, Path(folder, f"{path.name}.mp4"), wanted, args.repeats)
            except VideoError as error:
                print(f"left out: {error}")
                continue
            rows.append(row)
            print(
                f"{path.name:48s} {row['bytes_before'] / 1e3:7.0f} -> {row['bytes_after'] / 1e3:6.0f} kB  "
                f"{row['encoding_sec']:5.1f} s  {row['psnr_db']:4.1f} dB  "
                f"{row['reading_before_sec'] * 1e3:6.1f} -> {row['reading_after_sec'] * 1e3:5.1f} ms",
                flush=True,
            )
    speedups = [row["reading_before_sec"] / row["reading_after_sec"] for row in rows]
    result = {
        "format": asdict(wanted),
        "videos": rows,
        "bytes_after_over_before": sum(r["bytes_after"] for r in rows)
        / sum(r["bytes_before"] for r in rows),
        "reading_speedup": geometric_mean(speedups),
        "reading_speedup_of_all": sum(r["reading_before_sec"] for r in rows)
        / sum(r["reading_after_sec"] for r in rows),
        "psnr_db_median": statistics.median(r["psnr_db"] for r in rows),
    }
    for name in list(result)[2:]:
        print(f"{name}: {result[name]:.2f}")
    print(f"written to {write('prepare', result)}")


if __name__ == "__main__":
    main()

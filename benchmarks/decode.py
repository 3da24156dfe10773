# SPDX-License-Identifier: Apache-2.0
"""Speed of sparse decoding (8 frames of a clip) against decoding the whole clip.

For each video: three clips of two seconds, evenly spaced, 8 frames of each, one thread. "whole" decodes every frame of
the clip to RGB and then picks, through PyAV alone; "ours" is ``EncodedVideo.get_clip`` with a ``frame_filter``. Both
should give the same pixels, which is checked for each clip. They do not where "whole" is wrong: it sorts by time
stamp, which three of the reference clips get wrong (MPEG-4 with B-frames in AVI, an mp4 with copied times), and cannot
seek in MPEG-PS. The tests compare with a decode of the whole file in display order instead.

    python benchmarks/decode.py FOLDER_OR_VIDEO... [--repeats 5]
"""

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from _report import alternate, geometric_mean, write

from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo

CLIPS, SECONDS, FRAMES = 3, 2, 8


def eight(indices: list[int]) -> list[int]:
    """Indices that ``UniformTemporalSubsample(8)`` takes."""
    return [indices[int(i)] for i in torch.linspace(0, len(indices) - 1, FRAMES).long()]


def windows(duration: Fraction) -> list[tuple[Fraction, Fraction]]:
    """Three clips from the beginning to the end of the video."""
    last = max(duration - SECONDS, Fraction(0))
    starts = [last * Fraction(k, CLIPS - 1) for k in range(CLIPS)]
    return [(start, start + SECONDS) for start in starts]


def ours(path: Path, clips: list[tuple[Fraction, Fraction]]) -> list[torch.Tensor]:
    """One open file, sparse clips."""
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        return [video.get_clip(a, b, eight)["video"] for a, b in clips]


def whole(path: Path, clips: list[tuple[Fraction, Fraction]]) -> list[torch.Tensor]:
    """Every frame of each clip to RGB, then eight of them."""
    result = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        base, start = stream.time_base, stream.start_time or 0
        for a, b in clips:
            container.seek(int(a / base) + start, stream=stream)
            frames = {}
            for frame in container.decode(stream):
                time = (frame.pts - start) * base
                if time >= b:
                    break
                if time >= a:
                    picture = frame.to_ndarray(format="rgb24")
                    frames[frame.pts] = np.rot90(picture, round(frame.rotation / 90) % 4)
            data = torch.from_numpy(np.stack([frames[pts] for pts in sorted(frames)]))
            data = data.permute(3, 0, 1, 2).float()
            result.append(data[:, eight(list(range(data.shape[1])))])
    return result


def main() -> None:
    """Prints a table and writes ``results/decode.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    files: list[Path] = []
    for path in args.paths:
        files += sorted(path.iterdir()) if path.is_dir() else [path]
    rows = []
    print(f"{'video':48s} {'whole ms':>9s} {'ours ms':>9s} {'ratio':>6s}  same pixels")
    for path in files:
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            continue
        try:
            with EncodedVideo.from_path(path, decode_audio=False) as video:
                clips = windows(video.duration)
            a, b = whole(path, clips), ours(path, clips)
        except (VideoError, av.error.FFmpegError) as error:
            print(f"{path.name:48s} left out: {error}")
            continue
        same = all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True))
        seconds = alternate(
            {
                "whole": lambda p=path, c=clips: whole(p, c),
                "ours": lambda p=path, c=clips: ours(p, c),
            },
            args.repeats,
        )
        ratio = seconds["whole"] / seconds["ours"]
        rows.append({"video": path.name, **seconds, "ratio": ratio, "same_pixels": same})
        print(
            f"{path.name:48s} {seconds['whole'] * 1e3:9.1f} {seconds['ours'] * 1e3:9.1f} {ratio:6.2f}  {same}"
        )
    mean = geometric_mean([row["ratio"] for row in rows])
    same = sum(row["same_pixels"] for row in rows)
    print(f"geometric mean of {len(rows)} videos: {mean:.2f} times; same pixels on {same}")
    where = write("decode", {"geometric_mean_ratio": mean, "videos": rows})
    print(f"written to {where}")


if __name__ == "__main__":
    main()

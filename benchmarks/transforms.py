# SPDX-License-Identifier: Apache-2.0
"""Speed of transforms and of the usual training pipelines, against their former implementations.

"before" is that way in plain torch: the clip of 64 frames is float32 (C, T, H, W) in 0..255, a permuted view of
(T, H, W, C); frames are picked by ``index_select``, the colours normalised as (T, C, H, W), and every step makes its
own copy. "ours" starts from what our dataset delivers for the same pipeline: the frames that the transform keeps,
contiguous. "ours, 64 frames" starts from a contiguous clip of all frames, as ``get_clip`` returns it. Results must
agree to 1e-5 of their range, which is checked. One thread; medians of the CPU time of alternating runs.

    python benchmarks/transforms.py [--repeats 9]
"""

import argparse
from collections.abc import Callable
from time import process_time
from typing import Any

import torch
import torch.nn.functional as F
from _report import alternate, write
from torchvision.transforms import CenterCrop, Compose, Lambda, RandomCrop, RandomHorizontalFlip

from pytorchvideo.transforms import (
    ApplyTransformToKey,
    CenterCropVideo,
    Div255,
    Normalize,
    NormalizeVideo,
    RandomResizedCrop,
    RandomShortSideScale,
    ShortSideScale,
    UniformTemporalSubsample,
)
from pytorchvideo.transforms._pushdown import temporal_frame_filter

DECODED = 64
SIZES = {"340x256": (256, 340), "1280x720": (720, 1280)}
FRAMES = {"340x256": 8, "1280x720": 16}  # of the single transforms
MEAN, STD = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

Clip = torch.Tensor
Step = Callable[[Clip], Clip]


# -- before --------------------------------------------------------------------------------------


def subsample(n: int) -> Step:
    return lambda x: torch.index_select(
        x, -3, torch.linspace(0, x.shape[-3] - 1, n).clamp(0, x.shape[-3] - 1).long()
    )


def normalise(x: Clip) -> Clip:
    frames = x.permute(1, 0, 2, 3).clone()  # (T, C, H, W)
    frames.sub_(torch.tensor(MEAN).view(-1, 1, 1)).div_(torch.tensor(STD).view(-1, 1, 1))
    return frames.permute(1, 0, 2, 3)


def scale(x: Clip, size: int) -> Clip:
    h, w = x.shape[-2:]
    new = (h * size // w, size) if w < h else (size, w * size // h)
    return F.interpolate(x, size=new, mode="bilinear", align_corners=False)


def random_scale(x: Clip) -> Clip:
    return scale(x, int(torch.randint(256, 321, (1,)).item()))


# name -> (steps before, the user's pipeline today)
PIPELINES: dict[str, tuple[list[Step], list[Any]]] = {
    "Hugging Face guide, training": (
        [
            subsample(16),
            lambda x: x / 255.0,
            normalise,
            random_scale,
            RandomCrop((224, 224)),
            RandomHorizontalFlip(p=0.5),
        ],
        [
            UniformTemporalSubsample(16),
            Lambda(lambda x: x / 255.0),
            Normalize(MEAN, STD),
            RandomShortSideScale(min_size=256, max_size=320),
            RandomCrop((224, 224)),
            RandomHorizontalFlip(p=0.5),
        ],
    ),
    "Flash, training": (
        [subsample(8), random_scale, RandomCrop(244), RandomHorizontalFlip(p=0.5)],
        [
            UniformTemporalSubsample(8),
            RandomShortSideScale(min_size=256, max_size=320),
            RandomCrop(244),
            RandomHorizontalFlip(p=0.5),
        ],
    ),
    "Lightning how-to, training": (
        [subsample(8), normalise, random_scale, RandomCrop(244), RandomHorizontalFlip(p=0.5)],
        [
            UniformTemporalSubsample(8),
            Normalize(MEAN, STD),
            RandomShortSideScale(min_size=256, max_size=320),
            RandomCrop(244),
            RandomHorizontalFlip(p=0.5),
        ],
    ),
    "Lightning how-to, inference": (
        [
            subsample(8),
            lambda x: x / 255.0,
            normalise,
            lambda x: scale(x, 256),
            CenterCrop((256, 256)),
        ],
        [
            UniformTemporalSubsample(8),
            Lambda(lambda x: x / 255.0),
            NormalizeVideo(MEAN, STD),
            ShortSideScale(size=256),
            CenterCropVideo(crop_size=(256, 256)),
        ],
    ),
}


def decoded(height: int, width: int, frames: int) -> torch.Tensor:
    """uint8 (T, H, W, C), as a decoder writes it."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(frames, 3, height // 16, width // 16, generator=generator) * 255
    smooth = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    return smooth.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def compare(repeats: int) -> list[dict[str, Any]]:
    """The pipelines, before and now."""
    rows = []
    for size, (height, width) in SIZES.items():
        pixels = decoded(height, width, DECODED)
        permuted = pixels.float().permute(3, 0, 1, 2)
        whole = permuted.contiguous()
        for name, (steps, parts) in PIPELINES.items():
            old, new = Compose(steps), ApplyTransformToKey("video", Compose(parts))
            keep = temporal_frame_filter(new)
            assert keep is not None
            kept = whole[:, keep(list(range(DECODED)))].contiguous()
            runs = {
                "before": lambda f=old, x=permuted: seeded(f, x),
                "ours": lambda f=new, x=kept: seeded(lambda c: f({"video": c})["video"], x),
                "ours, 64 frames": lambda f=new, x=whole: seeded(
                    lambda c: f({"video": c})["video"], x
                ),
            }
            wanted = runs["before"]()
            error = max(
                float((run() - wanted).abs().max() / wanted.abs().max()) for run in runs.values()
            )
            if error > 1e-5:
                raise SystemExit(f"{name}, {size}: results differ by {error:.1e} of their range")
            seconds = alternate(runs, repeats, process_time)
            ratio = seconds["before"] / seconds["ours"]
            rows.append({"pipeline": name, "size": size, **seconds, "ratio": ratio, "error": error})
            print(
                f"{name:30s} {size:9s}"
                + "".join(f" {value * 1e3:9.1f}" for value in seconds.values())
                + f" {ratio:7.1f}  {error:.0e}"
            )
    return rows


def seeded(transform: Step, clip: Clip) -> Clip:
    """The same random numbers for all; the same clip every time."""
    torch.manual_seed(0)
    return transform(clip)


def singles() -> dict[str, Step]:
    """One transform each; random ones with a size in the middle of their usual range."""
    return {
        "UniformTemporalSubsample(T / 2)": lambda x: UniformTemporalSubsample(x.shape[-3] // 2)(x),
        "Div255": Div255(),
        "Normalize": Normalize(MEAN, STD),
        "ShortSideScale(256)": ShortSideScale(256),
        "ShortSideScale(288)": ShortSideScale(288),
        "RandomResizedCrop(224)": RandomResizedCrop(224, 224, (0.3, 0.3), (1.0, 1.0)),
        "RandomCrop(224)": RandomCrop(224),
        "RandomHorizontalFlip": RandomHorizontalFlip(1.0),
    }


def each(repeats: int) -> list[dict[str, Any]]:
    """Single transforms on every kind of clip."""
    rows = []
    for size, (height, width) in SIZES.items():
        pixels = decoded(height, width, FRAMES[size])
        permuted = pixels.permute(3, 0, 1, 2)
        planes = permuted.contiguous()
        clips = {
            "float": planes.float(),
            "permuted": permuted.float(),
            "uint8": planes,
            "permuted uint8": permuted,
        }
        if size == "340x256":
            clips["batch of 4"] = torch.stack([planes.float()] * 4)
        for name, transform in singles().items():
            runs = {
                kind: lambda f=transform, x=clip: seeded(f, x)
                for kind, clip in clips.items()
                if name != "Normalize" or clip.is_floating_point()
            }
            seconds = alternate(runs, repeats, process_time)
            frames = FRAMES[size]
            rows.append({"transform": name, "size": size, "frames": frames, **seconds})
            line = "  ".join(f"{kind} {value * 1e3:.2f}" for kind, value in seconds.items())
            print(f"{name:32s} {frames}x{size:9s} {line}")
    return rows


def main() -> None:
    """Prints two tables and writes ``results/transforms.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'milliseconds of CPU time':40s} {'before':>9s} {'ours':>9s} {'ours, 64':>9s} {'ratio':>7s}"
    )
    pipelines = compare(args.repeats)
    single = each(args.repeats)
    where = write("transforms", {"pipelines": pipelines, "transforms": single})
    print(f"written to {where}")


if __name__ == "__main__":
    main()

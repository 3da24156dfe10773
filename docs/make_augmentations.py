# SPDX-License-Identifier: Apache-2.0
"""Writes docs/augmentations.md, and its pictures of a small drawn clip before and after each augmentation.

python docs/make_augmentations.py
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import ImageDraw
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from pytorchvideo import transforms as T
from pytorchvideo.data.visualize import contact_sheet, unnormalize

PAGE = Path(__file__).parent / "augmentations.md"
PICTURES = Path(__file__).parent / "pictures"

HEIGHT, WIDTH, FRAMES = 96, 128, 5
SEED = 25

INTRODUCTION = """\
# Augmentations

Each picture shows five frames of a drawn clip: before in the upper row, after in the lower one. All frames of a clip
get the same parameters. The code under a heading made its picture, with torch's seed at {seed}; the clip is uint8
`(C, T, H, W)`. `python docs/make_augmentations.py` writes this page and its pictures.

- **Axes.** Colour and geometry look for channels before height and width: frames `(T, C, H, W)`. `OnFrames` gives them
  that for a clip `(C, T, H, W)` or a batch `(B, C, T, H, W)`, whose clips then share the parameters. Crops, flips and
  mixing take clips and batches as they are.
- **Values.** uint8, or float with white at 1; `max_value=255` for float clips as datasets deliver them. Values that are
  far brighter than white are an error, never a guess.
- **Randomness** is torch's: `torch.manual_seed` repeats a sample, in the workers of a `DataLoader` too. Every random
  transform takes a `generator=` of your own instead.
- **Colour outside of the picture**, after rotating, shearing and translating, is `transform_hparas={{"fill": ...}}`: a
  share of white (0.5 by default: 128 in uint8), one or a channel each.

A whole pipeline for training or evaluation comes from a few numbers:

```python
from pytorchvideo.transforms import create_video_transform

transform = create_video_transform(
    "train", video_key="video", num_samples=8, aug_type="randaug", aug_paras={{"magnitude": 7}}
)
```

Testing with several views of a video takes a clip sampler and a transform that belong together. Each clip is decoded
once, whatever the number of its crops:

```python
from pytorchvideo.data import Kinetics, make_clip_sampler
from pytorchvideo.models import get_weights

views = get_weights("slow_r50").views()  # those of the published scores; or .views("5x1")
sampler = make_clip_sampler("constant_clips_per_video", **views.clip_sampler)
dataset = Kinetics("test.csv", sampler, transform=views.transform, decode_audio=False)
```

"""


class Entry(NamedTuple):
    """One augmentation of the page.

    Attributes:
        name: heading, and name of the picture.
        code: makes the transform, with ``T`` for ``pytorchvideo.transforms``.
        text: what it does.
        normalised: the transform comes after :class:`Normalize`.
        faded: it is shown on a clip without black and white.
    """

    name: str
    code: str
    text: str
    normalised: bool = False
    faded: bool = False


def _operation(name: str, text: str, level: int = 8, faded: bool = False) -> Entry:
    code = f'T.OnFrames(T.AugmentTransform("{name}", magnitude={level}, prob=1.0))'
    return Entry(name, code, text, faded=faded)


def _erasing(mode: str, text: str) -> Entry:
    code = f'T.OnFrames(T.RandomErasing(probability=1.0, mode="{mode}", min_count=2, max_count=4))'
    return Entry(f"RandomErasing {mode}", code, text, normalised=True)


SECTIONS: dict[str, list[Entry]] = {
    "Operations of `AugmentTransform`": [
        _operation("AdjustBrightness", "A factor of 0.1 to 1.9, further from 1 at higher levels."),
        _operation("AdjustContrast", "Away from the mean grey of each frame, or towards it."),
        _operation("AdjustSaturation", "Away from the grey picture, or towards it."),
        _operation(
            "AdjustSharpness",
            "Away from the smoothed picture, or towards it: seen best at the edge of the circle.",
            level=10,
        ),
        _operation(
            "AutoContrast", "Stretches each channel of each frame to the whole range.", faded=True
        ),
        _operation("Equalize", "Makes all levels of a channel equally frequent, frame by frame."),
        _operation("Invert", "The negative."),
        _operation("Rotate", "By up to 30 degrees to either side."),
        _operation(
            "Posterize", "Keeps 4 bits of a channel at level 0, fewer at higher ones.", level=5
        ),
        _operation("Solarize", "Inverts what is brighter than a threshold.", level=4),
        _operation("ShearX", "Slants by a slope of up to 0.3."),
        _operation("ShearY", "The same along the other axis."),
        _operation("TranslateX", "Moves by up to 0.45 of the width."),
        _operation("TranslateY", "Moves by up to 0.45 of the height."),
    ],
    "Several operations": [
        Entry(
            "RandAugment",
            "T.OnFrames(T.RandAugment(magnitude=7, num_layers=4, prob=1.0))",
            "Some different operations one after the other (arXiv 1909.13719).",
        ),
        Entry(
            "AugMix",
            "T.OnFrames(T.AugMix(magnitude=8, alpha=4.0, depth=3))",
            "A mean of several chains of operations, mixed with the clip (arXiv 1912.02781).",
        ),
        Entry(
            "ColorJitterVideoSSl",
            "T.OnFrames(T.ColorJitterVideoSSl([0.4, 0.4, 0.4], 0.2, 1.0, 0.0))",
            "Brightness, contrast, saturation and hue in a random order, then grey, then blur, each for "
            "some of the clips (arXiv 2002.05709).",
        ),
        Entry(
            "GaussianBlur",
            "T.OnFrames(T.GaussianBlur((2.0, 2.0)))",
            "With a random standard deviation; 2 pixels here.",
        ),
    ],
    "Parts and places": [
        Entry(
            "RandomResizedCrop",
            f"T.RandomResizedCrop({HEIGHT}, {WIDTH}, scale=(0.2, 0.5), aspect_ratio=(3/4, 4/3))",
            "A random part, resized.",
        ),
        Entry(
            "RandomResizedCrop with shift",
            f"T.RandomResizedCrop({HEIGHT}, {WIDTH}, (0.2, 0.5), (3/4, 4/3), shift=True)",
            "Two random parts, and the way from the first to the second over time: a moving camera.",
        ),
        Entry(
            "RandomCropVideo",
            f"T.RandomCropVideo(({HEIGHT * 2 // 3}, {WIDTH * 2 // 3}))",
            "A random window.",
        ),
        Entry(
            "RandomHorizontalFlipVideo", "T.RandomHorizontalFlipVideo(p=1.0)", "The mirror image."
        ),
    ],
    "Erasing (arXiv 1708.04896)": [
        _erasing("const", "Zeros, which are the mean colour after `Normalize`."),
        _erasing("rand", "A random colour for each rectangle."),
        _erasing("pixel", "A random colour for each pixel, the same in all frames."),
    ],
    "Mixing of batches": [
        Entry(
            "MixUp",
            "T.MixUp(num_classes=2)",
            "Weighted means of two clips, and of their labels (arXiv 1710.09412). Both clips are shown above "
            "the mixed one.",
        ),
        Entry(
            "CutMix",
            "T.CutMix(num_classes=2)",
            "A rectangle of the other clip in all frames; labels in the shares of the pixels (arXiv "
            "1905.04899). `MixVideo` draws one of the two for each batch.",
        ),
    ],
}


def drawn_clip(second: bool = False) -> Tensor:
    """uint8 (3, T, H, W): moving shapes and writing over a gradient; ``second`` is another scene."""
    frames = []
    for t in range(FRAMES):
        ramp = torch.linspace(40, 215, WIDTH).expand(HEIGHT, WIDTH)
        down = torch.linspace(50, 190, HEIGHT)[:, None].expand(HEIGHT, WIDTH)
        colours = [down, torch.full_like(ramp, 90), ramp] if second else [ramp, down, 230 - ramp]
        picture = to_pil_image(torch.stack(colours).to(torch.uint8))
        draw = ImageDraw.Draw(picture)
        if second:
            for x in range(0, WIDTH, 16):
                draw.rectangle((x + 3 * t, 62, x + 3 * t + 7, 90), fill=(240, 210, 60))
            angle = 0.35 * t
            corners = [
                (64 + 26 * math.cos(angle + k * 2.1), 32 + 26 * math.sin(angle + k * 2.1))
                for k in range(3)
            ]
            draw.polygon(corners, fill=(30, 160, 90), outline="white")
        else:
            draw.ellipse((8 + 20 * t, 14, 36 + 20 * t, 42), fill=(225, 50, 40), outline="white")
            draw.rectangle((92 - 16 * t, 46, 112 - 16 * t, 66), fill=(35, 60, 190))
            for k in range(6):
                draw.rectangle((4 + 6 * k, 4, 9 + 6 * k, 9), fill="black" if k % 2 else "white")
            draw.text((6, 74), "video clip 0123", fill="white")
            draw.text((108, 6), str(t), fill="black")
        frames.append(pil_to_tensor(picture))
    return torch.stack(frames, dim=1)


def before(entry: Entry) -> list[Tensor]:
    """The clips that an entry is shown on, uint8: two for those that mix a batch."""
    clip = drawn_clip()
    if entry.faded:
        return [clip // 2 + 50]
    return [clip, drawn_clip(second=True)] if entry.name in ("MixUp", "CutMix") else [clip]


def after(entry: Entry) -> Tensor:
    """What the transform of an entry makes of the first clip, uint8."""
    transform: Any = eval(entry.code, {"T": T})
    clip, *others = before(entry)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        if others:
            mixed, _ = transform(torch.stack([clip, *others]), torch.arange(2))
            return torch.as_tensor(mixed[0])
        if not entry.normalised:
            return torch.as_tensor(transform(clip))
        normalised = transform((clip / 255 - 0.45) / 0.225)
        return unnormalize(normalised, (0.45,), (0.225,))


def picture_name(entry: Entry) -> str:
    """The name of the file with the picture of an entry."""
    return entry.name.lower().replace(" ", "_") + ".jpg"


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION.format(seed=SEED)]
    for title, entries in SECTIONS.items():
        parts.append(f"## {title}\n\n")
        for entry in entries:
            parts.append(
                f"### {entry.name}\n\n{entry.text}\n\n`{entry.code}`\n\n"
                f"![{entry.name}: before and after](pictures/{picture_name(entry)})\n\n"
            )
    return "".join(parts).rstrip() + "\n"


def main() -> None:
    """Writes the page and the pictures."""
    PICTURES.mkdir(exist_ok=True)
    for entry in (entry for entries in SECTIONS.values() for entry in entries):
        picture = contact_sheet([*before(entry), after(entry)], columns=FRAMES)
        picture.save(PICTURES / picture_name(entry), quality=82, optimize=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

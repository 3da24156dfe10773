# SPDX-License-Identifier: Apache-2.0
"""EfficientX3D of the zoo in its deployable form, in int8, and saved.

python examples/07_efficient_x3d.py [VIDEO...]

With videos it takes the published weights, which it downloads, and clips of them; without, random weights and noise.
"""

import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.ao import quantization

from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
    convert_to_deployable_form,
)
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.models import create_model, get_weights

NAME = "efficient_x3d_xs"


def clips_of(videos: Sequence[str]) -> torch.Tensor:
    """A clip from the start of each video, (B, 3, 4, 160, 160); without videos smaller ones of coarse noise."""
    recipe = get_weights(NAME).recipe
    clips = []
    for path in videos:
        with EncodedVideo.from_path(path, decode_audio=False) as video:
            frames = video.get_clip(0, recipe.clip_duration_sec)["video"]
        clips.append(recipe.transforms()(frames))
    if not clips:
        coarse = torch.randn(4, 3, 4, 12, 12)
        return nn.functional.interpolate(coarse, scale_factor=(1, 8, 8), mode="trilinear")
    return torch.stack(clips)


def to_int8(model: nn.Module, clips: torch.Tensor) -> nn.Module:
    """An int8 copy of a model between stubs, with the ranges that its values have on ``clips``."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of eager quantisation, which torchao continues in another way
        wrapped = quantization.QuantWrapper(convert_to_deployable_form(model, clips[:1]))
        wrapped.qconfig = quantization.get_default_qconfig(torch.backends.quantized.engine)
        prepared = quantization.prepare(wrapped)
        prepared(clips)
        return quantization.convert(prepared)


@torch.no_grad()
def main() -> None:
    """Prints how far each form is from the original."""
    torch.manual_seed(0)
    videos = sys.argv[1:]
    model = create_model(NAME, pretrained=bool(videos)).eval()
    clips = clips_of(videos)
    example = clips[:1].clone()
    int8 = to_int8(model, clips)
    forms = {"deployable": convert_to_deployable_form(model, example), "int8": int8}
    wanted = model(clips)
    for name, form in forms.items():
        scores = form(clips)
        error = float((scores - wanted).norm() / wanted.norm())
        same = int((scores.argmax(1) == wanted.argmax(1)).sum())
        print(f"{name:10s} off by {error:.1e}, the same label for {same} of {len(clips)}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.pt"
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of TorchScript, the one format that holds such modules
            torch.jit.trace(int8, example, strict=False, check_trace=False).save(path)
            loaded = torch.jit.load(path)
        size, original = path.stat().st_size, 4 * sum(p.numel() for p in model.parameters())
        print(f"{path.name}: {size / 1e6:.1f} MB instead of {original / 1e6:.1f} MB of weights")
        print("loaded again:", torch.equal(loaded(example), int8(example)))


if __name__ == "__main__":
    main()

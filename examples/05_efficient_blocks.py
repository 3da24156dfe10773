# SPDX-License-Identifier: Apache-2.0
"""Build a network of efficient blocks, train it, and bring it into the form for use: float and int8.

python examples/05_efficient_blocks.py

It tells bars that move to the right from bars that move to the left.
"""

import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.ao import quantization

from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
    convert_to_deployable_form,
)
from pytorchvideo.layers.accelerator.mobile_cpu.convolutions import (
    Conv3d5x1x1BnAct,
    Conv3dPwBnAct,
    Conv3dTemporalKernel1BnAct,
)
from pytorchvideo.layers.accelerator.mobile_cpu.fully_connected import FullyConnected
from pytorchvideo.layers.accelerator.mobile_cpu.pool import AdaptiveAvgPool3dOutSize1
from pytorchvideo.models.accelerator.mobile_cpu.residual_blocks import X3dBottleneckBlock


class BarNet(nn.Module):
    """Clips (B, 3, T, H, W) -> (B, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv3dTemporalKernel1BnAct(
                3, 8, spatial_kernel=3, spatial_stride=2, spatial_padding=1, activation="hswish"
            ),
            Conv3d5x1x1BnAct(8, 16),
            X3dBottleneckBlock(16, 32, 16, spatial_stride=1, se_ratio=0.25),
            Conv3dPwBnAct(16, 32),
            AdaptiveAvgPool3dOutSize1(),
        )
        self.classifier = FullyConnected(32, 2)
        # where int8 begins and ends; of no effect in float
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(self.quant(x))
        return self.dequant(self.classifier(x.flatten(1)))


def bars(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips (count, 3, 8, 32, 32) of noisy bars, and 1 for each that moves to the right."""
    to_the_right = torch.randint(2, (count,), generator=generator)
    starts = torch.randint(32, (count, 1), generator=generator)
    places = (starts + 3 * torch.arange(8) * (2 * to_the_right[:, None] - 1)) % 32  # (count, 8)
    clips = torch.rand(count, 3, 8, 32, 32, generator=generator)
    rows = (torch.arange(32) - places[..., None]).abs() < 3  # (count, 8, 32)
    return clips + 2 * rows[:, None, :, None, :], to_the_right


def train(model: nn.Module, generator: torch.Generator, steps: int = 40) -> None:
    """Trains the original form."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        clips, labels = bars(16, generator)
        loss = nn.functional.cross_entropy(model.train()(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


def quantize(model: nn.Module, clips: torch.Tensor) -> nn.Module:
    """An int8 copy of a model, whose ranges are those that it has on ``clips``."""
    quantizable = convert_to_deployable_form(model, clips[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchao continues it, in another way
        quantizable.qconfig = quantization.get_default_qconfig(torch.backends.quantized.engine)
        prepared = quantization.prepare(quantizable)
        prepared(clips)
        return quantization.convert(prepared)


@torch.no_grad()
def main() -> None:
    """Prints how far the forms of a model are from each other."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = BarNet()
    with torch.enable_grad():
        train(model, generator)
    clips, labels = bars(64, generator)
    scores = model(clips)
    print(f"original form: {(scores.argmax(1) == labels).float().mean():.0%} right")

    example = clips[:1].clone()
    deployable = convert_to_deployable_form(model, example)
    print(f"deployable form: deviates by {(deployable(clips) - scores).abs().max():.1e}")
    int8 = quantize(model, clips)
    print(f"int8: {(int8(clips).argmax(1) == labels).float().mean():.0%} right")

    with tempfile.TemporaryDirectory() as folder:
        program = torch.export.export(deployable, (example,))
        torch.export.save(program, Path(folder) / "float.pt2")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.export continues it, but not for these modules
            torch.jit.trace(int8, example, strict=False).save(Path(folder) / "int8.pt")
            loaded = torch.jit.load(Path(folder) / "int8.pt")
        for path in sorted(Path(folder).iterdir()):
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
        print("loaded again:", torch.equal(loaded(example), int8(example)))


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Put efficient blocks into a model of the zoo, and bring it into the form for use.

python examples/06_transmute.py [MODEL]
"""

import sys
from collections import Counter

import torch
from torch import nn

import pytorchvideo.accelerator.deployment.mobile_cpu.transmuter  # noqa: F401 (fills the registry)
from pytorchvideo.accelerator.deployment.common.model_transmuter import (
    EFFICIENT_BLOCK_TRANSMUTER_REGISTRY,
    transmute_model,
)
from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
    convert_to_deployable_form,
)
from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase
from pytorchvideo.layers.accelerator.mobile_cpu.pool import AdaptiveAvgPool3dOutSize1
from pytorchvideo.models import create_model


def global_mean(module: nn.Module) -> nn.Module | None:
    """A rule of our own: the block for a mean over all positions, None for any other module."""
    is_global = isinstance(module, nn.AdaptiveAvgPool3d) and module.output_size in (1, (1, 1, 1))
    return AdaptiveAvgPool3dOutSize1() if is_global else None


def deviation(scores: torch.Tensor, wanted: torch.Tensor) -> float:
    """The length of the error as a share of the length of what is wanted."""
    return float((scores - wanted).norm() / wanted.norm())


@torch.no_grad()
def main() -> None:
    """Prints which blocks a model got, and how far its forms are from each other."""
    torch.manual_seed(0)
    name = sys.argv[1] if len(sys.argv) > 1 else "x3d_xs"
    model = create_model(name).eval()  # pretrained=True for the published weights
    clip = torch.rand(1, 3, 4, 160, 160)
    scores = model(clip)

    EFFICIENT_BLOCK_TRANSMUTER_REGISTRY["mobile_cpu"].append(global_mean)
    transmute_model(model, target_device="mobile_cpu")
    blocks = [type(m).__name__ for m in model.modules() if isinstance(m, EfficientBlockBase)]
    for kind, count in Counter(blocks).most_common():
        print(f"{count:4d} {kind}")
    print(f"with blocks: deviates by {deviation(model(clip), scores):.1e}")

    deployable = convert_to_deployable_form(model, clip)
    print(f"deployable:  deviates by {deviation(deployable(clip), scores):.1e}")
    left = [m for m in deployable.modules() if type(m) is nn.Conv3d]
    print(f"convolutions of clips left: {len(left)}")
    program = torch.export.export(deployable, (clip,))
    print(f"exported:    deviates by {deviation(program.module()(clip), scores):.1e}")


if __name__ == "__main__":
    main()

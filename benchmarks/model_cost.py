# SPDX-License-Identifier: Apache-2.0
"""Parameters and multiply-adds of every model of the zoo, counted, against the published figures.

Multiply-adds are counted by PyTorch's flop counter for one view (and one box) at the size of the published table:
those of convolutions, linear layers and attention. ``with_norms_gmacs`` has five operations more for every output of
a norm, which is what the published counter added: to two digits these are the published figures, but for Slow
and SlowFast 8x8 on Kinetics, which were published without. Models and clips are on the meta device: nothing is
computed.

    python benchmarks/model_cost.py
"""

import json
from typing import Any

import torch
from _report import RESULTS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pytorchvideo.models import create_model, get_weights, list_models, model_entry
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

# Of the published tables, in 10^6.
PUBLISHED_PARAMETERS = {
    **{"c2d_r50": 24.33, "i3d_r50": 28.04, "slow_r50_4x16": 32.45, "slow_r50": 32.45},
    **{"slowfast_r50_4x16": 34.48, "slowfast_r50": 34.57, "slowfast_r101": 62.83},
    **{"slowfast_16x8_r101_50_50": 53.77, "csn_r101": 22.21, "r2plus1d_r50": 28.11},
    **{"x3d_xs": 3.79, "x3d_s": 3.79, "x3d_m": 3.79, "x3d_l": 6.15},
    **{"mvit_base_16x4": 36.61, "mvit_base_32x3": 36.61},
    **{"slow_r50_ssv2": 31.96, "slowfast_r50_ssv2": 34.04},
    **{"slow_r50_charades": 31.96, "slowfast_r50_charades": 34.00},
    **{"slow_r50_detection": 31.78, "slowfast_r50_detection": 33.82},
}
# Those of the tables for AVA are not published.
PUBLISHED_GMACS = {name for name in PUBLISHED_PARAMETERS if not name.endswith("detection")}
NORM_OPERATIONS = 5
BOX = (0.0, 32.0, 32.0, 160.0, 160.0)


def inputs_of(name: str) -> tuple[Any, ...]:
    """What one view of the published table is for a model."""
    recipe = get_weights(name).recipe
    side = recipe.crop_size or recipe.side_size
    clips = torch.zeros(1, 3, recipe.num_frames, side, side)
    ratio = recipe.pathway_ratio
    inputs = clips if ratio is None else uniform_temporal_subsample_repeated(clips, ratio)
    return (inputs, torch.tensor([BOX])) if model_entry(name).task == "detection" else (inputs,)


def cost(name: str) -> dict[str, Any]:
    """Counted and published figures of a model."""
    weights = get_weights(name)
    outputs = 0

    def count(module: nn.Module, args: object, output: torch.Tensor) -> None:
        nonlocal outputs
        outputs += output.numel()

    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        model = create_model(name).eval()
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm3d, nn.LayerNorm)):
                module.register_forward_hook(count)
        model(*inputs_of(name))
    gmacs = counter.get_total_flops() / 2e9
    return {
        "model": name,
        "published_parameters": PUBLISHED_PARAMETERS.get(name),
        "parameters": sum(p.numel() for p in model.parameters()),
        "gmacs": round(gmacs, 3),
        "with_norms_gmacs": round(gmacs + NORM_OPERATIONS * outputs / 1e9, 3),
        "published_gmacs": weights.gflops if name in PUBLISHED_GMACS else None,
    }


def main() -> None:
    """Prints a table and writes ``results/model_cost.json``."""
    rows = [cost(name) for name in list_models()]
    print(f"{'model':26s} {'params M':>9s} {'GMACs':>8s} {'+ norms':>8s} {'published':>9s}")
    for row in rows:
        print(
            f"{row['model']:26s} {row['parameters'] / 1e6:9.2f} {row['gmacs']:8.2f} "
            f"{row['with_norms_gmacs']:8.2f} {row['published_gmacs'] or 0:9.2f}"
        )
    (RESULTS / "model_cost.json").write_text(json.dumps({"models": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

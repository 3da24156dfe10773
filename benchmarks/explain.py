# SPDX-License-Identifier: Apache-2.0
"""Class-activation maps: what one costs, and whether it points at what moves.

The cost is that of ``grad_cam`` for a clip of X3D-S (13 frames of 182 pixels, 2.6 s of video) over a prediction's,
in alternating runs on one thread.

Then four figures that look alike lie on a texture, one of which moves: up, down, left or right, which is the class. A
small network learns it in minutes from clips that are made as it goes. On new clips the map of its answer should be
greatest at the figure that moves (the pointing game, arXiv 1608.00507, with its tolerance of 15 pixels of 224), and no
longer once the weights are those of an untrained network, or the trained ones in a random order (arXiv 1810.03292).

    python benchmarks/explain.py [--steps 240] [--clips 200] [--repeats 7] [--picture FILE]
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from _report import alternate, write
from torch import Tensor, nn
from torch.nn import functional as F

from pytorchvideo.inference.explain.explanation import ClipExplanation, Explanation
from pytorchvideo.inference.explain.gradcam import grad_cam
from pytorchvideo.inference.explain.pictures import strip
from pytorchvideo.models import create_model, get_weights
from pytorchvideo.models._registry import model_entry

SIDE, FRAMES, BATCH = 64, 8, 16
DIRECTIONS = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])  # down, across
CLASSES = ("up", "down", "left", "right")
FIGURES = 4
TOLERANCE = round(15 / 224 * SIDE)
LAYER = "trunk.6"  # the last one, a place for every four pixels


class Small(nn.Module):
    """Three convolutions, the mean over all places, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv3d(3, 16, (1, 5, 5), (1, 2, 2), (0, 2, 2)),
            nn.ReLU(inplace=True),
            nn.Conv3d(16, 32, 3, (1, 2, 2), 1, bias=False),
            nn.BatchNorm3d(32),
            nn.ReLU(inplace=True),
            nn.Conv3d(32, 32, 3, 1, 1),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(32, len(DIRECTIONS))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).mean(dim=(2, 3, 4)))


def make_clips(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Returns clips (B, 3, T, H, W), their classes, and where the figure that moves is, (B, T, H, W)."""

    def drawn(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    classes = torch.randint(len(DIRECTIONS), (count,), generator=generator)
    coarse = drawn(count, 3, 1, 9, 9, low=-0.6, high=0.6)
    clips = F.interpolate(coarse, size=(1, SIDE, SIDE), mode="trilinear").repeat(1, 1, FRAMES, 1, 1)
    # each in a quarter of its own, so that they do not hide each other at the start
    quarters = torch.tensor([[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]]) * SIDE
    order = torch.rand(count, FIGURES, generator=generator).argsort(dim=1)
    starts = quarters[order] + drawn(count, FIGURES, 2, low=-5, high=5)
    speed = drawn(count, 1, low=1.5, high=2.5)
    steps = torch.arange(FRAMES)[None, :, None] - (FRAMES - 1) / 2
    moved = steps * (DIRECTIONS[classes] * speed)[:, None]  # (B, T, 2)
    y = torch.arange(SIDE)[:, None] + 0.5
    x = torch.arange(SIDE)[None] + 0.5
    where = torch.zeros(count, FRAMES, SIDE, SIDE)
    for figure in range(FIGURES):
        centres = starts[:, None, figure] + (moved if figure == 0 else 0 * moved)
        radius = drawn(count, 1, 1, 1, low=4, high=7)
        down, across = (centres[:, :, axis, None, None] for axis in (0, 1))
        cover = (radius - torch.hypot(y - down, x - across) + 0.5).clamp(0, 1)
        colour = drawn(count, 3, 1, 1, 1, low=0.8, high=2.0)
        clips = clips + cover[:, None] * (colour - clips)
        if figure == 0:
            where = cover
    noise = torch.randn(clips.shape, generator=generator)
    return clips + 0.05 * noise, classes, where > 0.5


def train(model: nn.Module, steps: int) -> None:
    """Learns the classes from clips that are never the same."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        clips, classes, _ = make_clips(BATCH, generator)
        loss = F.cross_entropy(model(clips), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 40 == 39:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)


def pointing(model: nn.Module, count: int) -> dict[str, float]:
    """Returns the accuracy of a network on new clips, and that of its maps."""
    clips, classes, where = make_clips(count, torch.Generator().manual_seed(1))
    size = 2 * TOLERANCE + 1
    near = F.max_pool2d(where.float(), size, 1, TOLERANCE) > 0
    right = hits = frames = 0
    share = 0.0
    for part in torch.arange(count).split(BATCH):
        found = grad_cam(model, clips[part], [LAYER])
        right += int((found.classes == classes[part]).sum())
        heat = found.maps[0]
        place = heat.flatten(1).argmax(dim=1)
        hits += int(near[part].flatten(1)[torch.arange(len(part)), place].sum())
        each = heat.flatten(2).argmax(dim=2)  # of every frame
        frames += int(near[part].flatten(2).gather(2, each[..., None]).sum())
        share += float(((heat * near[part]).sum(dim=(1, 2, 3)) / heat.sum(dim=(1, 2, 3))).sum())
    return {
        "accuracy": right / count,
        "pointing_accuracy": hits / count,
        "pointing_accuracy_of_frames": frames / count / FRAMES,
        "share_within": share / count,
        "area_within": float(near.float().mean()),
    }


def shuffled(model: Small) -> Small:
    """Returns the network with the values of every tensor in a random order."""
    other = Small()
    other.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for values in other.parameters():
            order = torch.randperm(values.numel(), generator=generator)
            values.copy_(values.flatten()[order].view_as(values))
    return other


def cost(repeats: int) -> dict[str, Any]:
    """Returns the seconds of a prediction of X3D-S and of a map, and their ratio."""
    recipe = get_weights("x3d_s").recipe
    side = recipe.crop_size or recipe.side_size
    model = create_model("x3d_s").eval()
    layers = model_entry("x3d_s").map_layers
    clip = torch.randn(1, 3, recipe.num_frames, side, side)

    def predict() -> None:
        with torch.inference_mode():
            model(clip)

    runs = {"prediction": predict, "map": lambda: grad_cam(model, clip, layers)}
    seconds = alternate(runs, repeats, time.process_time)
    return {
        "clip": f"{recipe.num_frames} frames of {side} pixels, {recipe.clip_duration_sec:.1f} s",
        "seconds": seconds,
        "map_over_prediction": seconds["map"] / seconds["prediction"],
    }


def draw(model: nn.Module, path: Path) -> None:
    """Draws a new clip with the map of the class that the network says."""
    clips, _, _ = make_clips(1, torch.Generator().manual_seed(3))
    found = grad_cam(model, clips, [LAYER])
    index = int(found.classes[0])
    seen = ((clips[0] + 1) / 3 * 255).clamp(0, 255).byte()
    clip = ClipExplanation(
        start_sec=0.0,
        end_sec=1.0,
        times=[step / FRAMES for step in range(FRAMES)],
        logit=float(found.logits[0, index]),
        score=float(found.logits[0].softmax(dim=0)[index]),
        frames=seen,
        heat=found.maps[0][0],
        pathways=[found.maps[0][0]],
    )
    strip(Explanation("", CLASSES[index], "gradcam", [clip])).save(path)


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--picture", type=Path, help="a png of a clip with its map")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    untrained, model = [Small() for _ in range(3)], Small()
    train(model, arguments.steps)
    results = {
        "cost_of_x3d_s": cost(arguments.repeats),
        "trained": pointing(model, arguments.clips),
        "weights_in_random_order": pointing(shuffled(model), arguments.clips),
        "untrained": [pointing(one, arguments.clips) for one in untrained],
    }
    print(results)
    write("explain", results)
    if arguments.picture is not None:
        draw(model, arguments.picture)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Pictures of maps: colours that every eye can order, sides that an encoder takes, a legend with all colours."""

import numpy as np
import torch

from pytorchvideo.inference.explain.explanation import ClipExplanation, Explanation
from pytorchvideo.inference.explain.pictures import curve_png, map_colours, shown_frames, strip

# a deuteranope's red, green and blue from those of others, linear (Viénot, Brettel, Mollon 1999)
DEUTERANOPE = torch.tensor(
    [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]]
)
LUMINANCE = torch.tensor([0.2126, 0.7152, 0.0722])


def explanation(side: int = 17, label: str = "walk") -> Explanation:
    frames = torch.full((3, 5, side, side), 90, dtype=torch.uint8)
    heat = torch.linspace(0, 1, 5)[:, None, None].expand(5, side, side)
    clips = [
        ClipExplanation(at, at + 1, [at + t / 5 for t in range(5)], 2.0, 0.5, frames, heat, [heat])
        for at in (0.0, 1.0)
    ]
    return Explanation("a.mp4", label, "gradcam", clips)


def test_lightness_of_the_colours_rises_for_every_eye() -> None:
    colours = map_colours(torch.linspace(0, 1, 256)) ** 2.2
    for eye in (torch.eye(3), DEUTERANOPE):
        lightness = (colours @ eye.T) @ LUMINANCE
        assert (lightness[4:] > lightness[:-4]).all()
        assert lightness[-1] > 10 * lightness[0]


def test_frames_stand_beside_the_same_with_the_map() -> None:
    shown, rate = shown_frames(explanation(), side=64)
    assert rate == 5.0
    assert shown.shape[:2] == (3, 10)
    assert shown.shape[2] % 2 == shown.shape[3] % 2 == 0
    assert (shown[:, :, :64, :64] == 90).all()
    low, high = shown[:, 0, 30, 100].float() / 255, shown[:, 4, 30, 100].float() / 255
    for seen, value in ((low, 0.0), (high, 1.0)):
        wanted = 0.5 * map_colours(torch.tensor(value)) + 0.5 * 90 / 255
        assert torch.allclose(seen, wanted, atol=0.01)


def test_long_names_are_cut_and_every_size_has_its_legend() -> None:
    plain, _ = shown_frames(explanation(), side=64)
    cut, _ = shown_frames(explanation(label="walking " * 50), side=64)
    assert cut.shape == plain.shape
    image = strip(explanation(), frames=4, side=32)
    below = np.asarray(image)[68:]
    for end in (map_colours(torch.tensor([0.0, 1.0])) * 255).round().byte().numpy():
        assert (below == end).all(axis=-1).any()
    assert curve_png(explanation()).startswith(b"\x89PNG")

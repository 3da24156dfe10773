# SPDX-License-Identifier: Apache-2.0
"""Speed of the networks of the zoo on this machine."""

import time
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.inference.devices import device_named
from pytorchvideo.models._registry import create_model, model_entry
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

_BOX = (0.0, 32.0, 32.0, 160.0, 160.0)  # number of the clip, x1, y1, x2, y2 in pixels


def clips_per_second(name: str, *, seconds: float = 1.0, device: str = "auto") -> float:
    """Returns how many clips a network takes in a second, one at a time, in float32, as predictions run it.

    Weights do not matter: they are initial ones. Decoding is not part of it.

    Args:
        name: of the zoo.
        seconds: how long to time after a first clip; at least one clip is.
        device: see :func:`~pytorchvideo.inference.devices.device_named`.

    Raises:
        ValueError: an unknown name or device, or no time.
    """
    if seconds <= 0:
        raise ValueError(expected("seconds", "> 0", seconds))
    place, entry = device_named(device), model_entry(name)
    recipe = entry.weights.recipe
    side = recipe.crop_size or recipe.side_size
    network = create_model(name).eval().to(place)
    network.to(memory_format=torch.channels_last_3d)
    clips = torch.rand(1, 3, recipe.num_frames, side, side, device=place)
    ratio = recipe.pathway_ratio
    inputs: Any = clips if ratio is None else uniform_temporal_subsample_repeated(clips, ratio)
    boxes = [torch.tensor([_BOX], device=place)] if entry.task == "detection" else []
    with torch.inference_mode():
        network(inputs, *boxes)  # the first one also allocates
        _wait(place)
        count, begun = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - begun < seconds:
            network(inputs, *boxes)
            _wait(place)
            count += 1
    return count / (time.perf_counter() - begun)


def _wait(place: torch.device) -> None:
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    elif place.type == "mps":
        torch.mps.synchronize()

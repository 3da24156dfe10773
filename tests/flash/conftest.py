# SPDX-License-Identifier: Apache-2.0
"""Videos and small classifiers that the tests of runs and of the command line share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flash.demo import MOTIONS, write_motion_video
from flash.video.predict import save_classifier
from pytorchvideo.models._registry import create_model
from pytorchvideo.models._weights import ClipRecipe


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of each of two motions, three sources of each."""
    root = tmp_path_factory.mktemp("data")
    for number, label in enumerate(MOTIONS[:2]):
        (root / label).mkdir()
        for i in range(6):
            path = root / label / f"source{i // 2}_{i}.mp4"
            generator = np.random.default_rng([number, i])
            write_motion_video(path, label, generator, size=(8, 64, 48), seconds=1.0)
    return root


@pytest.fixture(scope="session")
def make_model_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_model_file(recipe, labels, **kwargs)``: a small X3D with random weights, as a run writes it."""

    def make(recipe: ClipRecipe, labels: Sequence[str] = ("run", "walk"), **kwargs: Any) -> Path:
        path = tmp_path_factory.mktemp("model") / "model.pt"
        arguments = {"num_frames": recipe.num_frames, "crop_size": recipe.crop_size, **kwargs}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = create_model("x3d_xs", num_classes=len(labels), **arguments)
        save_classifier(
            path,
            model=model,
            model_name="x3d_xs",
            model_kwargs=arguments,
            labels=labels,
            recipe=recipe,
        )
        return path

    return make

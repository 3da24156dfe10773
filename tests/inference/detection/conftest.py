# SPDX-License-Identifier: Apache-2.0
"""A small set of figures, and a small detector with random weights."""

import pytest
import torch

from pytorchvideo.data.synthetic_figures import ACTIONS, FigureFiles, write_figure_videos
from pytorchvideo.inference.detection.detector import ActionDetector
from pytorchvideo.models._registry import create_model
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(
    num_frames=4, sampling_rate=4, frames_per_second=16, side_size=48, crop_size=None
)


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory) -> FigureFiles:
    folder = tmp_path_factory.mktemp("figures")
    return write_figure_videos(folder, train=4, val=2, seed=0, unseen_sec=2.0)


@pytest.fixture
def detector() -> ActionDetector:
    torch.manual_seed(0)
    model = create_model(
        "slow_r50_detection", num_classes=len(ACTIONS), stem_dim_out=4, head_activation=None
    )
    return ActionDetector(model, RECIPE, ACTIONS, threshold=0.01)

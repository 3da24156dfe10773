# SPDX-License-Identifier: Apache-2.0
"""The original I3D: TensorFlow's padding, and what it sees in real clips with its real weights."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.models import create_model, get_weights
from pytorchvideo.models.i3d import MaxPoolSame, pad_same


@given(size=st.integers(1, 40), kernel=st.integers(1, 7), stride=st.integers(1, 3))
def test_same_padding(size: int, kernel: int, stride: int) -> None:
    """TensorFlow's definition: ceil(size / stride) positions, the extra pixel at the end."""
    kernel = max(kernel, stride)
    x = torch.ones(1, 1, 1, 1, size)
    padded = pad_same(x, (1, 1, kernel), (1, 1, stride))[0, 0, 0, 0]
    positions = -(-size // stride)
    total = max((positions - 1) * stride + kernel - size, 0)
    assert padded.tolist() == [0.0] * (total // 2) + [1.0] * size + [0.0] * (total - total // 2)


def test_max_pool() -> None:
    x = torch.tensor([1.0, 5.0, 2.0, 4.0]).reshape(1, 1, 1, 1, 4)
    pool = MaxPoolSame((1, 1, 3), (1, 1, 2))
    # Windows [1, 5, 2] and [2, 4, pad]: the padding is at the end alone.
    assert pool(x).flatten().tolist() == [5.0, 4.0]
    assert repr(pool) == "MaxPoolSame(kernel=(1, 1, 3), stride=(1, 1, 2))"


@pytest.mark.parametrize(("frames", "side"), [(7, 45), (9, 64), (16, 50)])
def test_every_layer_rounds_up(frames: int, side: int) -> None:
    with torch.device("meta"):
        model = create_model("i3d_inception").eval()
        trunk = model.forward_trunk(torch.empty(1, 3, frames, side, side))
    assert trunk.shape == (1, 1024, -(-frames // 8), -(-side // 32), -(-side // 32))


@pytest.mark.parametrize("num_classes", [2, 400])
def test_the_classifier_begins_small(num_classes: int) -> None:
    model = create_model("i3d_inception", num_classes=num_classes)
    assert model.classifier.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not model.classifier.bias.any()


def test_two_channels_of_optical_flow() -> None:
    model = create_model("i3d_inception", input_channel=2, num_frames=8, crop_size=32).eval()
    with torch.inference_mode():
        assert model(torch.rand(1, 2, 8, 32, 32)).shape == (1, 400)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "label", "score"),
    [
        ("mmaction2_demo_arm_wrestling.mp4", "arm wrestling", 0.99),
        ("decord_kinetics_flipping_a_pancake.mkv", "flipping pancake", 0.99),
        ("sam2_05_default_juggle.mp4", "juggling soccer ball", 0.95),
    ],
)
def test_real_weights(
    shared_data: Path, shared_weights: Path, file: str, label: str, score: float
) -> None:
    weights = get_weights("i3d_inception")
    model = create_model(
        "i3d_inception", weights=shared_weights / "i3d_inception_rgb_kinetics400.pth"
    ).eval()
    with av.open(str(shared_data / "clips" / file)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(frames) / 30 < weights.recipe.clip_duration_sec, "one clip covers the video"
    steps = np.linspace(0, len(frames) - 1, weights.recipe.num_frames).astype(int)
    clip = torch.from_numpy(np.stack([frames[i] for i in steps])).permute(3, 0, 1, 2).float()
    with torch.inference_mode():
        scores = model(weights.transforms()(clip)[None])[0].softmax(dim=0)
    assert weights.labels[int(scores.argmax())] == label
    assert scores.max() > score

# SPDX-License-Identifier: Apache-2.0
"""Networks without memory: the names and shapes of the real ones, and no random number."""

import pytest
import torch
from torch import nn

from pytorchvideo.models import create_model
from pytorchvideo.models._weights.shapes import shapes_only


@pytest.mark.parametrize("name", ["x3d_xs", "mvit_base_16x4", "i3d_r50"])
def test_shapes_are_those_of_the_network(name: str) -> None:
    state = torch.get_rng_state()
    with shapes_only():
        made = create_model(name).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(tensor.is_meta for tensor in made.values())
    real = create_model(name).state_dict()
    assert {k: v.shape for k, v in made.items()} == {k: v.shape for k, v in real.items()}


def test_tensors_with_memory_get_their_numbers() -> None:
    with shapes_only():
        weight = torch.zeros(4, device="cpu")
        weight.uniform_(1, 2)
        nn.init.normal_(other := torch.zeros(4, device="cpu"), 5, 0.1)
    assert weight.min() >= 1 and other.min() > 1

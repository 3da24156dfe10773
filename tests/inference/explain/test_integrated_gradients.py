# SPDX-License-Identifier: Apache-2.0
"""Integrated gradients: shares that sum to the difference of the logits, and closed forms."""

import pytest
import torch
from torch import Tensor, nn

from pytorchvideo.inference.explain.integrated_gradients import integrated_gradients
from pytorchvideo.models import create_model


class Square(nn.Module):
    """Half the sum of the squares of each channel: the share of a value in its own is half its square."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square().sum(dim=(2, 3, 4)) / 2 - 1


def test_closed_form_of_squares() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 2, 4, 4)
    found = integrated_gradients(Square(), x, labels=[0, 2], steps=3)
    wanted = torch.zeros_like(x)
    wanted[0, 0], wanted[1, 2] = x[0, 0].square() / 2, x[1, 2].square() / 2
    assert torch.allclose(found.shares[0], wanted, atol=1e-6)
    shown = found.to_maps().maps[0]
    assert 0 <= float(shown.min()) <= float(shown.max()) == 1


def test_shares_of_a_network_sum_to_the_difference() -> None:
    torch.manual_seed(0)
    model = create_model("x3d_xs", num_classes=3, num_frames=4, crop_size=32)
    model.requires_grad_(False)
    x = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        found = integrated_gradients(model, x, steps=48, batch_size=16)
    index = int(found.classes[0])
    difference = found.logits[0, index] - found.baseline_logits[0, index]
    assert float(found.shares[0].sum()) == pytest.approx(float(difference), rel=0.05, abs=1e-3)
    assert model.training


def test_a_list_of_pathways_has_shares_for_each() -> None:
    class Both(nn.Module):
        def forward(self, x: list[Tensor]) -> Tensor:
            x[0] = x[0].relu_()  # in place, in the list that is given
            return torch.stack([one.mean(dim=(1, 2, 3, 4)) for one in x], dim=1)

    x = [torch.rand(1, 3, 2, 4, 4), torch.rand(1, 3, 4, 4, 4)]
    before = [one.clone() for one in x]
    found = integrated_gradients(Both(), x, labels=1, steps=2)
    assert float(found.shares[0].abs().max()) == 0
    assert torch.allclose(found.shares[1], x[1] / x[1].numel())
    assert all(torch.equal(one, old) for one, old in zip(x, before, strict=True))


def test_what_has_no_gradients_is_said() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([[1.0, 3.0]]).repeat(len(x), 1)

    with pytest.raises(ValueError, match="Artefacts have none: use occlusion"):
        integrated_gradients(Constant(), torch.zeros(1, 3, 2, 4, 4))
    with pytest.raises(ValueError, match="`steps` to be >= 1"):
        integrated_gradients(Square(), torch.zeros(1, 3, 2, 4, 4), steps=0)

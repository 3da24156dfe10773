# SPDX-License-Identifier: Apache-2.0
"""Occlusion of callables whose scores rest on known pixels."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from pytorchvideo.inference.explain.occlusion import occlusion


def corner(x: Tensor) -> Tensor:
    """Class 1 is the sum of the last frame's upper left corner, class 0 is always 1."""
    score = x[:, :, -1, :4, :4].sum(dim=(1, 2, 3))
    return torch.stack([torch.ones_like(score), score], dim=1)


def test_the_map_is_where_the_score_comes_from() -> None:
    found = occlusion(corner, torch.ones(2, 3, 4, 16, 16))
    assert found.classes.tolist() == [1, 1]
    heat = found.maps[0]
    assert heat.shape == (2, 4, 16, 16)
    assert torch.allclose(heat[:, 2:, :4, :4].amax(dim=(1, 2, 3)), torch.ones(2), atol=1e-5)
    assert float(heat[:, :2].max()) == 0  # the first frames are no part of it
    assert float(heat[:, :, 6:, 6:].max()) == 0


def test_a_window_of_one_pixel_gives_each_its_own_fall() -> None:
    torch.manual_seed(0)
    weights = torch.rand(1, 3, 2, 3, 4)

    def linear(x: Tensor) -> Tensor:
        score = (x * weights).sum(dim=(1, 2, 3, 4))
        return torch.stack([score, -score], dim=1)

    x = torch.rand(1, 3, 2, 3, 4)
    found = occlusion(linear, x, window=(1, 1, 1), stride=(1, 1, 1), batch_size=5)
    falls = (x * weights).sum(dim=1)
    wanted = (falls - falls.min()) / (falls.max() - falls.min())
    assert torch.allclose(found.maps[0], wanted, atol=1e-4)
    # what speaks against a class is no part of its map
    assert float(occlusion(linear, x, labels=1).maps[0].max()) == 0


def test_all_pathways_are_covered_together() -> None:
    def both(x: Sequence[Tensor]) -> Tensor:
        slow, fast = (one[:, :, -1, :2].mean(dim=(1, 2, 3)) for one in x)
        return torch.stack([slow * fast, -torch.ones_like(slow)], dim=1)

    inputs = [torch.ones(1, 3, 2, 8, 8), torch.ones(1, 3, 8, 8, 8)]
    slow, fast = occlusion(both, inputs, labels=0).maps
    assert slow.shape[1:] == (2, 8, 8)
    assert fast.shape[1:] == (8, 8, 8)
    assert float(slow[:, 0].max()) == float(fast[:, :4].max()) == 0
    assert float(slow[:, 1, :2].min()) > 0 < float(fast[:, 4:, :2].min())


def test_probabilities_count_by_their_logarithms() -> None:
    x = torch.rand(1, 3, 4, 8, 8)
    plain = occlusion(lambda one: corner(one).log_softmax(dim=1), x, labels=1)
    sure = occlusion(lambda one: corner(one).softmax(dim=1), x, labels=1)
    assert torch.allclose(plain.maps[0], sure.maps[0], atol=1e-4)
    assert torch.allclose(sure.logits, plain.logits, atol=1e-4)


def test_a_network_is_as_before() -> None:
    model = nn.Sequential(
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(), nn.Linear(3, 2)
    ).train()
    x = torch.rand(1, 3, 4, 8, 8)
    one, other = (occlusion(model, x).maps[0] for _ in range(2))
    assert torch.equal(one, other)
    assert model[2].training


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`window` to be \(T, H, W\), each in 1\.\.\(4, 8, 8\)"):
        occlusion(corner, torch.ones(1, 3, 4, 8, 8), window=(5, 2, 2))
    with pytest.raises(ValueError, match="stride"):
        occlusion(corner, torch.ones(1, 3, 4, 8, 8), stride=(1, 0, 1))

# SPDX-License-Identifier: Apache-2.0
"""Multilayer perceptrons: their layers, and the sizes that they take."""

import copy
import functools
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from pytorchvideo.layers import make_multilayer_perceptron
from pytorchvideo.layers.batch_norm import NaiveSyncBatchNorm1d


def kinds(layers: nn.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in layers]


def test_layers() -> None:
    layers, output_dim = make_multilayer_perceptron([8, 6, 4])
    assert kinds(layers) == ["Linear", "ReLU", "Linear", "ReLU"]
    assert output_dim == 4
    assert layers(torch.zeros(2, 5, 8)).shape == (2, 5, 4)
    layers, _ = make_multilayer_perceptron(
        [8, 6, 4],
        norm=nn.BatchNorm1d,
        mid_activation=nn.GELU,
        final_activation=None,
        dropout_rate=0.5,
    )
    assert kinds(layers) == ["Linear", "BatchNorm1d", "GELU", "Linear", "BatchNorm1d", "Dropout"]
    assert kinds(make_multilayer_perceptron([8, 4], mid_activation=None)[0]) == ["Linear", "ReLU"]


def test_computes_what_the_layers_say() -> None:
    layers, _ = make_multilayer_perceptron([3, 5, 2], final_activation=nn.Sigmoid)
    x, (first, second) = torch.randn(4, 3), (layers[0], layers[2])
    hidden = (x @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(layers(x), (hidden @ second.weight.T + second.bias).sigmoid())


@pytest.mark.parametrize(
    "dims", [(8, 4), np.array([8, 4]), [np.int32(8), np.int64(4)], range(8, 3, -4)]
)
def test_any_sequence_of_whole_numbers(dims: object) -> None:
    layers, output_dim = make_multilayer_perceptron(dims)  # type: ignore[arg-type]
    assert layers[0].weight.shape == (4, 8)
    assert output_dim == 4
    assert type(output_dim) is int


@pytest.mark.parametrize("dims", [[8, 0], [8, -1, 4], [8, 4.0], ["8", 4], []])
def test_sizes_that_are_none(dims: list[int]) -> None:
    with pytest.raises(
        ValueError, match="`fully_connected_dims` to be whole numbers >= 1, but got"
    ):
        make_multilayer_perceptron(dims)


def test_one_size_is_no_layer() -> None:
    with pytest.raises(ValueError, match=r"two numbers or more, but got \(8,\)"):
        make_multilayer_perceptron([8])


def test_dropout_acts_on_the_result_alone() -> None:
    layers, _ = make_multilayer_perceptron([4, 4, 4], dropout_rate=0.5)
    plain, _ = make_multilayer_perceptron([4, 4, 4])
    assert list(layers.state_dict()) == list(plain.state_dict())
    x, plain = torch.rand(50, 4), layers[:-1]
    kept = layers(x) != 0
    torch.testing.assert_close(layers.eval()(x), plain(x))
    assert kept.sum() < (plain(x) != 0).sum()


def test_copies_exports_and_half_precision() -> None:
    norm = functools.partial(nn.LayerNorm, eps=1e-3)
    layers, _ = make_multilayer_perceptron([8, 6, 4], norm=norm, final_activation=nn.Tanh)
    x = torch.randn(2, 8)
    exported = torch.export.export(layers, (x,), strict=True).module()
    for other in (pickle.loads(pickle.dumps(layers)), copy.deepcopy(layers), exported):
        torch.testing.assert_close(other(x), layers(x))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(layers(x).float(), layers.float()(x).float(), atol=0.05, rtol=0)


def test_a_norm_that_wants_keywords() -> None:
    def norm(features: int) -> nn.Module:
        return NaiveSyncBatchNorm1d(num_features=features)

    assert make_multilayer_perceptron([8, 4], norm=norm)[0](torch.randn(3, 8)).shape == (3, 4)

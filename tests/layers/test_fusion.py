# SPDX-License-Identifier: Apache-2.0
"""Fusion of streams against what the methods say."""

import copy
import pickle

import numpy as np
import pytest
import torch

from pytorchvideo.layers import ConcatFusion, ReduceFusion, make_fusion_layer
from pytorchvideo.layers.fusion import TemporalConcatFusion

METHODS = ["concat", "max", "prod", "sum", "temporal_concat"]


def streams() -> list[torch.Tensor]:
    return [torch.randn(2, 3, 4) for _ in range(3)]


def wanted(method: str, given: list[torch.Tensor]) -> torch.Tensor:
    first, second, third = given
    return {
        "concat": torch.cat(given, dim=2),
        "max": first.maximum(second).maximum(third),
        "prod": first * second * third,
        "sum": first + second + third,
        "temporal_concat": torch.cat(given, dim=1),
    }[method]


@pytest.mark.parametrize("method", METHODS)
def test_methods(method: str) -> None:
    given = streams()
    before = [x.clone() for x in given]
    layer = make_fusion_layer(method, [4, 4, 4])
    out = layer(given)
    torch.testing.assert_close(out, wanted(method, given))
    assert layer.output_dim == out.shape[-1]
    assert all(torch.equal(x, old) for x, old in zip(given, before, strict=True))


def test_streams_of_different_sizes() -> None:
    layer = make_fusion_layer("concat", (np.int64(2), 5))
    assert isinstance(layer, ConcatFusion)
    assert layer.output_dim == 7
    assert type(layer.output_dim) is int
    assert layer([torch.zeros(1, 3, 2), torch.zeros(1, 3, 5)]).shape == (1, 3, 7)
    layer = make_fusion_layer("temporal_concat", [2, 2])
    assert isinstance(layer, TemporalConcatFusion)
    assert layer([torch.zeros(1, 3, 2), torch.zeros(1, 4, 2)]).shape == (1, 7, 2)


@pytest.mark.parametrize("method", METHODS)
def test_copies_and_exports(method: str) -> None:
    given, layer = streams(), make_fusion_layer(method, [4, 4, 4])
    exported = torch.export.export(layer, (given,), strict=True).module()
    for other in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer), exported):
        assert torch.equal(other(given), layer(given))


def test_half_precision() -> None:
    given = [x.bfloat16() for x in streams()]
    assert all(make_fusion_layer(m, [4, 4, 4])(given).dtype == torch.bfloat16 for m in METHODS)


def test_a_reduction_of_ones_own() -> None:
    given = streams()
    layer = ReduceFusion([4, 4, 4], torch.sum)
    assert layer.output_dim == 4
    torch.testing.assert_close(layer(given), torch.stack(given).sum())


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="`method` to be one of concat, temporal_concat, max"):
        make_fusion_layer("mean", [4])
    for method in ("max", "temporal_concat"):
        with pytest.raises(ValueError, match="one number for all streams"):
            make_fusion_layer(method, [4, 5])
    with pytest.raises(ValueError, match="`feature_dims` to be whole numbers >= 1"):
        make_fusion_layer("concat", [])
    with pytest.raises(ValueError, match=r"\(B, S, 4\), \(B, S, 4\), but got \[\(1, 2, 4\)\]"):
        make_fusion_layer("sum", [4, 4])([torch.zeros(1, 2, 4)])
    with pytest.raises(ValueError, match=r"\(B, S, 4\), but got \[\(1, 2, 5\)\]"):
        make_fusion_layer("concat", [4])([torch.zeros(1, 2, 5)])

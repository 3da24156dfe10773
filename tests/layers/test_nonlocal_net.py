# SPDX-License-Identifier: Apache-2.0
"""The non-local block against its definition, position by position."""

import copy
import pickle

import pytest
import torch
from torch import nn

from pytorchvideo.layers import NonLocal, create_nonlocal

FORMS = ["softmax", "dot_product"]


@pytest.fixture
def clips() -> torch.Tensor:
    return torch.randn(2, 6, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def by_definition(layer: NonLocal, x: torch.Tensor) -> torch.Tensor:
    """Figure 2 of the paper with the table of all pairs of positions written out."""
    pooled = x if layer.pool is None else layer.pool(x)
    theta = layer.conv_theta(x).flatten(2)
    phi, g = (conv(pooled).flatten(2) for conv in (layer.conv_phi, layer.conv_g))
    table = torch.einsum("bdn,bdm->bnm", theta, phi)
    if layer.instantiation == "softmax":
        weights = (table * theta.shape[1] ** -0.5).exp()
        weights = weights / weights.sum(dim=2, keepdim=True)
    else:
        weights = table / phi.shape[2]
    seen = torch.einsum("bnm,bdm->bdn", weights, g).view(x.shape[0], -1, *x.shape[2:])
    seen = layer.conv_out(seen)
    return x + (seen if layer.norm is None else layer.norm(seen))


@pytest.mark.parametrize("pool_size", [(1, 1, 1), (1, 2, 2), (3, 2, 1)])
@pytest.mark.parametrize("form", FORMS)
def test_definition(clips: torch.Tensor, form: str, pool_size: tuple[int, ...]) -> None:
    layer = create_nonlocal(dim_in=6, dim_inner=3, pool_size=pool_size, instantiation=form).eval()
    nn.init.uniform_(layer.norm.weight, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(layer(clips), by_definition(layer, clips))
    assert (layer.pool is None) == (pool_size == (1, 1, 1))


def test_names_and_no_norm(clips: torch.Tensor) -> None:
    layer = create_nonlocal(dim_in=6, dim_inner=3, pool_size=(1, 2, 2), norm=None)
    names = [name for name, _ in layer.named_children()]
    assert names == ["conv_theta", "conv_phi", "conv_g", "conv_out", "pool"]
    torch.testing.assert_close(layer(clips), by_definition(layer, clips))
    with_norm = create_nonlocal(dim_in=6, dim_inner=3, norm_eps=0.5, norm_momentum=0.25)
    assert (with_norm.norm.eps, with_norm.norm.momentum) == (0.5, 0.25)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_copies_and_export(clips: torch.Tensor, form: str) -> None:
    layer = create_nonlocal(dim_in=6, dim_inner=3, instantiation=form).train()
    before = clips.clone()
    layer(clips).square().sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    layer.eval()
    with torch.no_grad():
        for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert torch.equal(other(clips), layer(clips))
        batch = {0: torch.export.Dim("batch", min=1, max=8)}
        program = torch.export.export(layer, (clips,), dynamic_shapes=(batch,), strict=True)
        more = clips.repeat(2, 1, 1, 1, 1)
        torch.testing.assert_close(program.module()(more), layer(more))
    assert torch.equal(clips, before)


def test_errors() -> None:
    with pytest.raises(ValueError, match="one of softmax, dot_product, but got 'gaussian'"):
        create_nonlocal(dim_in=4, dim_inner=2, instantiation="gaussian")
    with pytest.raises(ValueError, match=r"three numbers \(T, H, W\)"):
        create_nonlocal(dim_in=4, dim_inner=2, pool_size=(2, 2))

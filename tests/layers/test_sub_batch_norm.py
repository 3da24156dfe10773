# SPDX-License-Identifier: Apache-2.0
"""Batch norm over parts of a batch, against plain batch norms of the parts."""

import copy
import re

import pytest
import torch
from torch import nn

from pytorchvideo.layers import SubBatchNorm3d, with_sub_batch_norm


def batch(samples: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(samples, 4, 2, 3, 3, generator=generator) + 1


def test_each_part_is_normalised_as_a_batch_of_its_own() -> None:
    norm, x = SubBatchNorm3d(4, num_splits=3), batch()
    torch.nn.init.uniform_(norm.weight)
    torch.nn.init.uniform_(norm.bias)
    parts = [nn.BatchNorm3d(4) for _ in range(3)]
    for part in parts:
        part.weight, part.bias = norm.weight, norm.bias
    for _ in range(2):
        found = norm(x)
        for number, part in enumerate(parts):
            torch.testing.assert_close(found[number::3], part(x[number::3]))
    # what is saved: the mean of means, the mean of variances and the variance of means
    means = torch.stack([part.running_mean for part in parts])
    variances = torch.stack([part.running_var for part in parts])
    saved = norm.state_dict()
    torch.testing.assert_close(saved["running_mean"], means.mean(0))
    spread = ((means - means.mean(0)) ** 2).mean(0)
    torch.testing.assert_close(saved["running_var"], variances.mean(0) + spread)
    assert saved["num_batches_tracked"] == 2


def test_evaluation_is_that_of_a_plain_norm_with_its_checkpoint() -> None:
    norm, plain = SubBatchNorm3d(4, num_splits=2), nn.BatchNorm3d(4)
    norm(batch())
    plain.load_state_dict(norm.state_dict())
    x = batch(5)  # of any size
    torch.testing.assert_close(norm.eval()(x), plain.eval()(x))
    assert not torch.equal(plain.running_mean, torch.zeros(4))
    # training goes on with the statistics of each part
    before = norm.split_mean.clone()
    norm.train()
    assert torch.equal(norm.split_mean, before)


def test_a_checkpoint_gives_every_part_its_statistics() -> None:
    plain = nn.BatchNorm3d(4)
    plain(batch())
    norm = SubBatchNorm3d(4, num_splits=2)
    norm.load_state_dict(plain.state_dict())
    torch.testing.assert_close(norm.split_mean.view(2, 4), plain.running_mean.expand(2, 4))
    torch.testing.assert_close(norm.eval()(batch()), plain.eval()(batch()))
    norm.reset_running_stats()
    assert torch.equal(norm.split_var, torch.ones(8))


def test_gradients_are_those_of_the_parts() -> None:
    x = batch().requires_grad_()
    norm = SubBatchNorm3d(4, num_splits=2)
    weights = torch.arange(x.numel()).view(x.shape).float()
    (found,) = torch.autograd.grad((norm(x) * weights).sum(), x)
    whole = torch.zeros_like(x)
    for number in range(2):
        part = x[number::2].detach().requires_grad_()
        (nn.BatchNorm3d(4)(part) * weights[number::2]).sum().backward()
        whole[number::2] = part.grad
    torch.testing.assert_close(found, whole, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "options", [{"affine": False}, {"momentum": None}, {"track_running_stats": False}]
)
def test_options_of_batch_norm(options: dict[str, bool | None]) -> None:
    norm, plain = SubBatchNorm3d(4, num_splits=2, **options), nn.BatchNorm3d(4, **options)
    x = batch(4)[[0, 0, 1, 1]]  # the parts are the same
    for _ in range(3):
        torch.testing.assert_close(norm(x)[::2], plain(x[::2]))
    norm.load_state_dict(plain.state_dict())
    torch.testing.assert_close(norm.eval()(x), plain.eval()(x))


def test_a_network_is_changed_and_changed_back_with_its_parameters() -> None:
    net = nn.Sequential(nn.Conv3d(4, 4, 1), nn.Sequential(nn.BatchNorm3d(4, eps=1e-3)))
    parameters, before = list(net.parameters()), copy.deepcopy(net)
    net.eval()
    assert with_sub_batch_norm(net, 3) is net
    assert isinstance(net[1][0], SubBatchNorm3d) and net[1][0].num_splits == 3
    assert not net[1][0].training and net[1][0].eps == 1e-3
    assert all(a is b for a, b in zip(net.parameters(), parameters, strict=True))
    net.train()(batch())
    saved = net.state_dict()
    with_sub_batch_norm(net, 2)
    assert net[1][0].num_splits == 2
    torch.testing.assert_close(net.state_dict(), saved)
    with_sub_batch_norm(net, 1)
    assert type(net[1][0]) is nn.BatchNorm3d
    torch.testing.assert_close(net.state_dict(), saved)
    before.load_state_dict(saved)


def test_what_cannot_be_split_is_refused() -> None:
    sentence = (
        "Expected `x` to be a batch that has 2 equal parts, but got '5 samples'. Give the loader"
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        SubBatchNorm3d(4, num_splits=2)(batch(5))
    with pytest.raises(ValueError, match="`num_splits` to be a number of parts >= 1, but got 0"):
        SubBatchNorm3d(4, num_splits=0)

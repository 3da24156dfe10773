# SPDX-License-Identifier: Apache-2.0
"""Collectives, and the batch norm that is built on them, in real processes against one process with the whole batch."""

import copy
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from pytorchvideo.layers import batch_norm, distributed
from pytorchvideo.layers.batch_norm import (
    NaiveSyncBatchNorm1d,
    NaiveSyncBatchNorm2d,
    NaiveSyncBatchNorm3d,
)

RunRanks = Callable[[str, int], list[Any]]
# Values of a process, (N, C, ...), whose means are large beside their spread.
SHAPES = {1: (3, 4), 2: (3, 4, 2, 5), 3: (2, 4, 3, 2, 2)}
SYNCED = {1: NaiveSyncBatchNorm1d, 2: NaiveSyncBatchNorm2d, 3: NaiveSyncBatchNorm3d}
PLAIN = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def batches(world_size: int, ndim: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(ndim)
    shape = (world_size, *SHAPES[ndim])
    scale = torch.linspace(0.5, 3, world_size).view(-1, *(1,) * len(SHAPES[ndim]))
    return list((torch.randn(shape, generator=generator) * scale + 50 * scale).unbind())


def weights_of_outputs(world_size: int, ndim: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(10 + ndim)
    return list(torch.randn((world_size, *SHAPES[ndim]), generator=generator).unbind())


def norm_step(norm: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> dict[str, torch.Tensor]:
    """One training step with the loss ``sum(weights * norm(x))``."""
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, -1.0, 0.5]))  # type: ignore[operator]
        norm.bias.copy_(torch.tensor([0.0, 1.0, 2.0, 3.0]))  # type: ignore[operator]
    x = x.clone().requires_grad_()
    out = norm(x)
    (out * weights).sum().backward()
    assert x.grad is not None
    buffers = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    gradients = {name: parameter.grad for name, parameter in norm.named_parameters()}
    return {"out": out.detach(), "grad": x.grad, **buffers, **gradients}


def in_two_ranks(rank: int, world_size: int) -> dict[str, Any]:
    """Global statistics in all kinds of norms, half precision, evaluation, and machines that are not known."""
    answer: dict[str, Any] = {}
    with pytest.raises(RuntimeError, match="call `init_distributed_training"):
        distributed.get_local_rank()
    for ndim in (1, 2, 3):
        x, weights = batches(world_size, ndim)[rank], weights_of_outputs(world_size, ndim)[rank]
        answer[f"global {ndim}"] = norm_step(SYNCED[ndim](num_features=4), x, weights)
    norm = NaiveSyncBatchNorm1d(num_features=4, momentum=None)
    x, weights = batches(2, 1)[rank], weights_of_outputs(2, 1)[rank]
    answer["cumulative"] = norm_step(norm, x, weights)
    answer["evaluation"] = norm.eval()(x).detach()
    bare = NaiveSyncBatchNorm1d(num_features=4, affine=False, track_running_stats=False)
    answer["bare"] = bare(x)
    answer["bfloat16"] = bare(x.bfloat16())
    with pytest.raises(ValueError, match="expected 4D input"):
        NaiveSyncBatchNorm2d(num_features=4)(x)
    os.environ["LOCAL_WORLD_SIZE"] = "2"
    answer["torchrun"] = (distributed.get_local_rank(), distributed.get_local_size())
    return answer


def in_four_ranks(rank: int, world_size: int) -> dict[str, Any]:
    """Two machines of two processes, then one of four."""
    with pytest.raises(
        ValueError, match="`num_gpus` to be a divisor of the 4 processes, but got 3"
    ):
        distributed.init_distributed_training(num_gpus=3, shard_id=0)
    with pytest.raises(ValueError, match=f"`shard_id` to be {rank // 2} for rank {rank}"):
        distributed.init_distributed_training(num_gpus=2, shard_id=5)
    distributed.init_distributed_training(num_gpus=2, shard_id=rank // 2)
    places = (distributed.get_world_size(), distributed.get_local_size())
    answer: dict[str, Any] = {"places": (*places, distributed.get_local_rank())}
    with pytest.raises(ValueError, match="a divisor of the 2 processes on this machine, but got 3"):
        NaiveSyncBatchNorm1d(3, global_sync=False, num_features=4)(batches(4, 1)[rank])
    x = torch.full((2, 1), float(rank), requires_grad=True)
    answer["all"] = distributed.cat_all_gather(x)
    answer["local"] = distributed.cat_all_gather(x.T, local=True)
    for local in (False, True):
        gathered = distributed.all_gather_with_grad(x, local=local)
        (gathered.flatten() @ torch.arange(gathered.numel()).float() * (rank + 1)).backward()
        answer[f"gathered {local}"] = (gathered.detach(), x.grad)
        x.grad = None

    distributed.init_distributed_training(num_gpus=4, shard_id=0)
    with pytest.raises(ValueError, match=r"num_sync_devices \* num_groups` to be 4"):
        distributed.GroupGather.apply(x, 2, 1)
    summed = distributed.GroupGather.apply(x, 2, 2)
    (summed * (rank + 1)).sum().backward()
    answer["group"] = (summed.detach(), x.grad)
    for devices in (1, 2, 4):
        norm = NaiveSyncBatchNorm3d(devices, global_sync=False, num_features=4)
        x3, weights = batches(4, 3)[rank], weights_of_outputs(4, 3)[rank]
        answer[f"groups of {devices}"] = norm_step(norm, x3, weights)
    return answer


@pytest.fixture(scope="module")
def two(run_ranks: RunRanks) -> list[Any]:
    return run_ranks("in_two_ranks", 2)


@pytest.fixture(scope="module")
def four(run_ranks: RunRanks) -> list[Any]:
    return run_ranks("in_four_ranks", 4)


def assert_one_process(norm: nn.Module, ndim: int, ranks: list[int], answers: list[Any]) -> None:
    """Holds what ranks computed against one process with the batch of all of them."""
    size = 2 if ndim < 3 or len(answers) == 2 else 4
    x = torch.cat([batches(size, ndim)[rank] for rank in ranks])
    weights = torch.cat([weights_of_outputs(size, ndim)[rank] for rank in ranks])
    wanted = norm_step(norm, x, weights)
    for name in ("out", "grad"):
        got = torch.cat([answer[name] for answer in answers])
        torch.testing.assert_close(got, wanted[name], rtol=1e-4, atol=2e-5)
    for name in ("weight", "bias"):
        got = torch.stack([answer[name] for answer in answers]).sum(dim=0)
        torch.testing.assert_close(got, wanted[name], rtol=1e-4, atol=2e-5)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for answer in answers:
            torch.testing.assert_close(answer[name], wanted[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_two_processes_equal_one_with_the_whole_batch(two: list[Any], ndim: int) -> None:
    assert_one_process(PLAIN[ndim](4), ndim, [0, 1], [answer[f"global {ndim}"] for answer in two])


def test_running_statistics_without_momentum(two: list[Any]) -> None:
    norm = nn.BatchNorm1d(4, momentum=None)
    assert_one_process(norm, 1, [0, 1], [answer["cumulative"] for answer in two])
    for rank in (0, 1):
        wanted = norm.eval()(batches(2, 1)[rank]).detach()
        torch.testing.assert_close(two[rank]["evaluation"], wanted)


def test_without_affine_parameters_and_in_half_precision(two: list[Any]) -> None:
    wanted = nn.BatchNorm1d(4, affine=False)(torch.cat(batches(2, 1)))
    for name, tolerance in (("bare", 1e-5), ("bfloat16", 0.3)):
        got = torch.cat([answer[name] for answer in two])
        torch.testing.assert_close(got.float(), wanted, rtol=1e-4, atol=tolerance)
    assert two[0]["bfloat16"].dtype == torch.bfloat16


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_groups_of_neighbours(four: list[Any], devices: int) -> None:
    answers = [answer[f"groups of {devices}"] for answer in four]
    for start in range(0, 4, devices):
        ranks = list(range(start, start + devices))
        x = torch.cat([batches(4, 3)[rank] for rank in ranks])
        weights = torch.cat([weights_of_outputs(4, 3)[rank] for rank in ranks])
        wanted = norm_step(nn.BatchNorm3d(4), x, weights)
        for name in ("out", "grad"):
            got = torch.cat([answers[rank][name] for rank in ranks])
            torch.testing.assert_close(got, wanted[name], rtol=1e-4, atol=2e-5)


def test_places(two: list[Any], four: list[Any]) -> None:
    assert [answer["torchrun"] for answer in two] == [(0, 2), (1, 2)]
    assert [answer["places"] for answer in four] == [(4, 2, 0), (4, 2, 1), (4, 2, 0), (4, 2, 1)]


def test_gathering(four: list[Any]) -> None:
    for rank, answer in enumerate(four):
        first = rank // 2 * 2
        assert answer["all"].tolist() == [[0.0], [0], [1], [1], [2], [2], [3], [3]]
        assert answer["local"].tolist() == [[first] * 2, [first + 1] * 2]
        assert not answer["all"].requires_grad
        # Rank k multiplies element i of what it has gathered by i * (k + 1).
        gathered, gradient = answer["gathered False"]
        assert gathered.flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert gradient.flatten().tolist() == [2 * rank * 10, (2 * rank + 1) * 10]
        gathered, gradient = answer["gathered True"]
        asked = first + 1 + first + 2
        assert gathered.flatten().tolist() == [first, first, first + 1, first + 1]
        assert gradient.flatten().tolist() == [2 * (rank % 2) * asked, (2 * (rank % 2) + 1) * asked]
        summed, gradient = answer["group"]
        assert summed.flatten().tolist() == [2 * first + 1] * 2
        assert gradient.flatten().tolist() == [asked] * 2


def test_one_process_needs_no_process_group() -> None:
    assert not dist.is_initialized()
    distributed.init_distributed_training(num_gpus=1, shard_id=0)
    assert distributed.get_world_size() == distributed.get_local_size() == 1
    assert distributed.get_local_rank() == 0
    assert distributed.get_local_process_group() is None
    x = torch.arange(3.0, requires_grad=True)
    assert distributed.all_gather_with_grad(x).shape == (1, 3)
    assert not distributed.cat_all_gather(x).requires_grad
    distributed.GroupGather.apply(x, 1, 1).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1]


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_one_process_is_plain_batch_norm(ndim: int) -> None:
    x, weights = batches(2, ndim)[0], weights_of_outputs(2, ndim)[0]
    norm, plain = SYNCED[ndim](num_features=4), PLAIN[ndim](4)
    got, wanted = norm_step(norm, x, weights), norm_step(plain, x, weights)
    for name, value in wanted.items():
        assert torch.equal(got[name], value), name
    assert list(norm.state_dict()) == list(plain.state_dict())
    for clone in (copy.deepcopy(norm), pickle.loads(pickle.dumps(norm))):
        assert torch.equal(clone.eval()(x), plain.eval()(x))


def test_arguments_that_contradict_each_other() -> None:
    with pytest.raises(
        ValueError, match="`num_sync_devices` to be None with global_sync, but got 2"
    ):
        NaiveSyncBatchNorm1d(num_sync_devices=2, num_features=4)
    for devices in (None, 0):
        with pytest.raises(ValueError, match=f">= 1 without global_sync, but got {devices}"):
            NaiveSyncBatchNorm3d(num_sync_devices=devices, global_sync=False, num_features=4)
    assert "num_sync_devices=2" in repr(NaiveSyncBatchNorm2d(2, False, num_features=4))


def test_a_single_process_averages_its_own_statistics() -> None:
    """The formula itself, without a process group, against torch's."""
    norm, plain = nn.BatchNorm2d(4).double(), nn.BatchNorm2d(4).double()
    x = torch.randn(3, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(batch_norm.sync_batch_norm(norm, x), plain(x))
    torch.testing.assert_close(norm.running_var, plain.running_var)
    with pytest.raises(ValueError, match=r"two values a channel or more, but got \(1, 4, 1, 1\)"):
        batch_norm.sync_batch_norm(norm, x[:1, :, :1, :1])
    assert torch.autograd.gradcheck(lambda y: batch_norm.sync_batch_norm(norm, y), x)

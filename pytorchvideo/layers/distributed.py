# SPDX-License-Identifier: Apache-2.0
"""Process groups: ranks, world and local sizes, and collectives.

Works with every backend of :mod:`torch.distributed` that gathers and reduces: gloo on the CPU, NCCL on GPUs. Without a
process group there is one process, and nothing is sent.
"""

import os
from typing import Any

import torch
import torch.distributed as dist
from torch.autograd import Function

from pytorchvideo._checks import expected

# (world, processes of this machine): the second belongs to the first, which may be destroyed and made anew.
_groups: "tuple[dist.ProcessGroup | None, dist.ProcessGroup] | None" = None


def _is_initialized() -> bool:
    return dist.is_available() and dist.is_initialized()


def get_world_size() -> int:
    """Returns the number of processes of all machines; 1 without a process group.

    >>> get_world_size()
    1
    """
    return dist.get_world_size() if _is_initialized() else 1


def get_local_size() -> int:
    """Returns the number of processes on this machine; 1 without a process group.

    Raises:
        RuntimeError: see :func:`get_local_process_group`.
    """
    return dist.get_world_size(get_local_process_group()) if _is_initialized() else 1


def get_local_rank() -> int:
    """Returns this process' number among those of its machine; 0 without a process group.

    Raises:
        RuntimeError: see :func:`get_local_process_group`.
    """
    return dist.get_rank(get_local_process_group()) if _is_initialized() else 0


def get_local_process_group() -> "dist.ProcessGroup | None":
    """Returns the group of the processes on this machine; None without a process group.

    It is made by :func:`init_distributed_training`. Where ``torchrun`` says that all processes are on this machine,
    it is the group of all.

    Raises:
        RuntimeError: there are several processes, and nothing says which are on this machine.
    """
    if not _is_initialized():
        return None
    world = dist.group.WORLD
    if _groups is not None and _groups[0] is world:
        return _groups[1]
    if int(os.environ.get("LOCAL_WORLD_SIZE", "1")) == dist.get_world_size():
        return world
    raise RuntimeError(
        "It is not known which of the processes are on this machine: call "
        "`init_distributed_training(num_gpus, shard_id)` in all of them after `init_process_group`."
    )


def init_distributed_training(num_gpus: int, shard_id: int) -> None:
    """Tells which processes are on one machine, for everything "local" in this module.

    Called once by every process, after ``torch.distributed.init_process_group``. Ranks are numbered machine by
    machine. Without a process group it does nothing.

    Args:
        num_gpus: processes on every machine.
        shard_id: number of this machine, from 0.

    Raises:
        ValueError: the processes cannot be spread over machines like that.
    """
    global _groups
    if not _is_initialized():
        return
    size, rank = dist.get_world_size(), dist.get_rank()
    if num_gpus < 1 or size % num_gpus:
        raise ValueError(expected("num_gpus", f"a divisor of the {size} processes", num_gpus))
    if shard_id != rank // num_gpus:
        wanted = f"{rank // num_gpus} for rank {rank} with {num_gpus} processes a machine"
        raise ValueError(expected("shard_id", wanted, shard_id))
    local, _ = dist.new_subgroups(group_size=num_gpus)
    _groups = dist.group.WORLD, local


def _group(local: bool) -> "dist.ProcessGroup | None":
    return get_local_process_group() if local else dist.group.WORLD


def _gather(x: torch.Tensor, group: "dist.ProcessGroup | None") -> list[torch.Tensor]:
    x = x.detach().contiguous()
    everyone = [torch.empty_like(x) for _ in range(dist.get_world_size(group))]
    dist.all_gather(everyone, x, group=group)
    return everyone


def cat_all_gather(tensors: torch.Tensor, local: bool = False) -> torch.Tensor:
    """Joins a tensor (N, ...) of every process to one (processes * N, ...), in the order of ranks, without gradient.

    Args:
        tensors: of the same shape and dtype in all processes.
        local: gather from the processes of this machine only.

    >>> cat_all_gather(torch.arange(3))
    tensor([0, 1, 2])
    """
    if not _is_initialized():
        return tensors.detach()
    return torch.cat(_gather(tensors, _group(local)))


class _AllGather(Function):
    """A stack of every process' tensor; a process gets back what all of them ask of its own."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, group: "dist.ProcessGroup | None") -> torch.Tensor:
        ctx.group = group
        return torch.stack(_gather(x, group))

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor, None]:
        # gloo has no reduce_scatter in every version that is supported.
        grad = grad_output.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad, group=ctx.group)
        return grad[dist.get_rank(ctx.group)], None


def all_gather_with_grad(x: torch.Tensor, local: bool = False) -> torch.Tensor:
    """Stacks a tensor of every process, (...) -> (processes, ...), in the order of ranks.

    Gradients flow back to the process that a part came from, summed over all processes that use it. With losses
    that are means over a process' share of the batch, and gradients that ``DistributedDataParallel`` averages, the
    result is the gradient of one process with the whole batch.

    Args:
        x: of the same shape and dtype in all processes.
        local: gather from the processes of this machine only.
    """
    return _AllGather.apply(x, _group(local)) if _is_initialized() else x[None]


def sync_group(gathered: torch.Tensor, num_sync_devices: int) -> torch.Tensor:
    """Picks this process' group out of what was gathered on its machine.

    Args:
        gathered: (processes of this machine, ...).
        num_sync_devices: size of a group; groups are neighbouring ranks.

    Returns:
        (num_sync_devices, ...).

    Raises:
        ValueError: the machine's processes cannot be grouped like that.

    >>> sync_group(torch.tensor([7]), 1)
    tensor([7])
    """
    if len(gathered) % num_sync_devices:
        wanted = f"a divisor of the {len(gathered)} processes on this machine"
        raise ValueError(expected("num_sync_devices", wanted, num_sync_devices))
    start = get_local_rank() // num_sync_devices * num_sync_devices
    return gathered[start : start + num_sync_devices]


class GroupGather(Function):
    """The sum of a tensor over groups of a machine's processes; gradients are summed over the same groups.

    ``GroupGather.apply(input, num_sync_devices, num_groups)``: ``input`` has the same shape in all processes, and each
    machine has ``num_groups`` groups of ``num_sync_devices`` neighbouring ranks.
    """

    @staticmethod
    def forward(
        ctx: Any, input: torch.Tensor, num_sync_devices: int, num_groups: int
    ) -> torch.Tensor:
        if num_sync_devices * num_groups != get_local_size():
            wanted = f"{get_local_size()}, the processes on this machine"
            got = num_sync_devices * num_groups
            raise ValueError(expected("num_sync_devices * num_groups", wanted, got))
        ctx.num_sync_devices = num_sync_devices
        return _group_sum(input, num_sync_devices)

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return _group_sum(grad_output, ctx.num_sync_devices), None, None


def _group_sum(x: torch.Tensor, num_sync_devices: int) -> torch.Tensor:
    return sync_group(all_gather_with_grad(x, local=True), num_sync_devices).sum(dim=0)

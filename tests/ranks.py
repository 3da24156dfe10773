# SPDX-License-Identifier: Apache-2.0
"""Runs a function of a test module in several processes that form a gloo process group.

    python ranks.py MODULE FUNCTION WORLD_SIZE FOLDER

``FUNCTION(rank, world_size)`` returns what ``torch.save`` can write; it comes to lie in ``FOLDER/RANK.pt``. The
processes are forked after one import of torch and the module, so that four of them start as fast as one.
"""

import datetime
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def _run(rank: int, function: Callable[[int, int], Any], world_size: int, folder: Path) -> None:
    torch.set_num_threads(1)
    if sys.platform == "linux":
        # gloo would look up the machine's name, which not every container can resolve.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'rendezvous'}",
        rank=rank,
        world_size=world_size,
        timeout=datetime.timedelta(minutes=5),
    )
    torch.save(function(rank, world_size), folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    module, name, size, where = sys.argv[1:]
    torch.multiprocessing.start_processes(
        _run,
        (runpy.run_path(module)[name], int(size), Path(where)),
        nprocs=int(size),
        start_method="fork",
    )

# SPDX-License-Identifier: Apache-2.0
"""Workers never outlive their parent, whenever it is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from pytorchvideo._processes import ending_with_parent

_PROGRAM = """
import os, sys, time
from torch.utils.data import _utils
from torch.utils.data import DataLoader

class LateWatchdog(_utils.worker.ManagerWatchdog):
    def __init__(self):
        parent = os.getppid()
        print(os.getpid(), flush=True)
        while os.getppid() == parent:  # until it is killed
            time.sleep(0.05)
        super().__init__()

_utils.worker.ManagerWatchdog = LateWatchdog

def clip_loader():
    from pytorchvideo.data import ClipDataLoader
    return ClipDataLoader(list(range(8)), num_workers=2)

def data_module():
    from flash.core.data.data_module import _Loader
    return _Loader(list(range(8)), num_workers=2)

def plain():
    return DataLoader(list(range(8)), num_workers=2)

for batch in {"clip_loader": clip_loader, "data_module": data_module, "plain": plain}[sys.argv[1]]():
    time.sleep(60)
"""


def _lives(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _left_of(kind: str, wait_sec: float) -> list[int]:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        workers = [int(process.stdout.readline()) for _ in range(2)]
        process.kill()
    deadline = time.monotonic() + wait_sec
    while (left := [worker for worker in workers if _lives(worker)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.1)
    return left


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("kind", ["clip_loader", "data_module"])
def test_workers_that_were_not_ready_end_with_their_parent(kind: str) -> None:
    assert not _left_of(kind, 30)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_plain_ones_stay() -> None:
    """Why it is done: once PyTorch does it itself, it can go."""
    left = _left_of("plain", 12)
    assert len(left) == 2
    for worker in left:
        os.kill(worker, signal.SIGKILL)


def test_a_function_of_the_loader_is_kept_and_called() -> None:
    called: list[int] = []
    loader = DataLoader([1, 2], worker_init_fn=called.append)
    with ending_with_parent(loader):
        assert loader.worker_init_fn is not None
        loader.worker_init_fn(3)
    assert called == [3]
    assert loader.worker_init_fn == called.append

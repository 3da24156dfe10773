# SPDX-License-Identifier: Apache-2.0
"""Faults of the machine are no damage of a file: good videos are not passed over."""

import errno
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch
from torch.multiprocessing import reductions
from torch.utils.data import DataLoader

from flash._errors import sentence_of
from pytorchvideo import _machine
from pytorchvideo._machine import MachineError, check_machine
from pytorchvideo.data import ClipDataLoader
from pytorchvideo.data._decode import VideoError

REPO = Path(__file__).resolve().parent.parent


def caused(cause: BaseException) -> VideoError:
    """As readers raise it."""
    error = VideoError("a.mp4 is damaged.")
    error.__cause__ = cause
    return error


def test_open_files() -> None:
    # what PyAV makes of FFmpeg's AVERROR(EMFILE)
    with pytest.raises(av.error.FFmpegError) as raised:
        av.error.err_check(-errno.EMFILE)
    for error in (raised.value, caused(raised.value), OSError(errno.ENFILE, "Too many")):
        with pytest.raises(
            MachineError, match=r"Too many files are open in this process\. Read with"
        ):
            check_machine(error)


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(av.error.FFmpegError) as raised:
        av.error.err_check(-errno.ENOMEM)
    for error in (raised.value, MemoryError(), ValueError("not a video")):
        check_machine(caused(error))  # a file that asks for more than anybody has
    of_torch = RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 37324800 bytes. Error code 12 (Cannot allocate memory)"
    )
    with pytest.raises(MachineError, match="no memory left to read videos with"):
        check_machine(of_torch)
    monkeypatch.setattr(_machine, "_can_have", lambda count: count < 1 << 30)
    check_machine(ValueError("not a video"))
    for error in (raised.value, caused(raised.value), MemoryError()):
        with pytest.raises(MachineError, match="no memory left to read videos with"):
            check_machine(error)


def test_the_sentence_of_a_worker() -> None:
    text = "Caught MachineError in DataLoader worker process 0.\nOriginal Traceback:\n  File …\n"
    error = MachineError(f"{text}pytorchvideo._machine.MachineError: No memory.")
    assert sentence_of(error) == "No memory."
    for text in ("(pid 7) is killed by signal: Killed. ", "(pid(s) 7) exited unexpectedly"):
        said = sentence_of(RuntimeError(f"DataLoader worker {text}"))
        assert said == f"{_machine.DEAD_WORKER} A run goes on with --resume."


class Gone:
    """Memory of a batch that nobody hands over any more."""

    def detach(self) -> int:
        raise EOFError


def test_a_worker_that_dies_while_it_hands_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def rebuild(self: object) -> None:
        reductions.rebuild_storage_fd(torch.UntypedStorage, Gone(), 4)

    loader = ClipDataLoader(range(4))
    monkeypatch.setattr(DataLoader, "__iter__", lambda self: map(rebuild, range(4)))
    with pytest.raises(RuntimeError, match="A process that reads data has died"):
        next(iter(loader))
    # an error of the user's own is left as it is
    monkeypatch.setattr(DataLoader, "__iter__", lambda self: map(open, ["/nowhere/a"]))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        next(iter(loader))


READ = """
import os, resource, sys, warnings
held = []
import torch
from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler
warnings.simplefilter("error")
limit, path = sys.argv[1:]
clips = make_clip_sampler("uniform", 1)
dataset = LabeledVideoDataset([(path, {})] * 3, clips, torch.utils.data.SequentialSampler)
assert len(list(dataset)) == 3
if limit == "files":
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
else:
    with open("/proc/self/statm") as statm:
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), used + (1 << 20)))
try:
    count = len(list(dataset))
except Exception as error:
    for handle in held:
        os.close(handle)
    sys.exit(f"{type(error).__name__}: {error}")
print(count, dataset.skipped)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="needs limits of the system")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ("files", "MachineError: Too many files are open"),
        ("memory", "MachineError: There is no memory"),
    ],
)
def test_good_videos_are_not_skipped(
    make_video: Callable[..., Path], limit: str, sentence: str
) -> None:
    path = make_video("large.mp4", num_frames=30, height=480, width=640)
    done = subprocess.run(
        [sys.executable, "-c", READ, limit, str(path)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=REPO,
    )
    assert sentence in done.stderr, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1

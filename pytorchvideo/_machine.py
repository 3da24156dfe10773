# SPDX-License-Identifier: Apache-2.0
"""Faults of the machine (memory, disk, handles), told from those of a file."""

import errno
import mmap
from collections.abc import Iterator

_NO_FILES = "Too many files are open in this process. Read with fewer workers or jobs, or raise `ulimit -n`."
_NO_MEMORY = (
    "There is no memory left to read videos with. Read with fewer workers or jobs, smaller batches or shorter clips, "
    "or raise `ulimit -v` if that is set."
)
# A damaged file may ask for any amount of memory; where so much can be had, want of it is the fault of the file.
_ENOUGH_BYTES = 1 << 30
# With less than this, FFmpeg calls sound files invalid.
_LEAST_BYTES = 1 << 26


DEAD_WORKER = (
    "A process that reads data has died, perhaps for want of memory. Read with fewer workers."
)
_HANDS_OVER = "torch.multiprocessing.reductions"


class MachineError(Exception):
    """This machine has run out of something. The video that was read may be sound, so nobody passes over it."""


def check_machine(error: BaseException) -> None:
    """Raises a MachineError if an error of reading tells of this machine and not of the file.

    Args:
        error: what was raised, with the errors that it was raised from.

    >>> check_machine(OSError(errno.EMFILE, "Too many open files"))
    Traceback (most recent call last):
    pytorchvideo._machine.MachineError: Too many files are open in this process. Read with fewer workers or jobs, ...
    >>> check_machine(ValueError("not a video"))
    """
    numbers = {getattr(one, "errno", None) for one in _chain(error)}
    if not numbers.isdisjoint((errno.EMFILE, errno.ENFILE)):
        raise MachineError(_NO_FILES) from error
    # torch's own: its sizes were checked before
    if any("DefaultCPUAllocator: can't allocate" in str(one) for one in _chain(error)):
        raise MachineError(_NO_MEMORY) from error
    is_of_memory = errno.ENOMEM in numbers or any(isinstance(e, MemoryError) for e in _chain(error))
    if not _can_have(_ENOUGH_BYTES if is_of_memory else _LEAST_BYTES):
        raise MachineError(_NO_MEMORY) from error


def is_of_dead_worker(error: BaseException) -> bool:
    """Whether an error of a ``DataLoader`` tells that one of its workers was killed.

    PyTorch says so itself, unless the worker died while it handed over a batch.
    """
    if str(error).startswith("DataLoader worker (pid"):
        return True
    trace = error.__traceback__
    while isinstance(error, (EOFError, OSError)) and trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == _HANDS_OVER:
            return True
        trace = trace.tb_next
    return False


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        yield following
        seen.add(id(following))
        following = following.__cause__ or following.__context__


def _can_have(count: int) -> bool:
    """Whether the machine gives so many bytes, none of which are touched."""
    try:
        mmap.mmap(-1, count).close()
    except (OSError, MemoryError):
        return False
    return True

# SPDX-License-Identifier: Apache-2.0
"""Child processes that leave Ctrl+C to their parent and end with it."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

from pytorchvideo._files import discard_unfinished


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Processes that are started in the block do not get Ctrl+C, which a terminal sends to all of a group.

    They would print a traceback each. Whoever started them ends them. On Windows nothing is done.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # when it starts, it lets Ctrl+C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # is inherited
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def follow_parent() -> None:
    """Makes this process end with the one that started it, and leave no half file when it is told to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _number, _frame: _give_up())
    threading.Thread(target=_watch_parent, daemon=True).start()


class EndWithParent:
    """A ``worker_init_fn`` of a ``DataLoader`` whose workers never outlive the process that reads from them.

    PyTorch's own watch asks who the parent is when a worker is ready. One whose parent was killed before that takes
    whoever adopted it for the parent, and stays for good.

    Args:
        then: what else to do at the start of a worker, with its number.
    """

    def __init__(self, then: Callable[[int], None] | None = None) -> None:
        self._then = then

    def __call__(self, worker: int) -> None:
        threading.Thread(target=_watch_parent, daemon=True).start()
        if self._then is not None:
            self._then(worker)


@contextlib.contextmanager
def ending_with_parent(loader: Any) -> Iterator[None]:
    """Workers that a ``DataLoader`` starts in the block end with their parent.

    Its ``worker_init_fn`` is its own before and after: Lightning seeds the workers of loaders that have none.
    """
    own, loader.worker_init_fn = loader.worker_init_fn, EndWithParent(loader.worker_init_fn)
    try:
        yield
    finally:
        loader.worker_init_fn = own


def end(processes: Iterable[BaseProcess], patience_sec: float = 0.5) -> None:
    """Tells processes to end, and kills those that have not when the time is over."""
    told = list(processes)
    for process in told:
        process.terminate()
    deadline = time.monotonic() + patience_sec
    for process in told:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _give_up()


def _give_up() -> None:
    discard_unfinished()
    os._exit(128 + signal.SIGTERM)

# SPDX-License-Identifier: Apache-2.0
"""Ctrl+C and SIGTERM: commands end within two seconds, with status 130 or 143, and say how to go on.

The main thread unwinds from where it is, so that files are removed or completed and the terminal is restored. Where it
cannot, since it is in the middle of something long, a second thread ends the process.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from flash.cli.kept import NOTHING

#: Seconds in which the main thread may unwind.
GRACE_SEC = 1.2
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Raised in the main thread by a signal.

    It is no KeyboardInterrupt, which Lightning, click and workers of PyTorch each answer in their own words.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _State:
    """Of this process: what it was sent, and what it would say."""

    def __init__(self) -> None:
        self.how: Callable[[], str] = lambda: NOTHING
        self.received: int | None = None
        self.has_spoken = False
        self.ending = threading.RLock()  # a signal may come while this thread ends the process


_state = _State()


def going_on(how: Callable[[], str] = lambda: NOTHING) -> None:
    """Sets what is said when the command is interrupted from now on.

    Args:
        how: returns the end of a sentence: what is kept, and the command that goes on.
    """
    _state.how, _state.has_spoken = how, False


def received() -> int | None:
    """Returns the signal that ends this process, if it got one: whatever fails after that, as workers that got it, too,
    is no news."""
    return _state.received


def sentence(number: int) -> str:
    """Returns what is said of a signal."""
    return f"{'Interrupted' if number == signal.SIGINT else 'Terminated'}: {_state.how()}"


def run(command: Callable[[], object]) -> None:
    """Runs a command, the whole of what this process does, to its end or to that which a signal makes.

    Raises:
        SystemExit: what ``command`` raises.
    """
    _watch()
    try:
        command()
    except Interrupted:  # before it could be answered, as in imports
        pass
    finally:
        if _state.received is not None:
            _end(_state.received)
        for number in SIGNALS:  # nothing is left to be said
            signal.signal(number, signal.SIG_DFL)


def _watch() -> None:
    for number in SIGNALS:
        signal.signal(number, _on_signal)
    here, there = socket.socketpair()
    there.setblocking(False)
    # Python's handlers wait for the main thread, this does not
    signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end_in_time, args=(here, there), daemon=True).start()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_leave_it_to_the_parent)
    show = sys.unraisablehook
    # where Python drops exceptions, as in __del__, the second thread ends the process; what fails there after a signal,
    # as loaders that were never made whole, is no news
    sys.unraisablehook = lambda it: (
        None if isinstance(it.exc_value, Interrupted) or _state.received is not None else show(it)
    )


def _leave_it_to_the_parent() -> None:
    """In a forked process: Ctrl+C, which a terminal sends to all, is for the parent, who ends it by SIGTERM."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    show = sys.excepthook

    def show_but_a_broken_line(kind: Any, error: BaseException, trace: Any) -> None:
        # of the thread that hands tensors over, when the parent ends in the midst of taking one
        of_thread = threading.current_thread() is not threading.main_thread()
        if not (of_thread and isinstance(error, (EOFError, OSError))):
            show(kind, error, trace)

    sys.excepthook = show_but_a_broken_line


def _on_signal(number: int, _frame: FrameType | None) -> None:
    if _state.received is not None:  # a second one, by somebody who does not want to wait
        _end(_state.received)
    _state.received = number
    if hasattr(signal, "SIGCHLD"):
        # PyTorch's handler raises an error where it finds this thread when a worker of a loader, which may have got
        # the same signal, ends
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    raise Interrupted(number)


def _end_in_time(here: socket.socket, _there: socket.socket) -> None:
    while True:
        for number in here.recv(64):
            if number in SIGNALS:
                time.sleep(GRACE_SEC)
                _end(number)


def speak(number: int) -> None:
    """Says the sentence of a signal, once."""
    if not _state.has_spoken:
        _state.has_spoken = True
        cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # a bar may have hidden it
        sys.stderr.write(f"{cursor}{sentence(number)}\n")
        sys.stderr.flush()


def _end(number: int) -> None:
    """Ends this process, and those that it has started, now."""
    with _state.ending:  # never released
        try:
            _end_children()
        finally:
            try:
                speak(number)
            finally:
                os._exit(128 + number)


def _end_children() -> None:
    """Also removes their half files and those of this process."""
    # what is not imported has started and written nothing
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        from pytorchvideo._processes import end

        end(active_children(), patience_sec=0.3)
    if "pytorchvideo._files" in sys.modules:
        from pytorchvideo._files import discard_unfinished

        discard_unfinished()
    if "multiprocessing.synchronize" in sys.modules:
        from multiprocessing import util

        # semaphores that are left make Python's tracker of them warn after the last word; the lock that this takes of
        # a queue may be held by the thread that is interrupted
        freeing = threading.Thread(target=util._run_finalizers, args=(0,), daemon=True)  # type: ignore[attr-defined]
        freeing.start()
        freeing.join(timeout=0.2)

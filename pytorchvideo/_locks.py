# SPDX-License-Identifier: Apache-2.0
"""Locks on folders and files, released by the system when their process ends."""

import contextlib
import errno
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from pytorchvideo._files import check_writable, make_folder

logger = logging.getLogger(__name__)

_LOCK = ".lock"
# flock(2), and _locking of Windows: somebody has the lock, and there are none on this disk
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_held: set[int] = set()  # handles of this process


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Makes a folder and keeps other processes from it, as long as they ask here, too.

    Where the block fails, what was made of the folder is removed again, if nothing is in it.

    Raises:
        BlockingIOError: another process, which is named, is in it.
        NotADirectoryError: it is a file.
        OSError: the folder cannot be written.
    """
    target = Path(folder)
    made = [path for path in (target, *target.parents) if not path.exists()]
    try:
        make_folder(target)
        with _locked(target / _LOCK, target):
            yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def alone_at(file: str | os.PathLike[str]) -> Iterator[None]:
    """Does for a file what :func:`alone_in` does for a folder; what the file holds stays as it is."""
    target = Path(file)
    check_writable(target)
    with _locked(target.with_name(f".{target.name}{_LOCK}"), target):
        yield


@contextlib.contextmanager
def _locked(file: Path, target: Path) -> Iterator[None]:
    handle = _take(file, target)
    _held.add(handle)
    try:
        yield
    finally:
        _release(file, handle)


def _take(file: Path, target: Path) -> int:
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                known = "The disk of %s knows no locks. See that no other process writes there."
                logger.warning(known, target)
                return handle
            os.close(handle)
            if error.errno not in _TAKEN:
                raise
            raise BlockingIOError(
                f"{target} is being written by {_holder(file)}. Wait until it has ended, or choose another place."
            ) from error
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle), os.stat(file)):
                return _signed(handle)
        os.close(handle)  # its holder has removed it in between


def _signed(handle: int) -> int:
    """The handle of a lock file, in which now stands who has it."""
    holder = {"process": os.getpid(), "host": socket.gethostname()}
    with contextlib.suppress(OSError):  # a full disk
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(holder).encode())
    return handle


def _holder(file: Path) -> str:
    try:
        holder = json.loads(file.read_bytes())
        return f"process {holder['process']} on {holder['host']}"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "another process"


def _release(file: Path, handle: int) -> None:
    if handle not in _held:  # a process that was forked in the block
        return
    _held.remove(handle)
    if sys.platform == "win32":  # which removes no open file
        os.close(handle)
    with contextlib.suppress(OSError):
        os.unlink(file)
    if sys.platform != "win32":
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 1 << 20, os.SEEK_SET)  # what is locked cannot be read
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _forget() -> None:
        """In a forked process, which would keep the locks of a parent that is killed."""
        while _held:
            os.close(_held.pop())

    os.register_at_fork(after_in_child=_forget)

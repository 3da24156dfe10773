# SPDX-License-Identifier: Apache-2.0
"""Files that are complete or not there: the one writer of whole files."""

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LEAST_FREE = 1 << 16  # bytes; writers that hide the reason stop with about so much left
_unfinished: set[Path] = set()  # what this process is writing


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives the path to write to, and puts what was written into the place of a file in one step.

    Whoever reads sees the old file or the new one; so does the machine after a crash, since the bytes reach the disk
    before the name does. Where writing fails, the old file stays, and nothing is left.

    Args:
        path: the file, whose folder exists.

    Raises:
        OSError: it cannot be written; a full disk is named.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(f"{folder}/a.txt") as part:
    ...         _ = part.write_text("all of it")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.txt']
    """
    target = Path(path)
    part = _part_of(target)
    _unfinished.add(part)
    try:
        yield part
        _reach_disk(part)
        part.replace(target)
        _reach_disk(target.parent)
    except Exception as error:
        if _is_full(error, target.parent):
            said = f"The disk of {target.parent} is full; {target.name} was not written."
            raise OSError(errno.ENOSPC, said) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        _unfinished.discard(part)


def discard_unfinished() -> None:
    """Removes what is being written, for a process that ends at once; the old files stay."""
    for part in list(_unfinished):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Writes text in UTF-8, or bytes, as :func:`whole_file` does, and makes the folder; returns the path.

    Names of files that are no UTF-8 come out as the bytes that they are.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as part:
        part.write_bytes(
            content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        )
    return target


def check_writable(path: str | os.PathLike[str]) -> None:
    """Makes the folder of a file, and leaves what the file holds as it is.

    Raises:
        OSError: the file could not be written.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    part = _part_of(target)
    part.touch()
    part.unlink()


def _part_of(target: Path) -> Path:
    """Where one thread writes what will be a file."""
    return target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")


def _is_full(error: Exception, folder: Path) -> bool:
    """Whether a full disk is what an error is about; writers of torch and safetensors do not say so."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    try:
        return shutil.disk_usage(folder).free < _LEAST_FREE
    except OSError:
        return False


def _reach_disk(path: Path) -> None:
    """Has the bytes of a file, or the names in a folder, written to the disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder of Windows, or one that may not be listed
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some network disks
            raise
    finally:
        os.close(handle)

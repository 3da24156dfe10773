# SPDX-License-Identifier: Apache-2.0
"""Atomic writing of files: complete or not there."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FULL = (errno.ENOSPC, errno.EDQUOT, 112)  # the last is Windows' own
# What writers in C++ say of any failure, and the bytes that a full disk may have left when they stop.
_SILENT = ("iostream error", "inline_container.cc", "PytorchStreamWriter")
_PART = re.compile(r"\..+\.\d+-\d+\.part")
_LEAST_FREE = 1 << 16
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
        if (said := write_error(error, target)) is not None:
            raise said from error
        _speak_of(target, part, error)
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
    make_folder(target.parent)
    with whole_file(target) as part:
        part.write_bytes(
            content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        )
    return target


def sha256_of(*files: Path) -> str:
    """Returns the SHA-256 of the bytes of files, one after the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Writes a json file that is complete or not there."""
    write_whole(path, json.dumps(content, indent=1) + "\n")


def append(path: str | os.PathLike[str], text: str) -> None:
    """Adds text in UTF-8 to a file; it is on the disk when this returns.

    Raises:
        OSError: it cannot be written, and the file is as before; a full disk is named.
    """
    target = Path(path)
    try:
        with open(target, "ab", buffering=0) as file:
            end, rest = file.tell(), memoryview(text.encode("utf-8", "surrogateescape"))
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(end)
                raise
    except OSError as error:
        if (said := write_error(error, target)) is not None:
            raise said from error
        raise


def remove_unfinished(folder: str | os.PathLike[str]) -> None:
    """Removes, at any depth, what writers that were killed have left of their files.

    For who is alone in the folder, see :func:`~pytorchvideo._locks.alone_in`: others may be writing.
    """
    for part in Path(folder).rglob(".*.part"):
        if _PART.fullmatch(part.name):
            part.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Makes the folder of a file, and leaves what the file holds as it is.

    Raises:
        OSError: the file could not be written.
    """
    target = Path(path)
    make_folder(target.parent)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    part = _part_of(target)
    try:
        part.touch()
    except OSError as error:
        _speak_of(target, part, error)
        raise
    part.unlink()


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Makes a folder with those around it, where there is none.

    Raises:
        NotADirectoryError: it, or one around it, is a file, which is named.
        OSError: it cannot be made.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        file = next((p for p in (target, *target.parents) if os.path.isfile(p)), target)
        raise NotADirectoryError(f"Expected a folder, but {file} is a file.") from error


def _speak_of(target: Path, part: Path, error: Exception) -> None:
    """Raises an error about the part of a file as one about the file, of which the user has heard."""
    is_of_part = isinstance(error, OSError) and str(error.filename) == str(part)
    if is_of_part and (number := _number_of(error)) is not None:
        raise OSError(number, os.strerror(number), str(target)) from error


def _part_of(target: Path) -> Path:
    """Where one thread writes what will be a file."""
    return target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")


def write_error(
    error: BaseException, target: Path, *, least_free: int = _LEAST_FREE
) -> OSError | None:
    """Returns the error of which a failed writing of a file should speak: of a full disk, or of a limit of sizes.

    Args:
        error: with those that it came from.
        target: the file.
        least_free: bytes; with fewer, the disk is full for a writer that does not say what has failed.

    Returns:
        None where something else is behind it.
    """
    behind: BaseException | None = error
    while behind is not None:
        number = _number_of(behind)
        if number == errno.EFBIG:
            return OSError(number, os.strerror(number), os.fspath(target))
        if number in _FULL or (number is None and _is_full(behind, target.parent, least_free)):
            said = f"The disk of {target.parent} is full; {target.name} was not written."
            return OSError(errno.ENOSPC, said)
        behind = behind.__cause__ or behind.__context__
    return None


def _number_of(error: BaseException) -> int | None:
    """The number that the system gave an error, also where it stands only in the text of a writer in Rust."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return None if found is None else int(found[1])


def _is_full(error: BaseException, folder: Path, least_free: int) -> bool:
    if not any(sign in str(error) for sign in _SILENT):
        return False
    try:
        return shutil.disk_usage(folder).free < least_free
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

# SPDX-License-Identifier: Apache-2.0
"""Remote files through fsspec, and open files shared by readers."""

import io
import os
from typing import Any, BinaryIO, cast

import fsspec

from pytorchvideo._checks import expected
from pytorchvideo.data._decode._types import VideoError


def open_remote(url: str) -> tuple[BinaryIO, dict[str, Any]]:
    """Opens a URL whose scheme fsspec knows (``https://``, ``s3://``, ``memory://`` …); only what is read is loaded.

    Returns:
        the file, and what its file system says of it, such as its size.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a directory.
        OSError: its size is not known.
        VideoError: it is empty.
        ValueError: fsspec does not know the scheme.
        ImportError: the package for it is not installed; the message names it.
    """
    system, path = fsspec.url_to_fs(url)
    try:
        info = system.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{url} is a directory, but a video file was expected.")
        if info.get("size") == 0:
            raise VideoError(f"{url} is empty (0 bytes), so it is not a readable video.")
        file = system.open(path, "rb")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no video file {url}, or no access to it.") from error
    try:
        file.seek(0, io.SEEK_END)
    except (OSError, ValueError) as error:
        file.close()
        raise OSError(
            f"The size of {url} is not known, so it cannot be read in parts. "
            "Put 'simplecache::' before the URL to load it whole."
        ) from error
    return cast(BinaryIO, _Reader(file, url, owns=True)), info


def shared(file: BinaryIO, name: str = "the file") -> BinaryIO:
    """Returns a reader of an open file with a position of its own: several can take turns on one file.

    A file on disk is read through a handle of its own, so that the caller may close it.

    Raises:
        ValueError: it is closed, or not a binary file in which one can go back.
    """
    if isinstance(file, _Reader):
        return cast(BinaryIO, _Reader(file._file, file._name, owns=False))
    if getattr(file, "closed", False):
        raise ValueError(f"{name} is a file that is closed. Read from it before it is closed.")
    advice = f"Open {name} with mode 'rb', or read it into an io.BytesIO."
    try:
        file.seek(file.tell())
        is_binary = isinstance(file.read(0), bytes)
    except (OSError, ValueError, AttributeError) as error:
        wanted = "a binary file in which one can go back"
        raise ValueError(expected("file", wanted, file, advice)) from error
    if not is_binary:
        raise ValueError(expected("file", "a binary file", file, advice))
    raw = getattr(file, "raw", file) if isinstance(file, io.BufferedIOBase) else file
    if type(raw) is io.FileIO and hasattr(os, "pread"):
        if file.writable():
            file.flush()
        return cast(BinaryIO, _OwnHandle(raw.fileno()))
    return cast(BinaryIO, _Reader(file, name, owns=False))


class _OwnHandle(io.RawIOBase):
    """Reads what an open file of the system reads, apart from it."""

    def __init__(self, number: int) -> None:
        self._number = os.dup(number)
        self._position = 0

    def close(self) -> None:
        if not self.closed:
            os.close(self._number)
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self.closed:
            raise OSError("the video is closed")
        size = os.fstat(self._number).st_size if size < 0 else size
        data = os.pread(self._number, size, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence)
        self._position = offset + (os.fstat(self._number).st_size if start is None else start)
        return self._position

    def tell(self) -> int:
        return self._position


class _Reader(io.RawIOBase):
    """Reads a file; what goes wrong is an OSError that names it, since file systems have errors of their own."""

    def __init__(self, file: BinaryIO, name: str, *, owns: bool) -> None:
        self._file = file
        self._name = name
        self._owns = owns
        self._position = 0

    def close(self) -> None:
        if self._owns:
            self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        try:
            self._file.seek(self._position)
            data = self._file.read(size)
        except Exception as error:
            raise self._why_not(error) from error
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_CUR:
            offset, whence = offset + self._position, io.SEEK_SET
        try:
            self._file.seek(offset, whence)
            self._position = self._file.tell()  # some files do not return it
        except Exception as error:
            raise self._why_not(error) from error
        return self._position

    def _why_not(self, error: Exception) -> OSError:
        if getattr(self._file, "closed", False):
            return OSError(f"{self._name} was closed, but its video is still read.")
        return OSError(f"{self._name} cannot be read: {error}")

    def tell(self) -> int:
        return self._position

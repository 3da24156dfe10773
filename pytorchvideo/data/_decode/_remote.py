# SPDX-License-Identifier: Apache-2.0
"""Files that are not on this machine, through fsspec, and open files that several read."""

import io
from typing import Any, BinaryIO, cast

import fsspec


def open_remote(url: str) -> tuple[BinaryIO, dict[str, Any]]:
    """Opens a URL whose scheme fsspec knows (``https://``, ``s3://``, ``memory://`` …); only what is read is loaded.

    Returns:
        the file, and what its file system says of it, such as its size.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a directory.
        ValueError: fsspec does not know the scheme.
        ImportError: the package for it is not installed; the message names it.
    """
    system, path = fsspec.url_to_fs(url)
    try:
        info = system.info(path)
        if info.get("type") == "directory":
            raise IsADirectoryError(f"{url} is a directory, but a video file was expected.")
        return system.open(path, "rb"), info
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no video file {url}, or no access to it.") from error


def shared(file: BinaryIO) -> BinaryIO:
    """Returns a reader of an open file with a position of its own: several can take turns on one file."""
    return cast(BinaryIO, _Reader(file))


class _Reader(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self._file.seek(self._position)
        data = self._file.read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_CUR:
            offset, whence = offset + self._position, io.SEEK_SET
        self._position = self._file.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        return self._position

# SPDX-License-Identifier: Apache-2.0
"""Download and extraction of archives of videos."""

import contextlib
import logging
import os
import shutil
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from pytorchvideo._checks import expected
from pytorchvideo._files import sha256_of, whole_file

_logger = logging.getLogger(__name__)

_TIMEOUT_SEC = 60

# More than the archives of the public data sets hold: text is packed to a tenth, videos hardly at all.
MOST_MEMBERS = 2_000_000
MOST_TIMES = 100
_SMALL_BYTES = 64 << 20  # so much is unpacked from an archive of any size

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz")


def download_data(
    url: str | os.PathLike[str],
    path: str | os.PathLike[str] = "data/",
    verbose: bool = False,
    chunk_size: int = 1 << 20,
    *,
    sha256: str | None = None,
    max_unpacked_bytes: int | None = None,
) -> Path:
    """Fetches ``url`` into the folder ``path`` and unpacks it there if it is a zip or tar archive.

    A second call does no work: an archive that is there is not fetched again, and members that are
    there in full are not written again. A local archive is unpacked from where it lies, a local folder
    is left as it is.

    Args:
        url: ``http(s)://``, ``file://``, or a local path.
        path: folder for the archive and its content; made if absent.
        verbose: show a progress bar.
        chunk_size: bytes per read.
        sha256: expected hash of the archive, hexadecimal; None trusts the sender.
        max_unpacked_bytes: the most that may be unpacked; by default a hundred times the size of the archive, 64 MiB at
            least, and never more than the disk has room for.

    Returns:
        The folder that holds the data, ``path`` or that of a local folder or file which is no archive.

    Raises:
        FileNotFoundError: if a local path does not exist.
        ConnectionError: if the download fails, or the server is silent for a minute.
        ValueError: for another kind of URL; if the hash differs, the archive is damaged, a member of it is no file
            and no folder (links of every kind are refused) or would leave ``path``, there are more than two million
            members, or they unpack to more than ``max_unpacked_bytes``.

    References:
        The argument order and the archive kinds are those of Lightning Flash.
    """
    if str(url) == "NEED_TO_BE_CREATED":
        raise NotImplementedError(
            "NEED_TO_BE_CREATED is a placeholder of the documentation: pass the URL or path of your own data."
        )
    local = _local_path(url)
    if local is not None and local.is_dir():
        return local
    folder = Path(path)
    if local is None:
        name = PurePosixPath(unquote(urlsplit(str(url)).path)).name
        if name in ("", "..", "."):
            raise ValueError(f"Expected `url` to end in the name of a file, but got {str(url)!r}.")
        folder.mkdir(parents=True, exist_ok=True)
        local = folder / name
        if not local.exists():
            _fetch(str(url), local, verbose, chunk_size)
    if not local.is_file():
        raise FileNotFoundError(f"There is no file or folder {str(local)!r} to take data from.")
    if sha256 is not None:
        _check_hash(local, sha256)
    if not local.name.lower().endswith(ARCHIVES):
        return local.parent
    unpack = _unpack_zip if local.name.lower().endswith(".zip") else _unpack_tar
    try:
        unpack(local, folder, max_unpacked_bytes)
    except tarfile.FilterError as error:
        raise ValueError(f"Refused to unpack {local}: {error}.") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError) as error:
        # zipfile raises a RuntimeError for what is encrypted, or compressed in a way that it does not know
        reason = " ".join(str(error).split())  # those of tar have several lines
        raise ValueError(
            f"{local} is no archive, or a damaged one: {reason}. Delete the file to fetch it again."
        ) from error
    return folder


def _local_path(url: str | os.PathLike[str]) -> Path | None:
    text = os.fspath(url)
    parts = urlsplit(text)
    if not text or ("://" in text and parts.scheme not in ("http", "https", "file")):
        raise ValueError(expected("url", "http(s)://, file:// or a local path", text))
    if parts.scheme in ("http", "https"):
        return None
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    return Path(url)


def _fetch(url: str, target: Path, verbose: bool, chunk_size: int) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    try:
        # a download that breaks off leaves no file under the final name
        with (
            whole_file(target) as part,
            urllib.request.urlopen(url, timeout=_TIMEOUT_SEC) as answer,
        ):
            size = answer.headers.get("Content-Length")
            with Progress(*columns, disable=not verbose) as progress, part.open("wb") as file:
                task = progress.add_task(target.name, total=int(size) if size else None)
                while chunk := answer.read(chunk_size):
                    file.write(chunk)
                    progress.update(task, advance=len(chunk))
            got = part.stat().st_size
            if size is not None and got != int(size):
                raise ConnectionError(
                    f"The download of {url} broke off after {got} of {size} bytes."
                )
    except (urllib.error.URLError, TimeoutError, HTTPException) as error:
        raise ConnectionError(f"Could not download {url}: {error}.") from error


def _check_hash(archive: Path, sha256: str) -> None:
    got = sha256_of(archive)
    if got != sha256.lower():
        raise ValueError(
            f"Expected {archive} to have the SHA-256 {sha256}, but it has {got}. "
            "Delete the file to fetch it again."
        )


class _Members:
    """Checks the members of an archive one by one, before the first is written.

    Args:
        archive: the file.
        folder: where its members are to lie.
        most_bytes: that they may unpack to; None for the default of :func:`download_data`.
    """

    def __init__(self, archive: Path, folder: Path, most_bytes: int | None) -> None:
        self._archive, self._folder = archive, folder
        self._root = folder.resolve()
        usual = max(_SMALL_BYTES, MOST_TIMES * archive.stat().st_size)
        self._most = usual if most_bytes is None else most_bytes
        self._bytes = self._count = 0

    def add(self, name: str, size: int, *, is_plain: bool) -> Path:
        """Returns where a member will lie; raises a ValueError where it must not."""
        if not is_plain:
            raise ValueError(
                f"Refused to unpack {self._archive}: {name!r} is a link or a device, not a file or folder."
            )
        if "\0" in name or size < 0:
            raise ValueError(f"Refused to unpack {self._archive}: {name!r} has a damaged header.")
        target = (self._root / name).resolve()
        if not target.is_relative_to(self._root):
            raise ValueError(
                f"Expected every member of {self._archive} to stay inside {self._folder}, but found {name!r}."
            )
        self._count += 1
        self._bytes += size
        if self._count > MOST_MEMBERS:
            raise ValueError(
                f"Refused to unpack {self._archive}: it has more than {MOST_MEMBERS} members. Unpack it by hand."
            )
        if self._bytes > self._most:
            raise ValueError(
                f"Refused to unpack {self._archive}: its members take more than {self._most} bytes, and the file has "
                f"{self._archive.stat().st_size}. Raise `max_unpacked_bytes` if you trust it."
            )
        return target

    def check_room(self, sizes: Iterable[int]) -> None:
        """Raises an OSError where the disk has no room for files of these sizes."""
        wanted = sum(sizes)
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if wanted > free:
            raise OSError(
                f"{self._archive} unpacks to {wanted} bytes, but the disk of {self._folder} has only {free} left. "
                "Choose another `path`."
            )


def _is_there(target: Path, size: int) -> bool:
    return target.is_file() and target.stat().st_size == size


def _unpack_zip(archive: Path, folder: Path, most_bytes: int | None) -> None:
    found, missing = _Members(archive, folder, most_bytes), []
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)  # the upper half holds the mode of Unix
            is_plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            target = found.add(member.filename, member.file_size, is_plain=is_plain)
            if not _is_there(target, member.file_size):
                missing.append(member)
        found.check_room(member.file_size for member in missing)
        file.extractall(folder, members=missing)
        total = len(file.infolist())
    _logger.info("unpacked %d of %d members of %s", len(missing), total, archive)


def _unpack_tar(archive: Path, folder: Path, most_bytes: int | None) -> None:
    found, missing = _Members(archive, folder, most_bytes), []
    with contextlib.ExitStack() as stack:
        with _readable():
            file = stack.enter_context(tarfile.open(archive))
        for member in _members_of(file):
            is_plain = member.isfile() or member.isdir()
            target = found.add(member.name, member.size, is_plain=is_plain)
            if not _is_there(target, member.size):
                missing.append(member)
        found.check_room(member.size for member in missing)
        file.extractall(folder, members=missing, filter="data")
        total = len(file.getmembers())
    _logger.info("unpacked %d of %d members of %s", len(missing), total, archive)


def _members_of(file: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    with _readable():
        yield from file


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """For tarfile, which raises plain ValueErrors for the numbers of a sparse file."""
    try:
        yield
    except ValueError as error:
        raise tarfile.ReadError(str(error)) from error

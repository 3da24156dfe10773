# SPDX-License-Identifier: Apache-2.0
"""Fetches an archive of videos and unpacks it."""

import hashlib
import logging
import os
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from pytorchvideo._checks import expected

_logger = logging.getLogger(__name__)

_TIMEOUT_SEC = 60

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tar.xz")


def download_data(
    url: str | os.PathLike[str],
    path: str | os.PathLike[str] = "data/",
    verbose: bool = False,
    chunk_size: int = 1 << 20,
    *,
    sha256: str | None = None,
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

    Returns:
        The folder that holds the data: ``path``, or that of a local folder or file which is no archive.

    Raises:
        FileNotFoundError: if a local path does not exist.
        ConnectionError: if the download fails, or the server is silent for a minute.
        ValueError: for another kind of URL; if the hash differs, the archive is damaged, or a member of it is a
            link or would leave ``path``.

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
        _check_hash(local, sha256, chunk_size)
    if not local.name.lower().endswith(ARCHIVES):
        return local.parent
    unpack = _unpack_zip if local.name.lower().endswith(".zip") else _unpack_tar
    try:
        unpack(local, folder)
    except tarfile.FilterError as error:
        raise ValueError(f"Refused to unpack {local}: {error}.") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
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
    # a download that breaks off leaves no file under the final name
    partial = target.with_name(target.name + ".part")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_SEC) as answer,
            partial.open("wb") as file,
        ):
            size = answer.headers.get("Content-Length")
            with Progress(*columns, disable=not verbose) as progress:
                task = progress.add_task(target.name, total=int(size) if size else None)
                while chunk := answer.read(chunk_size):
                    file.write(chunk)
                    progress.update(task, advance=len(chunk))
        if size is not None and partial.stat().st_size != int(size):
            got = partial.stat().st_size
            raise ConnectionError(f"The download of {url} broke off after {got} of {size} bytes.")
    except (urllib.error.URLError, TimeoutError, HTTPException) as error:
        raise ConnectionError(f"Could not download {url}: {error}.") from error
    else:
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _check_hash(archive: Path, sha256: str, chunk_size: int) -> None:
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while chunk := file.read(chunk_size):
            digest.update(chunk)
    if digest.hexdigest() != sha256.lower():
        raise ValueError(
            f"Expected {archive} to have the SHA-256 {sha256}, but it has {digest.hexdigest()}. "
            "Delete the file to fetch it again."
        )


def _target(folder: Path, name: str, archive: Path) -> Path:
    root = folder.resolve()
    target = (root / name).resolve()
    if not target.is_relative_to(root):
        raise ValueError(
            f"Expected every member of {archive} to stay inside {folder}, but found {name!r}."
        )
    return target


def _is_there(target: Path, size: int) -> bool:
    return target.is_file() and target.stat().st_size == size


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        # all names are checked before the first file is written
        targets = [_target(folder, member.filename, archive) for member in members]
        for member in members:
            # the upper half holds the mode of Unix
            if stat.S_ISLNK(member.external_attr >> 16):
                raise ValueError(f"Refused to unpack {archive}: {member.filename!r} is a link.")
        missing = [
            m for m, t in zip(members, targets, strict=True) if not _is_there(t, m.file_size)
        ]
        file.extractall(folder, members=missing)
    _logger.info("unpacked %d of %d members of %s", len(missing), len(members), archive)


def _unpack_tar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as file:
        members = file.getmembers()
        targets = [_target(folder, member.name, archive) for member in members]
        missing = [m for m, t in zip(members, targets, strict=True) if not _is_there(t, m.size)]
        file.extractall(folder, members=missing, filter="data")
    _logger.info("unpacked %d of %d members of %s", len(missing), len(members), archive)

# SPDX-License-Identifier: Apache-2.0
"""Writing of shards, described in :mod:`pytorchvideo.data.preparing.shards`.

While a folder is not complete, ``unfinished.jsonl`` stands in it: first the limits, then a line for each shard with
the videos in it. A run that was broken off goes on from there; ``index.json`` appears when every shard is there.
"""

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import fsspec

from pytorchvideo._checks import expected
from pytorchvideo._files import append, remove_unfinished, whole_file, write_whole
from pytorchvideo._locks import alone_in
from pytorchvideo._text import parse_json
from pytorchvideo.data.labeled_video_paths import NO_LABEL, LabeledVideoPaths

INDEX = "index.json"
RECORD = "unfinished.jsonl"
FORMAT = 1  # of the index and of the record
MAX_BYTES, MAX_COUNT = 1 << 30, 10_000


@dataclass(frozen=True)
class PackedVideo:
    """What became of one video.

    Args:
        path: of the video.
        reason: why it is in no shard; None if it is.
        shard: name of its tar file.
        size: bytes of the video.
        was_there: whether an earlier run has packed it.
    """

    path: str
    reason: str | None
    shard: str | None = None
    size: int = 0
    was_there: bool = False


def write_shards(
    videos: LabeledVideoPaths,
    folder: str | os.PathLike[str],
    *,
    max_bytes: int = MAX_BYTES,
    max_count: int = MAX_COUNT,
) -> Generator[PackedVideo, None, None]:
    """Packs videos, as they are and in their order, into ``shard-000000.tar``, ``shard-000001.tar`` and so on.

    A shard appears when it is complete, and the index when all are. The same videos give the same bytes, also where
    the work was broken off and the same call goes on with it: it leaves the shards that are complete.

    Args:
        videos: see :class:`~pytorchvideo.data.LabeledVideoPaths`.
        folder: a local folder without shards, or with those of a call that was broken off; it is made.
        max_bytes: of the videos of a shard; a larger one has a shard for itself.
        max_count: videos of a shard.

    Yields:
        each video, when it is packed; one that cannot be read has a reason.

    Raises:
        ValueError: the folder holds other shards, a limit is not positive, or videos have several classes; while it
            goes on: the videos are not those that it was begun with.
        BlockingIOError: another process writes there.
    """
    for name, limit in (("max_bytes", max_bytes), ("max_count", max_count)):
        if limit < 1:
            raise ValueError(expected(name, ">= 1", limit))
    check_shard_folder(folder, max_bytes=max_bytes, max_count=max_count)
    if videos.multi_label:
        wanted = "of one class each, which is all that a shard says"
        raise ValueError(expected("videos", wanted, "several classes of a video"))
    return _pack(videos, Path(folder), max_bytes, max_count)


def check_shard_folder(
    folder: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES, max_count: int = MAX_COUNT
) -> None:
    """Raises a ValueError if a folder holds shards, unless :func:`write_shards` can go on with them."""
    begun = _read_record(Path(folder))
    if begun:
        for name, limit in (("max_bytes", max_bytes), ("max_count", max_count)):
            if begun[0][name] != limit:
                raise ValueError(
                    f"The shards in {folder} were begun with {name}={begun[0][name]}, but got {limit}. Give the same "
                    f"again, or remove the shards and {RECORD}."
                )
    elif next(Path(folder).glob("shard-*.tar"), None) is not None:
        raise ValueError(f"{folder} holds shards already. Choose another folder, or remove them.")


def _read_record(folder: Path) -> list[dict[str, Any]]:
    """The limits of a call that was broken off and the shards that it has completed; nothing where there is none."""
    try:
        lines = (folder / RECORD).read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    try:
        # A last line without an end was being written when the call was broken off.
        record: list[dict[str, Any]] = [
            parse_json(one.decode(), RECORD) for one in lines if one.endswith(b"\n")
        ]
        if record and record[0]["format"] != FORMAT:
            raise ValueError("another format")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{folder / RECORD} is not a record of shards. Choose another folder, or remove it."
        ) from error
    return record


def _pack(
    videos: LabeledVideoPaths, target: Path, max_bytes: int, max_count: int
) -> Generator[PackedVideo, None, None]:
    with alone_in(target), _ShardWriter(target, max_bytes, max_count) as writer:
        for number in range(len(videos)):
            path, info = videos[number]
            try:
                video = opened(path)
            except OSError as error:
                why = error.strerror or str(error)
                yield PackedVideo(path, f"{path} cannot be opened: {why[0].lower()}{why[1:]}.")
                continue
            with video:
                size = video.seek(0, io.SEEK_END)
                if size == 0:
                    yield PackedVideo(path, f"{path} is empty (0 bytes).")
                    continue
                video.seek(0)
                facts = {"label": info["label"], "video_name": Path(path).name, "path": path}
                if videos.class_names is not None and info["label"] != NO_LABEL:
                    facts["class_name"] = videos.class_names[info["label"]]
                shard, was_there = writer.add(number, video, size, facts)
                yield PackedVideo(path, None, shard, size, was_there)
        writer.finish(videos.class_names)


class _ShardWriter:
    """One tar file after the other, and their index. Shards of an earlier writer are compared and left.

    Its record holds for each shard its size, its part of the index, and its sources: for each video
    ``[member, bytes, time of change in ns, facts]``.
    """

    def __init__(self, folder: Path, max_bytes: int, max_count: int) -> None:
        self._folder, self._limits = folder, {"max_bytes": max_bytes, "max_count": max_count}
        self._index: dict[str, dict[str, Any]] = {}
        self._standing: dict[str, dict[str, Any]] = {}
        self._open = contextlib.ExitStack()  # of the shard that is being written
        self._tar: tarfile.TarFile | None = None
        self._samples: list[list[Any]] = []
        self._sources: list[list[Any]] = []
        self._bytes = 0

    def __enter__(self) -> "_ShardWriter":
        begun = _read_record(self._folder)
        for shard in begun[1:]:
            file = self._folder / shard["shard"]
            if file.is_file() and file.stat().st_size == shard["bytes"]:
                self._standing[shard["shard"]] = shard
        if not begun:
            (self._folder / INDEX).unlink(missing_ok=True)  # of shards that are gone
        remove_unfinished(self._folder)
        lines = [{"format": FORMAT, **self._limits}, *self._standing.values()]
        write_whole(self._folder / RECORD, "".join(json.dumps(line) + "\n" for line in lines))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)  # removes what is not complete

    def add(
        self, number: int, video: BinaryIO, size: int, facts: dict[str, Any]
    ) -> tuple[str, bool]:
        """Packs one video; returns the name of its shard, and whether it was there."""
        too_large = self._bytes + size > self._limits["max_bytes"]
        if self._sources and (too_large or len(self._sources) >= self._limits["max_count"]):
            self._close()
        member = f"{number:08d}{Path(facts['video_name']).suffix.lower()}"
        self._sources.append([member, size, _time_of(facts["path"]), facts])
        self._bytes += size
        standing = self._standing.get(self._name)
        if standing is None:
            self._write(member, video, size, facts)
        elif standing["sources"][len(self._sources) - 1 :][:1] != self._sources[-1:]:
            raise self._other(f"{self._name} does not hold {facts['path']} as it is now")
        return self._name, standing is not None

    def _write(self, member: str, video: BinaryIO, size: int, facts: dict[str, Any]) -> None:
        if self._tar is None:
            part = self._open.enter_context(whole_file(self._folder / self._name))
            self._tar = self._open.enter_context(tarfile.TarFile(part, "w"))
        tar, key, label = self._tar, member.partition(".")[0], facts["label"]
        tar.addfile(_header(member, size), video)
        offset = tar.offset - -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if label != NO_LABEL:
            _add_bytes(tar, f"{key}.cls", str(label).encode())
        _add_bytes(tar, f"{key}.json", json.dumps(facts).encode())
        self._samples.append([member, offset, size, label, facts["video_name"]])

    @property
    def _name(self) -> str:
        return f"shard-{len(self._index):06d}.tar"

    def _close(self) -> None:
        if not self._sources:
            return
        name = self._name
        shard = self._standing.get(name)
        if shard is None:
            self._tar = None
            self._open.close()
            size = (self._folder / name).stat().st_size
            shard = {"shard": name, "bytes": size}
            shard |= {"samples": self._samples, "sources": self._sources}
            append(self._folder / RECORD, json.dumps(shard) + "\n")
        elif len(shard["sources"]) != len(self._sources):
            raise self._other(f"{name} holds videos that are not among them")
        self._index[name] = {"bytes": shard["bytes"], "samples": shard["samples"]}
        self._samples, self._sources, self._bytes = [], [], 0

    def finish(self, class_names: list[str] | None) -> None:
        """Completes the last shard, and writes the index."""
        self._close()
        if more := {path.name for path in self._folder.glob("shard-*.tar")} - self._index.keys():
            raise self._other(f"{min(more)} holds videos that are not among them")
        index = {"format": FORMAT, "class_names": class_names, "shards": self._index}
        write_whole(self._folder / INDEX, json.dumps(index))
        (self._folder / RECORD).unlink()

    def _other(self, what: str) -> ValueError:
        return ValueError(
            f"The shards in {self._folder} were begun with other videos: {what}. Give the same again, or remove the "
            f"shards and {RECORD}."
        )


def _time_of(path: str) -> int | None:
    """When a local file was changed, in ns."""
    return None if "://" in path else os.stat(path).st_mtime_ns


def _header(name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size = size
    return header


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_header(name, len(content)), io.BytesIO(content))


def opened(path: str) -> Any:
    """A local or a remote file, for reading."""
    return fsspec.open(path, "rb").open() if "://" in path else open(path, "rb")

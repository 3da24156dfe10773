# SPDX-License-Identifier: Apache-2.0
"""Videos into tar files; :mod:`pytorchvideo.data.shards` describes them."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec

from pytorchvideo._checks import expected
from pytorchvideo._files import write_whole
from pytorchvideo.data.labeled_video_paths import NO_LABEL, LabeledVideoPaths

INDEX = "index.json"
FORMAT = 1  # of the index


@dataclass(frozen=True)
class PackedVideo:
    """What became of one video.

    Args:
        path: of the video.
        reason: why it is in no shard; None if it is.
        shard: name of its tar file.
        size: bytes of the video.
    """

    path: str
    reason: str | None
    shard: str | None = None
    size: int = 0


def write_shards(
    videos: LabeledVideoPaths,
    folder: str | os.PathLike[str],
    *,
    max_bytes: int = 1 << 30,
    max_count: int = 10_000,
) -> Iterator[PackedVideo]:
    """Packs videos, as they are and in their order, into ``shard-000000.tar``, ``shard-000001.tar`` and so on.

    A shard appears when it is complete. The same videos give the same bytes.

    Args:
        videos: see :class:`~pytorchvideo.data.LabeledVideoPaths`.
        folder: a local folder without shards; it is made.
        max_bytes: of the videos of a shard; a larger one has a shard for itself.
        max_count: videos of a shard.

    Yields:
        each video, when it is packed; one that cannot be read has a reason.

    Raises:
        ValueError: the folder holds shards, a limit is not positive, or videos have several classes.
    """
    for name, limit in (("max_bytes", max_bytes), ("max_count", max_count)):
        if limit < 1:
            raise ValueError(expected(name, ">= 1", limit))
    check_no_shards(folder)
    if videos.multi_label:
        wanted = "of one class each, which is all that a shard says"
        raise ValueError(expected("videos", wanted, "several classes of a video"))
    return _pack(videos, Path(folder), max_bytes, max_count)


def check_no_shards(folder: str | os.PathLike[str]) -> None:
    """Raises a ValueError if a folder holds shards, with which new ones would mix."""
    if next(Path(folder).glob("shard-*.tar"), None) is not None:
        raise ValueError(f"{folder} holds shards already. Choose another folder, or remove them.")


def _pack(
    videos: LabeledVideoPaths, target: Path, max_bytes: int, max_count: int
) -> Iterator[PackedVideo]:
    target.mkdir(parents=True, exist_ok=True)
    writer = _ShardWriter(target, max_bytes, max_count)
    try:
        for number in range(len(videos)):
            path, info = videos[number]
            try:
                video = opened(path)
            except OSError as error:
                yield PackedVideo(path, str(error))
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
                yield PackedVideo(path, None, writer.add(number, video, size, facts), size)
        writer.finish(videos.class_names)
    finally:
        writer.discard()


class _ShardWriter:
    """One tar file after the other, and their index."""

    def __init__(self, folder: Path, max_bytes: int, max_count: int) -> None:
        self._folder, self._max_bytes, self._max_count = folder, max_bytes, max_count
        self._index: dict[str, dict[str, Any]] = {}
        self._tar: tarfile.TarFile | None = None
        self._samples: list[list[Any]] = []

    def add(self, number: int, video: BinaryIO, size: int, facts: dict[str, Any]) -> str:
        """Packs one video; returns the name of its shard."""
        packed = sum(sample[2] for sample in self._samples)
        full = packed + size > self._max_bytes or len(self._samples) >= self._max_count
        if self._samples and full:
            self._close()
        if self._tar is None:
            self._tar = tarfile.open(self._unfinished, "w")  # noqa: SIM115 - stays open
        tar, key, label = self._tar, f"{number:08d}", facts["label"]
        member = key + Path(facts["video_name"]).suffix.lower()
        tar.addfile(_header(member, size), video)
        offset = tar.offset - -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        if label != NO_LABEL:
            _add_bytes(tar, f"{key}.cls", str(label).encode())
        _add_bytes(tar, f"{key}.json", json.dumps(facts).encode())
        self._samples.append([member, offset, size, label, facts["video_name"]])
        return self._name

    @property
    def _name(self) -> str:
        return f"shard-{len(self._index):06d}.tar"

    @property
    def _unfinished(self) -> Path:
        return self._folder / f".{self._name}.part"

    def _close(self) -> None:
        if self._tar is None:
            return
        self._tar.close()
        self._tar = None
        complete = self._unfinished.replace(self._folder / self._name)
        self._index[self._name] = {"bytes": complete.stat().st_size, "samples": self._samples}
        self._samples = []

    def finish(self, class_names: list[str] | None) -> None:
        """Completes the last shard, and writes the index."""
        self._close()
        index = {"format": FORMAT, "class_names": class_names, "shards": self._index}
        write_whole(self._folder / INDEX, json.dumps(index))

    def discard(self) -> None:
        """Removes what is not complete."""
        if self._tar is not None:
            self._tar.close()
            self._unfinished.unlink()


def _header(name: str, size: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size = size
    return header


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_header(name, len(content)), io.BytesIO(content))


def opened(path: str) -> Any:
    """A local or a remote file, for reading."""
    return fsspec.open(path, "rb").open() if "://" in path else open(path, "rb")

# SPDX-License-Identifier: Apache-2.0
"""Shards: videos in tar files for object storage, in the layout of ``webdataset``.

A shard is a plain tar file in the format of WebDataset (https://github.com/webdataset/webdataset): files whose names
are the same up to the first dot of their last part belong to one sample. A sample written here is

    00000012.mp4     the video, as it was, with the ending that it had
    00000012.cls     its class id, if it has one
    00000012.json    {"label": 3, "class_name": "archery", "video_name": "a.mp4", "path": "archery/a.mp4"}

and ``index.json`` beside the shards says where each video stands in them, so that opening a million of them takes one
small file. It is written last: shards from here without it are not all there, and are refused. Shards of others have no
index: then their headers are read once.
"""

import io
import os
import re
import tarfile
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from fsspec.core import has_magic, url_to_fs

from pytorchvideo._checks import expected
from pytorchvideo._text import SMALL, counted
from pytorchvideo.data._annotations.video_files import is_video
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._frame_index import IndexCache
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.labeled_video_paths import NO_LABEL
from pytorchvideo.data.preparing.shard_index import parse_index, parse_member
from pytorchvideo.data.preparing.shard_writing import (
    FORMAT,
    INDEX,
    PackedVideo,
    check_shard_folder,
    opened,
    write_shards,
)

__all__ = ["PackedVideo", "ShardedVideos", "check_shard_folder", "write_shards"]

_OWN_NAME = re.compile(r"shard-\d{6}\.tar")
_OWN_FACTS = {"label", "video_name", "path"}


class _Place(NamedTuple):
    """Where a video stands, and what is known of it."""

    shard: str
    member: str
    offset: int
    size: int
    label: int
    video_name: str


class ShardedVideos:
    """The videos of WebDataset shards, for the datasets of this library.

    ``LabeledVideoDataset(ShardedVideos(...), ...)`` and ``ClipDataset(ShardedVideos(...), ...)`` give the samples
    that the files themselves give, with the same samplers, order, workers, ranks and treatment of bad videos. A
    video is read from where it stands in its shard: of a local one what its clips need, of a remote one the whole
    video with one request, into memory.

    Args:
        shards: a tar file, a folder of such, or a pattern like ``"s3://bucket/train-{000000..000127}.tar"`` or
            ``"/data/*.tar"``; or several of those. Anything that fsspec knows.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it is no tar file, or holds no video; a folder does not hold all that its index lists, or was left
            by a :func:`write_shards` that did not come to its end.

    Attributes:
        class_names: of the classes 0, 1, 2..., if the shards know them.
        video_path_handler: opens the videos.

    Example::

        videos = ShardedVideos("s3://bucket/train-{000000..000127}.tar")
        dataset = LabeledVideoDataset(videos, make_clip_sampler("random", 2))
    """

    def __init__(self, shards: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> None:
        several = [shards] if isinstance(shards, (str, os.PathLike)) else list(shards)
        found = dict(one for pattern in several for one in _find_shards(os.fspath(pattern)))
        self.class_names: list[str] | None = None
        self.video_path_handler = _ShardHandler()
        indexes: dict[str, dict[str, Any]] = {}
        names: dict[int, str] = {}
        for shard, is_of_folder in found.items():
            folder, _, name = shard.rpartition("/")
            if folder not in indexes:
                indexes[folder] = _read_index(folder)
                if is_of_folder:
                    _check_all_there(folder, indexes[folder], found)
            known, size = indexes[folder].get("shards", {}).get(name), _size_of(shard)
            if known is not None and known["bytes"] == size:
                self._add(_Place(shard, *sample) for sample in known["samples"])
                names |= dict(enumerate(indexes[folder]["class_names"] or ()))
            elif known is not None and known["bytes"] > size:
                raise ValueError(
                    f"{shard} is cut off: it has {size} of {known['bytes']} bytes that {INDEX} lists. Copy it anew, or "
                    f"remove the {INDEX} if it belongs to other shards."
                )
            else:
                self._add(_scan(shard, names, has_index=bool(indexes[folder])))
        self._paths = list(self.video_path_handler.places)
        if not self._paths:
            raise ValueError(
                f"The shards {', '.join([*found][:3])} hold no video. Expected members with the ending of a video, "
                "such as .mp4."
            )
        if names and sorted(names) == list(range(len(names))):
            self.class_names = [names[i] for i in range(len(names))]

    def _add(self, places: Iterator[_Place]) -> None:
        for place in places:
            self.video_path_handler.places[f"{place.shard}/{place.member}"] = place

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        path = self._paths[index]
        return path, {"label": self.video_path_handler.places[path].label}

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        shards = {place.shard for place in self.video_path_handler.places.values()}
        return f"{type(self).__name__}({counted(len(self), 'video')} in {counted(len(shards), 'shard')})"


class _ShardHandler:
    """Opens ``SHARD/MEMBER``."""

    def __init__(self) -> None:
        self.places: dict[str, _Place] = {}

    def video_from_path(
        self,
        filepath: str,
        decode_video: bool = True,
        decode_audio: bool = False,
        decoder: str = "pyav",
        index_cache: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> EncodedVideo:
        """Returns a reader; see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`."""
        place = self.places[filepath]
        if index_cache is not None:
            options["index_cache"] = IndexCache.of_url(index_cache, filepath, place._asdict())
        file: Any = _Part(place) if "://" not in place.shard else _fetched(place)
        return EncodedVideo(file, place.video_name, decode_video, decode_audio, decoder, **options)


class _Part(io.RawIOBase):
    """A stretch of a local file, seen as a file."""

    def __init__(self, place: _Place) -> None:
        self._file = open(place.shard, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self._offset, self._size, self._position = place.offset, place.size, 0
        self._file.seek(place.offset - tarfile.BLOCKSIZE)
        _check_header(place, self._file.read(tarfile.BLOCKSIZE))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(expected("offset", f">= {-base}", offset))
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(0, self._size - self._position)]
        self._file.seek(self._offset + self._position)
        count = self._file.readinto(view) or 0
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _fetched(place: _Place) -> io.BytesIO:
    """A video of a remote shard, in memory."""
    # Not kept: connections do not survive the fork of a worker, and fsspec keeps what does.
    files, path = url_to_fs(place.shard)
    start, end = place.offset - tarfile.BLOCKSIZE, place.offset + place.size
    try:
        data = files.cat_file(path, start=start, end=end)
    except Exception as error:
        raise VideoError(
            f"{place.shard}: {place.member} cannot be fetched: {error or type(error).__name__}."
        ) from error
    if len(data) > end - start:  # a server that knows no ranges sends everything
        data = data[start:end]
    _check_header(place, data[: tarfile.BLOCKSIZE])
    if len(data) < end - start:
        raise VideoError(f"{place.shard} ends within its member {place.member}: it is cut off.")
    return io.BytesIO(data[tarfile.BLOCKSIZE :])


def _check_header(place: _Place, block: bytes) -> None:
    """Raises unless the block before a video is its header: an index may be that of other shards."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        found = (header.name, header.size)
    except tarfile.HeaderError:
        found = ("", -1)
    # The header of a long name, or of one beyond ASCII, has it in a block of its own.
    is_plain = place.member.isascii() and len(place.member) <= tarfile.LENGTH_NAME
    if found != (place.member if is_plain else found[0], place.size):
        raise VideoError(
            f"{place.shard} does not hold {place.member} where its index says: it has changed. Remove {INDEX}."
        )


# -- what there is -----------------------------------------------------------------------------------


def expand(pattern: str) -> list[str]:
    """The names that a pattern with ``{000..127}`` or ``{a,b}`` stands for.

    >>> expand("train-{08..10}.tar"), expand("{a,b}.tar")
    (['train-08.tar', 'train-09.tar', 'train-10.tar'], ['a.tar', 'b.tar'])
    """
    found = re.search(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    first, last, names = found.groups()
    if names is not None:
        choices = names.split(",")
    else:
        choices = [f"{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [before + choice + rest for choice in choices for rest in expand(after)]


def _find_shards(pattern: str) -> list[tuple[str, bool]]:
    """The shards of a pattern, sorted as it says, and whether it names their folder; local ones as absolute paths."""
    found: list[tuple[str, bool]] = []
    for one in expand(pattern):
        files, path = url_to_fs(one)
        is_folder = not (has_magic(path) or path.endswith(".tar"))
        paths = [path]
        if is_folder or has_magic(path):
            paths = sorted(files.glob(f"{path}/*.tar" if is_folder else path))
        if "://" in one:
            paths = [files.unstrip_protocol(path) for path in paths]
        found += [(path, is_folder) for path in paths]
    if not found:
        raise FileNotFoundError(
            f"There is no shard {pattern!r}. Expected a tar file, a folder of such, or a pattern like "
            "shards/shard-{000000..000007}.tar."
        )
    return found


def _size_of(shard: str) -> int:
    files, path = url_to_fs(shard)
    try:
        return int(files.size(path) or 0)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no shard {shard}.") from error


def _read_index(folder: str) -> dict[str, Any]:
    """The index of a folder, empty where there is none of ours."""
    files, path = url_to_fs(f"{folder}/{INDEX}")
    try:
        index = parse_index(files.cat_file(path), path)
    except (FileNotFoundError, ValueError):
        return {}
    return index if isinstance(index, dict) and index.get("format") == FORMAT else {}


def _check_all_there(folder: str, index: dict[str, Any], found: Collection[str]) -> None:
    """Raises a ValueError unless a folder holds every shard that its index lists."""
    listed = index.get("shards", {})
    if missing := [name for name in listed if f"{folder}/{name}" not in found]:
        raise ValueError(
            f"{folder} lacks {len(missing)} of the {counted(len(listed), 'shard')} that its {INDEX} lists, the "
            "first of them "
            f"{missing[0]}. Copy it anew, or name the shards that you want: {folder}/*.tar."
        )


def _scan(shard: str, names: dict[int, str], has_index: bool) -> Iterator[_Place]:
    """The videos of a shard that an index does not know, and into ``names`` what it says of classes."""
    samples: dict[str, dict[str, Any]] = {}
    try:
        with opened(shard) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                key, _, ending = name.partition(".")
                sample = samples.setdefault(f"{folder}/{key}", {})
                if is_video(f".{ending}"):
                    sample["video"] = member
                elif ending.lower() in ("cls", "json"):
                    content = tar.extractfile(member)
                    text = None if content is None else content.read(SMALL)
                    sample[ending.lower()] = parse_member(text, member.name)
    except (tarfile.TarError, ValueError) as error:
        raise ValueError(f"{shard} is not a shard of samples: {error}.") from error
    for sample in samples.values():
        if "video" not in sample:
            continue
        json_of = sample.get("json")
        facts: dict[str, Any] = json_of if isinstance(json_of, dict) else {}
        if not has_index and facts.keys() >= _OWN_FACTS and _OWN_NAME.search(shard):
            raise ValueError(
                f"{shard} has no {INDEX} beside it, so its folder is not complete. Run the same `pytorchvideo prepare "
                f"--shards` (or write_shards) again, which goes on where it stopped, or copy the {INDEX} as well."
            )
        label = sample.get("cls", facts.get("label", NO_LABEL))
        if not isinstance(label, int):
            raise ValueError(
                f"{shard}: expected the class of {sample['video'].name} to be a whole number, but got {label!r}."
            )
        if isinstance(facts.get("class_name"), str):
            names[label] = facts["class_name"]
        member = sample["video"]
        name = str(facts.get("video_name", member.name.rpartition("/")[2]))
        yield _Place(shard, member.name, member.offset_data, member.size, label, name)

# SPDX-License-Identifier: Apache-2.0
"""HMDB51 (Kuehne et al., ICCV 2011): 51 actions in 6,766 clips of films and of the web.

Three splits come as one text file per action, ``<action>_test_split<id>.txt``, with lines ``<video> <0|1|2>``.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import RandomSampler, Sampler

from pytorchvideo._checks import check_choice, expected, shortened
from pytorchvideo._text import read_lines
from pytorchvideo.data._annotations.tables import bad_line
from pytorchvideo.data._reading.clip_reader import Transform
from pytorchvideo.data.clip_sampling import ClipSampler
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset

__all__ = ["Hmdb51", "Hmdb51LabeledVideoPaths"]

_SPLIT_TYPES = {"unused": "0", "train": "1", "test": "2"}
_FILE_NAME = re.compile(r"(?P<action>.+)_test_split_?(?P<split>\d+)\.txt")
_NUM_META_TAGS = 5


class Hmdb51LabeledVideoPaths:
    """A sequence of ``(path, {"label": action, "meta_tags": tags})``.

    The label is the name of the action. The five tags stand in the name of the file: visible body parts, camera
    motion, number of people, camera viewpoint, quality.

    Args:
        paths_and_labels: pairs of a path and an info dict.
        path_prefix: put before every path, as ``os.path.join`` does.

    Attributes:
        class_names: the actions, sorted.
    """

    def __init__(
        self, paths_and_labels: Sequence[tuple[str, dict[str, Any]]], path_prefix: str = ""
    ) -> None:
        self._paths_and_labels = list(paths_and_labels)
        self._path_prefix = path_prefix
        self.class_names = sorted({info["label"] for _, info in self._paths_and_labels})

    @classmethod
    def from_dir(
        cls, data_path: str | os.PathLike[str], split_id: int = 1, split_type: str = "train"
    ) -> "Hmdb51LabeledVideoPaths":
        """Reads the files of one split.

        Args:
            data_path: the folder of ``<action>_test_split<id>.txt``; ``<action>_test_split_<id>.txt`` will do as well.
            split_id: 1, 2 or 3.
            split_type: ``"train"``, ``"test"`` or ``"unused"``.

        Raises:
            NotADirectoryError: ``data_path`` is no folder.
            FileNotFoundError: no file in it belongs to this split.
            ValueError: for another ``split_id`` or ``split_type``, and as :meth:`from_csvs`.
        """
        if split_id not in (1, 2, 3):
            raise ValueError(expected("split_id", "1, 2 or 3", split_id))
        folder = Path(data_path)
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is not a folder. Expected that of the split files.")
        files = []
        for file in sorted(folder.iterdir()):
            name = _FILE_NAME.fullmatch(file.name)
            if name is not None and int(name["split"]) == split_id:
                files.append(file)
        if not files:
            raise FileNotFoundError(f"{folder} has no file `<action>_test_split{split_id}.txt`.")
        return cls.from_csvs(files, split_type)

    @classmethod
    def from_csvs(
        cls, file_paths: Sequence[str | os.PathLike[str]], split_type: str = "train"
    ) -> "Hmdb51LabeledVideoPaths":
        """Reads split files.

        Args:
            file_paths: of ``<action>_test_split<id>.txt``; their names tell the actions.
            split_type: ``"train"``, ``"test"`` or ``"unused"``.

        Raises:
            ValueError: for another ``split_type``; for a file of another name; for a line that cannot be read, named
                with the file and its number; if no video belongs to this type.
        """
        check_choice("split_type", split_type, _SPLIT_TYPES)
        wanted = _SPLIT_TYPES[split_type]
        found = [pair for file in file_paths for pair in _read_split(Path(file), wanted)]
        if not found:
            names = shortened(", ".join(map(str, file_paths)))
            raise ValueError(f"The split files list no {split_type} video: {names}.")
        return cls(found)

    @property
    def path_prefix(self) -> str:
        """Put before every path."""
        return self._path_prefix

    @path_prefix.setter
    def path_prefix(self, prefix: str | os.PathLike[str]) -> None:
        self._path_prefix = os.fspath(prefix)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        path, info = self._paths_and_labels[index]
        return os.path.join(self.path_prefix, path), dict(info)

    def __len__(self) -> int:
        return len(self._paths_and_labels)


def _read_split(file: Path, wanted: str) -> list[tuple[str, dict[str, Any]]]:
    name = _FILE_NAME.fullmatch(file.name)
    if name is None:
        raise ValueError(f"Expected a file `<action>_test_split<id>.txt`, but got {file}.")
    found = []
    for number, line in read_lines(file, "`<video> <0|1|2>` lines"):
        if not line.strip():
            continue
        video, _, kind = line.strip().rpartition(" ")
        if not video or kind not in _SPLIT_TYPES.values():
            raise bad_line(file, number, line, "`<video> <0|1|2>`")
        if kind == wanted:
            path = os.path.join(name["action"], video.strip())
            found.append((path, {"label": name["action"], "meta_tags": _meta_tags(video.strip())}))
    return found


def _meta_tags(video: str) -> list[str]:
    """The tags of ``<title>_<action>_<tag>_<tag>_<tag>_<tag>_<tag>_<number>.avi``.

    >>> _meta_tags("April_09_brush_hair_u_nm_np1_ba_goo_0.avi")
    ['u', 'nm', 'np1', 'ba', 'goo']
    """
    return video.split("_")[-_NUM_META_TAGS - 1 : -1]


def Hmdb51(
    data_path: str,
    clip_sampler: ClipSampler,
    video_sampler: Callable[[Any], Sampler] = RandomSampler,
    transform: Transform | None = None,
    video_path_prefix: str = "",
    split_id: int = 1,
    split_type: str = "train",
    decode_audio: bool = True,
    decoder: str = "pyav",
    **options: Any,
) -> LabeledVideoDataset:
    """Makes the dataset of one split of HMDB51.

    Samples have ``label``, the name of the action, and ``meta_tags``; see :class:`Hmdb51LabeledVideoPaths`.

    Args:
        data_path: the folder of the split files.
        clip_sampler: which clips to take from a video.
        video_sampler: a sampler class; the order of the videos.
        transform: applied to each sample.
        video_path_prefix: the folder of the videos, which are in one subfolder per action.
        split_id: 1, 2 or 3.
        split_type: ``"train"``, ``"test"`` or ``"unused"``.
        decode_audio: whether samples have ``audio``.
        decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        options: the keyword-only arguments of :class:`~pytorchvideo.data.LabeledVideoDataset`.

    Raises:
        OSError, ValueError: see :meth:`Hmdb51LabeledVideoPaths.from_dir`.
    """
    videos = Hmdb51LabeledVideoPaths.from_dir(data_path, split_id, split_type)
    videos.path_prefix = video_path_prefix
    return LabeledVideoDataset(
        videos,
        clip_sampler,
        video_sampler,
        transform,
        decode_audio=decode_audio,
        decoder=decoder,
        **options,
    )

# SPDX-License-Identifier: Apache-2.0
"""Embeddings of clips: computed once, kept in a file, searched.

By its ending, a file is parquet (a row a clip: ``video, start_sec, end_sec, embedding``) or safetensors
(``embeddings`` (N, F), ``start_sec`` and ``end_sec`` (N,) float64, and ``video`` (N,), a number in the list
``videos`` of the metadata). The metadata of both say which model made it.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file
from pytorchvideo._text import counted, none_of, parse_json
from pytorchvideo.data._decode import VideoError
from pytorchvideo.inference.predictor import ClipFeatures, VideoPredictor

_FORMAT = "pytorchvideo.embeddings"
_ENDINGS = (".parquet", ".safetensors")
_NEEDS_ARROW = "Parquet files need pyarrow: pip install pyarrow, or use a .safetensors file."


@dataclass(frozen=True)
class Embeddings:
    """Vectors of clips.

    Args:
        vectors: float32 (N, F).
        videos: the file of each clip.
        times: ``(start_sec, end_sec)`` of each clip in its video.
        made_by: the model, its recipe and its weights, as plain types.
    """

    vectors: Tensor
    videos: Sequence[str]
    times: Sequence[tuple[float, float]]
    made_by: dict[str, Any]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or not len(self.vectors) == len(self.videos) == len(self.times):
            got = f"{tuple(self.vectors.shape)}, {len(self.videos)} and {len(self.times)}"
            wanted = "one row, one file and one pair of times for each clip"
            raise ValueError(expected("vectors, videos, times", wanted, got))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a file that is complete or not there.

        Raises:
            ValueError: the ending is neither ``.parquet`` nor ``.safetensors``.
            ImportError: parquet without pyarrow.
        """
        target = Path(path)
        write = {".parquet": self._write_parquet, ".safetensors": self._write_safetensors}
        check_ending(target)
        with whole_file(target) as part:
            write[target.suffix](part)

    def _write_safetensors(self, path: Path) -> None:
        files = list(dict.fromkeys(self.videos))
        number = {file: i for i, file in enumerate(files)}
        starts, ends = torch.tensor(list(self.times), dtype=torch.float64).reshape(-1, 2).unbind(1)
        tensors = {
            "embeddings": self.vectors.contiguous(),
            "video": torch.tensor([number[file] for file in self.videos], dtype=torch.int64),
            "start_sec": starts.contiguous(),
            "end_sec": ends.contiguous(),
        }
        about = {"format": _FORMAT, "made_by": json.dumps(self.made_by)}
        save_file(tensors, path, metadata={**about, "videos": json.dumps(files)})

    def _write_parquet(self, path: Path) -> None:
        arrow, parquet = _arrow()
        flat = arrow.array(self.vectors.flatten().numpy())
        table = arrow.table(
            {
                "video": list(self.videos),
                "start_sec": [start for start, _ in self.times],
                "end_sec": [end for _, end in self.times],
                "embedding": arrow.FixedSizeListArray.from_arrays(flat, self.vectors.shape[1]),
            }
        )
        about = {"format": _FORMAT, "made_by": json.dumps(self.made_by)}
        parquet.write_table(table.replace_schema_metadata(about), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Embeddings":
        """Reads what :meth:`save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: another ending, or another kind of file.
            ImportError: parquet without pyarrow.
        """
        source = Path(path)
        check_ending(source)
        if not source.is_file():
            raise FileNotFoundError(f"There is no file of embeddings {source}.")
        found = _read_parquet(source) if source.suffix == ".parquet" else _read_safetensors(source)
        if found is None:
            raise ValueError(f"{source} is no file of embeddings. `pytorchvideo embed` writes one.")
        return found

    def rows_of_videos(self) -> dict[str, list[int]]:
        """Returns the rows of each video, in the order of the rows."""
        rows: dict[str, list[int]] = {}
        for index, video in enumerate(self.videos):
            rows.setdefault(video, []).append(index)
        return rows

    def nearest(self, vector: Tensor, k: int = 5) -> list[tuple[int, float]]:
        """Returns the rows most like a vector with the cosine of the angle between them, best first.

        Args:
            vector: (F,).
            k: how many at most.

        Raises:
            ValueError: of another length than the rows.
        """
        if vector.shape != self.vectors.shape[1:]:
            wanted = f"{counted(self.vectors.shape[1], 'value')}, as those that are searched have"
            raise ValueError(expected("vector", wanted, tuple(vector.shape)))
        likeness = torch.nn.functional.cosine_similarity(self.vectors, vector[None])
        best = likeness.topk(min(k, len(likeness)))
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))


def check_ending(path: Path) -> None:
    """Raises a ValueError unless the name of a file of embeddings says how it is written."""
    if path.suffix not in _ENDINGS:
        wanted = f"a name that ends in {' or '.join(_ENDINGS)}"
        raise ValueError(expected("file", wanted, str(path)))


def embed(
    predictor: VideoPredictor,
    videos: Iterable[str],
    *,
    clips: int | str = 4,
    views: int = 1,
    workers: int = 0,
    made_by: dict[str, Any] | None = None,
    on_video: Callable[[], None] = lambda: None,
) -> tuple[Embeddings, list[tuple[str, str]]]:
    """Computes the features of clips of videos.

    Args:
        predictor: its model has ``forward_features``, as those of the zoo.
        videos: files.
        clips: see :meth:`VideoPredictor.predict`.
        views: the same.
        workers: processes that read; see :meth:`VideoPredictor.predict_videos`.
        made_by: what is said of the model beside its recipe.
        on_video: called after each.

    Returns:
        The embeddings, and ``(path, reason)`` of the videos that cannot be read.

    Raises:
        VideoError: (a RuntimeError) none of them can be read.
        TypeError: the model has no features.
    """
    names: list[str] = []
    found: list[ClipFeatures] = []
    skipped: list[tuple[str, str]] = []
    paths = list(videos)
    answers = predictor.embed_videos(paths, clips=clips, views=views, workers=workers)
    for path, rows in zip(paths, answers, strict=True):
        if isinstance(rows, Exception):
            skipped.append((path, str(rows)))
        else:
            found += rows
            names += [path] * len(rows)
        on_video()
    if not found:
        raise VideoError(
            f"{none_of(len(skipped), 'video')} can be read; the first: {skipped[0][1]}"
        )
    times = [(clip.start_sec, clip.end_sec) for clip in found]
    about = {**(made_by or {}), "recipe": predictor.recipe.to_dict()}
    return Embeddings(torch.stack([clip.features for clip in found]), names, times, about), skipped


def _read_safetensors(path: Path) -> Embeddings | None:
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            if about.get("format") != _FORMAT:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        return None
    files = parse_json(about.get("videos", "null"), path)
    try:
        videos = [files[number] for number in tensors["video"].tolist()]
        spans = [tensors[name].tolist() for name in ("start_sec", "end_sec")]
        return _checked(path, tensors["embeddings"], videos, spans, about.get("made_by"))
    except (IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is a damaged file of embeddings: {error!r}.") from error


def _read_parquet(path: Path) -> Embeddings | None:
    arrow, parquet = _arrow()
    try:
        table = parquet.read_table(path)
    except arrow.ArrowInvalid:
        return None
    about = table.schema.metadata or {}
    if about.get(b"format") != _FORMAT.encode():
        return None
    try:
        column = table["embedding"].combine_chunks()
        vectors = torch.from_numpy(column.flatten().to_numpy().copy()).view(len(column), -1)
        spans = [table[name].to_pylist() for name in ("start_sec", "end_sec")]
        made_by = about.get(b"made_by", b"null").decode()
        return _checked(path, vectors, table["video"].to_pylist(), spans, made_by)
    except (AttributeError, KeyError, RuntimeError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is a damaged file of embeddings: {error!r}.") from error


def _checked(
    path: Path, vectors: Tensor, videos: list[Any], spans: list[list[Any]], made_by: str | None
) -> Embeddings:
    """Embeddings out of the parts of a file, which belong together."""
    about = parse_json(made_by or "null", path)
    starts, ends = spans
    is_whole = (
        vectors.ndim == 2
        and vectors.dtype == torch.float32
        and len(vectors) == len(videos) == len(starts) == len(ends) > 0
        and all(isinstance(video, str) for video in videos)
        and all(isinstance(time, float) for time in (*starts, *ends))
        and isinstance(about, dict)
    )
    if not is_whole:
        raise ValueError(f"{path} is a damaged file of embeddings: its columns do not fit.")
    return Embeddings(vectors, videos, list(zip(starts, ends, strict=True)), about)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(_NEEDS_ARROW) from error
    return pyarrow, pyarrow.parquet

# SPDX-License-Identifier: Apache-2.0
"""Conversion to and from the Hugging Face library ``datasets``.

::

    videos = HuggingFaceVideos(datasets.load_dataset("owner/name", split="train"))
    dataset = ClipDataset(videos, make_clip_sampler("random", 2), transform=transform)

    to_hugging_face(LabeledVideoPaths.from_path("videos/train")).push_to_hub("me/gestures")

A folder with one subfolder of videos per class needs no change to be read by both: it is the layout of their
``load_dataset("videofolder", data_dir=...)``. ``datasets`` comes with ``pip install "pytorchvideo[hf]"``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytorchvideo._checks import expected, near_names
from pytorchvideo._text import counted
from pytorchvideo.data._reading.clip_reader import LabeledVideos
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.labeled_video_paths import NO_LABEL
from pytorchvideo.data.video import Video, VideoPathHandler

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["HuggingFaceVideos", "to_hugging_face"]


class _Place(NamedTuple):
    """Where the video of a row is: in a file, or in the row itself, for which ``path`` then only stands."""

    path: str
    name: str
    embedded: bool


class HuggingFaceVideos:
    """The rows of a ``datasets.Dataset`` as labelled videos for :class:`LabeledVideoDataset` and :class:`ClipDataset`.

    Nothing is decoded by ``datasets``, nor is torchcodec needed: clips are read by this library, of files where a row
    has the path of one, and of the bytes inside the data set otherwise.

    Args:
        dataset: with random access, not streaming.
        video: the column with a ``Video`` feature, paths or bytes.
        label: the column with a ``ClassLabel``, numbers, or names, which get numbers in alphabetical order; None
            leaves the videos without labels.

    Attributes:
        class_names: names of the labels 0, 1, 2..., if they are known.
        video_path_handler: opens the videos.

    Raises:
        TypeError: ``dataset`` has no random access.
        ValueError: a column is not there, or does not hold videos.
    """

    def __init__(
        self, dataset: "Dataset", *, video: str = "video", label: str | None = "label"
    ) -> None:
        if not hasattr(dataset, "select_columns") or not hasattr(dataset, "__len__"):
            advice = "Load it with streaming=False, and choose a split."
            kind = type(dataset).__name__
            raise TypeError(expected("dataset", "a datasets.Dataset", kind, advice))
        for name in filter(None, (video, label)):
            if name not in dataset.column_names:
                near = near_names(name, dataset.column_names)
                raise ValueError(f"The data set has no column {name!r}. {near}")
        self._videos = _undecoded(dataset.select_columns([video]), video)
        self._column = video
        self._paths = list(_paths(self._videos, video))
        self._rows = {path: row for row, (path, _, embedded) in enumerate(self._paths) if embedded}
        labels = [None] * len(dataset) if label is None else list(dataset[label])
        self._labels, self.class_names = _numbers(
            labels, None if label is None else dataset.features[label]
        )
        self.video_path_handler = _RowHandler(self)

    def __len__(self) -> int:
        """Number of videos."""
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        """Returns the path of a file, or what stands for the bytes of a row, and ``{"label": int}``."""
        return self._paths[index].path, {"label": self._labels[index]}

    def embedded(self, path: str) -> tuple[str, bytes] | None:
        """Returns the name and the content of the video that a path of a row stands for, None for files."""
        row = self._rows.get(path)
        if row is None:
            return None
        value = self._videos[row][self._column]
        return self._paths[row].name, value["bytes"] if isinstance(value, dict) else value

    def __repr__(self) -> str:
        classes = "" if self.class_names is None else f", {counted(len(self.class_names), 'class')}"
        return f"{type(self).__name__}({counted(len(self), 'video')}{classes})"


class _RowHandler(VideoPathHandler):
    """Opens videos that are bytes in a row; everything else as usual."""

    def __init__(self, videos: HuggingFaceVideos) -> None:
        super().__init__()
        self._videos = videos

    def video_from_path(
        self,
        filepath: str | Path,
        decode_video: bool = True,
        decode_audio: bool = False,
        decoder: str = "pyav",
        fps: float | None = None,
        **options: Any,
    ) -> Video:
        found = self._videos.embedded(str(filepath))
        if found is None:
            return super().video_from_path(
                filepath, decode_video, decode_audio, decoder, fps, **options
            )
        name, data = found
        return EncodedVideo.from_bytes(data, name, decode_video, decode_audio, decoder, **options)


def to_hugging_face(videos: LabeledVideos, *, embed: bool = True) -> "Dataset":
    """Returns labelled videos as a ``datasets.Dataset`` with a ``Video`` column, and a ``label`` if any has one.

    Args:
        videos: of ``(path, {"label": int})``, such as :class:`LabeledVideoPaths`, whose class names are kept.
        embed: take the content of the files into the data set, which then can be given away, as parquet files
            or on the Hub; it is written into the cache of ``datasets``. Otherwise it has their paths.

    Raises:
        FileNotFoundError: a file that is to be embedded is not there.
        ImportError: ``datasets`` is not there.

    Example::

        to_hugging_face(LabeledVideoPaths.from_path("videos")).to_parquet("videos.parquet")
    """
    datasets = _datasets()
    pairs = [videos[i] for i in range(len(videos))]
    missing = next((path for path, _ in pairs if embed and not Path(path).is_file()), None)
    if missing is not None:
        raise FileNotFoundError(f"There is no file {missing}, whose content is to be embedded.")
    labels = [info.get("label", NO_LABEL) for _, info in pairs]
    if not all(isinstance(label, int) for label in labels):
        raise ValueError(expected("videos", "labelled with one class number each", labels[0]))
    names = getattr(videos, "class_names", None)
    # as Video stores it: cast afterwards, since Video itself drops the content of files that it finds
    stored = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = {"video": stored}
    if any(label != NO_LABEL for label in labels):
        features["label"] = datasets.ClassLabel(names=names) if names else datasets.Value("int64")
    options = {"features": datasets.Features(features)}
    rows = {"paths": [path for path, _ in pairs], "labels": labels if "label" in features else None}
    if embed:
        made = datasets.Dataset.from_generator(_embedded_rows, gen_kwargs=rows, **options)
    else:
        columns = {"video": [{"bytes": None, "path": path} for path in rows["paths"] or ()]}
        made = datasets.Dataset.from_dict(
            columns | ({"label": labels} if "label" in features else {}), **options
        )
    return made.cast_column("video", datasets.Video())


def _embedded_rows(paths: list[str], labels: list[int] | None) -> Iterator[dict[str, Any]]:
    for index, path in enumerate(paths):
        row: dict[str, Any] = {"video": {"bytes": Path(path).read_bytes(), "path": Path(path).name}}
        yield row if labels is None else row | {"label": labels[index]}


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            "Data sets of Hugging Face need the package datasets. Install it with "
            'pip install "pytorchvideo[hf]".'
        ) from error
    return datasets


def _undecoded(dataset: Any, column: str) -> Any:
    """The data set with a column of paths and bytes in the place of decoders."""
    datasets = _datasets()
    feature = dataset.features[column]
    if isinstance(feature, datasets.Video):
        return dataset.cast_column(column, datasets.Video(decode=False))
    if getattr(feature, "dtype", None) in ("string", "large_string", "binary", "large_binary"):
        return dataset
    raise ValueError(expected(column, "a column of videos, paths or bytes", feature))


def _paths(dataset: Any, column: str) -> Iterator[_Place]:
    """Where the video of each row is; nothing but the lengths of the bytes is looked at."""
    import pyarrow as pa
    import pyarrow.compute as pc

    row = 0
    for table in dataset.with_format("arrow").iter(batch_size=256):
        values = table[column]
        nothing = [None] * len(values)
        if pa.types.is_struct(values.type):
            sizes = pc.binary_length(pc.struct_field(values, "bytes")).to_pylist()
            paths = pc.struct_field(values, "path").to_pylist()
        elif pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
            sizes, paths = pc.binary_length(values).to_pylist(), nothing
        else:
            sizes, paths = nothing, values.to_pylist()
        for size, path in zip(sizes, paths, strict=True):
            name = Path(path).name if path else f"row {row}"
            # the size tells rows of two data sets apart in a cache of durations
            stands_for_bytes = f"row {row}: {path or 'video'}, {size} bytes"
            yield (
                _Place(path or name, name, False)
                if size is None
                else _Place(stands_for_bytes, name, True)
            )
            row += 1


def _numbers(labels: list[Any], feature: Any) -> tuple[list[int], list[str] | None]:
    """Labels as numbers, and the names behind them where they are known."""
    names = getattr(feature, "names", None)
    if names is None and any(isinstance(label, str) for label in labels):
        names = sorted({label for label in labels if label is not None})
        numbers = {name: number for number, name in enumerate(names)}
        return [NO_LABEL if label is None else numbers[label] for label in labels], names
    found = [NO_LABEL if label is None else int(label) for label in labels]
    return found, None if names is None else list(names)

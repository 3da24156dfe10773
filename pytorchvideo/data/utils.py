# SPDX-License-Identifier: Apache-2.0
"""Utilities for videos: layouts, times, writing a clip to a file, tables of dataclasses."""

import dataclasses
import itertools
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

import torch
from torch.utils.data import Sampler

from pytorchvideo._checks import check_choice, expected, shortened
from pytorchvideo._tables import csv_text, write_rows
from pytorchvideo._text import counted
from pytorchvideo.data._annotations.tables import bad_line, read_table
from pytorchvideo.data._reading.randomness import current_worker, seeded

Row = TypeVar("Row")

_INITIALIZER = "pytorchvideo.field_initializer"
_IO_THREADS = 16


def thwc_to_cthw(data: torch.Tensor) -> torch.Tensor:
    """Returns a view of frames (T, H, W, C) as (C, T, H, W).

    >>> thwc_to_cthw(torch.zeros(8, 4, 6, 3)).shape
    torch.Size([3, 8, 4, 6])
    """
    return data.permute(3, 0, 1, 2)


def secs_to_pts(
    time_in_seconds: float | Fraction,
    time_base: float | Fraction,
    start_pts: int,
    round_mode: Literal["floor", "ceil"] = "floor",
) -> float:
    """Returns a time as ticks of a stream; infinity stays what it is.

    Args:
        time_in_seconds: the time after the start of the stream.
        time_base: seconds per tick.
        start_pts: the tick at which the stream starts.
        round_mode: which of the two ticks around a time between them.

    >>> secs_to_pts(1.5, Fraction(1, 4), 100), secs_to_pts(0.3, 0.25, 0, "ceil")
    (106, 2)
    """
    check_choice("round_mode", round_mode, ("floor", "ceil"))
    if time_in_seconds == math.inf:
        return math.inf
    rounding = math.floor if round_mode == "floor" else math.ceil
    return rounding(time_in_seconds / time_base) + start_pts


def pts_to_secs(pts: float, time_base: float | Fraction, start_pts: int) -> float:
    """Returns ticks of a stream as seconds after its start; infinity stays what it is.

    >>> pts_to_secs(106, Fraction(1, 4), 100)
    1.5
    """
    if pts == math.inf:
        return math.inf
    return float((pts - start_pts) * time_base)


def export_video_array(
    video: torch.Tensor,
    output_path: str | Path,
    rate: int | Fraction,
    bit_rate: int | None = None,
    pix_fmt: str | None = None,
    height: int | None = None,
    width: int | None = None,
    in_format: str = "rgb24",
    out_format: str = "bgr24",
    video_codec: str = "mpeg4",
    options: dict[str, str] | None = None,
) -> None:
    """Writes a clip to an mp4 file.

    Args:
        video: (C, T, H, W) in 0..255, any dtype; or uint8 already in ``in_format``'s order of channels.
        output_path: where to.
        rate: frames per second.
        bit_rate: bits per second; None leaves it to the encoder.
        pix_fmt: of the file; None is ``"yuv420p"``, or ``"rgb24"`` for the codec ``libx264rgb``.
        height: of the file; None keeps the clip's.
        width: of the file; None keeps the clip's.
        in_format: what the channels of ``video`` are.
        out_format: the packed format that goes to the encoder.
        video_codec: FFmpeg's name of the encoder.
        options: of the encoder.

    Raises:
        ValueError: for another shape.
    """
    from pytorchvideo.data._decode._pyav.write import Encoding, write_video

    if video.ndim != 4 or 0 in video.shape:
        raise ValueError(
            expected("video", "a clip (C, T, H, W) with at least one frame", tuple(video.shape))
        )
    frames = video.detach().clamp(0, 255).to(torch.uint8).permute(1, 2, 3, 0)
    encoding = Encoding(
        codec=video_codec,
        options=options or {},
        pix_fmt=pix_fmt or ("rgb24" if video_codec == "libx264rgb" else "yuv420p"),
        bit_rate=bit_rate,
        size=(width or video.shape[3], height or video.shape[2]),
        in_format=in_format,
        out_format=out_format,
    )
    write_video(Path(output_path), frames.contiguous().cpu().numpy(), rate, encoding)


class MultiProcessSampler(Sampler):
    """Gives each worker of a ``DataLoader`` its share of the order of another sampler, one contiguous slice.

    The first slices are one longer where the workers do not divide the order. All workers draw the same order, also
    from a sampler that is random; every epoch has another one. Without workers it is the sampler itself.

    Args:
        sampler: with a length.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._epoch = 0

    def __iter__(self) -> Iterator[Any]:
        """Starts an epoch; a worker for which nothing is left warns."""
        worker = current_worker()
        if worker is None:
            return iter(self._sampler)
        with seeded(worker.base_seed, self._epoch):
            order = list(self._sampler)
        self._epoch += 1
        length, longer = divmod(len(order), worker.num_workers)
        first = worker.id * length + min(worker.id, longer)
        share = order[first : first + length + (worker.id < longer)]
        if not share:
            warnings.warn(
                f"Worker {worker.id} of {worker.num_workers} has nothing to do, since there are only "
                f"{counted(len(order), 'item')}. Use at most {counted(len(order), 'worker')}.",
                UserWarning,
                stacklevel=2,
            )
        return iter(share)

    def __len__(self) -> int:
        """Number of items of all workers."""
        return len(self._sampler)  # type: ignore[arg-type]


def optional_threaded_foreach(
    target: Callable[..., Any], args_iterable: Iterable[tuple[Any, ...]], multithreaded: bool
) -> None:
    """Calls a function with each tuple of arguments, by several threads on request; its exceptions come through."""
    if not multithreaded:
        for args in args_iterable:
            target(*args)
        return
    with ThreadPoolExecutor(max_workers=_IO_THREADS) as pool:
        for future in [pool.submit(target, *args) for args in args_iterable]:
            future.result()


class DataclassFieldCaster:
    """Casts the fields of a dataclass to their annotations, so that it can be made from the strings of a table.

    A field whose annotation is a class is cast by it, unless it has this type already. Fields of any other annotation
    stay as they are, or say themselves how they are made (:meth:`complex_initialized_dataclass_field`).

    >>> @dataclasses.dataclass
    ... class Video(DataclassFieldCaster):
    ...     name: str
    ...     fps: float
    >>> Video("a", "29.97")
    Video(name='a', fps=29.97)
    """

    def __post_init__(self) -> None:
        """Casts all fields.

        Raises:
            ValueError: a value cannot be cast; the message names the field.
        """
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value, kind = getattr(self, field.name), hints[field.name]
            initializer = field.metadata.get(_INITIALIZER)
            try:
                if initializer is not None:
                    value = initializer(value)
                elif isinstance(kind, type) and not isinstance(value, kind):
                    value = _boolean(value) if kind is bool else kind(value)
            except (SyntaxError, TypeError, ValueError, OverflowError, RecursionError) as error:
                shown = shortened(repr(value))
                raise ValueError(
                    f"{type(self).__name__}: the field `{field.name}` cannot be {shown}: {error}"
                ) from error
            object.__setattr__(self, field.name, value)  # frozen dataclasses, too

    @staticmethod
    def complex_initialized_dataclass_field(
        field_initializer: Callable[[Any], Any], **kwargs: Any
    ) -> Any:
        """Returns a dataclass field whose value is what a function makes of the one given.

        Args:
            field_initializer: e.g. ``ast.literal_eval`` for a list.
            kwargs: those of ``dataclasses.field``.
        """
        metadata = {**kwargs.pop("metadata", {}), _INITIALIZER: field_initializer}
        return dataclasses.field(metadata=metadata, **kwargs)


def _boolean(value: Any) -> bool:
    texts = {"true": True, "1": True, "false": False, "0": False}
    if str(value).lower() not in texts:
        raise ValueError("expected true or false")
    return texts[str(value).lower()]


def load_dataclass_dict_from_csv(
    input_csv_file_path: str | Path,
    dataclass_class: Callable[..., Row],
    dict_key_field: str,
    list_per_key: bool = False,
) -> dict[Any, Any]:
    """Reads a csv file with a header into dataclasses.

    Args:
        input_csv_file_path: has a column for each field of the dataclass; others are ignored.
        dataclass_class: made by keywords; derive it from :class:`DataclassFieldCaster`.
        dict_key_field: the field that becomes the key.
        list_per_key: whether a key may come several times.

    Returns:
        Key -> dataclass, or key -> list of dataclasses with ``list_per_key``, in the order of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, or a key that came before; named with the file and its number.
    """
    names = [field.name for field in dataclasses.fields(dataclass_class)]  # type: ignore[arg-type]
    found: dict[Any, Any] = {}
    for number, row in read_table(input_csv_file_path, names):
        try:
            made = dataclass_class(**{name: csv_text(row[name]) for name in names})
        except ValueError as error:
            raise ValueError(f"{input_csv_file_path}, line {number}: {error}") from error
        key = getattr(made, dict_key_field)
        if list_per_key:
            found.setdefault(key, []).append(made)
        elif key in found:
            wanted = f"one line for each {dict_key_field}"
            raise bad_line(input_csv_file_path, number, str(key), wanted)
        else:
            found[key] = made
    return found


def save_dataclass_objs_to_headered_csv(
    dataclass_objs: Sequence[Any], file_name: str | Path
) -> None:
    """Writes dataclasses of one class to a csv file, the names of the fields as its header.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which
    :func:`load_dataclass_dict_from_csv` takes off.

    Raises:
        ValueError: there are none, so that the fields are not known.
    """
    if not dataclass_objs:
        raise ValueError(expected("dataclass_objs", "at least one", dataclass_objs))
    names = [field.name for field in dataclasses.fields(dataclass_objs[0])]
    with open(file_name, "w", encoding="utf-8", newline="") as file:
        rows = ([getattr(made, name) for name in names] for made in dataclass_objs)
        write_rows(file, itertools.chain([names], rows))


def get_logger(name: str) -> logging.Logger:
    """Returns the logger of a module; what it shows is the application's choice."""
    return logging.getLogger(name)

# SPDX-License-Identifier: Apache-2.0
"""Videos and their targets from tables: csv and json files, and data frames."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flash.core._former_names import one_of
from flash.core.data.utilities.classification import VectorTargetFormatter, infer_formatter
from flash.video.sources.base import VideoData
from flash.video.sources.files import (
    PathLike,
    Resolver,
    StageFiles,
    find_video,
    from_targets,
    to_predict,
)
from pytorchvideo._checks import expected, near_names
from pytorchvideo._text import parse_json, read_json, read_lines
from pytorchvideo.data._annotations.tables import read_table

if TYPE_CHECKING:
    from typing_extensions import Self

Rows = list[dict[str, Any]]
Fields = str | Sequence[str]


class FromTables(VideoData):
    """Constructors of video data from tables."""

    @classmethod
    def from_csv(
        cls,
        input_field: str | None = None,
        target_fields: Fields | None = None,
        train_file: PathLike | None = None,
        train_videos_root: PathLike | None = None,
        train_resolver: Resolver | None = None,
        val_file: PathLike | None = None,
        val_videos_root: PathLike | None = None,
        val_resolver: Resolver | None = None,
        test_file: PathLike | None = None,
        test_videos_root: PathLike | None = None,
        test_resolver: Resolver | None = None,
        predict_file: PathLike | None = None,
        predict_videos_root: PathLike | None = None,
        predict_resolver: Resolver | None = None,
        **options: Any,
    ) -> "Self":
        """Videos and their targets in csv files with a header.

        Args:
            input_field: column with the names of the files, with or without their endings. ``input_fields``
                is Flash's former name for it.
            target_fields: column with the targets; or several columns of numbers, one a class.
            train_file: a csv file; likewise for the other stages.
            train_videos_root: folder of the videos. Without it names are looked for where the program
                runs, then beside the file.
            train_resolver: ``(root, name)`` -> path, instead of looking below the root.

        Raises:
            FileNotFoundError: if a file, or all of its videos, do not exist.
            TypeError: for an unknown option.
            ValueError: for a column that is not there or has gaps, or a line that does not fit the header.
        """
        places = {
            "train": (train_file, train_videos_root, train_resolver),
            "val": (val_file, val_videos_root, val_resolver),
            "test": (test_file, test_videos_root, test_resolver),
            "predict": (predict_file, predict_videos_root, predict_resolver),
        }
        columns = Columns.take(input_field, target_fields, options)
        return cls._of_tables("from_csv", places, columns, options, rows_of_csv)

    @classmethod
    def from_json(
        cls,
        input_field: str | None = None,
        target_fields: Fields | None = None,
        train_file: PathLike | None = None,
        val_file: PathLike | None = None,
        test_file: PathLike | None = None,
        predict_file: PathLike | None = None,
        field: str | None = None,
        videos_root: PathLike | None = None,
        resolver: Resolver | None = None,
        **options: Any,
    ) -> "Self":
        """Videos and their targets in json files: a list of objects, an object of lists, or (.jsonl) one object a line.

        Args:
            input_field: entry with the name of the file; see :meth:`from_csv`.
            target_fields: entry with the target, which may be a list; or several entries of numbers, one a class.
            train_file: a json file; likewise for the other stages.
            field: of the file's object, the entry with the data; None is the whole.
            videos_root: folder of the videos; see :meth:`from_csv`.
            resolver: ``(root, name)`` -> path, instead of looking below the root.

        Raises:
            FileNotFoundError: if a file, or all of its videos, do not exist.
            TypeError: for an unknown option, or a file with something else than a table.
            ValueError: for a file that is not json, or an entry that is not there.
        """
        files = {"train": train_file, "val": val_file, "test": test_file, "predict": predict_file}
        places = {stage: (file, videos_root, resolver) for stage, file in files.items()}
        columns = Columns.take(input_field, target_fields, options)
        return cls._of_tables(
            "from_json", places, columns, options, lambda file: rows_of_json(file, field)
        )

    @classmethod
    def from_data_frame(
        cls,
        input_field: str | None = None,
        target_fields: Fields | None = None,
        train_data_frame: Any = None,
        train_videos_root: PathLike | None = None,
        train_resolver: Resolver | None = None,
        val_data_frame: Any = None,
        val_videos_root: PathLike | None = None,
        val_resolver: Resolver | None = None,
        test_data_frame: Any = None,
        test_videos_root: PathLike | None = None,
        test_resolver: Resolver | None = None,
        predict_data_frame: Any = None,
        predict_videos_root: PathLike | None = None,
        predict_resolver: Resolver | None = None,
        **options: Any,
    ) -> "Self":
        """Videos and their targets in data frames of pandas or polars, lists of dicts, or dicts of columns.

        The arguments are those of :meth:`from_csv`, with frames in the place of files.

        Raises:
            FileNotFoundError: if none of the videos exists.
            TypeError: for an unknown option, or something that is no table.
            ValueError: for a column that is not there or has gaps.
        """
        places = {
            "train": (train_data_frame, train_videos_root, train_resolver),
            "val": (val_data_frame, val_videos_root, val_resolver),
            "test": (test_data_frame, test_videos_root, test_resolver),
            "predict": (predict_data_frame, predict_videos_root, predict_resolver),
        }
        columns = Columns.take(input_field, target_fields, options)
        return cls._of_tables("from_data_frame", places, columns, options, None)

    @classmethod
    def _of_tables(
        cls,
        name: str,
        places: Mapping[str, tuple[Any, PathLike | None, Resolver | None]],
        columns: "Columns",
        options: dict[str, Any],
        read: Callable[[PathLike], Rows] | None,
    ) -> "Self":
        """Makes the data of tables: in files that ``read`` reads, or frames without it."""
        given = {stage: place for stage, place in places.items() if place[0] is not None}
        tables = {
            stage: rows_of_frame(table, f"{stage}_data_frame") if read is None else read(table)
            for stage, (table, _, _) in given.items()
        }
        if read is rows_of_csv:
            texts_to_numbers(tables.values(), columns.targets)
        stages = {}
        for stage, (table, root, resolver) in given.items():
            if read is not None:
                root = beside(table, root, tables[stage], columns.input)
            stages[stage] = from_rows(
                stage,
                tables[stage],
                f"{stage}_data_frame" if read is None else os.fspath(table),
                columns,
                root=root,
                resolver=resolver,
                multi_label=options.get("multi_label"),
            )
        return cls._of_files(name, stages, options)


@dataclass
class Columns:
    """The names of the columns with the names of the files, and with the targets."""

    input: str
    targets: list[str]

    @classmethod
    def take(
        cls, input_field: str | None, target_fields: Fields | None, options: dict[str, Any]
    ) -> "Columns":
        """Returns the columns that a constructor was asked for, by either name; the former ones leave ``options``."""
        former = options.pop("input_fields", None)
        field = one_of("input_field", input_field, "input_fields", former)
        if not isinstance(field, str):
            raise TypeError(expected("input_field", "the name of a column", field))
        other = options.pop("target_field", None)
        fields = one_of("target_fields", target_fields, "target_field", other)
        targets = [fields] if isinstance(fields, str) else fields or []
        if not isinstance(targets, (list, tuple)) or len(set(targets)) < len(targets):
            wanted = "the name of a column, or a list of different ones"
            raise TypeError(expected("target_fields", wanted, fields))
        return cls(field, list(targets))


def rows_of_csv(file: PathLike) -> Rows:
    """The lines of a csv file with a header, as texts; commas, semicolons or tabs are between them.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is empty, or a line does not fit the header.
    """
    return [_Line(row, number) for number, row in read_table(os.fspath(file), (), delimiter=None)]


class _Line(dict[str, Any]):
    """The fields of a line of a file, which knows its number."""

    def __init__(self, fields: Mapping[str, Any], number: int) -> None:
        super().__init__(fields)
        self.number = number


def texts_to_numbers(tables: Iterable[Rows], fields: Sequence[str]) -> None:
    """Makes numbers of the columns that hold nothing else in any of the tables."""
    rows = [row for table in tables for row in table]
    for field in fields:
        texts = [row[field] for row in rows if field in row]
        for pattern, kind in ((r"[+-]?\d+", int), (r"[+-]?(\d+\.?\d*|\.\d+)", float)):
            if all(re.fullmatch(pattern, text) for text in texts):
                for row in rows:
                    if field in row:
                        row[field] = kind(row[field])
                break


def rows_of_json(file: PathLike, field: str | None) -> Rows:
    """The objects of a json file: a list of them, an object of columns, or one object a line.

    Args:
        file: its path.
        field: of the file's object, the entry with the data; None is the whole.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not json, or holds something else.
    """
    path = os.fspath(file)
    if path.endswith((".jsonl", ".ndjson")):
        lines = read_lines(path, "a json object in each line")
        return rows_of_frame([parse_json(line, path, n) for n, line in lines if line.strip()], path)
    content = read_json(path)
    if field is not None:
        if not isinstance(content, dict) or field not in content:
            known = list(content) if isinstance(content, dict) else []
            raise ValueError(f"{path}: " + expected("field", f"one of {known}", field))
        content = content[field]
    return rows_of_frame(content, path)


def rows_of_frame(frame: Any, name: str) -> Rows:
    """The rows of a data frame (pandas or polars), of a list of dicts, or of a dict of columns.

    Raises:
        TypeError: for anything else.
        ValueError: for columns of different lengths.
    """
    if hasattr(frame, "to_dicts"):
        frame = frame.to_dicts()
    elif hasattr(frame, "to_dict"):
        frame = frame.to_dict("records")
    elif isinstance(frame, Mapping) and all(isinstance(c, (list, tuple)) for c in frame.values()):
        if len({len(column) for column in frame.values()}) > 1:
            sizes = {field: len(column) for field, column in frame.items()}
            raise ValueError(expected(name, "columns of one length", sizes))
        frame = [dict(zip(frame, row, strict=True)) for row in zip(*frame.values(), strict=True)]
    if not isinstance(frame, list) or not all(isinstance(row, Mapping) for row in frame):
        raise TypeError(expected(name, "a table: rows with names of columns", type(frame).__name__))
    return frame


def from_rows(
    stage: str,
    rows: Rows,
    source: str,
    columns: Columns,
    *,
    root: PathLike | None = None,
    resolver: Resolver | None = None,
    multi_label: bool | None = None,
) -> StageFiles:
    """The videos of a table.

    Args:
        stage: for ``"predict"`` targets are not looked at.
        rows: one a video.
        source: of the rows, for errors.
        columns: several for the targets have a number each, and their names are the classes.
        root: folder that names are relative to.
        resolver: ``(root, name)`` -> path; None looks for the file below ``root``.
        multi_label: see :func:`flash.core.data.utilities.classification.infer_formatter`.

    Raises:
        FileNotFoundError: none of the videos exists.
        ValueError: a column is not there, or empty in a row; there is no row.
    """
    if not rows:
        raise ValueError(f"Expected {source} to have a row for each video, but it has none.")
    locate = find_video if resolver is None else resolver
    names = _column(rows, columns.input, source)
    files = [os.fspath(locate(os.fspath(root or ""), str(name))) for name in names]
    if stage == "predict":
        return to_predict(files)
    if not columns.targets:
        raise ValueError(
            expected("target_fields", f"the column of {source} with the targets", None)
        )
    values = [_column(rows, field, source) for field in columns.targets]
    target_name = f"{source}: {', '.join(columns.targets)}"
    if len(values) == 1:
        return from_targets(stage, files, values[0], (source, target_name))
    targets = [list(row) for row in zip(*values, strict=True)]
    videos = from_targets(stage, files, targets, (source, target_name))
    formatter = infer_formatter(targets, multi_label)
    if not isinstance(formatter, VectorTargetFormatter):
        raise ValueError(
            expected(target_name, "numbers from 0 to 1, a column for each class", targets[0])
        )
    videos.formatter = type(formatter)(columns.targets)
    return videos


def beside(file: PathLike, root: PathLike | None, rows: Rows, input_field: str) -> PathLike:
    """The folder that the names in a file are relative to: where the program runs, else that of the file."""
    if root is not None:
        return root
    names = [str(row.get(input_field)) for row in rows[:20]]
    here = any(os.path.exists(find_video("", name)) for name in names)
    return "" if here else Path(file).parent


def _column(rows: Rows, field: str, source: str) -> list[Any]:
    values = []
    for number, row in enumerate(rows, 1):
        if field not in row:
            raise ValueError(
                f"Expected {source} to have the column {field!r}. {near_names(str(field), map(str, row))}"
            )
        value = row[field]
        # NaN, which data frames put where nothing is, differs from itself
        if value is None or (isinstance(value, str) and not value) or _is_nan(value):
            where = f"line {row.number}" if isinstance(row, _Line) else f"row {number}"
            raise ValueError(f"{source}, {where}: the column {field!r} is empty.")
        values.append(value)
    return values


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value

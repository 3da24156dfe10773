# SPDX-License-Identifier: Apache-2.0
"""Reading annotation files, where every complaint names the file and the line, and writing files whole."""

import csv
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from pytorchvideo._checks import expected


def read_text(file: str | Path, wanted: str) -> str:
    """Returns a file in UTF-8, without a byte order mark.

    Args:
        file: its path.
        wanted: what it should hold, for the error.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not text.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Expected {wanted}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8. Expected {wanted}.") from error
    if "\0" in text:  # UTF-16 without a mark, or no text at all
        raise ValueError(f"{path} is not a text file in UTF-8. Expected {wanted}.")
    return text


def bad_line(file: str | Path, number: int, line: str, wanted: str) -> ValueError:
    """Returns the error for a line that cannot be read."""
    return ValueError(f"{file}, line {number}: " + expected("line", wanted, line))


def read_rows(file: str | Path, delimiter: str | None = ",") -> Iterator[tuple[int, list[str]]]:
    """Yields the line number and the fields of every line that is not blank; a delimiter of None is found."""
    text = read_text(file, f"lines with fields separated by {delimiter or ','!r}")
    if delimiter is None:
        delimiter = delimiter_of(text.lstrip().partition("\n")[0])
    reader = csv.reader(text.split("\n"), delimiter=delimiter, skipinitialspace=True)
    for fields in reader:
        if any(field.strip() for field in fields):
            yield reader.line_num, [field.strip() for field in fields]


def delimiter_of(header: str) -> str:
    """What separates the names in the header of a table: a tab, a semicolon, or a comma.

    >>> delimiter_of("file;labels, all of them"), delimiter_of("file,label")
    (';', ',')
    """
    return next((sign for sign in "\t;" if sign in header), ",")


def read_table(
    file: str | Path, columns: Collection[str], delimiter: str | None = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the line number and the named fields of every row below a header.

    Args:
        file: its path.
        columns: names that the header must have; it may have others, too.
        delimiter: between two fields; None is found in the header.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no header, one without the columns, or a row with more or fewer fields than it.
    """
    rows = read_rows(file, delimiter)
    first = next(rows, None)
    wanted = f"a header with the columns {', '.join(columns)}"
    if first is None:
        raise ValueError(f"{file} is empty. Expected {wanted}.")
    number, header = first
    if not set(columns) <= set(header):
        raise bad_line(file, number, (delimiter or ",").join(header), wanted)
    for number, fields in rows:
        if len(fields) != len(header):
            wanted = f"{len(header)} fields, as the header has"
            raise bad_line(file, number, (delimiter or ",").join(fields), wanted)
        yield number, dict(zip(header, fields, strict=True))


def read_json(file: str | Path) -> Any:
    """Returns what a json file holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not json; the message says where.
    """
    try:
        return json.loads(read_text(file, "a json file"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}, line {error.lineno}: not json: {error.msg}.") from error

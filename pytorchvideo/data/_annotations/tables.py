# SPDX-License-Identifier: Apache-2.0
"""Tables in text files, where every complaint names the file and the line."""

import csv
import itertools
from collections import Counter
from collections.abc import Collection, Iterator

from pytorchvideo._checks import shortened
from pytorchvideo._text import PathLike, counted, read_lines


def bad_line(file: PathLike, number: int, line: str, wanted: str) -> ValueError:
    """Returns the error for a line that cannot be read."""
    return ValueError(
        f"{file}, line {number}: expected {wanted}, but got {shortened(repr(line), 400)}."
    )


def read_rows(file: PathLike, delimiter: str | None = ",") -> Iterator[tuple[int, list[str]]]:
    """Yields the line number and the fields of every line that is not blank; a delimiter of None is found.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not text, see :func:`~pytorchvideo._text.read_lines`, or a field is longer than csv allows.
    """
    wanted = f"lines with fields separated by {delimiter or ','!r}"
    # with their ends, since a field in quotes may have several lines
    lines: Iterator[str] = (f"{line}\n" for _, line in read_lines(file, wanted))
    if delimiter is None:
        start: list[str] = []
        for line in lines:
            start.append(line)
            if line.strip():
                break
        delimiter = delimiter_of(start[-1].lstrip() if start else "")
        lines = itertools.chain(start, lines)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, [field.strip() for field in fields]
    except csv.Error as error:
        raise ValueError(f"{file}, line {reader.line_num}: {too_long(error)}") from error


def too_long(error: csv.Error) -> str:
    """Returns the sentence for what csv says of a field."""
    if "field limit" not in str(error):
        return f"{error}."
    most = csv.field_size_limit()
    return f"expected fields of at most {most:,} characters. Is there a quote that is not closed?"


def delimiter_of(header: str) -> str:
    """What separates the names in the header of a table: a tab, a semicolon, or a comma.

    >>> delimiter_of("file;labels, all of them"), delimiter_of("file,label")
    (';', ',')
    """
    return next((sign for sign in "\t;" if sign in header), ",")


def read_table(
    file: PathLike, columns: Collection[str], delimiter: str | None = ","
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
    twice = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if twice:
        wanted = f"a header with one column {shortened(twice[0])!r}"
        raise bad_line(file, number, (delimiter or ",").join(header), wanted)
    for number, fields in rows:
        if len(fields) != len(header):
            wanted = f"{counted(len(header), 'field')}, as the header has"
            raise bad_line(file, number, (delimiter or ",").join(fields), wanted)
        yield number, dict(zip(header, fields, strict=True))

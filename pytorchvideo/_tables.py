# SPDX-License-Identifier: Apache-2.0
"""Tables that are written to files: csv without formulas, json and parquet."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file, write_json, write_whole

ENDINGS = (".csv", ".json", ".parquet")


# where a cell begins, also for spreadsheets that take another sign, or the end of a line, for the end of the one before
_BEGINS = r"(?:^|(?<=[;\t\r\n]))"
_FORMULA = r"(?='*[=+\-@＝＋－＠\t\r\n])"


def csv_cell(value: Any) -> Any:
    """Returns a text as no spreadsheet takes it for a formula: with an apostrophe in front where it might.

    Numbers, None and other texts stay as they are. The signs are those of OWASP, "CSV Injection"
    (https://owasp.org/www-community/attacks/CSV_Injection). :func:`csv_text` gives back the text.

    >>> csv_cell("=1+1"), csv_cell("'=1"), csv_cell("a;=1"), csv_cell("running"), csv_cell(-1.5)
    ("'=1+1", "''=1", "a;'=1", 'running', -1.5)
    """
    return re.sub(_BEGINS + _FORMULA, "'", value) if isinstance(value, str) else value


def csv_text(cell: str) -> str:
    """Returns the text behind a cell that :func:`csv_cell` made.

    >>> csv_text("'=1+1"), csv_text("'tis")
    ('=1+1', "'tis")
    """
    return re.sub(f"{_BEGINS}'{_FORMULA}", "", cell)


def write_rows(file: IO[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes the lines of a csv file, which holds no formula: see :func:`csv_cell`.

    >>> import io
    >>> file = io.StringIO()
    >>> write_rows(file, [("label", "score"), ("=1+1", 0.5)])
    >>> file.getvalue().splitlines()
    ['label,score', "'=1+1,0.5"]
    """
    writer = csv.writer(
        file
    )  # lines end as RFC 4180 says, and names that hold such an end are in quotes
    writer.writerows([csv_cell(value) for value in row] for row in rows)


def check_table(path: Path) -> None:
    """Makes sure, before the work is done, that a table can be written under this name.

    Raises:
        ValueError: another ending, or parquet without pyarrow.
    """
    if path.suffix.lower() not in ENDINGS:
        wanted = f"a name that ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        raise ValueError(expected("out", wanted, str(path)))
    if path.suffix.lower() == ".parquet":
        _arrow()


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a file that is complete or not there; in csv no text is a formula.

    Args:
        path: its ending is that of a table, see :func:`check_table`.
        columns: names in their order.
        rows: a value for each column; None is an empty cell.
    """
    ending = path.suffix.lower()
    if ending == ".parquet":
        arrow, parquet = _arrow()
        whole = {name: [_text(row[name]) for row in rows] for name in columns}
        with whole_file(path) as part:
            parquet.write_table(arrow.table(whole), part)
    elif ending == ".json":
        write_json(path, [{name: row[name] for name in columns} for row in rows])
    else:
        lines = io.StringIO()
        write_rows(lines, [columns, *([row[name] for name in columns] for row in rows)])
        write_whole(path, lines.getvalue())


def _text(value: Any) -> Any:
    """A value as parquet can hold it: names of files that are no UTF-8 have escapes there."""
    is_text = isinstance(value, str)
    return value.encode("utf-8", "backslashreplace").decode() if is_text else value


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(
            "Parquet files need pyarrow: pip install pyarrow, or write a .csv or .json file."
        ) from error
    return pyarrow, pyarrow.parquet

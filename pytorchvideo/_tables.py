# SPDX-License-Identifier: Apache-2.0
"""Tables of answers in files: csv, json and parquet."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file

ENDINGS = (".csv", ".json", ".parquet")


def check_table(path: Path) -> None:
    """Makes sure, before the work is done, that a table can be written under this name.

    Raises:
        ValueError: another ending, or parquet without pyarrow.
    """
    if path.suffix not in ENDINGS:
        raise ValueError(expected("file", f"a name that ends in {', '.join(ENDINGS)}", path))
    if path.suffix == ".parquet":
        _arrow()


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a file that is complete or not there.

    Args:
        path: its ending is that of a table, see :func:`check_table`.
        columns: names in their order.
        rows: a value for each column; None is an empty cell.
    """
    with whole_file(path) as part:
        if path.suffix == ".parquet":
            arrow, parquet = _arrow()
            whole = {name: [row[name] for row in rows] for name in columns}
            parquet.write_table(arrow.table(whole), part)
        elif path.suffix == ".json":
            plain = [{name: row[name] for name in columns} for row in rows]
            Path(part).write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
        else:
            with open(part, "w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns)
                writer.writeheader()
                writer.writerows(rows)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError(
            "Parquet files need pyarrow: pip install pyarrow, or write a .csv or .json file."
        ) from error
    return pyarrow, pyarrow.parquet

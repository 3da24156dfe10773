# SPDX-License-Identifier: Apache-2.0
"""Tables that are read with their line numbers, and written without formulas."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo._tables import csv_cell, csv_text, write_rows
from pytorchvideo.data._annotations.tables import read_rows, read_table
from pytorchvideo.data.dataset_manifest_utils import EncodedVideoInfo, save_encoded_video_manifest
from pytorchvideo.data.utils import load_dataclass_dict_from_csv

# of https://owasp.org/www-community/attacks/CSV_Injection
FORMULAS = ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", '=HYPERLINK("a","b")']


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_cell_is_a_formula_whatever_ends_it(text: str, delimiter: str) -> None:
    file = io.StringIO()
    write_rows(file, [("a", text, f"run;{text}", f"run\t{text}", -1.5)])
    written = io.StringIO(file.getvalue(), newline="")
    cells = [cell for row in csv.reader(written, delimiter=delimiter) for cell in row]
    assert not any(cell.startswith(tuple("=+-@\t\r\n＝")) for cell in cells if cell != "-1.5")
    if delimiter == ",":
        assert cells[1].startswith(f"'{text[0]}")
        assert cells[-1] == "-1.5"


@given(st.text("'=+-@;\ta", max_size=6) | st.text())
def test_the_text_comes_back(text: str) -> None:
    assert csv_text(csv_cell(text)) == text


def test_manifests_hold_no_formula_and_are_read_back(tmp_path: Path) -> None:
    # names of YouTube begin with a minus, too; a carriage return ends a line of any text file
    names = ["-5KQ66BBWC4", "'-x", "''=x", "a;=b", "a\nb", 'q"u', "'tis", "@a", "+", "=1,2", "#a"]
    rows = {name: EncodedVideoInfo(name, f"{name}.mp4") for name in names}
    file = save_encoded_video_manifest(rows, str(tmp_path / "manifest.csv"))
    assert load_dataclass_dict_from_csv(file, EncodedVideoInfo, "video_id") == rows
    with open(file, newline="") as opened:
        cells = [cell for row in csv.reader(opened) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def test_a_field_that_is_too_long(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    limit = csv.field_size_limit()
    file.write_text(f"file,label\na,{'x' * limit}\nb,{'x' * (limit + 1)}\n")
    rows = read_rows(file)
    assert [number for number, _ in (next(rows), next(rows))] == [1, 2]
    with pytest.raises(ValueError, match=r"a\.csv, line 3: expected fields of at most 131,072"):
        next(rows)
    # a quote that is not closed takes in all lines that follow
    file.write_text('file,label\n"a,b\n' + "c,d\n" * limit)
    with pytest.raises(ValueError, match=r"a\.csv, line \d+: .* a quote that is not closed\?"):
        list(read_rows(file))


def test_headers(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("\n\n file ;label, all\na;b\n")
    assert list(read_table(file, ["file"], None)) == [(4, {"file": "a", "label, all": "b"})]
    file.write_text("file,label,label\na,b,c\n")
    with pytest.raises(ValueError, match=r"line 1: .*a header with one column 'label'"):
        list(read_table(file, ["file"]))

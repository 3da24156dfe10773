# SPDX-License-Identifier: Apache-2.0
"""Text and json of strangers. What is text says Unicode 15 (chapters 3.9 and 23.8), what is json RFC 8259."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo import _text
from pytorchvideo._text import parse_json, read_json, read_lines, read_object, read_text


def lines_of(path: Path, **options: Any) -> list[tuple[int, str]]:
    return list(read_lines(path, "lines", **options))


def test_lines_end_as_on_any_system_and_have_no_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    # the second mark is where two lists were joined
    path.write_bytes("\ufeffwalk\r\nrün\rhop\n\n\ufeffsit".encode())
    assert lines_of(path) == [(1, "walk"), (2, "rün"), (3, "hop"), (4, ""), (5, "sit")]
    assert read_text(path, "text") == "walk\nrün\nhop\n\n\ufeffsit"


@pytest.mark.parametrize("number", [1, 2, 5000])
def test_a_byte_that_is_no_utf_8_is_named_with_its_line(tmp_path: Path, number: int) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(
        "häuser und höfe\n".encode() * (number - 1) + "r\xe9sum\xe9\n".encode("latin-1")
    )
    for read in (lambda: lines_of(path), lambda: read_text(path, "lines")):
        with pytest.raises(
            ValueError, match=rf"a.txt is not .* UTF-8: line {number} has the byte 0xe9\. Save"
        ):
            read()


def test_a_last_character_that_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("walk\nrü".encode()[:-1])
    with pytest.raises(ValueError, match="line 2 has half of a character"):
        lines_of(tmp_path / "a.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    has_mark = not encoding.endswith("e")
    (tmp_path / "a.txt").write_bytes("walk 1\n".encode(encoding))
    match = f"but in {encoding.upper()}. Save it as UTF-8" if has_mark else "line 1 has a null"
    with pytest.raises(ValueError, match=match):
        lines_of(tmp_path / "a.txt")
    with pytest.raises(ValueError, match=match):
        read_text(tmp_path / "a.txt", "text")


def test_a_file_of_one_endless_line_is_refused_before_it_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:  # 2 GB that take no space on the disk, read as 2 GB of nulls
        file.truncate(2 << 30)
    with pytest.raises(ValueError, match=r"a\.csv is larger than 1024 MiB\. Expected lines"):
        lines_of(path)
    path.write_text("walk\n" + "a" * (_text.MAX_LINE + 1))
    with pytest.raises(ValueError, match=r"a\.csv, line 2: .* more than 1,048,576 characters"):
        lines_of(path)
    monkeypatch.setattr(_text, "MAX_LINE", 1 << 10)
    with pytest.raises(ValueError, match=r"a\.csv is larger than 0.5 MiB"):
        read_text(path, "text", max_bytes=1 << 19)


def test_names_of_files_may_be_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9.mp4\n")
    assert lines_of(tmp_path / "a.txt", keep_bytes=True) == [(1, "caf\udce9.mp4")]


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(FileNotFoundError, match=r"There is no file .* Expected a list"):
            read_text(path, "a list")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"a\.json, line 1: not json: Expecting value"),
        ('{\n"a": 1,\n}', r"a\.json, line [23]: not json"),
        ("[" * 100_000, "nested more than 100 deep"),
        ("[" * 101 + "0" + "]" * 101, "nested more than 100 deep"),
        ('{"a": ' * 150 + "0" + "}" * 150, "nested more than 100 deep"),
        ("[1" + "0" * 5000 + "]", "a number of hundreds of digits"),
        ("[1" + "0" * 400 + "]", "a number of hundreds of digits"),
        ('[{"b": 1, "a": 1, "b": 2}]', "the name 'b' comes twice"),
        (r'["\ud800"]', "half of a character"),
    ],
)
def test_json_that_is_refused(text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        parse_json(text, "a.json")
    assert str(caught.value).startswith("a.json")
    with pytest.raises(ValueError, match=r"^a.jsonl, line 7: "):
        parse_json(text.replace("\n", " "), "a.jsonl", 7)


def test_json_that_is_read() -> None:
    assert parse_json("[" * 100 + "]" * 100, "a") == json.loads("[" * 100 + "]" * 100)
    assert parse_json(r'"caf\udce9.mp4"', "a") == "caf\udce9.mp4"  # the bytes of a file's name
    assert parse_json(r'"\ud83d\ude00"', "a") == "😀"
    assert parse_json(str(2**1000), "a") == 2**1000


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": [-Infinity]}', "1e999"])
def test_numbers_that_are_none(text: str) -> None:
    parse_json(text, "a.json")  # as Python and pandas write them
    with pytest.raises(ValueError, match=r"a.json: expected finite numbers, but got"):
        parse_json(text, "a.json", finite=True)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
)


@given(values)
def test_what_json_can_hold_is_read_as_pythons_module_does(value: Any) -> None:
    assert parse_json(json.dumps(value), "a.json", finite=True) == value


@given(st.text(max_size=40) | st.text('[]{}":,0123456789eE+-.\\u dNaI', max_size=40))
def test_any_text_is_json_or_a_sentence(text: str) -> None:
    try:
        found = parse_json(text, "a.json")
    except ValueError as error:
        sentence = str(error)
    else:
        assert repr(found) == repr(json.loads(text))  # NaN differs from itself
        return
    assert sentence.startswith("a.json")


def test_objects(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1}')
    assert read_object(path, "a run") == {"a": 1} == read_json(path)
    for text, kind in (("[]", "a list"), ("1.5", "a number"), ("null", "null"), ('""', "a text")):
        path.write_text(text)
        with pytest.raises(ValueError, match=f"expected a run, an object, but got {kind}"):
            read_object(path, "a run")
    with path.open("wb") as file:
        file.truncate(_text.SMALL + 1)
    with pytest.raises(ValueError, match=r"is larger than 16 MiB. Expected a run"):
        read_object(path, "a run")
